/** Losses of classes, elementwise or per example: means and weights are the caller's. */
import { type ArrayLike, DTypeError, type NDArray, np, ShapeError, special } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Scalar } from '../hyperparameters'
import { simplexThreshold } from '../projections'

/** Over which axes classes lie, and which of them there are. */
export interface ClassOptions {
  readonly axis?: number | readonly number[]
  /** Which classes take part; the others count as impossible. */
  readonly where?: NDArray
}

/** A mask with an axis for the classes, if it has none. */
const alignedMask = ({ axis = -1, where }: ClassOptions, like: NDArray): NDArray | undefined =>
  where !== undefined && where.ndim !== like.ndim ? np.expandDims(where, axis) : where

const masked = (where: NDArray | undefined): { readonly where?: NDArray } =>
  where === undefined ? {} : { where }

function logSoftmax(logits: NDArray, axis: number | readonly number[], where?: NDArray): NDArray {
  const total = special.logsumexp(logits, { axis, keepdims: true, ...masked(where) })
  const logProbabilities = np.subtract(logits, total)
  return where === undefined ? logProbabilities : np.where(where, logProbabilities, -Infinity)
}

/** `log(1 / (1 + e^−x))`, without overflow. */
const logSigmoid = (x: NDArray): NDArray => np.negative(np.logaddexp(np.negative(x), 0))

/**
 * Cross-entropy of softmax(logits) and integer labels, per example.
 *
 * `logits` has shape `[..., classes]`, `labels` integer `[...]`; the result is `[...]`:
 * `logsumexp(logits) − logits[label]`.
 *
 * @param options.labelSmoothing the part of each label that is spread evenly over all classes.
 *   Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7
 * @example
 * const [logits, labels] = [np.zeros([2, 4]), np.array([0, 3])]
 * np.mean(softmaxCrossEntropyWithIntegerLabels(logits, labels)) // Array(1.3862944, dtype=float32)
 */
export function softmaxCrossEntropyWithIntegerLabels(
  logits: NDArray,
  labels: NDArray,
  options: ClassOptions & { readonly labelSmoothing?: Scalar } = {},
): NDArray {
  checkOptions('softmaxCrossEntropyWithIntegerLabels', options, ['axis', 'where', 'labelSmoothing'])
  const { axis: axes = -1, labelSmoothing } = options
  const mask = alignedMask(options, logits)
  const [rows, rowMask, axis] =
    typeof axes === 'number'
      ? [logits, mask, axes]
      : [joinLast(logits, axes), mask === undefined ? mask : joinLast(mask, axes), -1]
  requireLabels(logits, labels, rows, axis)
  const chosen = np.squeeze(np.takeAlongAxis(rows, np.expandDims(labels, axis), axis), axis)
  const normalizer = special.logsumexp(rows, { axis, ...masked(rowMask) })
  const loss = np.subtract(normalizer, chosen)
  const smoothed =
    labelSmoothing === undefined
      ? loss
      : np.add(
          np.multiply(np.subtract(1, labelSmoothing), loss),
          np.multiply(
            labelSmoothing,
            np.subtract(normalizer, np.mean(rows, { axis, ...masked(rowMask) })),
          ),
        )
  return rowMask === undefined ? smoothed : np.where(np.any(rowMask, axis), smoothed, 0)
}

/** Refuses labels that are not one integer for each row of logits. */
function requireLabels(logits: NDArray, labels: NDArray, rows: NDArray, axis: number): void {
  const batch = rows.shape.filter((_, i) => i !== (axis < 0 ? axis + rows.ndim : axis))
  const isInteger = labels.dtype.includes('int')
  const fits =
    labels.ndim === batch.length &&
    batch.every((n, i) => n === labels.shape[i] || n === 1 || labels.shape[i] === 1)
  if (isInteger && fits) return
  throw new (isInteger ? ShapeError : DTypeError)({
    op: 'softmaxCrossEntropyWithIntegerLabels(logits, labels)',
    problem: isInteger ? 'there is not one label for each row of logits' : 'labels are no integers',
    operands: [
      { name: 'logits', aval: logits.aval },
      { name: 'labels', aval: labels.aval },
    ],
    rule: `labels are integers of shape [${batch.join(',')}], the numbers of classes`,
    hint: isInteger
      ? 'labels have no axis of classes'
      : 'softmaxCrossEntropy takes probabilities; labels.astype("int32") makes integers',
  })
}

/** The axes moved to the end in order, and made one. */
function joinLast(x: NDArray, axes: readonly number[]): NDArray {
  const last = axes.map((axis) => (axis < 0 ? axis + x.ndim : axis))
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !last.includes(axis))
  const moved = np.transpose(x, [...kept, ...last])
  return np.reshape(moved, [...kept.map((axis) => x.shape[axis]), -1])
}

