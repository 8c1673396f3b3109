/** Layers that give features zero mean and unit variance. Statistics are taken in float32 at least. */
import { lax, np, ShapeError, type NDArray } from '@adjoint/core'
import { pmean, stopGradient } from '@adjoint/transforms'
import type { Layer } from './layer'
import { requireFeatures } from './linear'

export interface ScaleParams {
  /** `[features]` */
  readonly scale: NDArray
}

export interface NormParams extends ScaleParams {
  /** `[features]` */
  readonly bias: NDArray
}

const normInit = (features: number): { params: NormParams; state: null } => ({
  params: { scale: np.ones([features]), bias: np.zeros([features]) },
  state: null,
})

const widened = (x: NDArray): NDArray =>
  x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.astype('float32') : x

/** `(x − mean) / √(variance + eps) · scale + bias`, in the dtype of `x`. */
function normalized(
  x: NDArray,
  mean: NDArray,
  variance: NDArray,
  eps: number,
  params: NormParams,
): NDArray {
  const factor = np.multiply(lax.rsqrt(np.add(variance, eps)), params.scale)
  return np.add(np.multiply(np.subtract(widened(x), mean), factor), params.bias).astype(x.dtype)
}

/** Zero mean and unit variance over the last axis, then scale and shift. Ba et al. 2016. */
export function layerNorm(
  features: number,
  options: { readonly eps?: number } = {},
): Layer<NormParams> {
  const { eps = 1e-6 } = options
  return {
    init: () => normInit(features),
    apply: ({ params }, x) => {
      requireFeatures(`layerNorm(${features})`, x, features, 'features')
      const own = widened(x)
      const mean = np.mean(own, { axis: -1, keepdims: true })
      const centred = np.subtract(own, mean)
      const variance = np.mean(np.square(centred), { axis: -1, keepdims: true })
      const normal = np.multiply(centred, lax.rsqrt(np.add(variance, eps)))
      return [np.add(np.multiply(normal, params.scale), params.bias).astype(x.dtype), null]
    },
  }
}

/** `x / √(mean(x²) + eps) · scale` over the last axis. Zhang & Sennrich 2019. */
export function rmsNorm(
  features: number,
  options: { readonly eps?: number } = {},
): Layer<ScaleParams> {
  const { eps = 1e-6 } = options
  return {
    init: () => ({ params: { scale: np.ones([features]) }, state: null }),
    apply: ({ params }, x) => {
      requireFeatures(`rmsNorm(${features})`, x, features, 'features')
      const own = widened(x)
      const meanSquare = np.mean(np.square(own), { axis: -1, keepdims: true })
      const normal = np.multiply(own, lax.rsqrt(np.add(meanSquare, eps)))
      return [np.multiply(normal, params.scale).astype(x.dtype), null]
    },
  }
}

export interface GroupNormOptions {
  readonly eps?: number
  /** How many axes before the features belong to one example; 2 (an image) unless given. */
  readonly spatialAxes?: number
}

/**
 * Zero mean and unit variance over the positions and one group of features of each example, then
 * scale and shift: shape `[..., position..., features]`. Wu & He 2018. With as many groups as
 * features it is instance norm.
 *
 * @throws ShapeError when the groups do not divide the features
 */
export function groupNorm(
  groups: number,
  features: number,
  options: GroupNormOptions = {},
): Layer<NormParams> {
  const { eps = 1e-6, spatialAxes = 2 } = options
  const op = `groupNorm(${groups}, ${features})`
  if (features % groups !== 0) {
    throw new ShapeError({
      op,
      problem: `${groups} groups do not divide ${features} features`,
      rule: 'features is a multiple of groups',
    })
  }
  return {
    init: () => normInit(features),
    apply: ({ params }, x) => {
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
      return [np.add(np.multiply(normal, params.scale), params.bias).astype(x.dtype), null]
    },
  }
}

export interface BatchNormState {
  /** `[features]`: the running mean. */
  readonly mean: NDArray
  /** `[features]`: the running variance (of the batch, not of the population). */
  readonly variance: NDArray
}

export interface BatchNormOptions {
  readonly eps?: number
  /** How much of the running statistics a batch leaves as they are; 0.99 unless given. */
  readonly momentum?: number
  /** The axis of a `vmap` or `pmap` whose examples make one batch together. */
  readonly axisName?: string
}

/**
 * Zero mean and unit variance of each feature over all other axes of the batch, then scale and
 * shift; outside training by the running statistics in the state. Ioffe & Szegedy 2015.
 */
export function batchNorm(
  features: number,
  options: BatchNormOptions = {},
): Layer<NormParams, BatchNormState> {
  const { eps = 1e-5, momentum = 0.99, axisName } = options
  const across = (x: NDArray): NDArray => (axisName === undefined ? x : pmean(x, axisName))
  return {
    init: () => ({
      params: normInit(features).params,
      state: { mean: np.zeros([features]), variance: np.ones([features]) },
    }),
    apply: ({ params, state }, x, context = {}) => {
      requireFeatures(`batchNorm(${features})`, x, features, 'features')
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
  }
}
