/** Layers whose weight is a function of what is learned. */
import { np, random, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { stopGradient } from '@adjoint/transforms'
import type { Layer } from './layer'

/** Parameters with a weight whose last axis is that of the outputs. */
interface Weighted {
  readonly weight: NDArray
}

export interface SpectralNormState<S> {
  readonly layer: S
  /** `[outputs]`: the right singular vector as far as it is known. */
  readonly direction: NDArray
}

/**
 * A layer whose weight, as a matrix `[..., outputs]`, is divided by its largest singular value.
 * Miyato et al. 2018. The value comes from power iteration, which goes on from step to step: the
 * state holds where it is, and moves on while training.
 *
 * @param options.iterations steps of power iteration per application; 1 unless given
 * @example
 * const layer = spectralNorm(linear(3, 2))
 * const { params, state } = layer.init(random.key(0))
 * const [, next] = layer.apply({ params, state }, np.ones([3]), { train: true })
 * next.direction.shape // [ 2 ]
 */
export function spectralNorm<P extends Weighted, S>(
  layer: Layer<P, S>,
  options: { readonly iterations?: number; readonly eps?: number } = {},
): Layer<P, SpectralNormState<S>> {
  const { iterations = 1, eps = 1e-12 } = checkOptions('spectralNorm(layer)', options, [
    'iterations',
    'eps',
  ])
  const unit = (v: NDArray): NDArray =>
    np.divide(v, np.sqrt(np.maximum(np.sum(np.square(v)), eps * eps)))
  return {
    ...layer,
    init: (key) => {
      const [layerKey, directionKey] = random.split(key)
      const { params, state } = layer.init(layerKey)
      const outputs = params.weight.shape.at(-1) ?? 1
      const direction = unit(random.normal(directionKey, [outputs]))
      return { params, state: { layer: state, direction } }
    },
    apply: ({ params, state }, x, context = {}) => {
      const matrix = params.weight.reshape([-1, params.weight.shape.at(-1) ?? 1])
      const fixed = stopGradient(matrix)
      let right = state.direction
      let left = unit(np.matmul(fixed, right))
      for (let i = 0; i < iterations; i++) {
        right = unit(np.matmul(left, fixed))
        left = unit(np.matmul(fixed, right))
      }
      const value = np.dot(left, np.matmul(matrix, right))
      const weight = np.divide(params.weight, np.where(np.equal(value, 0), 1, value))
      const [y, next] = layer.apply(
        { params: { ...params, weight }, state: state.layer },
        x,
        context,
      )
      return [y, { layer: next, direction: context.train ? right : state.direction }]
    },
    withCache: (state, cacheOptions) => ({
      ...state,
      layer: layer.withCache?.(state.layer, cacheOptions) ?? state.layer,
    }),
  }
}

export interface WeightNormParams<P> {
  readonly layer: P
  /** `[outputs]`: the norm of each output's weights. */
  readonly scale: NDArray
}

/**
 * A layer whose weight is a direction times a learned norm, output by output. Salimans & Kingma
 * 2016. It starts out as the layer itself.
 *
 * @example
 * const layer = weightNorm(linear(3, 2))
 * layer.init(random.key(0)).params.scale.shape // [ 2 ]
 */
export function weightNorm<P extends Weighted, S>(
  layer: Layer<P, S>,
): Layer<WeightNormParams<P>, S> {
  const normOf = (weight: NDArray): NDArray => {
    const axis = Array.from({ length: weight.ndim - 1 }, (_, i) => i)
    return np.sqrt(np.sum(np.square(weight), { axis }))
  }
  return {
    ...layer,
    init: (key) => {
      const { params, state } = layer.init(key)
      return { params: { layer: params, scale: normOf(params.weight) }, state }
    },
    apply: ({ params, state }, x, context) => {
      const direction = params.layer.weight
      const weight = np.multiply(direction, np.divide(params.scale, normOf(direction)))
      return layer.apply({ params: { ...params.layer, weight }, state }, x, context)
    },
  }
}
