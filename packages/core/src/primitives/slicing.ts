/** Rectangular parts of arrays at fixed places: slice, pad, reverse, concatenate; and counting. */
import type { NDArray } from '../array/ndarray'
import type { Affine } from '../compiler/context'
import { Aval, type Shape, shapesEqual, withShape } from '../types/aval'
import type { DType } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import { dilated, range, stridedCount, withAxis } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  discreteResult,
  isLinear,
  isZero,
  nonlinear,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { sub } from './arithmetic'
import { full, instantiate } from './constants'
import { linear } from './linear'
import { broadcastInDim, reduceSum, withMappedAxis } from './movement'
import { operation, type Operation, type ParametricOperation } from './operation'
import { checkAxes, shiftAxes } from './reduction'
import { select } from './select'
import {
  allocateHost,
  forEachIndex,
  hostArray,
  positionOf,
  readStrided,
  rowMajorStrides,
  writeStrided,
} from './strided'

/** `offset + step · (iteration axis)`. */
const along = (axis: number, ndim: number, offset: number, step: number): Affine => {
  const strides = new Array<number>(ndim).fill(0)
  strides[axis] = step
  return { offset, strides }
}

// --- slice ------------------------------------------------------------------------------------------------

export type SliceParams = {
  readonly startIndices: readonly number[]
  readonly limitIndices: readonly number[]
  /** Null for steps of 1. */
  readonly strides: readonly number[] | null
}

const stepsOf = ({ startIndices, strides }: SliceParams): readonly number[] =>
  strides ?? startIndices.map(() => 1)

/** `x[start:limit:stride]` along every axis. */
export const slice: ParametricOperation<SliceParams> = linear('slice', {
  shape: (x, params) => {
    const { startIndices: starts, limitIndices: limits } = params
    const steps = stepsOf(params)
    const fits =
      [starts, limits, steps].every((list) => list.length === x.ndim) &&
      x.shape.every(
        (size, a) => 0 <= starts[a] && starts[a] <= limits[a] && limits[a] <= size && steps[a] > 0,
      )
    if (!fits) {
      throw new ShapeError({
        op: 'slice',
        problem: `[${starts.join(',')}] to [${limits.join(',')}] by [${steps.join(',')}] is not a part of the operand`,
        operands: [{ name: 'x', aval: x }],
        rule: '0 <= start <= limit <= size and stride > 0, along every axis',
      })
    }
    return withShape(
      x,
      starts.map((start, a) => stridedCount(start, limits[a], steps[a])),
    )
  },
  transpose: (yBar, x, params) => {
    const steps = stepsOf(params)
    return padWithZeros(
      yBar,
      x.shape.map((size, a) => {
        const low = params.startIndices[a]
        return [low, size - low - dilated(yBar.shape[a], steps[a]), steps[a] - 1]
      }),
    )
  },
  batch: (x, dim, params) => [
    slice(x, {
      startIndices: withAxis(params.startIndices, dim, 0),
      limitIndices: withAxis(params.limitIndices, dim, x.shape[dim]),
      strides: params.strides === null ? null : withAxis(params.strides, dim, 1),
    }),
    dim,
  ],
  evaluate: (x, params, y) => {
    const strides = rowMajorStrides(x.aval.shape)
    const steps = stepsOf(params)
    return readStrided(
      x,
      y,
      positionOf(strides, params.startIndices),
      strides.map((stride, a) => stride * steps[a]),
    )
  },
  lower: (context, x, params, y) => {
    const steps = stepsOf(params)
    return context.reindex(
      x,
      y,
      params.startIndices.map((start, a) => along(a, y.ndim, start, steps[a])),
    )
  },
  splat: ([element]) => element,
})

/** The part `start … limit - 1` of one axis. */
export const sliceInAxis = (x: NDArray, axis: number, start: number, limit: number): NDArray =>
  slice(x, {
    startIndices: x.shape.map((_, a) => (a === axis ? start : 0)),
    limitIndices: x.shape.map((size, a) => (a === axis ? limit : size)),
    strides: null,
  })

// --- pad: the transpose of slice --------------------------------------------------------------------------

