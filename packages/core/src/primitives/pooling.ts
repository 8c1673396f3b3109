/**
 * Reading and writing at the extremum of every window: the derivatives of max pooling and min pooling.
 * The two primitives are each other's transpose.
 */
import type { NDArray } from '../array/ndarray'
import { emitSelectAndScatter, nameKernel } from '../backends/wasm/rare'
import type { LoweringContext, Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, type Shape, shapesEqual, sizeOf, withShape } from '../types/aval'
import { DifferentiationError, ShapeError } from '../types/errors'
import { isFloating } from '../types/dtype'
import { reductionMonoid } from '../types/monoid'
import { range, withAxis } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  type BatchRule,
  definePrimitive,
  isLinear,
  isZero,
  type JvpRule,
  nonlinear,
  type Params,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { full } from './constants'
import { withMappedAxis } from './movement'
import { operation, type Operation } from './operation'
import { pad, slice } from './slicing'
import { allocateHost, hostArray, type HostArray } from './strided'
import {
  forEachWindow,
  padTensor,
  type PaddingPairs,
  windowedShape,
  windowPadding,
  type WindowParams,
  windowView,
  withMappedWindow,
} from './window-geometry'

/** The comparison that the chosen element of a window wins: 'ge' for the maximum. */
export type SelectPrim = 'ge' | 'le'
const extremumOf = (selectPrim: SelectPrim): 'max' | 'min' => (selectPrim === 'ge' ? 'max' : 'min')

/**
 * Which of these positions is chosen, XLA's way: an element stands as long as it compares `ge` (`le`)
 * with the next one. So the first extremum is found, and since nothing compares with NaN, an element
 * after a NaN replaces it. Padding (−1) is as little as can be.
 */
function chosen(
  data: HostArray['data'],
  positions: readonly number[],
  selectPrim: SelectPrim,
  padding: number,
): number {
  const valueAt = (position: number): number => (position < 0 ? padding : data[position])
  return positions.reduce((best, position) => {
    const [champion, value] = [valueAt(best), valueAt(position)]
    return (selectPrim === 'ge' ? champion >= value : champion <= value) ? best : position
  })
}

/** Linear in the first operand; the choice that the second one makes is locally constant. */
const choosingJvp =
  <P extends Params>(apply: (x: NDArray, operand: NDArray, params: P) => NDArray): JvpRule<P> =>
  ([x, operand], [xDot], params) => {
    const y = apply(x, operand, params)
    return {
      primals: [y],
      tangents: [isZero(xDot) ? zeroLike(y) : apply(xDot, operand, params)],
    }
  }

// --- select_and_gather_add -----------------------------------------------------------------------------------

export type SelectAndGatherAddParams = WindowParams & { readonly selectPrim: SelectPrim }

const bindGatherAdd = (x: NDArray, operand: NDArray, params: SelectAndGatherAddParams): NDArray =>
  bind1(gatherAddPrimitive, [x, operand], params)

