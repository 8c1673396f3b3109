/**
 * Loop nodes: what a backend sees. Few kinds, each with its result types written out, and no
 * primitive names. A program is a list of nodes over buffers; loops and branches hold programs.
 */
import type { Shape } from '../types/aval'
import type { CumulativeMonoid, Monoid, ScatterCombine, WindowGeometry } from './context'
import type { Affine, Buffer, DynamicOffset, Scalar } from './expr'

/**
 * Where a node writes the element at an iteration index. All values of an iteration are computed
 * before any of them is written: the planner may let a store take the place of a buffer that the
 * node reads at the same index. Different iterations write different elements.
 */
export interface Store {
  readonly target: Buffer
  readonly at: Affine
  readonly offsets: readonly DynamicOffset[]
  readonly value: Scalar
}

/** Every element of `shape`: evaluate the values, write them. Several stores share subexpressions. */
export interface MapNode {
  readonly kind: 'map'
  readonly shape: Shape
  readonly stores: readonly Store[]
}

export interface Reduction {
  readonly monoid: Monoid | 'argmax' | 'argmin'
  /** Over the outer axes followed by the reduced ones. */
  readonly value: Scalar
}

/**
 * For every outer index, reduce over the inner axes; several reductions share one pass. The stores
 * run over the outer index and read the results through `accumulator` leaves (the epilogue).
 */
export interface ReduceNode {
  readonly kind: 'reduce'
  readonly shape: Shape
  readonly reduced: Shape
  readonly reductions: readonly Reduction[]
  readonly stores: readonly Store[]
}

/**
 * Several loops that agree on their first axes, run row by row: every step at one index of `shape`,
 * then every step at the next one. A step's space begins with the axes of `shape`; what follows in a
 * map, and the reduced axes of a reduction, are its inner axes. A step reads of what earlier steps
 * write only elements of its own row.
 *
 * `locals` are buffers that hold one row: written and read here and nowhere else, in addresses that
 * do not depend on the row. `withoutRows` turns the node back into its steps.
 */
export interface RowsNode {
  readonly kind: 'rows'
  readonly shape: Shape
  readonly steps: readonly RowStep[]
  readonly locals: readonly Buffer[]
}

export type RowStep = MapNode | ReduceNode

/**
 * Loops of equal structure run as one loop over all their elements: what differs is their sizes,
 * constants and buffers. Or products, of any form. No part reads or writes what another one writes, so
 * their elements may be computed in any order.
 */
export interface JointNode {
  readonly kind: 'joint'
  readonly parts: readonly JointPart[]
}

export type JointPart = MapNode | ReduceNode | RowsNode | CopyNode | ContractNode

/** An operand of a contraction: an address that is a sum of per-group affine parts. */
export interface ContractOperand {
  /** Over `[...batch, ...free, ...k]`; a plain load, or an expression applied while packing. */
  readonly value: Scalar
}

/**
 * `accumulator(0)[b, m, n] = Σ_k lhs[b, m, k] · rhs[b, n, k]`, then the stores run over
 * `[...batch, ...m, ...n]` (the epilogue).
 */
export interface ContractNode {
  readonly kind: 'contract'
  readonly dtype: 'float32' | 'float64' | 'int32'
  readonly batch: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
  readonly lhs: ContractOperand
  readonly rhs: ContractOperand
  readonly stores: readonly Store[]
}

/** Cumulative operation along the middle of `[outer, length, inner]`, row-major. */
export interface CumulativeNode {
  readonly kind: 'cumulative'
  readonly monoid: CumulativeMonoid
  readonly outer: number
  readonly length: number
  readonly inner: number
  readonly reverse: boolean
  readonly source: Buffer
  readonly target: Buffer
}

/** Sorts along the last axis of `[rows, length]`; the first `numKeys` operands are compared. */
export interface SortNode {
  readonly kind: 'sort'
  readonly rows: number
  readonly length: number
  readonly numKeys: number
  readonly sources: readonly Buffer[]
  readonly targets: readonly Buffer[]
}

/** `target` already holds the operand; updates are applied in row-major order of `shape`. */
export interface ScatterNode {
  readonly kind: 'scatter'
  readonly shape: Shape
  readonly target: Buffer
  /** Element position in the target: int32, over `shape`. */
  readonly position: Scalar
  readonly inBounds: Scalar | null
  readonly update: Scalar
  readonly combine: ScatterCombine
}

/** `target` already holds zeros. Operand and source are row-major of the given shapes. */
export interface SelectAndScatterNode {
  readonly kind: 'selectAndScatter'
  readonly which: 'max' | 'min'
  readonly operandShape: Shape
  readonly sourceShape: Shape
  readonly geometry: WindowGeometry
  readonly operand: Buffer
  readonly source: Buffer
  readonly target: Buffer
}

export interface CholeskyNode {
  readonly kind: 'cholesky'
  readonly batch: number
  readonly n: number
  readonly source: Buffer
  readonly target: Buffer
}

export interface TriangularSolveNode {
  readonly kind: 'triangularSolve'
  readonly batch: number
  readonly n: number
  /** Right-hand sides. */
  readonly columns: number
  readonly lower: boolean
  readonly transpose: boolean
  readonly unitDiagonal: boolean
  readonly a: Buffer
  readonly b: Buffer
  readonly target: Buffer
}

/**
 * A counted loop. `body.inputs` are constants, carries, x slices; `body.outputs` carries, y slices.
 * Slices are addressed in place inside `xs` and `ys`. Carries live in `final`, filled from `initial`
 * first (the planner may have given both one place); what the plan does not let the body update in
 * place is written to scratch and brought over after each iteration. `WhileNode` is the same.
 */
export interface ScanNode {
  readonly kind: 'scan'
  readonly length: number
  readonly reverse: boolean
  readonly body: Program
  readonly constants: readonly Buffer[]
  readonly initial: readonly Buffer[]
  readonly xs: readonly Buffer[]
  readonly final: readonly Buffer[]
  readonly ys: readonly Buffer[]
}

export interface WhileNode {
  readonly kind: 'while'
  readonly condition: Program
  readonly conditionConstants: readonly Buffer[]
  readonly body: Program
  readonly bodyConstants: readonly Buffer[]
  readonly initial: readonly Buffer[]
  readonly final: readonly Buffer[]
}

export interface BranchNode {
  readonly kind: 'branch'
  /** int32 scalar in range. */
  readonly index: Buffer
  readonly branches: readonly Program[]
  readonly operands: readonly Buffer[]
  readonly targets: readonly Buffer[]
}

/**
 * Copies a whole buffer (a program's output that is also an input, or an initial scatter target).
 * Nothing has to be done where the plan gives both one place.
 */
export interface CopyNode {
  readonly kind: 'copy'
  readonly source: Buffer
  readonly target: Buffer
}

export type LoopNode =
  | MapNode
  | ReduceNode
  | RowsNode
  | JointNode
  | ContractNode
  | CumulativeNode
  | SortNode
  | ScatterNode
  | SelectAndScatterNode
  | CholeskyNode
  | TriangularSolveNode
  | ScanNode
  | WhileNode
  | BranchNode
  | CopyNode

export interface Program {
  readonly inputs: readonly Buffer[]
  /** Distinct buffers, none of them an input: an output that equals an input is a copy. */
  readonly outputs: readonly Buffer[]
  readonly nodes: readonly LoopNode[]
  /** Buffers that are neither inputs nor outputs. Their places in the arena are in `plan.ts`'s result. */
  readonly temporaries: readonly Buffer[]
}
