/** Primitives that arrange, reduce, multiply and order, with strict arguments. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { Shape } from '../../types/aval'
import type { DType } from '../../types/dtype'
import { ArgumentError } from '../../types/errors'
import { broadcastShapes as broadcastShapeLists, range } from '../../types/shape'
import { canonicalAxes, canonicalAxis, canonicalShape, checkOptions, given } from '../arguments'
import { type ArrayLike, asArray, checkDType, convert } from '../promotion'
import * as np from '../np'

// --- shape ------------------------------------------------------------------------------------------

/** New leading axes of these sizes. */
export function broadcast(x: ArrayLike, sizes: Shape): NDArray {
  const a = asArray('broadcast', x)
  return prim.broadcastInDim(a, {
    shape: [...sizes, ...a.shape],
    broadcastDimensions: range(sizes.length, sizes.length + a.ndim),
  })
}

/** Axis `i` of `x` becomes axis `broadcastDimensions[i]` of the shape. */
export const broadcastInDim = (
  x: ArrayLike,
  shape: Shape,
  broadcastDimensions: readonly number[],
): NDArray => prim.broadcastInDim(asArray('broadcastInDim', x), { shape, broadcastDimensions })

export const broadcastShapes = (...shapes: readonly Shape[]): Shape =>
  broadcastShapeLists('broadcastShapes', shapes)

export const reshape = (x: ArrayLike, newSizes: Shape): NDArray =>
  prim.reshape(asArray('reshape', x), { newSizes: canonicalShape('reshape', newSizes) })

export const transpose = (x: ArrayLike, permutation: readonly number[]): NDArray =>
  prim.transpose(asArray('transpose', x), { permutation })

export const expandDims = (x: ArrayLike, dimensions: readonly number[]): NDArray =>
  np.expandDims(x, dimensions)

export const squeeze = (x: ArrayLike, dimensions: readonly number[]): NDArray =>
  np.squeeze(x, dimensions)

/** Merges axes `start … stop − 1` into one. */
export function collapse(x: ArrayLike, start: number, stop?: number): NDArray {
  const a = asArray('collapse', x)
  const end = stop ?? a.ndim
  const merged = a.shape.slice(start, end).reduce((product, n) => product * n, 1)
  return prim.reshape(a, { newSizes: [...a.shape.slice(0, start), merged, ...a.shape.slice(end)] })
}

export const rev = (x: ArrayLike, dimensions: readonly number[]): NDArray => {
  const a = asArray('rev', x)
  return prim.rev(a, { dimensions: canonicalAxes('rev', dimensions, a) })
}

export const concatenate = (operands: readonly ArrayLike[], dimension: number): NDArray =>
  prim.concatenate(
    operands.map((x) => asArray('concatenate', x)),
    { dimension },
  )

/** Adds `[low, high, interior]` elements per axis; negative low and high remove some. */
export const pad = (
  x: ArrayLike,
  paddingValue: ArrayLike,
  paddingConfig: prim.PaddingConfig,
): NDArray => {
  const a = asArray('pad', x)
  const value = asArray('pad', paddingValue)
  const typed = typeof paddingValue === 'number' ? convert(value, a.dtype, a.aval.weakType) : value
  return prim.pad(a, typed, { paddingConfig })
}

export const iota = (dtype: DType, size: number): NDArray =>
  prim.iota({ dtype: checkDType('iota', dtype), shape: canonicalShape('iota', size), dimension: 0 })

/** A counter along one axis of a shape. */
export const broadcastedIota = (dtype: DType, shape: Shape, dimension: number): NDArray =>
  prim.iota({
    dtype: checkDType('broadcastedIota', dtype),
    shape: canonicalShape('broadcastedIota', shape),
    dimension,
  })

export const full = (shape: Shape, value: ArrayLike, dtype?: DType): NDArray =>
  np.full(shape, value, { dtype })
export const fullLike = (x: ArrayLike, value: ArrayLike, options?: np.LikeOptions): NDArray =>
  np.fullLike(x, value, options)
export const zerosLike = (x: ArrayLike): NDArray => np.zerosLike(x)
export const onesLike = (x: ArrayLike): NDArray => np.onesLike(x)

// --- slices -----------------------------------------------------------------------------------------

