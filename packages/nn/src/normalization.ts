/** Layers that give features zero mean and unit variance. Statistics are taken in float32 at least. */
import {
  ArgumentError,
  type DType,
  type Key,
  lax,
  np,
  random,
  ShapeError,
  type NDArray,
} from '@adjoint/core'
import { checkOptions, isFloating } from '@adjoint/core/internal'
import { pmean, stopGradient } from '@adjoint/transforms'
import { type Initializer, ones, zeros } from './initializers'
import { type Layer, requireParams } from './layer'
import { requireFeatures } from './linear'

export interface ScaleParams {
  /** `[features]` */
  readonly scale: NDArray
}

export interface BiasParams {
  /** `[features]` */
  readonly bias: NDArray
}

export interface NormParams extends ScaleParams, BiasParams {}

/** A layer that neither scales nor shifts has nothing to learn. */
export type NoParams = Readonly<Record<string, never>>

export interface NormOptions {
  /** Added to the variance; 1e-6 unless given, and 1e-5 in `batchNorm`: Flax's and PyTorch's. */
  readonly eps?: number
  /** Whether there is a learned scale; true unless given. */
  readonly useScale?: boolean
  /** Whether there is a learned shift; true unless given. */
  readonly useBias?: boolean
  /** Ones unless given. */
  readonly scaleInit?: Initializer
  /** Zeros unless given. */
  readonly biasInit?: Initializer
}

const normNames = ['eps', 'useScale', 'useBias', 'scaleInit', 'biasInit'] as const

/** Options that are not given. */
interface Defaults {
  readonly useScale?: true
  readonly useBias?: true
}

/** What options say of a flag: true where they do not name it. */
type Flag<O, Name extends string> = O extends { readonly [K in Name]?: infer Value }
  ? unknown extends Value
    ? true
    : Exclude<Value, undefined>
  : true

/** The parameters that a norm with these options has; both optional where only a run will tell. */
export type NormParamsOf<O> = [Flag<O, 'useScale'>, Flag<O, 'useBias'>] extends infer Flags
  ? [true, true] extends Flags
    ? [Flags] extends [[true, true]]
      ? NormParams
      : Partial<NormParams>
    : Flags extends [true, false]
      ? ScaleParams
      : Flags extends [false, true]
        ? BiasParams
        : Flags extends [false, false]
          ? NoParams
          : Partial<NormParams>
  : never

/** Parameters of a norm, whichever it has. */
type SomeParams = Partial<NormParams>

function normInit(features: number, key: Key, options: NormOptions): SomeParams {
  const { useScale = true, useBias = true, scaleInit = ones, biasInit = zeros } = options
  const biasKey = options.biasInit ? random.foldIn(key, 1) : key
  return {
    ...(useScale && { scale: scaleInit(key, [features]) }),
    ...(useBias && { bias: biasInit(biasKey, [features]) }),
  }
}

/** Scaled and shifted, as far as there are parameters to do it. */
function affine(x: NDArray, { scale, bias }: SomeParams): NDArray {
  const scaled = scale ? np.multiply(x, scale) : x
  return bias ? np.add(scaled, bias) : scaled
}

const widened = (x: NDArray): NDArray =>
  x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.astype('float32') : x

/** The dtype of results: of integers there are none that would do. */
const floatingOf = (x: NDArray): DType => (isFloating(x.dtype) ? x.dtype : 'float32')

/** `(x − mean) / √(variance + eps) · scale + bias`, in the dtype of `x`, or float32. */
function normalized(
  x: NDArray,
  mean: NDArray,
  variance: NDArray,
  eps: number,
  { scale, bias }: SomeParams,
): NDArray {
  const factor = affine(lax.rsqrt(np.add(variance, eps)), scale ? { scale } : {})
  const scaled = np.multiply(np.subtract(widened(x), mean), factor)
  return affine(scaled, bias ? { bias } : {}).astype(floatingOf(x))
}