/** Per axis: how many before, after and between the elements. Negative before or after crops. */
export type PaddingConfig = readonly (readonly [low: number, high: number, interior: number])[]
export type PadParams = { readonly paddingConfig: PaddingConfig }

const paddedSize = (size: number, [low, high, interior]: PaddingConfig[number]): number =>
  low + dilated(size, interior + 1) + high

/** The elements of an axis that survive cropping: `count` of them from `first`, landing at `start`. */
function surviving(
  size: number,
  config: PaddingConfig[number],
): {
  first: number
  count: number
  start: number
  step: number
} {
  const [low, , interior] = config
  const step = interior + 1
  const first = low < 0 ? Math.ceil(-low / step) : 0
  const last = Math.min(size - 1, Math.floor((paddedSize(size, config) - 1 - low) / step))
  return { first, count: Math.max(0, last - first + 1), start: low + first * step, step }
}

const bindPad = (x: NDArray, paddingValue: NDArray, params: PadParams): NDArray =>
  bind1(padPrimitive, [x, paddingValue], params)

const padPrimitive: Primitive<PadParams> = definePrimitive<PadParams>({
  name: 'pad',
  abstractEval: ([x, value], { paddingConfig }) => {
    if (value.dtype !== x.dtype) {
      throw new DTypeError({
        op: 'pad',
        problem: 'the padding value has another dtype than the operand',
        operands: [
          { name: 'x', aval: x },
          { name: 'paddingValue', aval: value },
        ],
        rule: 'both have one dtype',
      })
    }
    const shape = paddingConfig.map((config, axis) => paddedSize(x.shape[axis] ?? 0, config))
    const fits =
      value.ndim === 0 &&
      paddingConfig.length === x.ndim &&
      paddingConfig.every(([, , interior]) => interior >= 0) &&
      shape.every((size) => size >= 0)
    if (!fits) {
      throw new ShapeError({
        op: 'pad',
        problem: `[${paddingConfig.map((c) => `(${c.join(',')})`).join(',')}] cannot pad the operand`,
        operands: [
          { name: 'x', aval: x },
          { name: 'paddingValue', aval: value },
        ],
        rule: 'one (low, high, interior) per axis, interior >= 0, no negative size; the value is a scalar',
      })
    }
    return [new Aval(shape, x.dtype, x.weakType && value.weakType)]
  },
  // Linear in both operands together.
  jvp: ([x, value], [xDot, valueDot], params) => {
    const y = bindPad(x, value, params)
    const yDot: Tangent = bindPad(instantiate(xDot), instantiate(valueDot), params)
    return { primals: [y], tangents: [yDot] }
  },
  // x̄ is the part of ȳ where x went; the value receives what is left.
  transpose: ([yBar], [x, value], { paddingConfig }) => {
    if (isZero(yBar)) return [x, value].map((o) => (isLinear(o) ? zeroLike(o) : null))
    const uncropped = padWithZeros(
      yBar,
      paddingConfig.map(([low, high]) => [-low, -high, 0]),
    )
    const xBar = slice(uncropped, {
      startIndices: uncropped.shape.map(() => 0),
      limitIndices: uncropped.shape,
      strides: paddingConfig.map(([, , interior]) => interior + 1),
    })
    const total = (t: NDArray): NDArray => reduceSum(t, { axes: range(t.ndim) })
    return [isLinear(x) ? xBar : null, isLinear(value) ? sub(total(yBar), total(xBar)) : null]
  },
  batch: ({ size }, [x, value], [xDim, valueDim], { paddingConfig }) => {
    const front = withMappedAxis(x, xDim, size, 0)
    const config: PaddingConfig = [[0, 0, 0], ...paddingConfig]
    if (valueDim === null)
      return { outputs: [bindPad(front, value, { paddingConfig: config })], dims: [0] }
    // Each lane has its own value: pad a mask as well and choose.
    const padded = padWithZeros(front, config)
    const inside = bindPad(full(front.shape, true, 'bool'), full([], false, 'bool'), {
      paddingConfig: config,
    })
    const values = broadcastInDim(value, { shape: padded.shape, broadcastDimensions: [0] })
    return { outputs: [select(inside, padded, values)], dims: [0] }
  },
  evaluate: ([x, value], { paddingConfig }, [aval]) => {
    const data = allocateHost(aval.dtype, aval.size).fill(value.data[0])
    const parts = paddingConfig.map((config, axis) => surviving(x.aval.shape[axis], config))
    const source = rowMajorStrides(x.aval.shape)
    const target = rowMajorStrides(aval.shape)
    const kept = readStrided(
      x,
      withShape(
        x.aval,
        parts.map((p) => p.count),
      ),
      positionOf(
        source,
        parts.map((p) => p.first),
      ),
      source,
    )
    writeStrided(
      data,
      kept,
      positionOf(
        target,
        parts.map((p) => p.start),
      ),
      target.map((stride, a) => stride * parts[a].step),
    )
    return [hostArray(aval, data)]
  },
  lower: (context, [x, value], { paddingConfig }, [aval]) => {
    const parts = paddingConfig.map((config, axis) => surviving(x.aval.shape[axis], config))
    const base = context.reindex(value, aval, [])
    const keptAval = withShape(
      aval,
      parts.map((p) => p.count),
    )
    if (keptAval.size === 0) return [base]
    const kept = context.reindex(
      x,
      keptAval,
      parts.map((p, axis) => along(axis, parts.length, p.first, 1)),
    )
    const coversAll = shapesEqual(keptAval.shape, aval.shape)
    if (coversAll) return [kept]
    const piece = { value: kept, start: parts.map((p) => p.start), step: parts.map((p) => p.step) }
    return [context.assemble(aval, base, [piece])]
  },
})

