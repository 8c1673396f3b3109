/** Losses that arrange embeddings. */
import { lax, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { over, type Scalar } from '../hyperparameters'
import { cosineSimilarity } from './regression'

/**
 * How much farther positives are than negatives, with a margin, per example.
 * Balntas et al., "Learning local feature descriptors with triplets" (2016), equation 1.
 *
 * @example
 * const [anchor, near, far] = [np.array([0, 0]), np.array([0.5, 0]), np.array([1, 0])]
 * tripletMarginLoss(anchor, near, far) // Array(0.50000054, dtype=float32)
 */
export function tripletMarginLoss(
  anchors: NDArray,
  positives: NDArray,
  negatives: NDArray,
  options: {
    readonly axis?: number
    readonly normDegree?: Scalar
    readonly margin?: Scalar
    readonly eps?: Scalar
  } = {},
): NDArray {
  checkOptions('tripletMarginLoss', options, ['axis', 'normDegree', 'margin', 'eps'])
  const { axis = -1, normDegree = 2, margin = 1, eps = 1e-6 } = options
  const distance = (other: NDArray): NDArray => {
    const difference = np.subtract(anchors, other)
    const powers =
      normDegree === 2 ? np.square(difference) : np.power(np.abs(difference), normDegree)
    return np.power(np.add(np.sum(powers, { axis }), eps), over(1, normDegree))
  }
  return np.maximum(np.add(np.subtract(distance(positives), distance(negatives)), margin), 0)
}

/**
 * Normalized temperature-scaled cross-entropy: embeddings `[n, d]` of equal labels `[n]` attract.
 * Chen et al., "A Simple Framework for Contrastive Learning" (2020), equation 1.
 *
 * @returns the mean over all pairs of equal labels: a scalar
 * @example
 * const embeddings = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
 * ntxent(embeddings, np.array([0, 0, 1, 1])) // Array(1.1443998e-05, dtype=float32)
 */
export function ntxent(
  embeddings: NDArray,
  labels: NDArray,
  options: { readonly temperature?: Scalar } = {},
): NDArray {
  checkOptions('ntxent', options, ['temperature'])
  const similarity = np.divide(
    cosineSimilarity(np.expandDims(embeddings, 0), np.expandDims(embeddings, 1), {
      epsilon: np.finfo(embeddings.dtype).eps,
    }),
    options.temperature ?? 0.07,
  )
  const n = embeddings.shape[0]
  const isEqual = np.equal(np.expandDims(labels, 1), np.expandDims(labels, 0))
  const isPair = np.logicalAnd(isEqual, np.logicalNot(np.eye(n, { dtype: 'bool' })))
  const others = np.where(isEqual, -Infinity, similarity)
  const pairs = np.where(isPair, similarity, -Infinity)
  const largest = lax.stopGradient(np.max(np.maximum(others, pairs), { axis: 1, keepdims: true }))
  const shifted = np.where(isPair, np.subtract(similarity, largest), 0)
  const against = np.sum(np.exp(np.subtract(others, largest)), { axis: 1, keepdims: true })
  const logProbability = np.subtract(shifted, np.log(np.add(against, np.exp(shifted))))
  return np.divide(np.negative(np.sum(np.where(isPair, logProbability, 0))), np.sum(isPair))
}
