/** Losses of numbers and vectors, elementwise or per vector. */
import { type ArrayLike, NDArray, np, ShapeError } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Scalar } from '../hyperparameters'

/** `[n]` against `[n, 1]` would be all n² differences: a mistake, as in Optax. */
function requireOneShape(op: string, predictions: NDArray, targets: ArrayLike): void {
  if (!(targets instanceof NDArray) || targets.ndim === 0) return
  const { shape } = targets
  if (shape.length === predictions.ndim && predictions.shape.every((n, i) => n === shape[i])) return
  throw new ShapeError({
    op: `${op}(predictions, targets)`,
    problem: 'there is not one target for each prediction',
    operands: [
      { name: 'predictions', aval: predictions.aval },
      { name: 'targets', aval: targets.aval },
    ],
    rule: 'both have one shape',
    hint: 'squeeze or reshape one of them; np.broadcastTo repeats on purpose',
  })
}

/**
 * `(predictions − targets)²`, elementwise.
 *
 * @throws ShapeError unless both have one shape
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * squaredError(a, b) // Array([0. , 4. , 0.25], dtype=float32)
 */
export function squaredError(predictions: NDArray, targets: ArrayLike = 0): NDArray {
  requireOneShape('squaredError', predictions, targets)
  return np.square(np.subtract(predictions, targets))
}

/**
 * `½ (predictions − targets)²`, elementwise.
 *
 * @throws ShapeError unless both have one shape
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * l2Loss(a, b) // Array([0. , 2. , 0.125], dtype=float32)
 */
export function l2Loss(predictions: NDArray, targets: ArrayLike = 0): NDArray {
  requireOneShape('l2Loss', predictions, targets)
  return np.multiply(0.5, np.square(np.subtract(predictions, targets)))
}

/**
 * Quadratic up to `delta`, linear beyond, elementwise.
 * Huber, "Robust Estimation of a Location Parameter" (1964).
 *
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * huber(a, b) // Array([0. , 1.5 , 0.125], dtype=float32)
 */
export function huber(
  predictions: NDArray,
  targets: ArrayLike = 0,
  options: Scalar | { readonly delta?: Scalar } = {},
): NDArray {
  const isDelta = typeof options === 'number' || options instanceof NDArray
  const { delta = 1 } = isDelta ? { delta: options } : checkOptions('huber', options, ['delta'])
  const distance = np.abs(np.subtract(predictions, targets))
  const quadratic = np.minimum(distance, delta)
  return np.add(
    np.multiply(0.5, np.square(quadratic)),
    np.multiply(delta, np.subtract(distance, quadratic)),
  )
}

/**
 * `log cosh(predictions − targets)`, elementwise: like `l2Loss` near 0, like the distance far out.
 *
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * logCosh(a, b) // Array([0. , 1.3250027 , 0.12011451], dtype=float32)
 */
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

/**
 * The cosine of the angle between vectors.
 *
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * cosineSimilarity(a, b) // Array(0.963624, dtype=float32)
 */
export function cosineSimilarity(
  predictions: NDArray,
  targets: NDArray,
  options: CosineOptions = {},
): NDArray {
  checkOptions('cosineSimilarity', options, ['epsilon', 'axis', 'where'])
  const { epsilon = 0, axis = -1, where } = options
  const mask = where === undefined ? {} : { where }
  const unit = (x: NDArray): NDArray => {
    const square = np.sum(np.square(x), { axis, keepdims: true, ...mask })
    return np.divide(x, np.sqrt(np.maximum(square, epsilon)))
  }
  return np.sum(np.multiply(unit(predictions), unit(targets)), { axis, ...mask })
}

/**
 * `1 − cosineSimilarity`.
 *
 * @example
 * const [a, b] = [np.array([1, 2, 3]), np.array([1, 4, 3.5])]
 * cosineDistance(a, b) // Array(0.036376, dtype=float32)
 */
export const cosineDistance = (
  predictions: NDArray,
  targets: NDArray,
  options: CosineOptions = {},
): NDArray => {
  checkOptions('cosineDistance', options, ['epsilon', 'axis', 'where'])
  return np.subtract(1, cosineSimilarity(predictions, targets, options))
}
