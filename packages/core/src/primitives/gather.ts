/** `gather` and `scatter-add`: reading and adding at computed places. Each is the other's transpose. */
import type { NDArray } from '../array/ndarray'
import * as expr from '../compiler/expr'
import { Aval, shapesEqual, type Shape } from '../types/aval'
import { isInteger } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import { bind1 } from '../trace/interpreter'
import {
  type BatchDim,
  type BatchRule,
  definePrimitive,
  isLinear,
  isZero,
  nonlinear,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { full, instantiate } from './constants'
import {
  defaultFill,
  forEachIndexed,
  type GatherDimensionNumbers,
  gatheredShape,
  gatherOf,
  geometryOf,
  indexExpressions,
  type IndexMode,
  type ScatterDimensionNumbers,
  scatterOf,
  windowAxes,
} from './indexing'
import { moveAxis, withMappedAxis } from './movement'
import { operation, type Operation } from './operation'
import { allocateHost, hostArray } from './strided'

const next = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1)

// --- gather -------------------------------------------------------------------------------------------------

export type GatherParams = {
  readonly dimensionNumbers: GatherDimensionNumbers
  readonly sliceSizes: Shape
  readonly indicesAreSorted: boolean
  readonly uniqueIndices: boolean
  readonly mode: IndexMode
  /** What is read out of bounds in mode 'fill'; null for JAX's value of the dtype. */
  readonly fillValue: number | boolean | null
}

const bindGather = (operand: NDArray, indices: NDArray, params: GatherParams): NDArray =>
  bind1(gatherPrimitive, [operand, indices], params)

export function checkIndices(op: string, operand: Aval, indices: Aval, coordinates: number): void {
  if (!isInteger(indices.dtype)) {
    throw new DTypeError({
      op,
      problem: `indices are ${indices.dtype}`,
      operands: [
        { name: 'operand', aval: operand },
        { name: 'indices', aval: indices },
      ],
      rule: 'indices are integers',
      hint: 'astype(int32) converts',
    })
  }
  if (indices.ndim === 0 || indices.shape[indices.ndim - 1] !== coordinates) {
    throw new ShapeError({
      op,
      problem: `an index needs ${coordinates} coordinates`,
      operands: [
        { name: 'operand', aval: operand },
        { name: 'indices', aval: indices },
      ],
      rule: 'the last axis of the indices holds one coordinate per indexed axis of the operand',
    })
  }
}

function checkSlices(
  op: string,
  operand: Aval,
  indices: Aval,
  numbers: GatherDimensionNumbers,
  sliceSizes: Shape,
): void {
  checkIndices(op, operand, indices, numbers.startIndexMap.length)
  const dropped = [...numbers.collapsedSliceDims, ...numbers.operandBatchingDims]
  const fits =
    sliceSizes.length === operand.ndim &&
    sliceSizes.every((size, axis) => size >= 0 && size <= operand.shape[axis]) &&
    dropped.every((axis) => sliceSizes[axis] <= 1) &&
    numbers.operandBatchingDims.every(
      (axis, i) => operand.shape[axis] === indices.shape[numbers.startIndicesBatchingDims[i]],
    ) &&
    numbers.offsetDims.length === windowAxes(operand.ndim, numbers).length
  if (fits) return
  throw new ShapeError({
    op,
    problem: `slices of [${sliceSizes.join(',')}] do not fit the operand and its dimension numbers`,
    operands: [
      { name: 'operand', aval: operand },
      { name: 'indices', aval: indices },
    ],
    rule: 'slice sizes do not exceed the operand, are 1 along collapsed and batching axes, and each other axis has an offset axis',
  })
}