/**
 * Cross-entropy of softmax(logits) and label distributions, per example.
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * const labels = np.array([[0.5, 0, 0.5]])
 * softmaxCrossEntropy(logits, labels) // Array([0.9913113], dtype=float32)
 */
export function softmaxCrossEntropy(
  logits: NDArray,
  labels: NDArray,
  options: ClassOptions = {},
): NDArray {
  checkOptions('softmaxCrossEntropy', options, ['axis', 'where'])
  const { axis = -1 } = options
  requireDistributions('softmaxCrossEntropy(logits, labels)', logits, labels)
  const where = alignedMask(options, logits)
  const terms = np.multiply(labels, logSoftmax(logits, axis, where))
  return np.negative(np.sum(terms, { axis, ...masked(where) }))
}

/** Refuses labels that are not a number for each class, up to broadcasting. */
function requireDistributions(op: string, logits: NDArray, labels: NDArray): void {
  const fits = labels.shape.every((n, i) => {
    const size = logits.shape.at(i - labels.ndim)
    return size === n || n === 1 || size === 1
  })
  if (fits && labels.ndim <= logits.ndim) return
  throw new ShapeError({
    op,
    problem: 'there is not one label for each class',
    operands: [
      { name: 'logits', aval: logits.aval },
      { name: 'labels', aval: labels.aval },
    ],
    rule: 'labels have the shape of the logits: a probability for each class',
    hint: 'softmaxCrossEntropyWithIntegerLabels takes the numbers of classes',
  })
}

/**
 * `softmaxCrossEntropy` where labels that are 0 count as 0 even of infinite logits.
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * const labels = np.array([[0.5, 0, 0.5]])
 * safeSoftmaxCrossEntropy(logits, labels) // Array([0.9913113], dtype=float32)
 */
export function safeSoftmaxCrossEntropy(logits: NDArray, labels: NDArray): NDArray {
  const isLabelled = np.notEqual(labels, 0)
  const logProbabilities = logSoftmax(logits, -1)
  const safe = np.where(isLabelled, logProbabilities, 0)
  return np.negative(np.sum(np.multiply(labels, safe), { axis: -1 }))
}

/**
 * Cross-entropy plus `epsilon` times the probability of other classes. Leng et al., "PolyLoss"
 * (2022).
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * const labels = np.array([[0.5, 0, 0.5]])
 * polyLossCrossEntropy(logits, labels) // Array([2.0304239], dtype=float32)
 */
export function polyLossCrossEntropy(
  logits: NDArray,
  labels: NDArray,
  options: ClassOptions & { readonly epsilon?: Scalar } = {},
): NDArray {
  checkOptions('polyLossCrossEntropy', options, ['axis', 'where', 'epsilon'])
  const { epsilon = 2, ...classes } = options
  const { axis = -1 } = classes
  const where = alignedMask(options, logits)
  const probabilities = np.exp(logSoftmax(logits, axis, where))
  const others = np.sum(np.multiply(labels, np.subtract(1, probabilities)), {
    axis,
    ...masked(where),
  })
  return np.add(softmaxCrossEntropy(logits, labels, classes), np.multiply(epsilon, others))
}

/**
 * Binary cross-entropy of logistic(logits), elementwise and stable:
 * `y · log(1 + e^−x) + (1 − y) · log(1 + e^x)`, with the derivative `σ(x) − y` everywhere.
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * sigmoidBinaryCrossEntropy(logits, np.array([[1, 0, 1]]))
 * // Array([[0.126928 , 0.3132617, 0.474077 ]], dtype=float32)
 */
export function sigmoidBinaryCrossEntropy(logits: NDArray, labels: ArrayLike): NDArray {
  // Made of |x| and max(x, 0) it would have other derivatives at 0, where logits often start.
  const hit = np.multiply(labels, logSigmoid(logits))
  const miss = np.multiply(np.subtract(1, labels), logSigmoid(np.negative(logits)))
  return np.negative(np.add(hit, miss))
}

/**
 * Binary cross-entropy that counts examples less the better they are predicted, elementwise.
 * Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5.
 *
 * @param options.alpha weight of the positive examples; the negative ones weigh `1 − alpha`
 * @param options.gamma how much less
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * sigmoidFocalLoss(logits, np.array([[1, 0, 1]]))
 * // Array([[0.00180356, 0.02265805, 0.06757349]], dtype=float32)
 */
