/** Reading and writing at positions given by integer arrays: `gather` and `scatter` as they are used. */
import type { NDArray } from '../array/ndarray'
import * as prim from '../primitives'
import { Aval, type Shape } from '../types/aval'
import { integerRange, isFloating, isInteger, isUnsigned } from '../types/dtype'
import { ArgumentError, IndexingError } from '../types/errors'
import { range } from '../types/shape'
import { makeScalar } from '../trace/interpreter'
import { type ArrayLike, asArray, broadcastTo, choose, convert, filledLike } from './promotion'

/**
 * What an index beyond the array does: `'clip'` takes the nearest element, `'fill'` reads a fill
 * value and drops writes, `'drop'` is `'fill'` for writes, `'promiseInBounds'` asserts that there is
 * none.
 */
export type IndexMode = 'clip' | 'fill' | 'drop' | 'promiseInBounds'

export function checkMode(op: string, mode: string): asserts mode is IndexMode {
  if (mode === 'clip' || mode === 'fill' || mode === 'drop' || mode === 'promiseInBounds') return
  throw new ArgumentError({
    op,
    problem: `unknown mode '${mode}'`,
    rule: "mode is 'clip', 'fill', 'drop' or 'promiseInBounds'",
  })
}

/** An index array as int32, negative entries counted from the end of the axis. */
export function wrappedIndex(op: string, index: NDArray, size: number): NDArray {
  if (!isInteger(index.dtype)) {
    throw new IndexingError({
      op,
      problem: `an index array has dtype ${index.dtype}`,
      operands: [{ name: 'index', aval: index.aval }],
      rule: 'index arrays hold integers, or are boolean masks',
      hint: "convert it: index.astype('int32')",
    })
  }
  if (isUnsigned(index.dtype)) return convert(index, 'int32')
  const i = convert(index, 'int32')
  return choose(prim.lt(i, filledLike(i, 0)), prim.add(i, filledLike(i, size)), i)
}

/** What a read out of bounds yields: NaN, the lowest integer, or the highest unsigned one. */
export function defaultFill(x: NDArray): number | boolean {
  if (isFloating(x.dtype)) return NaN
  if (x.dtype === 'bool') return true
  const [min, max] = integerRange(x.dtype)
  return isUnsigned(x.dtype) ? max : min
}

/** Index arrays, all of one shape, as the last axis of one int32 array. */
const stackIndices = (indices: readonly NDArray[]): NDArray =>
  prim.concatenate(
    indices.map((i) => prim.expandDims(i, [i.ndim])),
    { dimension: indices[0].ndim },
  )

/** The primitives know one mode for reading a fill value and for dropping a write. */
const primitiveMode = (mode: IndexMode): prim.IndexMode => (mode === 'drop' ? 'fill' : mode)

export interface GatherRequest {
  /** The indexed axes, and one index array each: equal shapes, wrapped, int32. */
  readonly axes: readonly number[]
  readonly indices: readonly NDArray[]
  /** Where the axes of the index arrays stand in the result. */
  readonly position: number
  readonly mode: IndexMode
  readonly fillValue?: ArrayLike | null
}

/** The slices of the other axes at each position. */
export function gatherSlices(x: NDArray, request: GatherRequest): NDArray {
  const { axes, indices, position, mode } = request
  const batch = indices[0].shape
  const windowRank = x.ndim - axes.length
  if (x.size === 0) return gatherFromNothing(x, request)
  const custom = request.fillValue
  const fillValue = mode !== 'fill' && mode !== 'drop' ? null : scalarFill(x, custom)
  return prim.gather(x, stackIndices(indices), {
    dimensionNumbers: {
      offsetDims: range(windowRank + batch.length).filter(
        (d) => d < position || d >= position + batch.length,
      ),
      collapsedSliceDims: [...axes].sort((a, b) => a - b),
      operandBatchingDims: [],
      startIndicesBatchingDims: [],
      startIndexMap: axes,
    },
    sliceSizes: x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n)),
    mode: primitiveMode(mode),
    fillValue,
    indicesAreSorted: false,
    uniqueIndices: false,
  })
}

function scalarFill(x: NDArray, fill: ArrayLike | null | undefined): number | boolean {
  if (fill == null) return defaultFill(x)
  if (typeof fill === 'number' || typeof fill === 'boolean') return fill
  const literal = fill.scalarLiteral
  if (literal !== null) return literal
  throw new ArgumentError({
    op: 'get({ fillValue })',
    problem: 'the fill value is not a JavaScript scalar',
    operands: [{ name: 'fillValue', aval: fill.aval }],
    hint: 'read with a constant fill value and choose with np.where afterwards',
  })
}

/** An empty array has nothing to clamp to: the result is empty, or all fill. */
function gatherFromNothing(
  x: NDArray,
  { axes, indices, position, mode, fillValue }: GatherRequest,
): NDArray {
  const rest = x.shape.filter((_, axis) => !axes.includes(axis))
  const shape = [...rest.slice(0, position), ...indices[0].shape, ...rest.slice(position)]
  const fill = mode === 'fill' || mode === 'drop' ? scalarFill(x, fillValue) : defaultFill(x)
  return broadcastTo(makeScalar(fill, new Aval([], x.dtype)), shape)
}

export type Combine = 'set' | 'add' | 'mul' | 'min' | 'max'

export interface ScatterRequest {
  readonly axes: readonly number[]
  readonly indices: readonly NDArray[]
  /**
   * Axes of `x` that stand in `updates` after the axes of the index arrays, in order. Their sizes
   * may be smaller than those of `x` when they are among `axes`, whose index is then their start.
   */
  readonly windowAxes: readonly number[]
  readonly combine: Combine
  readonly mode: IndexMode
  readonly uniqueIndices?: boolean
}

/** `x` with updates of shape `[...index shape, ...window]` combined into it. */
export function scatterSlices(x: NDArray, updates: NDArray, request: ScatterRequest): NDArray {
  const { axes, indices, windowAxes, combine, mode } = request
  if (updates.size === 0 || x.size === 0) return x
  const batchRank = indices[0].ndim
  const scatter = {
    set: prim.scatter,
    add: prim.scatterAdd,
    mul: prim.scatterMul,
    min: prim.scatterMin,
    max: prim.scatterMax,
  }[combine]
  return scatter(x, stackIndices(indices), updates, {
    dimensionNumbers: {
      updateWindowDims: range(batchRank, updates.ndim),
      insertedWindowDims: range(x.ndim).filter((axis) => !windowAxes.includes(axis)),
      scatterDimsToOperandDims: axes,
      operandBatchingDims: [],
      scatterIndicesBatchingDims: [],
    },
    indicesAreSorted: false,
    uniqueIndices: request.uniqueIndices ?? false,
    mode: primitiveMode(mode),
  })
}

/** `0 … n − 1` along one axis of a shape. */
export const positions = (shape: Shape, axis: number): NDArray =>
  prim.iota({ dtype: 'int32', shape, dimension: axis })

export const indexArray = (op: string, x: ArrayLike, size: number): NDArray =>
  wrappedIndex(op, asArray(op, x), size)
