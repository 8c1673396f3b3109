/** Losses, elementwise or per example: means and weights are the caller's. */
import { np, special, type ArrayLike, type NDArray } from '@adjoint/core'

/**
 * Cross-entropy of softmax(logits) and integer labels, per example.
 *
 * `logits` has shape `[..., classes]`, `labels` integer `[...]`; the result is `[...]`:
 * `logsumexp(logits) − logits[label]`.
 *
 * @example
 * np.mean(softmaxCrossEntropyWithIntegerLabels(logits, labels))
 */
export function softmaxCrossEntropyWithIntegerLabels(logits: NDArray, labels: NDArray): NDArray {
  const chosen = np.takeAlongAxis(logits, np.expandDims(labels, -1), -1)
  return np.subtract(special.logsumexp(logits, { axis: -1 }), np.squeeze(chosen, -1))
}

/** Cross-entropy of softmax(logits) and label distributions over the last axis, per example. */
export function softmaxCrossEntropy(logits: NDArray, labels: NDArray): NDArray {
  const logProbabilities = np.subtract(
    logits,
    special.logsumexp(logits, { axis: -1, keepdims: true }),
  )
  return np.negative(np.sum(np.multiply(labels, logProbabilities), { axis: -1 }))
}

/** Binary cross-entropy of logistic(logits), elementwise and stable: `max(x,0) − x·y + log1p(e^−|x|)`. */
export function sigmoidBinaryCrossEntropy(logits: NDArray, labels: ArrayLike): NDArray {
  const softplus = np.log1p(np.exp(np.negative(np.abs(logits))))
  return np.add(np.subtract(np.maximum(logits, 0), np.multiply(logits, labels)), softplus)
}

/** `(predictions − targets)²`, elementwise. */
export const squaredError = (predictions: NDArray, targets: ArrayLike = 0): NDArray =>
  np.square(np.subtract(predictions, targets))

/** `½ (predictions − targets)²`, elementwise. */
export const l2Loss = (predictions: NDArray, targets: ArrayLike = 0): NDArray =>
  np.multiply(0.5, squaredError(predictions, targets))

/** Quadratic up to `delta`, linear beyond. Huber (1964). */
export function huber(predictions: NDArray, targets: ArrayLike = 0, delta = 1): NDArray {
  const distance = np.abs(np.subtract(predictions, targets))
  const quadratic = np.minimum(distance, delta)
  return np.add(
    np.multiply(0.5, np.square(quadratic)),
    np.multiply(delta, np.subtract(distance, quadratic)),
  )
}
