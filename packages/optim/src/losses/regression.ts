/** Losses of numbers and vectors, elementwise or per vector. */
import { np, type ArrayLike, type NDArray } from '@adjoint/core'
import type { Scalar } from '../hyperparameters'

/** `(predictions − targets)²`, elementwise. */
export const squaredError = (predictions: NDArray, targets: ArrayLike = 0): NDArray =>
  np.square(np.subtract(predictions, targets))

/** `½ (predictions − targets)²`, elementwise. */
export const l2Loss = (predictions: NDArray, targets: ArrayLike = 0): NDArray =>
  np.multiply(0.5, squaredError(predictions, targets))

/**
 * Quadratic up to `delta`, linear beyond, elementwise.
 * Huber, "Robust Estimation of a Location Parameter" (1964).
 */
export function huber(
  predictions: NDArray,
  targets: ArrayLike = 0,
  options: Scalar | { readonly delta?: Scalar } = {},
): NDArray {
  const delta = typeof options === 'number' || 'shape' in options ? options : (options.delta ?? 1)
  const distance = np.abs(np.subtract(predictions, targets))
  const quadratic = np.minimum(distance, delta)
  return np.add(
    np.multiply(0.5, np.square(quadratic)),
    np.multiply(delta, np.subtract(distance, quadratic)),
  )
}

/** `log cosh(predictions − targets)`, elementwise: like `l2Loss` near 0, like the distance far out. */
export function logCosh(predictions: NDArray, targets: ArrayLike = 0): NDArray {
  const error = np.subtract(predictions, targets)
  return np.subtract(np.logaddexp(error, np.negative(error)), Math.LN2)
}

export interface CosineOptions {
  /** The least squared norm, below which a vector counts as this long. */
  readonly epsilon?: Scalar
  readonly axis?: number | readonly number[]
  readonly where?: NDArray
}

/** The cosine of the angle between vectors. */
export function cosineSimilarity(
  predictions: NDArray,
  targets: NDArray,
  options: CosineOptions = {},
): NDArray {
  const { epsilon = 0, axis = -1, where } = options
  const mask = where === undefined ? {} : { where }
  const unit = (x: NDArray): NDArray => {
    const square = np.sum(np.square(x), { axis, keepdims: true, ...mask })
    return np.divide(x, np.sqrt(np.maximum(square, epsilon)))
  }
  return np.sum(np.multiply(unit(predictions), unit(targets)), { axis, ...mask })
}

/** `1 − cosineSimilarity`. */
export const cosineDistance = (
  predictions: NDArray,
  targets: NDArray,
  options: CosineOptions = {},
): NDArray => np.subtract(1, cosineSimilarity(predictions, targets, options))
