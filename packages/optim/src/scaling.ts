/** Transformations that scale updates by something known: a constant, a schedule, a norm, a sign. */
import { np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, requireRate, type Scalar, times, zeroCount } from './hyperparameters'
import type { ScalarOrSchedule, Schedule } from './schedules'
import {
  globalNorm,
  type GradientTransformation,
  identity,
  mapLeaves,
  requireExtra,
  requireParams,
  squaredNorm,
  stateless,
  transformation,
} from './transformation'

/**
 * Multiplies every update by a constant.
 *
 * @example
 * const t = scale(-0.1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([-0.3, -0.4], dtype=float32)
 */
export const scale = (stepSize: Scalar): GradientTransformation =>
  stateless((grads) => mapLeaves((g) => np.multiply(g, stepSize).astype(g.dtype), grads))

/**
 * Multiplies every update by a function of how many updates were done before.
 *
 * @example
 * const t = scaleBySchedule((count) => np.divide(1, np.add(count, 2)))
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1.5, 2. ], dtype=float32)
 */
export function scaleBySchedule(stepSizeFn: Schedule): GradientTransformation {
  return transformation<{ count: NDArray }>({
    init: () => ({ count: zeroCount() }),
    update: (grads, state) => {
      const factor = stepSizeFn(state.count)
      return [
        mapLeaves((g) => np.multiply(g, factor).astype(g.dtype), grads),
        { count: increment(state.count) },
      ]
    },
  })
}

/**
 * The last link of an optimiser: minus the learning rate, constant or scheduled.
 *
 * @example
 * const t = scaleByLearningRate(0.1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([-0.3, -0.4], dtype=float32)
 */
export function scaleByLearningRate(
  learningRate: ScalarOrSchedule | null,
  options: { readonly flipSign?: boolean } = {},
): GradientTransformation {
  checkOptions('scaleByLearningRate', options, ['flipSign'])
  const { flipSign = true } = options
  if (learningRate === null) return identity
  requireRate(learningRate)
  if (typeof learningRate === 'function') {
    return scaleBySchedule((count) =>
      flipSign ? np.negative(learningRate(count)) : learningRate(count),
    )
  }
  return scale(flipSign ? times(-1, learningRate) : learningRate)
}

/**
 * Keeps the signs only.
 *
 * @example
 * const t = scaleBySign()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1., 1.], dtype=float32)
 */
export const scaleBySign = (): GradientTransformation =>
  stateless((grads) => mapLeaves((g) => np.sign(g), grads))

const norm = (x: NDArray): NDArray => np.sqrt(np.sum(np.square(x)))
const rootMeanSquare = (x: NDArray): NDArray => np.sqrt(np.mean(np.square(x)))

/**
 * Multiplies each update by the norm of its parameter, at least `minScale`.
 *
 * @example
 * const t = scaleByParamBlockNorm()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads)[0].w // Array([15., 20.], dtype=float32)
 */
export function scaleByParamBlockNorm(
  options: { readonly minScale?: Scalar } = {},
): GradientTransformation {
  const { minScale = 1e-3 } = checkOptions('scaleByParamBlockNorm', options, ['minScale'])
  return stateless((grads, params) =>
    mapLeaves(
      (g, p) => np.multiply(g, np.maximum(norm(p), minScale)).astype(g.dtype),
      grads,
      requireParams('scaleByParamBlockNorm', params),
    ),
  )
}

/**
 * Multiplies each update by the root mean square of its parameter, at least `minScale`.
 *
 * @example
 * const t = scaleByParamBlockRms()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads)[0].w // Array([10.606602, 14.142136], dtype=float32)
 */
export function scaleByParamBlockRms(
  options: { readonly minScale?: Scalar } = {},
): GradientTransformation {
  const { minScale = 1e-3 } = checkOptions('scaleByParamBlockRms', options, ['minScale'])
  return stateless((grads, params) =>
    mapLeaves(
      (g, p) => np.multiply(g, np.maximum(rootMeanSquare(p), minScale)).astype(g.dtype),
      grads,
      requireParams('scaleByParamBlockRms', params),
    ),
  )
}

/**
 * Makes the norm of each update proportional to that of its parameter.
 * You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks" (2017), equation 6.
 *
 * @example
 * const t = scaleByTrustRatio({ trustCoefficient: 0.1 })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads)[0].w // Array([0.3, 0.4], dtype=float32)
 */