/** `x` with a value before, after and between its elements. */
export const pad: Operation<[x: NDArray, paddingValue: NDArray, params: PadParams], PadParams> =
  operation(padPrimitive, (x: NDArray, value: NDArray, params: PadParams) =>
    params.paddingConfig.every((config) => config.every((n) => n === 0))
      ? x
      : bindPad(x, value, params),
  )

const padWithZeros = (x: NDArray, paddingConfig: PaddingConfig): NDArray =>
  pad(x, full([], 0, x.dtype, x.aval.weakType), { paddingConfig })

// --- reverse ------------------------------------------------------------------------------------------------

export type RevParams = { readonly dimensions: readonly number[] }

/** `x` with the order along these axes reversed. */
export const rev: ParametricOperation<RevParams> = linear('rev', {
  shape: (x, { dimensions }) => {
    checkAxes('rev', x, dimensions)
    return x
  },
  transpose: (yBar, _x, params) => rev(yBar, params),
  batch: (x, dim, { dimensions }) => [rev(x, { dimensions: shiftAxes(dimensions, dim) }), dim],
  evaluate: (x, { dimensions }, y) => {
    if (y.size === 0) return x
    const strides = rowMajorStrides(y.shape)
    const last = y.shape.map((size, a) => (dimensions.includes(a) ? size - 1 : 0))
    return readStrided(
      x,
      y,
      positionOf(strides, last),
      strides.map((stride, a) => (dimensions.includes(a) ? -stride : stride)),
    )
  },
  lower: (context, x, { dimensions }, y) =>
    context.reindex(
      x,
      y,
      y.shape.map((size, a) =>
        dimensions.includes(a) ? along(a, y.ndim, size - 1, -1) : along(a, y.ndim, 0, 1),
      ),
    ),
  splat: ([element]) => element,
})

// --- concatenate ----------------------------------------------------------------------------------------------

export type ConcatenateParams = { readonly dimension: number }

const bindConcatenate = (operands: readonly NDArray[], params: ConcatenateParams): NDArray =>
  bind1(concatenatePrimitive, operands, params)

/** Where each operand begins along the concatenated axis. */
function startsAlong(operands: readonly { readonly aval: Aval }[], axis: number): number[] {
  let next = 0
  return operands.map(({ aval }) => {
    const start = next
    next += aval.shape[axis]
    return start
  })
}