const gatherAddPrimitive: Primitive<SelectAndGatherAddParams> =
  definePrimitive<SelectAndGatherAddParams>({
    name: 'select_and_gather_add',
    abstractEval: ([x, operand], params) => {
      if (!shapesEqual(x.shape, operand.shape)) {
        throw new ShapeError({
          op: 'selectAndGatherAdd',
          problem: 'what is read has another shape than what chooses',
          operands: [
            { name: 'x', aval: x },
            { name: 'operand', aval: operand },
          ],
          rule: 'both have one shape',
        })
      }
      return [withShape(x, windowedShape('selectAndGatherAdd', operand, params))]
    },
    jvp: choosingJvp(bindGatherAdd),
    transpose: (cotangents, operands, params) => {
      const [yBar] = cotangents
      const [x, operand] = operands
      if (!isLinear(x) || isLinear(operand)) return nonlinear(cotangents, operands, params)
      if (isZero(yBar)) return [zeroLike(x), null]
      if (params.windowDilation.some((d) => d !== 1)) {
        throw new DifferentiationError({
          op: 'reduceWindow',
          problem: 'extrema over windows with holes cannot be differentiated in reverse',
          operands: [{ name: 'x', aval: operand.aval }],
          rule: 'windowDilation is 1',
          hint: 'use forward mode (jvp, jacfwd)',
        })
      }
      const interior = params.baseDilation.map((d): readonly [number, number, number] => [
        0,
        0,
        d - 1,
      ])
      const least = reductionMonoid(extremumOf(params.selectPrim), operand.dtype).empty
      const spread = pad(operand, full([], least, operand.dtype), { paddingConfig: interior })
      const { selectPrim, windowDimensions, windowStrides, padding } = params
      const spreadBar = selectAndScatterAdd(yBar, spread, {
        selectPrim,
        windowDimensions,
        windowStrides,
        padding,
      })
      const xBar = slice(spreadBar, {
        startIndices: spreadBar.shape.map(() => 0),
        limitIndices: spreadBar.shape,
        strides: params.baseDilation,
      })
      return [xBar, null]
    },
    batch: ({ size }, [x, operand], [xDim, operandDim], params) => {
      const y = bindGatherAdd(
        withMappedAxis(x, xDim, size, 0),
        withMappedAxis(operand, operandDim, size, 0),
        { ...withMappedWindow(params, 0), selectPrim: params.selectPrim },
      )
      return { outputs: [y], dims: [0] }
    },
    evaluate: ([x, operand], params, [aval]) => {
      const data = allocateHost(aval.dtype, aval.size)
      const { selectPrim } = params
      const { empty } = reductionMonoid(extremumOf(selectPrim), operand.aval.dtype)
      const visit = (positions: readonly number[], flat: number): void => {
        const position = chosen(operand.data, positions, selectPrim, empty)
        data[flat] = position < 0 ? 0 : x.data[position]
      }
      forEachWindow(x.aval.shape, aval.shape, params, visit, true)
      return [hostArray(aval, data)]
    },
    lower: (context, [x, operand], params, [aval]) => {
      const which = extremumOf(params.selectPrim)
      const config = windowPadding(params)
      const padded = padTensor(
        context,
        operand,
        config,
        reductionMonoid(which, operand.aval.dtype).empty,
      )
      const source = padTensor(context, x, config, 0)
      const view = windowView(context, padded, aval.shape, params)
      const { windowDimensions: window } = params
      const merged = context.reshape(
        view,
        new Aval([...aval.shape, sizeOf(window)], operand.aval.dtype),
      )
      const place = chosenPlace(context, which, merged, aval.shape)
      const coordinates = windowCoordinates(place, aval.shape, params)
      return [context.take(source, aval, coordinates)]
    },
  })

/** `chosen` for windows along the last axis: the first extremum of what follows the last NaN. */
function chosenPlace(
  context: LoweringContext,
  which: 'max' | 'min',
  windows: Tensor,
  shape: Shape,
): Tensor {
  const { aval } = windows
  const places = new Aval(shape, 'int32')
  if (!isFloating(aval.dtype)) return context.argReduce(which, windows, shape.length, places)
  const all = new Aval(aval.shape, 'int32')
  const int = (value: number): expr.Scalar => expr.constant('int32', value)
  const counter = context.iota(all, shape.length)
  const nans = context.map(
    all,
    (x, k) =>
      expr.select(expr.binary('eq', 'bool', x, x), int(0), expr.binary('add', 'int32', k, int(1))),
    windows,
    counter,
  )
  // Where elements that count begin: 0, or after the last NaN.
  const begin = context.reduce('max', nans, [shape.length], places)
  const begins = context.reindex(
    begin,
    all,
    range(shape.length).map((axis) => ({
      offset: 0,
      strides: range(shape.length + 1).map((a) => (a === axis ? 1 : 0)),
    })),
  )
  const least = reductionMonoid(which, aval.dtype).empty
  const counted = context.map(
    aval,
    (x, k, first) =>
      expr.select(expr.binary('ge', 'bool', k, first), x, expr.constant(aval.dtype, least)),
    windows,
    counter,
    begins,
  )
  const found = context.argReduce(which, counted, shape.length, places)
  const last = aval.shape[shape.length] - 1
  return context.map(
    places,
    (place, first) =>
      expr.binary('min', 'int32', expr.binary('max', 'int32', place, first), int(last)),
    found,
    begin,
  )
}

/** Coordinates in the padded operand of the element at a flat place within each window. */
function windowCoordinates(
  place: Tensor,
  result: Shape,
  { windowDimensions: window, windowStrides, windowDilation }: WindowParams,
): expr.Scalar[] {
  const int = (value: number): expr.Scalar => expr.constant('int32', value)
  const op = (name: expr.BinaryOp, x: expr.Scalar, y: expr.Scalar): expr.Scalar =>
    expr.binary(name, 'int32', x, y)
  let below = 1
  const coordinates = new Array<expr.Scalar>(result.length)
  for (let axis = result.length - 1; axis >= 0; axis--) {
    const within = op('rem', op('div', place.value, int(below)), int(window[axis]))
    const strides = range(result.length).map((a) => (a === axis ? windowStrides[axis] : 0))
    const corner = expr.index({ offset: 0, strides })
    coordinates[axis] =
      window[axis] === 1 ? corner : op('add', corner, op('mul', within, int(windowDilation[axis])))
    below *= window[axis]
  }
  return coordinates
}