export const slice = (
  x: ArrayLike,
  startIndices: readonly number[],
  limitIndices: readonly number[],
  strides: readonly number[] | null = null,
): NDArray =>
  prim.slice(asArray('slice', x), {
    startIndices: given('slice', 'startIndices', startIndices),
    limitIndices: given('slice', 'limitIndices', limitIndices),
    strides,
  })

/** Elements `start, start + stride, …` before `limit` of one axis. */
export function sliceInDim(
  x: ArrayLike,
  startIndex: number | null,
  limitIndex: number | null,
  options: { readonly stride?: number; readonly axis?: number } = {},
): NDArray {
  const { stride = 1, axis = 0 } = checkOptions('sliceInDim', options, ['stride', 'axis'])
  const a = asArray('sliceInDim', x)
  const along = canonicalAxis('sliceInDim', axis, a)
  const n = a.shape[along]
  const bound = (i: number | null, open: number): number => (i === null ? open : i < 0 ? i + n : i)
  return prim.slice(a, {
    startIndices: a.shape.map((_, i) => (i === along ? bound(startIndex, 0) : 0)),
    limitIndices: a.shape.map((size, i) => (i === along ? bound(limitIndex, n) : size)),
    strides: stride === 1 ? null : a.shape.map((_, i) => (i === along ? stride : 1)),
  })
}

/** One element of an axis, which stays with size 1 unless `keepdims` is false. */
export function indexInDim(
  x: ArrayLike,
  index: number,
  options: { readonly axis?: number; readonly keepdims?: boolean } = {},
): NDArray {
  const { axis = 0, keepdims = true } = checkOptions('indexInDim', options, ['axis', 'keepdims'])
  const a = asArray('indexInDim', x)
  const along = canonicalAxis('indexInDim', axis, a)
  const at = index < 0 ? index + a.shape[along] : index
  const part = prim.sliceInAxis(a, along, at, at + 1)
  return keepdims ? part : prim.squeeze(part, { dimensions: [along] })
}

// --- reductions -------------------------------------------------------------------------------------

type Reduce = (x: ArrayLike, axes: readonly number[]) => NDArray
const reduction =
  (
    op: string,
    primitive: (x: NDArray, p: { readonly axes: readonly number[] }) => NDArray,
  ): Reduce =>
  (x, axes) => {
    const a = asArray(op, x)
    return primitive(a, { axes: canonicalAxes(op, axes, a) })
  }
export const reduceSum: Reduce = reduction('reduceSum', prim.reduceSum)
export const reduceProd: Reduce = reduction('reduceProd', prim.reduceProd)
export const reduceMax: Reduce = reduction('reduceMax', prim.reduceMax)
export const reduceMin: Reduce = reduction('reduceMin', prim.reduceMin)
export const reduceAnd: Reduce = reduction('reduceAnd', prim.reduceAnd)
export const reduceOr: Reduce = reduction('reduceOr', prim.reduceOr)

type ArgReduce = (x: ArrayLike, axis: number, indexDtype?: DType) => NDArray
const argReduction =
  (op: string, primitive: typeof prim.argmax): ArgReduce =>
  (x, axis, indexDtype = 'int32') => {
    const a = asArray(op, x)
    return primitive(a, {
      axes: [canonicalAxis(op, axis, a)],
      indexDtype: checkDType(op, indexDtype),
    })
  }
export const argmax: ArgReduce = argReduction('argmax', prim.argmax)
export const argmin: ArgReduce = argReduction('argmin', prim.argmin)

export interface CumulativeOptions {
  readonly axis?: number
  readonly reverse?: boolean
}
type Cumulative = (
  x: ArrayLike,
  axisOrOptions?: number | CumulativeOptions,
  options?: CumulativeOptions,
) => NDArray
const cumulative =
  (
    op: string,
    primitive: (x: NDArray, p: { axis: number; reverse: boolean }) => NDArray,
  ): Cumulative =>
  (x, axisOrOptions = {}, rest = {}) => {
    const options =
      typeof axisOrOptions === 'number' ? { ...rest, axis: axisOrOptions } : axisOrOptions
    checkOptions(op, options, ['axis', 'reverse'])
    const a = asArray(op, x)
    return primitive(a, {
      axis: canonicalAxis(op, options.axis ?? 0, a),
      reverse: options.reverse ?? false,
    })
  }