export function sigmoidFocalLoss(
  logits: NDArray,
  labels: ArrayLike,
  options: { readonly alpha?: Scalar; readonly gamma?: Scalar } = {},
): NDArray {
  checkOptions('sigmoidFocalLoss', options, ['alpha', 'gamma'])
  const { alpha, gamma = 2 } = options
  const negative = np.subtract(1, labels)
  // log(1 − p_t), for labels between 0 and 1 as well.
  const logMiss = special.logsumexp(
    np.stack([logSigmoid(logits), logSigmoid(np.negative(logits))], { axis: -1 }),
    { axis: -1, b: np.stack(np.broadcastArrays(negative, labels), { axis: -1 }) },
  )
  const loss = np.multiply(
    sigmoidBinaryCrossEntropy(logits, labels),
    np.exp(np.multiply(gamma, logMiss)),
  )
  if (alpha === undefined) return loss
  const weight = np.add(np.multiply(alpha, labels), np.multiply(np.subtract(1, alpha), negative))
  return np.multiply(weight, loss)
}

/**
 * `max(0, 1 − output · target)` for targets −1 and 1, elementwise. Cortes & Vapnik (1995).
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * hingeLoss(logits, np.array([[1, 1, -1]])) // Array([[0. , 2. , 1.5]], dtype=float32)
 */
export const hingeLoss = (predictorOutputs: NDArray, targets: ArrayLike): NDArray =>
  np.maximum(0, np.subtract(1, np.multiply(predictorOutputs, targets)))

/**
 * `max(0, −output · target)` for targets −1 and 1, elementwise. Rosenblatt (1958).
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * perceptronLoss(logits, np.array([[1, 1, -1]])) // Array([[0. , 1. , 0.5]], dtype=float32)
 */
export const perceptronLoss = (predictorOutputs: NDArray, targets: ArrayLike): NDArray =>
  np.maximum(0, np.negative(np.multiply(predictorOutputs, targets)))

const oneHot = (labels: NDArray, classes: number, dtype: NDArray['dtype']): NDArray =>
  np.equal(np.expandDims(labels, -1), np.arange(classes)).astype(dtype)

/**
 * How much the best other class, with a margin of 1, exceeds the right one. Crammer & Singer
 * (2001).
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * multiclassHingeLoss(logits, np.array([2])) // Array([2.5], dtype=float32)
 */
export function multiclassHingeLoss(scores: NDArray, labels: NDArray): NDArray {
  const right = oneHot(labels, scores.shape[scores.ndim - 1], scores.dtype)
  const best = np.max(np.subtract(np.add(scores, 1), right), { axis: -1 })
  return np.subtract(best, np.sum(np.multiply(scores, right), { axis: -1 }))
}

/**
 * How much the best class exceeds the right one. Collins, "Discriminative Training Methods" (2002).
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * multiclassPerceptronLoss(logits, np.array([2])) // Array([1.5], dtype=float32)
 */
export function multiclassPerceptronLoss(scores: NDArray, labels: NDArray): NDArray {
  const right = oneHot(labels, scores.shape[scores.ndim - 1], scores.dtype)
  return np.subtract(np.max(scores, { axis: -1 }), np.sum(np.multiply(scores, right), { axis: -1 }))
}

/**
 * Σ target · (log target − log prediction), per example. Kullback & Leibler (1951).
 *
 * @example
 * const [logP, q] = [np.log(np.array([0.5, 0.25, 0.25])), np.array([0.25, 0.25, 0.5])]
 * klDivergence(logP, q) // Array(0.1732868, dtype=float32)
 */
export function klDivergence(
  logPredictions: NDArray,
  targets: NDArray,
  options: ClassOptions = {},
): NDArray {
  checkOptions('klDivergence', options, ['axis', 'where'])
  const isZero = np.equal(targets, 0)
  const logTargets = np.where(isZero, 0, np.log(np.where(isZero, 1, targets)))
  const terms = np.multiply(targets, np.subtract(logTargets, logPredictions))
  return np.sum(terms, { axis: options.axis ?? -1, ...masked(options.where) })
}

/**
 * `klDivergence` of the logarithms of the targets.
 *
 * @example
 * const [logP, q] = [np.log(np.array([0.5, 0.25, 0.25])), np.array([0.25, 0.25, 0.5])]
 * klDivergenceWithLogTargets(logP, np.log(q)) // Array(0.1732868, dtype=float32)
 */
export function klDivergenceWithLogTargets(
  logPredictions: NDArray,
  logTargets: NDArray,
  options: ClassOptions = {},
): NDArray {
  checkOptions('klDivergenceWithLogTargets', options, ['axis', 'where'])
  return np.sum(np.multiply(np.exp(logTargets), np.subtract(logTargets, logPredictions)), {
    axis: options.axis ?? -1,
    ...masked(options.where),
  })
}