export function scaleByTrustRatio(
  options: {
    readonly minNorm?: Scalar
    readonly trustCoefficient?: Scalar
    readonly eps?: Scalar
  } = {},
): GradientTransformation {
  checkOptions('scaleByTrustRatio', options, ['minNorm', 'trustCoefficient', 'eps'])
  const { minNorm = 0, trustCoefficient = 1, eps = 0 } = options
  const scaled = (g: NDArray, p: NDArray): NDArray => {
    const paramNorm = np.maximum(norm(p), minNorm)
    const updateNorm = np.maximum(norm(g), minNorm)
    const ratio = np.divide(np.multiply(trustCoefficient, paramNorm), np.add(updateNorm, eps))
    // A parameter that is 0 would never leave it.
    const still = np.logicalOr(np.equal(paramNorm, 0), np.equal(updateNorm, 0))
    return np.multiply(g, np.where(still, 1, ratio)).astype(g.dtype)
  }
  return stateless((grads, params) =>
    mapLeaves(scaled, grads, requireParams('scaleByTrustRatio', params)),
  )
}

/**
 * Divides all updates by their global norm, and multiplies them by `scaleFactor`.
 *
 * @example
 * const t = normalizeByUpdateNorm({ scaleFactor: 2 })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1.1940445, 1.5920593], dtype=float32)
 */
export function normalizeByUpdateNorm(
  options: { readonly scaleFactor?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation {
  const { scaleFactor = 1, eps = 1e-6 } = checkOptions('normalizeByUpdateNorm', options, [
    'scaleFactor',
    'eps',
  ])
  return stateless((grads) => {
    const divisor = np.divide(np.add(globalNorm(grads), eps), scaleFactor)
    return mapLeaves((g) => np.divide(g, divisor).astype(g.dtype), grads)
  })
}

/**
 * Polyak's step size, from the extra argument `value` and a lower bound of the loss:
 * `min((value − fMin) / ‖g‖², maxLearningRate)`. Loizou et al., "Stochastic Polyak Step-size" (2021).
 *
 * @example
 * const t = scaleByPolyak()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads, { value: 5 })[0].w
 * // Array([0.5940594, 0.7920792], dtype=float32)
 */
export function scaleByPolyak(
  options: {
    readonly fMin?: Scalar
    readonly maxLearningRate?: Scalar
    readonly eps?: Scalar
    readonly variant?: 'sps' | 'sps+'
  } = {},
): GradientTransformation {
  checkOptions('scaleByPolyak', options, ['fMin', 'maxLearningRate', 'eps', 'variant'])
  const { fMin = 0, maxLearningRate = 1, eps = 0, variant = 'sps' } = options
  return stateless((grads, _params, extra) => {
    const { value } = requireExtra('scaleByPolyak', extra, 'value')
    const square = np.add(squaredNorm(grads), eps)
    const gap = np.subtract(value, fMin)
    const step = np.minimum(
      np.divide(variant === 'sps+' ? np.maximum(gap, 0) : gap, square),
      maxLearningRate,
    )
    const safe = np.where(np.lessEqual(square, FLOAT64_EPS), 0, step)
    return mapLeaves((g) => np.multiply(g, safe).astype(g.dtype), grads)
  })
}

/** Optax compares with the spacing of the widest floats at 1. */
const FLOAT64_EPS = 2 ** -52

/**
 * Updates whose means over all axes but the first are 0. Yong et al., "Gradient Centralization"
 * (2020).
 *
 * @example
 * const t = centralize()
 * t.update(np.array([[1, 3], [2, 6]]), t.init(np.zeros([2, 2])))[0]
 * // Array([[-1.,  1.],
 * //        [-2.,  2.]], dtype=float32)
 */
export const centralize = (): GradientTransformation =>
  stateless((grads) =>
    mapLeaves((g) => {
      if (g.ndim < 2) return g
      const axes = g.shape.map((_, axis) => axis).slice(1)
      return np.subtract(g, np.mean(g, { axis: axes, keepdims: true }))
    }, grads),
  )

/**
 * Sets NaNs to zero; the state says which leaves had any.
 *
 * @example
 * const t = zeroNans()
 * t.update(np.array([NaN, 1]), t.init(np.zeros([2])))[0] // Array([0., 1.], dtype=float32)
 */
export const zeroNans = (): GradientTransformation =>
  transformation<{ foundNan: unknown }>({
    init: (params) => ({ foundNan: mapLeaves(() => np.array(false), params) }),
    update: (grads) => [
      mapLeaves((g) => np.where(np.isnan(g), 0, g).astype(g.dtype), grads),
      { foundNan: mapLeaves((g) => np.any(np.isnan(g)), grads) },
    ],
  })

/**
 * Changes updates that would make a parameter negative into ones that make it zero.
 *
 * @example
 * const t = chain(sgd(1), keepParamsNonnegative())
 * const w = np.array([0.5, 2])
 * t.update(np.array([1, 1]), t.init(w), w)[0] // Array([-0.5, -1. ], dtype=float32)
 */
export const keepParamsNonnegative = (): GradientTransformation =>
  stateless((grads, params) =>
    mapLeaves(
      (g, p) => np.where(np.less(np.add(p, g), 0), np.negative(p), g).astype(g.dtype),
      grads,
      requireParams('keepParamsNonnegative', params),
    ),
  )
