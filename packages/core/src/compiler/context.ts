/**
 * What a primitive's lowering rule can ask for.
 *
 * A rule receives tensors and answers tensors. A tensor is *virtual*: an expression over an
 * iteration space. Views and elementwise work only build expressions; the context decides what is
 * written to memory and when. The remaining methods create loop nodes with results of their own.
 */
import type { Jaxpr } from '../jaxpr/ir'
import type { Aval, Shape } from '../types/aval'
import type { DType } from '../types/dtype'
import type { MonoidName } from '../types/monoid'
import type { Affine, Scalar } from './expr'

export interface Tensor {
  readonly aval: Aval
  /** The element at an index of `aval.shape`. */
  readonly value: Scalar
}

export type Monoid = MonoidName
export type CumulativeMonoid = 'sum' | 'prod' | 'max' | 'min' | 'logsumexp'

/** A product of two tensors over groups of axes; each group may have any rank, also 0. */
export interface Contraction {
  readonly batch: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
  /** Over `[...batch, ...m, ...k]`. */
  readonly lhs: Tensor
  /** Over `[...batch, ...n, ...k]`. */
  readonly rhs: Tensor
  /** Over `[...batch, ...m, ...n]`. */
  readonly aval: Aval
}

/** A rectangular region of a result and what is written there. */
export interface Piece {
  readonly value: Tensor
  /** First element and step per axis of the result. Steps are positive. */
  readonly start: readonly number[]
  readonly step: readonly number[]
  /** Added to `start` at run time, already clamped: int32 scalars, one per axis. */
  readonly dynamicStart?: readonly Tensor[]
}

export type ScatterCombine = 'set' | 'add' | 'mul' | 'min' | 'max'

/** `result = operand; result[position(u)] combine= updates[u]` for every update index u in order. */
export interface Scatter {
  readonly operand: Tensor
  readonly updates: Tensor
  /** Position along each operand axis, int32, over the updates' shape. */
  readonly position: readonly Scalar[]
  /** Whether the update is written at all, bool, over the updates' shape; null means always. */
  readonly inBounds: Scalar | null
  readonly combine: ScatterCombine
}

export interface WindowGeometry {
  readonly window: readonly number[]
  readonly strides: readonly number[]
}

export interface ScanProgram {
  /** Inputs: constants, carries, one slice of each x. Outputs: carries, one slice of each y. */
  readonly body: Jaxpr
  readonly constants: readonly Tensor[]
  readonly carries: readonly Tensor[]
  /** With the scanned axis in front. */
  readonly xs: readonly Tensor[]
  readonly length: number
  readonly reverse: boolean
}

export interface WhileProgram {
  /** Inputs: its constants, carries. Output: one bool scalar. */
  readonly condition: Jaxpr
  readonly conditionConstants: readonly Tensor[]
  /** Inputs: its constants, carries. Outputs: carries. */
  readonly body: Jaxpr
  readonly bodyConstants: readonly Tensor[]
  readonly carries: readonly Tensor[]
}

export interface BranchProgram {
  /** int32 scalar, already clamped to `0 … branches.length - 1`. */
  readonly index: Tensor
  readonly branches: readonly Jaxpr[]
  readonly operands: readonly Tensor[]
}

export interface LoweringContext {
  // --- expressions: nothing is written ---------------------------------------------------------
  /** Elementwise: operands all have `aval.shape`; `f` builds the expression. */
  map(aval: Aval, f: (...operands: Scalar[]) => Scalar, ...operands: readonly Tensor[]): Tensor
  /** `x + y` of cotangents: where one is zero because nothing contributes, the other stands. */
  accumulate(aval: Aval, x: Tensor, y: Tensor): Tensor
  constant(aval: Aval, value: number | boolean): Tensor
  /** `aval.shape`-shaped counter along `axis`. */
  iota(aval: Aval, axis: number): Tensor
  /**
   * The general view: element `j` of the result is element `source(j)` of `x`, where `source` gives
   * one affine function of `j` per axis of `x`. Transpose, broadcast, slice, reverse, window.
   */
  reindex(x: Tensor, aval: Aval, source: readonly Affine[]): Tensor
  /** Row-major reshape; materialises `x` only where no affine view can express it. */
  reshape(x: Tensor, aval: Aval): Tensor
  /** Data-dependent read: int32 coordinates per axis of `x`, in bounds, over `aval.shape`. */
  take(x: Tensor, aval: Aval, coordinates: readonly Scalar[]): Tensor
  /** `take` of a block at clamped dynamic start indices (int32 scalars). */
  dynamicSlice(x: Tensor, aval: Aval, starts: readonly Tensor[]): Tensor

  // --- nodes: results in memory ----------------------------------------------------------------
  /** The same tensor, stored row-major in a buffer of its own. */
  materialize(x: Tensor): Tensor
  /** `base` (or nothing, when the pieces cover everything) overwritten by pieces in order. */
  assemble(aval: Aval, base: Tensor | null, pieces: readonly Piece[]): Tensor
  /** Reduces `axes` of `x`; `aval` is the result's, without these axes. */
  reduce(monoid: Monoid, x: Tensor, axes: readonly number[], aval: Aval): Tensor
  /** Position of the extremum along `axis` (first one; NaN wins), with `aval.dtype` int. */
  argReduce(which: 'max' | 'min', x: Tensor, axis: number, aval: Aval): Tensor
  contract(contraction: Contraction): Tensor
  cumulative(monoid: CumulativeMonoid, x: Tensor, axis: number, reverse: boolean): Tensor
  /** Stable ascending sort along `axis` by the first `numKeys` operands; NaN last, −0 equals 0. */
  sort(operands: readonly Tensor[], axis: number, numKeys: number): readonly Tensor[]
  scatter(scatter: Scatter): Tensor
  /**
   * For every window of `operand` add the source element at the window's first extremum, or of what
   * follows its last NaN.
   */
  selectAndScatterAdd(
    which: 'max' | 'min',
    operand: Tensor,
    source: Tensor,
    geometry: WindowGeometry,
  ): Tensor
  /** Lower Cholesky factor of the matrices in the last two axes; NaN where not positive definite. */
  cholesky(x: Tensor): Tensor
  /** Solves `a x = b` (left side) for the last two axes; `a` triangular. */
  triangularSolve(
    a: Tensor,
    b: Tensor,
    options: {
      readonly lower: boolean
      readonly transpose: boolean
      readonly unitDiagonal: boolean
    },
  ): Tensor

  // --- programs within programs ------------------------------------------------------------------
  /** Carries, then ys with the scanned axis in front. */
  scan(program: ScanProgram): readonly Tensor[]
  while(program: WhileProgram): readonly Tensor[]
  branch(program: BranchProgram): readonly Tensor[]
  inline(jaxpr: Jaxpr, operands: readonly Tensor[]): readonly Tensor[]
}

export type { Affine, DType, Scalar }
