/** Blocks at places known only at run time. Starts are clamped so that the block always fits. */
import type { NDArray } from '../array/ndarray'
import type { LoweringContext, Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, type Shape, withShape } from '../types/aval'
import { isInteger } from '../types/dtype'
import { ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  type BatchDim,
  definePrimitive,
  isLinear,
  isZero,
  type Params,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { full, instantiate, zerosLike } from './constants'
import { gather } from './gather'
import { moveAxis, reshape, withMappedAxis } from './movement'
import { operation, type Operation } from './operation'
import { scatter } from './scatter'
import { concatenate } from './slicing'
import {
  hostArray,
  type HostArray,
  positionOf,
  readStrided,
  rowMajorStrides,
  writeStrided,
} from './strided'

function checkBlock(op: string, x: Aval, block: Shape, starts: readonly Aval[]): void {
  const fits =
    block.length === x.ndim &&
    block.every((size, axis) => size >= 0 && size <= x.shape[axis]) &&
    starts.length === x.ndim &&
    starts.every((s) => s.ndim === 0 && isInteger(s.dtype))
  if (fits) return
  throw new ShapeError({
    op,
    problem: `a block of [${block.join(',')}] does not fit`,
    operands: [
      { name: 'x', aval: x },
      ...starts.map((aval, axis) => ({ name: `start ${axis}`, aval })),
    ],
    rule: 'one integer scalar per axis, and a block no larger than the operand',
  })
}

/** The starts as numbers, clamped. */
const clampedStarts = (x: Shape, block: Shape, starts: readonly HostArray[]): number[] =>
  starts.map((start, axis) => Math.min(Math.max(start.data[0], 0), x[axis] - block[axis]))

/** The starts as int32 scalars, clamped. */
const clampedStartTensors = (
  context: LoweringContext,
  x: Shape,
  block: Shape,
  starts: readonly Tensor[],
): Tensor[] =>
  starts.map((start, axis) =>
    context.map(
      new Aval([], 'int32'),
      (value) => {
        const { dtype } = value
        const limit = expr.constant(dtype, Math.min(x[axis] - block[axis], 2 ** 31 - 1))
        const below = expr.binary('min', dtype, value, limit)
        return expr.convert('int32', expr.binary('max', dtype, below, expr.constant(dtype, 0)))
      },
      start,
    ),
  )

// --- dynamic_slice --------------------------------------------------------------------------------------------

export type DynamicSliceParams = { readonly sliceSizes: Shape }

const bindSlice = (x: NDArray, starts: readonly NDArray[], params: DynamicSliceParams): NDArray =>
  bind1(slicePrimitive, [x, ...starts], params)

/** One index vector per lane, `[size, ndim]`, of starts of which some are mapped. */
function stackedStarts(
  starts: readonly NDArray[],
  dims: readonly BatchDim[],
  size: number,
): NDArray {
  const columns = starts.map((start, i) =>
    reshape(withMappedAxis(start, dims[i], size, 0), { newSizes: [size, 1] }),
  )
  return concatenate(columns, { dimension: 1 })
}

const slicePrimitive: Primitive<DynamicSliceParams> = definePrimitive<DynamicSliceParams>({
  name: 'dynamic_slice',
  abstractEval: ([x, ...starts], { sliceSizes }) => {
    checkBlock('dynamicSlice', x, sliceSizes, starts)
    return [withShape(x, sliceSizes)]
  },
  // Linear in the operand.
  jvp: ([x, ...starts], [xDot], params) => {
    const y = bindSlice(x, starts, params)
    return {
      primals: [y],
      tangents: [isZero(xDot) ? zeroLike(y) : bindSlice(xDot, starts, params)],
    }
  },
  transpose: ([yBar], [x, ...starts]) => {
    const none = starts.map(() => null)
    if (!isLinear(x)) return [null, ...none]
    if (isZero(yBar)) return [zeroLike(x), ...none]
    const zeros = full(x.aval.shape, 0, yBar.dtype, yBar.aval.weakType)
    return [dynamicUpdateSlice(zeros, yBar, known(starts)), ...none]
  },
  batch: ({ size }, [x, ...starts], [xDim, ...startDims], { sliceSizes }) => {
    if (startDims.every((dim) => dim === null)) {
      if (xDim === null) return { outputs: [bindSlice(x, starts, { sliceSizes })], dims: [null] }
      const zero = zerosLike(starts[0] ?? full([], 0, 'int32'))
      const y = bindSlice(moveAxis(x, xDim, 0), [zero, ...starts], {
        sliceSizes: [size, ...sliceSizes],
      })
      return { outputs: [y], dims: [0] }
    }
    // Lanes look at different places: a gather of one block per lane.
    const mapped = xDim !== null
    const axes = range(sliceSizes.length).map((axis) => axis + Number(mapped))
    const y = gather(mapped ? moveAxis(x, xDim, 0) : x, stackedStarts(starts, startDims, size), {
      dimensionNumbers: {
        offsetDims: range(1, 1 + sliceSizes.length),
        collapsedSliceDims: [],
        startIndexMap: axes,
        operandBatchingDims: mapped ? [0] : [],
        startIndicesBatchingDims: mapped ? [0] : [],
      },
      sliceSizes: mapped ? [Math.min(1, size), ...sliceSizes] : sliceSizes,
      mode: 'clip',
    })
    return { outputs: [y], dims: [0] }
  },
  evaluate: ([x, ...starts], { sliceSizes }, [aval]) => {
    const strides = rowMajorStrides(x.aval.shape)
    const start = clampedStarts(x.aval.shape, sliceSizes, starts)
    return [readStrided(x, aval, positionOf(strides, start), strides)]
  },
  lower: (context, [x, ...starts], { sliceSizes }, [aval]) => [
    context.dynamicSlice(x, aval, clampedStartTensors(context, x.aval.shape, sliceSizes, starts)),
  ],
})

/** Starts in a linear program are never linear themselves. */
const known = (starts: readonly unknown[]): readonly NDArray[] =>
  starts.filter((start): start is NDArray => !isLinear(start))

/** The block of `x` of the given size that begins at `starts`, one integer scalar per axis. */
export const dynamicSlice: Operation<
  [x: NDArray, starts: readonly NDArray[], params: DynamicSliceParams],
  DynamicSliceParams
> = operation(slicePrimitive, bindSlice)

// --- dynamic_update_slice -------------------------------------------------------------------------------------

const bindUpdate = (x: NDArray, update: NDArray, starts: readonly NDArray[]): NDArray =>
  bind1(updatePrimitive, [x, update, ...starts], {})

const updatePrimitive: Primitive = definePrimitive({
  name: 'dynamic_update_slice',
  abstractEval: ([x, update, ...starts]) => {
    checkBlock('dynamicUpdateSlice', x, update.shape, starts)
    if (update.dtype !== x.dtype) {
      throw new ShapeError({
        op: 'dynamicUpdateSlice',
        problem: 'the update has another dtype than the operand',
        operands: [
          { name: 'x', aval: x },
          { name: 'update', aval: update },
        ],
        rule: 'both have one dtype',
      })
    }
    return [x]
  },
  // Linear in the operand and the update together.
  jvp: ([x, update, ...starts], [xDot, updateDot]) => {
    const y = bindUpdate(x, update, starts)
    const yDot =
      isZero(xDot) && isZero(updateDot)
        ? zeroLike(y)
        : bindUpdate(instantiate(xDot), instantiate(updateDot), starts)
    return { primals: [y], tangents: [yDot] }
  },
  transpose: ([yBar], [x, update, ...starts]) => {
    const none = starts.map(() => null)
    if (isZero(yBar))
      return [...[x, update].map((o) => (isLinear(o) ? zeroLike(o) : null)), ...none]
    const at = known(starts)
    const { shape } = update.aval
    const blank = full(shape, 0, yBar.dtype, yBar.aval.weakType)
    return [
      isLinear(x) ? bindUpdate(yBar, blank, at) : null,
      isLinear(update) ? bindSlice(yBar, at, { sliceSizes: shape }) : null,
      ...none,
    ]
  },
  batch: ({ size }, [x, update, ...starts], [xDim, updateDim, ...startDims]) => {
    const target = withMappedAxis(x, xDim, size, 0)
    const block = withMappedAxis(update, updateDim, size, 0)
    if (startDims.every((dim) => dim === null)) {
      const zero = zerosLike(starts[0] ?? full([], 0, 'int32'))
      return { outputs: [bindUpdate(target, block, [zero, ...starts])], dims: [0] }
    }
    // Lanes write to different places: a scatter of one block per lane.
    const y = scatter(target, stackedStarts(starts, startDims, size), block, {
      dimensionNumbers: {
        updateWindowDims: range(1, block.ndim),
        insertedWindowDims: [],
        scatterDimsToOperandDims: range(1, block.ndim),
        operandBatchingDims: [0],
        scatterIndicesBatchingDims: [0],
      },
      indicesAreSorted: true,
      uniqueIndices: true,
      mode: 'clip',
    })
    return { outputs: [y], dims: [0] }
  },
  evaluate: ([x, update, ...starts], _params, [aval]) => {
    const data = x.data.slice()
    const strides = rowMajorStrides(aval.shape)
    const start = clampedStarts(aval.shape, update.aval.shape, starts)
    writeStrided(data, update, positionOf(strides, start), strides)
    return [hostArray(aval, data)]
  },
  lower: (context, [x, update, ...starts], _params, [aval]) => {
    if (update.aval.size === 0) return [x]
    const piece = {
      value: update,
      start: aval.shape.map(() => 0),
      step: aval.shape.map(() => 1),
      dynamicStart: clampedStartTensors(context, aval.shape, update.aval.shape, starts),
    }
    return [context.assemble(aval, x, [piece])]
  },
})

/** `x` with a block of it, beginning at `starts`, replaced by `update`. */
export const dynamicUpdateSlice: Operation<
  [x: NDArray, update: NDArray, starts: readonly NDArray[]],
  Params
> = operation(updatePrimitive, bindUpdate)