const gatherPrimitive: Primitive<GatherParams> = definePrimitive<GatherParams>({
  name: 'gather',
  abstractEval: ([operand, indices], { dimensionNumbers, sliceSizes }) => {
    checkSlices('gather', operand, indices, dimensionNumbers, sliceSizes)
    const shape = gatheredShape(indices.shape, dimensionNumbers, sliceSizes)
    return [new Aval(shape, operand.dtype, operand.weakType)]
  },
  // Linear in the operand; what is filled in has no tangent.
  jvp: ([operand, indices], [operandDot], params) => {
    const y = bindGather(operand, indices, params)
    const yDot = isZero(operandDot)
      ? zeroLike(y)
      : bindGather(operandDot, indices, { ...params, fillValue: 0 })
    return { primals: [y], tangents: [yDot] }
  },
  transpose: (cotangents, operands, params) => {
    const [yBar] = cotangents
    const [operand, indices] = operands
    if (!isLinear(operand) || isLinear(indices)) return nonlinear(cotangents, operands, params)
    if (isZero(yBar)) return [zeroLike(operand), null]
    const { dimensionNumbers, indicesAreSorted, uniqueIndices, mode } = params
    const operandBar = scatterAdd(
      full(operand.aval.shape, 0, yBar.dtype, yBar.aval.weakType),
      indices,
      yBar,
      {
        dimensionNumbers: scatterOf(dimensionNumbers),
        indicesAreSorted,
        uniqueIndices,
        // As XLA: what was read beyond the bounds has no place that its gradient could go to.
        mode: mode === 'promiseInBounds' ? 'fill' : mode,
      },
    )
    return [operandBar, null]
  },
  batch: (_axis, [operand, indices], [operandDim, indicesDim], params) =>
    batchGather(operand, indices, operandDim, indicesDim, params),
  evaluate: ([operand, indices], { dimensionNumbers, sliceSizes, mode, fillValue }, [aval]) => {
    const data = allocateHost(aval.dtype, aval.size)
    const fill = Number(fillValue ?? defaultFill(aval.dtype))
    const geometry = geometryOf(operand.aval.shape, aval.ndim, dimensionNumbers, sliceSizes)
    forEachIndexed(operand.aval.shape, indices, aval.shape, geometry, mode, (position, flat) => {
      data[flat] = position < 0 ? fill : operand.data[position]
    })
    return [hostArray(aval, data)]
  },
  lower: (
    context,
    [operand, indices],
    { dimensionNumbers, sliceSizes, mode, fillValue },
    [aval],
  ) => {
    const geometry = geometryOf(operand.aval.shape, aval.ndim, dimensionNumbers, sliceSizes)
    const { coordinates, inBounds } = indexExpressions(context, indices, aval.shape, geometry, mode)
    const taken = context.take(operand, aval, coordinates)
    if (inBounds === null) return [taken]
    const fill = fillValue ?? defaultFill(aval.dtype)
    const constant = expr.constant(aval.dtype, aval.dtype === 'bool' ? Boolean(fill) : Number(fill))
    return [context.map(aval, (value) => expr.select(inBounds, value, constant), taken)]
  },
})

function batchGather(
  operand: NDArray,
  indices: NDArray,
  operandDim: BatchDim,
  indicesDim: BatchDim,
  params: GatherParams,
): { outputs: NDArray[]; dims: BatchDim[] } {
  const { dimensionNumbers: numbers, sliceSizes } = params
  if (operandDim === null && indicesDim === null) {
    return { outputs: [bindGather(operand, indices, params)], dims: [null] }
  }
  const x = operandDim === null ? operand : moveAxis(operand, operandDim, 0)
  const at = indicesDim === null ? indices : moveAxis(indices, indicesDim, 0)
  const shifted: GatherParams = {
    ...params,
    dimensionNumbers: { ...numbers, offsetDims: next(numbers.offsetDims) },
  }
  if (operandDim === null) {
    // Many lanes look into one array: a longer list of indices, no longer sorted or distinct.
    const dimensionNumbers = {
      ...shifted.dimensionNumbers,
      startIndicesBatchingDims: next(numbers.startIndicesBatchingDims),
    }
    const wider = { ...shifted, dimensionNumbers, indicesAreSorted: false, uniqueIndices: false }
    return { outputs: [bindGather(x, at, wider)], dims: [0] }
  }
  const operandSide = {
    collapsedSliceDims: next(numbers.collapsedSliceDims),
    startIndexMap: next(numbers.startIndexMap),
  }
  // One list of indices into every lane: slices get one more axis, of full size.
  const dimensionNumbers: GatherDimensionNumbers =
    indicesDim === null
      ? {
          ...operandSide,
          offsetDims: [0, ...next(numbers.offsetDims)],
          operandBatchingDims: next(numbers.operandBatchingDims),
          startIndicesBatchingDims: numbers.startIndicesBatchingDims,
        }
      : {
          ...operandSide,
          offsetDims: next(numbers.offsetDims),
          operandBatchingDims: [0, ...next(numbers.operandBatchingDims)],
          startIndicesBatchingDims: [0, ...next(numbers.startIndicesBatchingDims)],
        }
  const laneSlice = indicesDim === null ? x.shape[0] : Math.min(1, x.shape[0])
  const wider = { ...params, dimensionNumbers, sliceSizes: [laneSlice, ...sliceSizes] }
  return { outputs: [bindGather(x, at, wider)], dims: [0] }
}