/**
 * Zero mean and unit variance over the last axis, then scale and shift: shape `[..., features]`
 * kept. Ba et al. 2016.
 *
 * @param options.useBias whether it shifts; `{ useScale: false, useBias: false }` has no parameters
 * @throws ShapeError when the last axis is not `features` long
 * @example
 * const layer = layerNorm(3, { useBias: false })
 * layer.init(random.key(0)).params // { scale: Array([1., 1., 1.], dtype=float32) }
 */
export function layerNorm<const O extends NormOptions = Defaults>(
  features: number,
  options?: O,
): Layer<NormParamsOf<O>>
export function layerNorm(features: number, options: NormOptions = {}): object {
  const op = `layerNorm(${features})`
  const { eps = 1e-6 } = checkOptions(op, options, normNames)
  return {
    init: (key) => ({ params: normInit(features, key, options), state: null }),
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireFeatures(op, x, features, 'features')
      const own = widened(x)
      const mean = np.mean(own, { axis: -1, keepdims: true })
      const centred = np.subtract(own, mean)
      const variance = np.mean(np.square(centred), { axis: -1, keepdims: true })
      const normal = np.multiply(centred, lax.rsqrt(np.add(variance, eps)))
      return [affine(normal, params).astype(floatingOf(x)), null]
    },
  } satisfies Layer<SomeParams>
}

/**
 * `x / √(mean(x²) + eps) · scale` over the last axis: shape `[..., features]` kept. Zhang & Sennrich
 * 2019.
 *
 * @param options.useScale whether it scales; true unless given
 * @throws ShapeError when the last axis is not `features` long
 * @example
 * const layer = rmsNorm(2)
 * layer.apply(layer.init(random.key(0)), np.array([3, 4]))[0] // Array([0.8485281, 1.1313708], dtype=float32)
 */
export function rmsNorm<const O extends Omit<NormOptions, 'useBias' | 'biasInit'> = Defaults>(
  features: number,
  options?: O,
): Layer<NormParamsOf<O & { readonly useBias: false }>>
export function rmsNorm(features: number, options: NormOptions = {}): object {
  const op = `rmsNorm(${features})`
  const { eps = 1e-6 } = checkOptions(op, options, ['eps', 'useScale', 'scaleInit'])
  return {
    init: (key) => ({
      params: normInit(features, key, { ...options, useBias: false }),
      state: null,
    }),
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireFeatures(op, x, features, 'features')
      const own = widened(x)
      const meanSquare = np.mean(np.square(own), { axis: -1, keepdims: true })
      const normal = np.multiply(own, lax.rsqrt(np.add(meanSquare, eps)))
      return [affine(normal, params).astype(floatingOf(x)), null]
    },
  } satisfies Layer<SomeParams>
}

export interface GroupNormOptions extends NormOptions {
  /** How many axes before the features belong to one example; 2 (an image) unless given. */
  readonly spatialAxes?: number
}

/**
 * Zero mean and unit variance over the positions and one group of features of each example, then
 * scale and shift: shape `[..., position..., features]`. Wu & He 2018. With as many groups as
 * features it is instance norm.
 *
 * @throws ShapeError when the groups do not divide the features
 * @example
 * const layer = groupNorm(2, 4)
 * layer.apply(layer.init(random.key(0)), np.ones([8, 8, 4]))[0].shape // [ 8, 8, 4 ]
 */
