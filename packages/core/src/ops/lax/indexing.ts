/** Reading and writing at run-time positions. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { Shape } from '../../types/aval'
import { ArgumentError } from '../../types/errors'
import { canonicalAxis } from '../arguments'
import { wrappedIndex } from '../gathering'
import { type ArrayLike, asArray, convert, full, isArray } from '../promotion'

/** One start per axis: a list of scalars, or a vector. */
export type StartIndices = readonly ArrayLike[] | NDArray

/** int32 scalars, negative ones counted from the end of their axis. */
function starts(op: string, x: NDArray, given: StartIndices): NDArray[] {
  const list = isArray(given)
    ? x.shape.map((_, i) => prim.squeeze(prim.sliceInAxis(given, 0, i, i + 1), { dimensions: [0] }))
    : given
  if (list.length !== x.ndim) {
    throw new ArgumentError({
      op: `${op}(operand, startIndices)`,
      problem: `${list.length} start indices for ${x.ndim} axes`,
      operands: [{ name: 'operand', aval: x.aval }],
      rule: 'one start index per axis',
    })
  }
  return list.map((start, axis) => {
    const n = x.shape[axis]
    if (typeof start === 'number') return full([], start < 0 ? start + n : start, 'int32')
    return wrappedIndex(op, asArray(op, start), n)
  })
}

/** The block of these sizes at these starts, which are clamped so that it fits. */
export function dynamicSlice(x: ArrayLike, startIndices: StartIndices, sliceSizes: Shape): NDArray {
  const a = asArray('dynamicSlice', x)
  return prim.dynamicSlice(a, starts('dynamicSlice', a, startIndices), { sliceSizes })
}

/** `x` with the block `update` written at these starts, which are clamped so that it fits. */
export function dynamicUpdateSlice(
  x: ArrayLike,
  update: ArrayLike,
  startIndices: StartIndices,
): NDArray {
  const a = asArray('dynamicUpdateSlice', x)
  const block = asArray('dynamicUpdateSlice', update)
  return prim.dynamicUpdateSlice(
    a,
    isArray(update) ? block : convert(block, a.dtype),
    starts('dynamicUpdateSlice', a, startIndices),
  )
}

type AxisOption = number | { readonly axis?: number; readonly keepdims?: boolean }
const axisAnd = (option: AxisOption): { readonly axis?: number; readonly keepdims?: boolean } =>
  typeof option === 'number' ? { axis: option } : option

const alongAxis = (x: NDArray, axis: number, start: ArrayLike): ArrayLike[] =>
  x.shape.map((_, i) => (i === axis ? start : 0))

/** `size` elements of one axis from a run-time start. */
export function dynamicSliceInDim(
  x: ArrayLike,
  startIndex: ArrayLike,
  sliceSize: number,
  axisOrOptions: AxisOption = 0,
): NDArray {
  const a = asArray('dynamicSliceInDim', x)
  const axis = canonicalAxis('dynamicSliceInDim', axisAnd(axisOrOptions).axis ?? 0, a)
  const sizes = a.shape.map((n, i) => (i === axis ? sliceSize : n))
  return dynamicSlice(a, alongAxis(a, axis, startIndex), sizes)
}

/** One element of an axis at a run-time position; the axis stays unless `keepdims` is false. */
export function dynamicIndexInDim(
  x: ArrayLike,
  index: ArrayLike,
  axisOrOptions: AxisOption = 0,
  rest: { readonly keepdims?: boolean } = {},
): NDArray {
  const { axis = 0, keepdims = true } = { ...rest, ...axisAnd(axisOrOptions) }
  const a = asArray('dynamicIndexInDim', x)
  const part = dynamicSliceInDim(a, index, 1, axis)
  return keepdims
    ? part
    : prim.squeeze(part, { dimensions: [canonicalAxis('dynamicIndexInDim', axis, a)] })
}

export function dynamicUpdateSliceInDim(
  x: ArrayLike,
  update: ArrayLike,
  startIndex: ArrayLike,
  axisOrOptions: AxisOption = 0,
): NDArray {
  const a = asArray('dynamicUpdateSliceInDim', x)
  const axis = canonicalAxis('dynamicUpdateSliceInDim', axisAnd(axisOrOptions).axis ?? 0, a)
  return dynamicUpdateSlice(a, update, alongAxis(a, axis, startIndex))
}

/** Writes one element of an axis; `update` may lack that axis. */
export function dynamicUpdateIndexInDim(
  x: ArrayLike,
  update: ArrayLike,
  index: ArrayLike,
  axisOrOptions: AxisOption = 0,
): NDArray {
  const a = asArray('dynamicUpdateIndexInDim', x)
  const axis = canonicalAxis('dynamicUpdateIndexInDim', axisAnd(axisOrOptions).axis ?? 0, a)
  const given = convert(asArray('dynamicUpdateIndexInDim', update), a.dtype)
  const block = given.ndim === a.ndim ? given : prim.expandDims(given, [axis])
  return dynamicUpdateSliceInDim(a, block, index, axis)
}

/** XLA's gather: slices of `x` at the positions in the last axis of `startIndices`. */
export const gather = (
  x: ArrayLike,
  startIndices: ArrayLike,
  dimensionNumbers: prim.GatherDimensionNumbers,
  sliceSizes: Shape,
  options: Omit<prim.GatherOptions, 'dimensionNumbers' | 'sliceSizes'> = {},
): NDArray =>
  prim.gather(asArray('gather', x), asArray('gather', startIndices), {
    ...options,
    dimensionNumbers,
    sliceSizes,
  })

type Scatter = (
  x: ArrayLike,
  scatterIndices: ArrayLike,
  updates: ArrayLike,
  dimensionNumbers: prim.ScatterDimensionNumbers,
  options?: Omit<prim.ScatterOptions, 'dimensionNumbers'>,
) => NDArray

const scatterWith =
  (op: string, primitive: typeof prim.scatterAdd): Scatter =>
  (x, indices, updates, dimensionNumbers, options = {}) =>
    primitive(asArray(op, x), asArray(op, indices), asArray(op, updates), {
      ...options,
      dimensionNumbers,
    })
/** XLA's scatter: updates written (the last one wins) at the positions in the indices. */
export const scatter: Scatter = scatterWith('scatter', prim.scatter)
export const scatterAdd: Scatter = scatterWith('scatterAdd', prim.scatterAdd)
export const scatterMul: Scatter = scatterWith('scatterMul', prim.scatterMul)
export const scatterMin: Scatter = scatterWith('scatterMin', prim.scatterMin)
export const scatterMax: Scatter = scatterWith('scatterMax', prim.scatterMax)
