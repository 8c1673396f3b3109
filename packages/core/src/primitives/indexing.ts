/** The geometry that `gather` and `scatter` share: which element of the operand an index means. */
import type { Scalar, Tensor } from '../compiler/context'
import type { LoweringContext } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, type Shape } from '../types/aval'
import type { DType } from '../types/dtype'
import { range } from '../types/shape'
import { forEachIndex, type HostArray, positionOf, rowMajorStrides } from './strided'

/** What an index out of bounds does: it is moved inside, reads a fill value (writes nothing), or lies. */
export type IndexMode = 'clip' | 'fill' | 'promiseInBounds'

/**
 * JAX's `GatherDimensionNumbers`. The last axis of the indices holds one coordinate per entry of
 * `startIndexMap`; all its other axes are batch axes of the result.
 */
export type GatherDimensionNumbers = {
  /** Axes of the result that run over a slice. */
  readonly offsetDims: readonly number[]
  /** Axes of the operand that a slice has one element of, and that do not appear in the result. */
  readonly collapsedSliceDims: readonly number[]
  /** The operand axis that each coordinate of an index is along. */
  readonly startIndexMap: readonly number[]
  /** Operand axes that run together with … */
  readonly operandBatchingDims: readonly number[]
  /** … these axes of the indices. */
  readonly startIndicesBatchingDims: readonly number[]
}

/** JAX's `ScatterDimensionNumbers`: the same relation, with updates in the place of the result. */
export type ScatterDimensionNumbers = {
  readonly updateWindowDims: readonly number[]
  readonly insertedWindowDims: readonly number[]
  readonly scatterDimsToOperandDims: readonly number[]
  readonly operandBatchingDims: readonly number[]
  readonly scatterIndicesBatchingDims: readonly number[]
}

export const gatherOf = (numbers: ScatterDimensionNumbers): GatherDimensionNumbers => ({
  offsetDims: numbers.updateWindowDims,
  collapsedSliceDims: numbers.insertedWindowDims,
  startIndexMap: numbers.scatterDimsToOperandDims,
  operandBatchingDims: numbers.operandBatchingDims,
  startIndicesBatchingDims: numbers.scatterIndicesBatchingDims,
})

export const scatterOf = (numbers: GatherDimensionNumbers): ScatterDimensionNumbers => ({
  updateWindowDims: numbers.offsetDims,
  insertedWindowDims: numbers.collapsedSliceDims,
  scatterDimsToOperandDims: numbers.startIndexMap,
  operandBatchingDims: numbers.operandBatchingDims,
  scatterIndicesBatchingDims: numbers.startIndicesBatchingDims,
})

/** Operand axes that appear in a slice's result, in order. */
export const windowAxes = (ndim: number, numbers: GatherDimensionNumbers): number[] =>
  range(ndim).filter(
    (axis) =>
      !numbers.collapsedSliceDims.includes(axis) && !numbers.operandBatchingDims.includes(axis),
  )

/** The shape of a gather's result (or of a scatter's updates). */
export function gatheredShape(
  indices: Shape,
  numbers: GatherDimensionNumbers,
  sliceSizes: Shape,
): Shape {
  const batch = indices.slice(0, -1)
  const window = windowAxes(sliceSizes.length, numbers).map((axis) => sliceSizes[axis])
  let [nextBatch, nextWindow] = [0, 0]
  return range(batch.length + window.length).map((axis) =>
    numbers.offsetDims.includes(axis) ? window[nextWindow++] : batch[nextBatch++],
  )
}

/** For each operand axis, what its coordinate is made of. */
interface AxisSource {
  /** The coordinate of an index that starts the slice here, or null. */
  readonly component: number | null
  /** The result axis that adds to it, or null. */
  readonly resultAxis: number | null
  /** The last start at which a slice still fits. */
  readonly maxStart: number
}

export interface Geometry {
  readonly axes: readonly AxisSource[]
  /** Result axes that run over the indices' batch axes, in order. */
  readonly batchAxes: readonly number[]
}