export type GatherOptions = {
  readonly dimensionNumbers: GatherDimensionNumbers
  readonly sliceSizes: Shape
  readonly indicesAreSorted?: boolean
  readonly uniqueIndices?: boolean
  readonly mode?: IndexMode
  readonly fillValue?: number | boolean | null
}

/** Slices of `operand` that start where the indices say. */
export const gather: Operation<
  [operand: NDArray, indices: NDArray, options: GatherOptions],
  GatherParams
> = operation(gatherPrimitive, (operand: NDArray, indices: NDArray, options: GatherOptions) =>
  bindGather(operand, indices, {
    dimensionNumbers: options.dimensionNumbers,
    sliceSizes: options.sliceSizes,
    indicesAreSorted: options.indicesAreSorted ?? false,
    uniqueIndices: options.uniqueIndices ?? false,
    mode: options.mode ?? 'fill',
    fillValue: options.fillValue ?? null,
  }),
)

// --- what all scatters share --------------------------------------------------------------------------------

export type ScatterParams = {
  readonly dimensionNumbers: ScatterDimensionNumbers
  readonly indicesAreSorted: boolean
  readonly uniqueIndices: boolean
  readonly mode: IndexMode
}

export type ScatterOptions = {
  readonly dimensionNumbers: ScatterDimensionNumbers
  readonly indicesAreSorted?: boolean
  readonly uniqueIndices?: boolean
  readonly mode?: IndexMode
}

export const scatterParams = (options: ScatterOptions): ScatterParams => ({
  dimensionNumbers: options.dimensionNumbers,
  indicesAreSorted: options.indicesAreSorted ?? false,
  uniqueIndices: options.uniqueIndices ?? false,
  mode: options.mode ?? 'fill',
})

/** The slice sizes with which the inverse gather reads what a scatter writes. */
export function scatterSliceSizes(
  operand: Shape,
  updates: Shape,
  numbers: ScatterDimensionNumbers,
): Shape {
  const window = windowAxes(operand.length, gatherOf(numbers))
  return operand.map((size, axis) => {
    const place = window.indexOf(axis)
    return place < 0 ? Math.min(1, size) : updates[numbers.updateWindowDims[place]]
  })
}

/** Reads what a scatter with these parameters writes; 0 out of bounds. */
export const gatherBack = (
  x: NDArray,
  indices: NDArray,
  updates: { readonly aval: Aval },
  { dimensionNumbers, indicesAreSorted, uniqueIndices, mode }: ScatterParams,
  fillValue: number = 0,
): NDArray =>
  gather(x, indices, {
    dimensionNumbers: gatherOf(dimensionNumbers),
    sliceSizes: scatterSliceSizes(x.shape, updates.aval.shape, dimensionNumbers),
    indicesAreSorted,
    uniqueIndices,
    mode,
    fillValue,
  })

export function scatterAval(
  op: string,
  [operand, indices, updates]: readonly Aval[],
  { dimensionNumbers }: ScatterParams,
): Aval {
  const numbers = gatherOf(dimensionNumbers)
  const sliceSizes = scatterSliceSizes(operand.shape, updates.shape, dimensionNumbers)
  checkSlices(op, operand, indices, numbers, sliceSizes)
  const expected = gatheredShape(indices.shape, numbers, sliceSizes)
  if (!shapesEqual(expected, updates.shape) || updates.dtype !== operand.dtype) {
    throw new ShapeError({
      op,
      problem: `updates have to be ${operand.dtype}[${expected.join(',')}]`,
      operands: [
        { name: 'operand', aval: operand },
        { name: 'indices', aval: indices },
        { name: 'updates', aval: updates },
      ],
      rule: 'updates have the operand dtype and the shape that gathering there would give',
    })
  }
  return operand
}