export const cumsum: Cumulative = cumulative('cumsum', prim.cumsum)
export const cumprod: Cumulative = cumulative('cumprod', prim.cumprod)
export const cummax: Cumulative = cumulative('cummax', prim.cummax)
export const cummin: Cumulative = cumulative('cummin', prim.cummin)
export const cumlogsumexp: Cumulative = cumulative('cumlogsumexp', prim.cumlogsumexp)

// --- products ---------------------------------------------------------------------------------------

export interface DotOptions {
  readonly preferredElementType?: DType
}

/**
 * The general product: `[[lhsContracting, rhsContracting], [lhsBatch, rhsBatch]]`. The result's
 * axes are the batch axes, then the free axes of both operands.
 */
export const dotGeneral = (
  lhs: ArrayLike,
  rhs: ArrayLike,
  dimensionNumbers: prim.DotDimensionNumbers,
  options: DotOptions = {},
): NDArray =>
  prim.dotGeneral(asArray('dotGeneral', lhs), asArray('dotGeneral', rhs), {
    dimensionNumbers: given('dotGeneral', 'dimensionNumbers', dimensionNumbers),
    preferredElementType:
      checkOptions('dotGeneral', options, ['preferredElementType']).preferredElementType ?? null,
  })

/** The product of vectors and matrices: the last axis of `lhs` with the first of `rhs`. */
export const dot = (lhs: ArrayLike, rhs: ArrayLike, options?: DotOptions): NDArray => {
  const [a, b] = [asArray('dot', lhs), asArray('dot', rhs)]
  return dotGeneral(
    a,
    b,
    [
      [[a.ndim - 1], [0]],
      [[], []],
    ],
    options,
  )
}

/** Matrix products with equal leading axes. */
export function batchMatmul(lhs: ArrayLike, rhs: ArrayLike, options?: DotOptions): NDArray {
  const [a, b] = [asArray('batchMatmul', lhs), asArray('batchMatmul', rhs)]
  const batch = range(Math.max(0, a.ndim - 2))
  return dotGeneral(
    a,
    b,
    [
      [[a.ndim - 1], [b.ndim - 2]],
      [batch, batch],
    ],
    options,
  )
}

// --- order ------------------------------------------------------------------------------------------

export interface SortOptions {
  readonly dimension?: number
  readonly isStable?: boolean
  /** How many of the operands are compared; the others are carried along. */
  readonly numKeys?: number
}

/** Sorts an array, or several arrays together by the first of them. */
export function sort(operand: ArrayLike, options?: SortOptions): NDArray
export function sort(operands: readonly ArrayLike[], options?: SortOptions): NDArray[]
export function sort(
  operand: ArrayLike | readonly ArrayLike[],
  options: SortOptions = {},
): NDArray | NDArray[] {
  const {
    dimension = -1,
    isStable = true,
    numKeys = 1,
  } = checkOptions('sort', options, ['dimension', 'isStable', 'numKeys'])
  const many = Array.isArray(operand)
  const operands = (many ? (operand as readonly ArrayLike[]) : [operand as ArrayLike]).map((x) =>
    asArray('sort', x),
  )
  if (operands.length === 0)
    throw new ArgumentError({ op: 'sort(operands)', problem: 'there is nothing to sort' })
  const axis = canonicalAxis('sort', dimension, operands[0])
  const sorted = prim.sort(operands, { dimension: axis, isStable, numKeys })
  return many ? [...sorted] : sorted[0]
}

/** Sorts `values` by `keys`, and the keys with them. */
export const sortKeyVal = (keys: ArrayLike, values: ArrayLike, dimension = -1): NDArray[] =>
  sort([keys, values], { dimension })

/** The `k` largest elements of an axis (the last) in descending order, and their positions. */
export function topK(
  x: ArrayLike,
  k: number,
  options: { readonly axis?: number } = {},
): [values: NDArray, indices: NDArray] {
  const { axis = -1 } = checkOptions('topK', options, ['axis'])
  const a = asArray('topK', x)
  const [values, indices] = prim.topK(a, { k, axis: canonicalAxis('topK', axis, a) })
  return [values, indices]
}

export const broadcastArrays = (...xs: readonly ArrayLike[]): NDArray[] => np.broadcastArrays(...xs)