/**
 * `klDivergence` plus Σ prediction − target: never negative, also of what does not sum to 1.
 *
 * @example
 * const [logP, q] = [np.log(np.array([0.5, 0.25, 0.25])), np.array([0.25, 0.25, 0.5])]
 * generalizedKlDivergence(logP, q) // Array(0.1732868, dtype=float32)
 */
export function generalizedKlDivergence(
  logPredictions: NDArray,
  targets: NDArray,
  options: ClassOptions = {},
): NDArray {
  checkOptions('generalizedKlDivergence', options, ['axis', 'where'])
  return np.add(
    klDivergence(logPredictions, targets, options),
    np.sum(np.subtract(np.exp(logPredictions), targets), {
      axis: options.axis ?? -1,
      ...masked(options.where),
    }),
  )
}

/**
 * Labels of which the part `alpha` is spread evenly over all classes. Szegedy et al. (2016).
 *
 * @example
 * smoothLabels(np.array([0, 1, 0, 0]), 0.1)
 * // Array([0.025     , 0.92499995, 0.025     , 0.025     ],
 * //       dtype=float32, weak_type=True)
 */
export function smoothLabels(labels: NDArray, alpha: Scalar, options: ClassOptions = {}): NDArray {
  checkOptions('smoothLabels', options, ['axis', 'where'])
  const { axis = -1, where } = options
  const axes = typeof axis === 'number' ? [axis] : axis
  const classes =
    where === undefined
      ? axes.reduce((n, a) => n * labels.shape[a < 0 ? a + labels.ndim : a], 1)
      : np.sum(where, { axis, keepdims: true })
  return np.add(np.multiply(np.subtract(1, alpha), labels), np.divide(alpha, classes))
}

/**
 * Softmax cross-entropy of lists: `labels` are the relevances of the items of each list.
 * Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (2007).
 *
 * @param options.where which items there are
 * @param options.weights of the items
 * @returns one loss per list; lists without items have 0
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * rankingSoftmaxLoss(logits, np.array([[1, 0, 0]])) // Array([0.24131131], dtype=float32)
 */
export function rankingSoftmaxLoss(
  logits: NDArray,
  labels: NDArray,
  options: { readonly where?: NDArray; readonly weights?: NDArray } = {},
): NDArray {
  checkOptions('rankingSoftmaxLoss', options, ['where', 'weights'])
  const { where, weights } = options
  const present = where === undefined ? labels : np.where(where, labels, 0)
  const weighted = weights === undefined ? present : np.multiply(present, weights)
  const shown = where === undefined ? logits : np.where(where, logits, -Infinity)
  const terms = np.multiply(weighted.astype(logits.dtype), logSoftmax(shown, -1))
  if (where === undefined) return np.negative(np.sum(terms, { axis: -1 }))
  const loss = np.negative(np.sum(np.where(where, terms, 0), { axis: -1 }))
  return np.where(np.any(where, -1), loss, 0)
}

/**
 * The loss of which `nn.sparseSigmoid` is the prediction, elementwise, for labels 0 and 1: zero, and
 * flat, from a margin of 1 on. Blondel, Martins & Niculae, "Learning with Fenchel-Young Losses"
 * (2020), section 4.4.
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * sparsemaxLoss(logits, np.array([[1, 0, 1]])) // Array([[0. , 0. , 0.0625]], dtype=float32)
 */
export function sparsemaxLoss(logits: NDArray, labels: ArrayLike): NDArray {
  const miss = np.where(np.asarray(labels).astype('bool'), np.negative(logits), logits)
  const middle = np.divide(np.square(np.add(miss, 1)), 4)
  return np.where(np.lessEqual(miss, -1), 0, np.where(np.greaterEqual(miss, 1), miss, middle))
}

/**
 * The loss of which the projection of the scores onto the simplex is the prediction, which is sparse.
 * `scores` has shape `[..., classes]`, `labels` integer `[...]`; the result is `[...]`. Martins &
 * Astudillo, "From Softmax to Sparsemax" (2016), equation 19.
 *
 * @example
 * const logits = np.array([[2, -1, 0.5]])
 * multiclassSparsemaxLoss(logits, np.array([2])) // Array([1.5], dtype=float32)
 */
export function multiclassSparsemaxLoss(scores: NDArray, labels: NDArray): NDArray {
  const right = oneHot(labels, scores.shape[scores.ndim - 1], scores.dtype)
  const threshold = np.expandDims(simplexThreshold(scores, 1), -1)
  const excess = np.where(
    np.greater(scores, threshold),
    np.subtract(np.square(scores), np.square(threshold)),
    0,
  )
  const above = np.multiply(0.5, np.add(np.sum(excess, { axis: -1 }), 1))
  return np.subtract(above, np.sum(np.multiply(scores, right), { axis: -1 }))
}