/** Lanes of a scatter write into lanes of the result: the mapped axis becomes a batching axis. */
export const scatterBatch =
  (
    apply: (x: NDArray, indices: NDArray, updates: NDArray, params: ScatterParams) => NDArray,
  ): BatchRule<ScatterParams> =>
  ({ size }, [operand, indices, updates], [operandDim, indicesDim, updatesDim], params) => {
    const numbers = params.dimensionNumbers
    const x = withMappedAxis(operand, operandDim, size, 0)
    const u = withMappedAxis(updates, updatesDim, size, 0)
    const operandSide = {
      insertedWindowDims: next(numbers.insertedWindowDims),
      scatterDimsToOperandDims: next(numbers.scatterDimsToOperandDims),
    }
    if (indicesDim === null) {
      const dimensionNumbers = {
        ...operandSide,
        updateWindowDims: [0, ...next(numbers.updateWindowDims)],
        operandBatchingDims: next(numbers.operandBatchingDims),
        scatterIndicesBatchingDims: numbers.scatterIndicesBatchingDims,
      }
      return { outputs: [apply(x, indices, u, { ...params, dimensionNumbers })], dims: [0] }
    }
    const dimensionNumbers = {
      ...operandSide,
      updateWindowDims: next(numbers.updateWindowDims),
      operandBatchingDims: [0, ...next(numbers.operandBatchingDims)],
      scatterIndicesBatchingDims: [0, ...next(numbers.scatterIndicesBatchingDims)],
    }
    const at = moveAxis(indices, indicesDim, 0)
    return { outputs: [apply(x, at, u, { ...params, dimensionNumbers })], dims: [0] }
  }

/** The fields of a scatter that do not depend on its derivative. */
export const scatterFields = (
  name: string,
  combine: 'set' | 'add' | 'mul' | 'min' | 'max',
  combineNumbers: (old: number, update: number) => number,
  apply: (x: NDArray, indices: NDArray, updates: NDArray, params: ScatterParams) => NDArray,
): Pick<Primitive<ScatterParams>, 'name' | 'abstractEval' | 'batch' | 'evaluate' | 'lower'> => ({
  name,
  abstractEval: (avals, params) => [scatterAval(name, avals, params)],
  batch: scatterBatch(apply),
  evaluate: ([operand, indices, updates], { dimensionNumbers, mode }, [aval]) => {
    const data = operand.data.slice()
    const { shape } = updates.aval
    const sliceSizes = scatterSliceSizes(aval.shape, shape, dimensionNumbers)
    const geometry = geometryOf(aval.shape, shape.length, gatherOf(dimensionNumbers), sliceSizes)
    forEachIndexed(aval.shape, indices, shape, geometry, mode, (position, flat) => {
      if (position >= 0) data[position] = combineNumbers(data[position], updates.data[flat])
    })
    return [hostArray(aval, data)]
  },
  lower: (context, [operand, indices, updates], { dimensionNumbers, mode }, [aval]) => {
    const { shape } = updates.aval
    const sliceSizes = scatterSliceSizes(aval.shape, shape, dimensionNumbers)
    const geometry = geometryOf(aval.shape, shape.length, gatherOf(dimensionNumbers), sliceSizes)
    const { coordinates, inBounds } = indexExpressions(context, indices, shape, geometry, mode)
    return [context.scatter({ operand, updates, position: coordinates, inBounds, combine })]
  },
})

// --- scatter-add ----------------------------------------------------------------------------------------------

const bindScatterAdd = (
  operand: NDArray,
  indices: NDArray,
  updates: NDArray,
  params: ScatterParams,
): NDArray => bind1(scatterAddPrimitive, [operand, indices, updates], params)

const scatterAddPrimitive: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
  ...scatterFields('scatter-add', 'add', (old, update) => old + update, bindScatterAdd),
  // Linear in the operand and the updates together.
  jvp: ([operand, indices, updates], [operandDot, , updatesDot], params) => {
    const y = bindScatterAdd(operand, indices, updates, params)
    if (isZero(operandDot) && isZero(updatesDot)) return { primals: [y], tangents: [zeroLike(y)] }
    const yDot = isZero(updatesDot)
      ? operandDot
      : bindScatterAdd(instantiate(operandDot), indices, updatesDot, params)
    return { primals: [y], tangents: [yDot] }
  },
  transpose: ([yBar], operands, params) => {
    const [operand, indices, updates] = operands
    if (isLinear(indices)) return nonlinear([yBar], operands, params)
    if (isZero(yBar)) return operands.map((o) => (isLinear(o) ? zeroLike(o) : null))
    return [
      isLinear(operand) ? yBar : null,
      null,
      isLinear(updates) ? gatherBack(yBar, indices, updates, params) : null,
    ]
  },
})

/** `operand` with the updates added where the indices say; repeated indices add up. */
export const scatterAdd: Operation<
  [operand: NDArray, indices: NDArray, updates: NDArray, options: ScatterOptions],
  ScatterParams
> = operation(
  scatterAddPrimitive,
  (operand: NDArray, indices: NDArray, updates: NDArray, options: ScatterOptions) =>
    bindScatterAdd(operand, indices, updates, scatterParams(options)),
)