export function geometryOf(
  operand: Shape,
  resultRank: number,
  numbers: GatherDimensionNumbers,
  sliceSizes: Shape,
): Geometry {
  const batchAxes = range(resultRank).filter((axis) => !numbers.offsetDims.includes(axis))
  const window = windowAxes(operand.length, numbers)
  const axes = operand.map((size, axis): AxisSource => {
    const component = numbers.startIndexMap.indexOf(axis)
    const batching = numbers.operandBatchingDims.indexOf(axis)
    const offset = window.indexOf(axis)
    return {
      component: component < 0 ? null : component,
      resultAxis:
        batching >= 0
          ? batchAxes[numbers.startIndicesBatchingDims[batching]]
          : offset >= 0
            ? numbers.offsetDims[offset]
            : null,
      maxStart: size - sliceSizes[axis],
    }
  })
  return { axes, batchAxes }
}

/**
 * Visits the result with the operand position that each element comes from; −1 where the mode says
 * that an index out of bounds is not followed.
 */
export function forEachIndexed(
  operand: Shape,
  indices: HostArray,
  result: Shape,
  { axes, batchAxes }: Geometry,
  mode: IndexMode,
  visit: (position: number, flat: number) => void,
): void {
  const operandStrides = rowMajorStrides(operand)
  const indexStrides = rowMajorStrides(indices.aval.shape)
  forEachIndex(result, (at, flat) => {
    const base = positionOf(
      indexStrides.slice(0, -1),
      batchAxes.map((axis) => at[axis]),
    )
    let position = 0
    for (let axis = 0; axis < axes.length; axis++) {
      const { component, resultAxis, maxStart } = axes[axis]
      let coordinate = resultAxis === null ? 0 : at[resultAxis]
      if (component !== null) {
        const start = indices.data[base + component]
        if (mode === 'fill' && (start < 0 || start > maxStart)) return visit(-1, flat)
        coordinate += Math.min(Math.max(start, 0), maxStart)
      }
      position += coordinate * operandStrides[axis]
    }
    visit(position, flat)
  })
}

/** The same as expressions over the result's shape. */
export function indexExpressions(
  context: LoweringContext,
  indices: Tensor,
  result: Shape,
  { axes, batchAxes }: Geometry,
  mode: IndexMode,
): { readonly coordinates: readonly Scalar[]; readonly inBounds: Scalar | null } {
  const unit = (axis: number): number[] => result.map((_, a) => (a === axis ? 1 : 0))
  const componentAt = (component: number): Scalar => {
    const view = context.reindex(indices, new Aval(result, indices.aval.dtype), [
      ...batchAxes.map((axis) => ({ offset: 0, strides: unit(axis) })),
      { offset: component, strides: result.map(() => 0) },
    ])
    return asInt32(view.value)
  }
  const int = (value: number): Scalar => expr.constant('int32', value)
  let inBounds: Scalar | null = null
  const coordinates = axes.map(({ component, resultAxis, maxStart }): Scalar => {
    const offset = resultAxis === null ? null : expr.index({ offset: 0, strides: unit(resultAxis) })
    if (component === null) return offset ?? int(0)
    const start = componentAt(component)
    if (mode === 'fill') {
      const fits = expr.binary(
        'and',
        'bool',
        expr.binary('ge', 'bool', start, int(0)),
        expr.binary('le', 'bool', start, int(maxStart)),
      )
      inBounds = inBounds === null ? fits : expr.binary('and', 'bool', inBounds, fits)
    }
    const clamped = expr.binary(
      'min',
      'int32',
      expr.binary('max', 'int32', start, int(0)),
      int(maxStart),
    )
    return offset === null ? clamped : expr.binary('add', 'int32', clamped, offset)
  })
  return { coordinates, inBounds }
}

/** Unsigned indices beyond int32 stay out of bounds: they become its largest value, not negative. */
function asInt32(index: Scalar): Scalar {
  if (index.dtype !== 'uint32') return expr.convert('int32', index)
  const limit = expr.constant('uint32', 0x7fffffff)
  return expr.convert('int32', expr.binary('min', 'uint32', index, limit))
}

/** JAX's fill values: NaN, the least signed integer, the largest unsigned one, true. */
export function defaultFill(dtype: DType): number {
  switch (dtype) {
    case 'bool':
      return 1
    case 'int8':
      return -(2 ** 7)
    case 'int16':
      return -(2 ** 15)
    case 'int32':
      return -(2 ** 31)
    case 'uint8':
      return 2 ** 8 - 1
    case 'uint16':
      return 2 ** 16 - 1
    case 'uint32':
      return 2 ** 32 - 1
    default:
      return NaN
  }
}
