/** Losses of overlapping regions. */
import { ArgumentError, np, special, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Scalar } from '../hyperparameters'

export interface DiceOptions {
  /** Added to both sides of the fraction. */
  readonly smooth?: Scalar
  /** Weights of false positives and false negatives; ½ each is Dice, others are Tversky. */
  readonly alpha?: Scalar
  readonly beta?: Scalar
  /** Whether predictions are logits, of softmax or, with one class, of the logistic function. */
  readonly applySoftmax?: boolean
  readonly classWeights?: NDArray
  readonly ignoreBackground?: boolean
  readonly reduction?: 'mean' | 'sum' | 'none'
  /** The axes of the region: by default all but the first and the last. */
  readonly axis?: number | readonly number[]
}

/**
 * One minus the overlap of predicted and true regions, `[batch, ..., classes]`.
 * Milletari et al., "V-Net" (2016), section 3; Salehi et al., "Tversky loss function" (2017).
 *
 * @example
 * const regions = np.array([[[9, -9], [-9, 9]]])
 * const truth = np.array([[[1, 0], [0, 1]]])
 * diceLoss(regions, truth) // Array([0.], dtype=float32)
 */
export function diceLoss(
  predictions: NDArray,
  targets: NDArray,
  options: DiceOptions = {},
): NDArray {
  checkOptions('diceLoss', options, [
    'smooth',
    'alpha',
    'beta',
    'applySoftmax',
    'classWeights',
    'ignoreBackground',
    'reduction',
    'axis',
  ])
  const { smooth = 1, alpha = 0.5, beta = 0.5, applySoftmax = true, classWeights } = options
  const { ignoreBackground = false, reduction = 'mean' } = options
  const probabilities = applySoftmax ? probabilitiesOf(predictions) : predictions
  const axis = options.axis ?? probabilities.shape.map((_, i) => i).slice(1, -1)
  const area = (x: NDArray): NDArray => np.sum(x, { axis })
  const common = area(np.multiply(probabilities, targets))
  const onlyPredicted = np.subtract(area(probabilities), common)
  const onlyTrue = np.subtract(area(targets), common)
  const missed = np.add(np.multiply(alpha, onlyPredicted), np.multiply(beta, onlyTrue))
  const overlap = np.divide(np.add(common, smooth), np.add(np.add(common, missed), smooth))
  const loss = np.subtract(1, overlap)
  const weighted = classWeights === undefined ? loss : np.multiply(loss, classWeights)
  const classes = probabilities.shape[probabilities.ndim - 1]
  const counted = ignoreBackground && classes > 1 ? weighted.get('...', '1:') : weighted
  switch (reduction) {
    case 'mean':
      return np.mean(counted, { axis: -1 })
    case 'sum':
      return np.sum(counted, { axis: -1 })
    case 'none':
      return counted
    default:
      throw new ArgumentError({
        op: 'diceLoss',
        problem: `the reduction is ${String(reduction)}`,
        rule: "reductions are 'mean', 'sum' and 'none'",
      })
  }
}

const probabilitiesOf = (logits: NDArray): NDArray =>
  logits.shape[logits.ndim - 1] === 1
    ? special.expit(logits)
    : np.exp(np.subtract(logits, special.logsumexp(logits, { axis: -1, keepdims: true })))