export function groupNorm<const O extends GroupNormOptions = Defaults>(
  groups: number,
  features: number,
  options?: O,
): Layer<NormParamsOf<O>>
export function groupNorm(
  groups: number,
  features: number,
  options: GroupNormOptions = {},
): object {
  const op = `groupNorm(${groups}, ${features})`
  checkOptions(op, options, [...normNames, 'spatialAxes'])
  const { eps = 1e-6, spatialAxes = 2 } = options
  if (features % groups !== 0) {
    throw new ShapeError({
      op,
      problem: `${groups} groups do not divide ${features} features`,
      rule: 'features is a multiple of groups',
    })
  }
  return {
    init: (key) => ({ params: normInit(features, key, options), state: null }),
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireFeatures(op, x, features, 'features')
      if (x.ndim <= spatialAxes) {
        throw new ShapeError({
          op,
          problem: `x has fewer than ${spatialAxes + 1} axes`,
          operands: [{ name: 'x', aval: x.aval }],
          rule: `x has shape [..., position..., features], with ${spatialAxes} axes of positions`,
          hint: 'spatialAxes says how many there are',
        })
      }
      const grouped = widened(x).reshape([...x.shape.slice(0, -1), groups, features / groups])
      const axis = [...Array.from({ length: spatialAxes }, (_, i) => -3 - i), -1]
      const mean = np.mean(grouped, { axis, keepdims: true })
      const centred = np.subtract(grouped, mean)
      const variance = np.mean(np.square(centred), { axis, keepdims: true })
      const normal = np.multiply(centred, lax.rsqrt(np.add(variance, eps))).reshape(x.shape)
      return [affine(normal, params).astype(floatingOf(x)), null]
    },
  } satisfies Layer<SomeParams>
}

export interface BatchNormState {
  /** `[features]`: the running mean. */
  readonly mean: NDArray
  /** `[features]`: the running variance (of the batch, not of the population). */
  readonly variance: NDArray
}

export interface BatchNormOptions extends NormOptions {
  /** How much of the running statistics a batch leaves as they are; 0.99 unless given. */
  readonly momentum?: number
  /** The axis of a `vmap` or `pmap` whose examples make one batch together. */
  readonly axisName?: string
}

/**
 * Zero mean and unit variance of each feature over all other axes of the batch, then scale and
 * shift; outside training by the running statistics in the state. Shape `[..., features]` kept.
 * Ioffe & Szegedy 2015.
 *
 * @param options.momentum what remains of the running statistics, as in Flax: PyTorch's momentum is
 *   1 minus it, and its running variance is that of the population
 * @example
 * const layer = batchNorm(2)
 * const variables = layer.init(random.key(0))
 * const [, next] = layer.apply(variables, np.ones([8, 2]), { train: true })
 * next.mean // Array([0.01, 0.01], dtype=float32)
 */
export function batchNorm<const O extends BatchNormOptions = Defaults>(
  features: number,
  options?: O,
): Layer<NormParamsOf<O>, BatchNormState>
export function batchNorm(features: number, options: BatchNormOptions = {}): object {
  const op = `batchNorm(${features})`
  checkOptions(op, options, [...normNames, 'momentum', 'axisName'])
  const { eps = 1e-5, momentum = 0.99, axisName } = options
  const across = (x: NDArray): NDArray => (axisName === undefined ? x : pmean(x, axisName))
  return {
    init: (key) => ({
      params: normInit(features, key, options),
      state: { mean: np.zeros([features]), variance: np.ones([features]) },
    }),
    apply: ({ params, state }, x, context = {}) => {
      requireParams(op, params)
      requireFeatures(op, x, features, 'features')
      if (state === undefined || state === null) {
        throw new ArgumentError({
          op,
          problem: 'there is no state',
          rule: 'the running statistics come in as state, and go out as state',
          hint: 'layer.apply({ params, state }, x), with what layer.init(key) returned',
        })
      }
      if (!context.train) {
        return [normalized(x, state.mean, state.variance, eps, params), state]
      }
      const axis = Array.from({ length: x.ndim - 1 }, (_, i) => i)
      const own = widened(x)
      const mean = across(np.mean(own, { axis }))
      const variance = across(np.mean(np.square(np.subtract(own, mean)), { axis }))
      const running = (old: NDArray, now: NDArray): NDArray =>
        np.add(np.multiply(momentum, old), np.multiply(1 - momentum, stopGradient(now)))
      return [
        normalized(x, mean, variance, eps, params),
        { mean: running(state.mean, mean), variance: running(state.variance, variance) },
      ]
    },
  } satisfies Layer<SomeParams, BatchNormState>
}