const concatenatePrimitive: Primitive<ConcatenateParams> = definePrimitive<ConcatenateParams>({
  name: 'concatenate',
  abstractEval: (operands, { dimension }) => {
    const [first] = operands
    const others = (shape: Shape): Shape => shape.map((n, axis) => (axis === dimension ? 0 : n))
    const fits =
      first !== undefined &&
      dimension >= 0 &&
      dimension < first.ndim &&
      operands.every(
        (o) => o.dtype === first.dtype && shapesEqual(others(o.shape), others(first.shape)),
      )
    if (!fits) {
      throw new ShapeError({
        op: 'concatenate',
        problem: `the operands do not line up along axis ${dimension}`,
        operands: operands.map((aval, i) => ({ name: `operand ${i}`, aval })),
        axis: dimension,
        rule: 'one dtype, one rank, and equal sizes along all other axes',
      })
    }
    const total = operands.reduce((sum, o) => sum + o.shape[dimension], 0)
    return [
      new Aval(
        first.shape.map((n, axis) => (axis === dimension ? total : n)),
        first.dtype,
        operands.every((o) => o.weakType),
      ),
    ]
  },
  jvp: (operands, dots, params) => {
    const y = bindConcatenate(operands, params)
    return { primals: [y], tangents: [bindConcatenate(dots.map(instantiate), params)] }
  },
  transpose: ([yBar], operands, { dimension }) => {
    const starts = startsAlong(operands, dimension)
    return operands.map((operand, i) => {
      if (!isLinear(operand)) return null
      if (isZero(yBar)) return zeroLike(operand)
      return sliceInAxis(yBar, dimension, starts[i], starts[i] + operand.aval.shape[dimension])
    })
  },
  batch: ({ size }, operands, dims, { dimension }) => ({
    outputs: [
      bindConcatenate(
        operands.map((x, i) => withMappedAxis(x, dims[i], size, 0)),
        { dimension: dimension + 1 },
      ),
    ],
    dims: [0],
  }),
  evaluate: (operands, { dimension }, [aval]) => {
    const data = allocateHost(aval.dtype, aval.size)
    const strides = rowMajorStrides(aval.shape)
    const starts = startsAlong(operands, dimension)
    operands.forEach((x, i) => writeStrided(data, x, starts[i] * strides[dimension], strides))
    return [hostArray(aval, data)]
  },
  lower: (context, operands, { dimension }, [aval]) => {
    const starts = startsAlong(operands, dimension)
    const pieces = operands.map((value, i) => ({
      value,
      start: aval.shape.map((_, axis) => (axis === dimension ? starts[i] : 0)),
      step: aval.shape.map(() => 1),
    }))
    return [
      context.assemble(
        aval,
        null,
        pieces.filter(({ value }) => value.aval.size > 0),
      ),
    ]
  },
})

/** The operands one after the other along an existing axis. */
export const concatenate: Operation<
  [operands: readonly NDArray[], params: ConcatenateParams],
  ConcatenateParams
> = operation(concatenatePrimitive, (operands: readonly NDArray[], params: ConcatenateParams) =>
  operands.length === 1 ? operands[0] : bindConcatenate(operands, params),
)

// --- iota --------------------------------------------------------------------------------------------------

export type IotaParams = {
  readonly dtype: DType
  readonly shape: Shape
  readonly dimension: number
  readonly sharding: null
}

const bindIota = (params: Omit<IotaParams, 'sharding'>): NDArray =>
  bind1(iotaPrimitive, [], { ...params, sharding: null })

const iotaPrimitive: Primitive<IotaParams> = definePrimitive<IotaParams>({
  name: 'iota',
  abstractEval: (_operands, { dtype, shape, dimension }) => {
    const aval = new Aval(shape, dtype)
    checkAxes('iota', aval, [dimension])
    return [aval]
  },
  jvp: discreteResult((_primals, params) => [bindIota(params)]),
  transpose: nonlinear,
  batch: (_axis, _operands, _dims, params) => ({ outputs: [bindIota(params)], dims: [null] }),
  evaluate: (_operands, { dimension }, [aval]) => {
    const data = allocateHost(aval.dtype, aval.size)
    forEachIndex(aval.shape, (index, flat) => {
      data[flat] = index[dimension]
    })
    return [hostArray(aval, data)]
  },
  lower: (context, _operands, { dimension }, [aval]) => [context.iota(aval, dimension)],
})

/** An array that counts 0, 1, 2, … along one axis. */
export const iota: Operation<[params: Omit<IotaParams, 'sharding'>], IotaParams> = operation(
  iotaPrimitive,
  bindIota,
)