/** For every window of `operand`, the element of `x` where the window's extremum stands. */
export const selectAndGatherAdd: Operation<
  [x: NDArray, operand: NDArray, params: SelectAndGatherAddParams],
  SelectAndGatherAddParams
> = operation(gatherAddPrimitive, bindGatherAdd)

// --- select_and_scatter_add ----------------------------------------------------------------------------------

export type SelectAndScatterAddParams = {
  readonly selectPrim: SelectPrim
  readonly windowDimensions: Shape
  readonly windowStrides: Shape
  readonly padding: PaddingPairs
}

const undilated = (params: SelectAndScatterAddParams): SelectAndGatherAddParams => ({
  ...params,
  baseDilation: params.windowDimensions.map(() => 1),
  windowDilation: params.windowDimensions.map(() => 1),
})

const bindScatterAdd = (
  source: NDArray,
  operand: NDArray,
  params: SelectAndScatterAddParams,
): NDArray => bind1(scatterAddPrimitive, [source, operand], params)

const batchScatterAdd: BatchRule<SelectAndScatterAddParams> = (
  { size },
  [source, operand],
  [sourceDim, operandDim],
  params,
) => {
  const y = bindScatterAdd(
    withMappedAxis(source, sourceDim, size, 0),
    withMappedAxis(operand, operandDim, size, 0),
    {
      selectPrim: params.selectPrim,
      windowDimensions: withAxis(params.windowDimensions, 0, 1),
      windowStrides: withAxis(params.windowStrides, 0, 1),
      padding: [[0, 0], ...params.padding],
    },
  )
  return { outputs: [y], dims: [0] }
}

const scatterAddPrimitive: Primitive<SelectAndScatterAddParams> =
  definePrimitive<SelectAndScatterAddParams>({
    name: 'select_and_scatter_add',
    abstractEval: ([source, operand], params) => {
      const expected = windowedShape('selectAndScatterAdd', operand, undilated(params))
      if (!shapesEqual(source.shape, expected)) {
        throw new ShapeError({
          op: 'selectAndScatterAdd',
          problem: `there are [${expected.join(',')}] windows`,
          operands: [
            { name: 'source', aval: source },
            { name: 'operand', aval: operand },
          ],
          rule: 'the source has one element per window of the operand',
        })
      }
      return [new Aval(operand.shape, source.dtype, source.weakType)]
    },
    jvp: choosingJvp(bindScatterAdd),
    transpose: (cotangents, operands, params) => {
      const [yBar] = cotangents
      const [source, operand] = operands
      if (!isLinear(source) || isLinear(operand)) return nonlinear(cotangents, operands, params)
      if (isZero(yBar)) return [zeroLike(source), null]
      return [selectAndGatherAdd(yBar, operand, undilated(params)), null]
    },
    batch: batchScatterAdd,
    evaluate: ([source, operand], params, [aval]) => {
      const data = allocateHost(aval.dtype, aval.size)
      const { selectPrim } = params
      const { empty } = reductionMonoid(extremumOf(selectPrim), operand.aval.dtype)
      const visit = (positions: readonly number[], flat: number): void => {
        const position = chosen(operand.data, positions, selectPrim, empty)
        if (position >= 0) data[position] += source.data[flat]
      }
      forEachWindow(aval.shape, source.aval.shape, undilated(params), visit, true)
      return [hostArray(aval, data)]
    },
    lower: (context, [source, operand], params, [aval]) => {
      const which = extremumOf(params.selectPrim)
      const config = windowPadding(undilated(params))
      const padded = padTensor(
        context,
        operand,
        config,
        reductionMonoid(which, operand.aval.dtype).empty,
      )
      nameKernel('selectAndScatter', emitSelectAndScatter)
      const spread = context.selectAndScatterAdd(which, padded, source, {
        window: params.windowDimensions,
        strides: params.windowStrides,
      })
      // Only what landed on the operand itself is wanted; negative padding is put back as zeros.
      const back = config.map(([low, high]): readonly [number, number, number] => [-low, -high, 0])
      const cropped = padTensor(context, spread, back, 0)
      return [{ ...cropped, aval }]
    },
  })

/** Zeros shaped like `operand`, with each element of `source` added at its window's extremum. */
export const selectAndScatterAdd: Operation<
  [source: NDArray, operand: NDArray, params: SelectAndScatterAddParams],
  SelectAndScatterAddParams
> = operation(scatterAddPrimitive, bindScatterAdd)
