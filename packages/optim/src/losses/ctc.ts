/** Connectionist temporal classification. */
import { np, ShapeError, special, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { scan } from '@adjoint/transforms'
import type { Scalar } from '../hyperparameters'

export interface CtcOptions {
  /** The class that means no label. */
  readonly blankId?: number
  /** Stands for log 0. */
  readonly logEpsilon?: Scalar
}

/** The loss, and the logarithms of the forward probabilities after each frame. */
export interface CtcForward {
  readonly loss: NDArray
  /** `[frames, batch, labels + 1]`: the path has given n labels and is at a blank. */
  readonly logAlphaBlank: NDArray
  /** `[frames, batch, labels]`: the path is at label n. */
  readonly logAlphaLabel: NDArray
}

/**
 * Minus the log probability of label sequences, summed over all alignments with longer sequences of
 * frames. Graves et al., "Connectionist Temporal Classification" (2006), section 4.1.
 *
 * @param logits `[batch, frames, classes]`
 * @param logitPaddings `[batch, frames]`: 1 at frames after the end
 * @param labels `[batch, labels]`, integers
 * @param labelPaddings `[batch, labels]`: 1 at labels after the end
 * @returns `[batch]`
 * @example
 * const logits = np.zeros([1, 4, 3])
 * const [labels, none] = [np.array([[1, 2]]), np.zeros([1, 2])]
 * ctcLoss(logits, np.zeros([1, 4]), labels, none) // Array([1.686399], dtype=float32)
 */
export const ctcLoss = (
  logits: NDArray,
  logitPaddings: NDArray,
  labels: NDArray,
  labelPaddings: NDArray,
  options: CtcOptions = {},
): NDArray => {
  checkOptions('ctcLoss', options, ['blankId', 'logEpsilon'])
  return ctcLossWithForwardProbs(logits, logitPaddings, labels, labelPaddings, options).loss
}

/**
 * `ctcLoss`, with the forward probabilities.
 *
 * @example
 * const logits = np.zeros([1, 4, 3])
 * const [labels, none] = [np.array([[1, 2]]), np.zeros([1, 2])]
 * ctcLossWithForwardProbs(logits, np.zeros([1, 4]), labels, none).logAlphaLabel.shape
 * // [ 4, 1, 2 ]
 */
export function ctcLossWithForwardProbs(
  logits: NDArray,
  logitPaddings: NDArray,
  labels: NDArray,
  labelPaddings: NDArray,
  options: CtcOptions = {},
): CtcForward {
  checkOptions('ctcLossWithForwardProbs', options, ['blankId', 'logEpsilon'])
  const { blankId = 0, logEpsilon = -1e5 } = options
  requireShapes(logits, logitPaddings, labels, labelPaddings)
  const [batch, , classes] = logits.shape
  const longest = labels.shape[1]
  const dtype = logits.dtype
  const logProbabilities = np.subtract(
    logits,
    special.logsumexp(logits, { axis: -1, keepdims: true }),
  )

  /** 1 where a label is followed by the same one: a blank has to stand between them. */
  const repeats = np.concatenate(
    [
      np.equal(labels.get(':', ':-1'), labels.get(':', '1:')).astype(dtype),
      np.zeros([batch, 1], { dtype }),
    ],
    { axis: 1 },
  )
  const barred = np.multiply(logEpsilon, repeats)
  const barredElsewhere = np.multiply(logEpsilon, np.subtract(1, repeats))

  const chosen = np.equal(np.expandDims(labels, -1), np.arange(classes)).astype(dtype)
  const emissions = np.einsum('btk,bnk->tbn', logProbabilities, chosen)
  const blanks = np.expandDims(np.transpose(logProbabilities.get('...', blankId), [1, 0]), -1)
  const pads = np.expandDims(np.transpose(logitPaddings, [1, 0]), -1).astype(dtype)

  /** Adds, in logarithms, to all blanks but the first. */
  const arrive = (blank: NDArray, score: NDArray): NDArray =>
    np.concatenate([blank.get(':', ':1'), np.logaddexp(blank.get(':', '1:'), score)], { axis: 1 })

  type Alphas = readonly [blank: NDArray, label: NDArray]
  const start: Alphas = [
    np
      .multiply(logEpsilon, np.greater(np.arange(longest + 1), 0).astype(dtype))
      .add(np.zeros([batch, longest + 1], { dtype })),
    np.multiply(logEpsilon, np.ones([batch, longest], { dtype })),
  ]
  const frame = (
    [blank, label]: Alphas,
    [emission, blankScore, pad]: readonly [NDArray, NDArray, NDArray],
  ): [Alphas, Alphas] => {
    const left = arrive(blank, np.add(label, barred))
    const nextLabel = np.add(np.logaddexp(left.get(':', ':-1'), label), emission)
    const stayed = np.add(left, blankScore)
    const nextBlank = arrive(stayed, np.add(np.add(label, blankScore), barredElsewhere))
    const going = np.subtract(1, pad)
    const after: Alphas = [
      np.add(np.multiply(pad, blank), np.multiply(going, nextBlank)),
      np.add(np.multiply(pad, label), np.multiply(going, nextLabel)),
    ]
    return [after, after]
  }
  const [[lastBlank, lastLabel], [blankPath, labelPath]] = scan(frame, start, [
    emissions,
    blanks,
    pads,
  ] as const)
  const finalBlank = arrive(lastBlank, lastLabel)
  const lengths = np.subtract(longest, np.sum(labelPaddings, { axis: 1 }))
  const atEnd = np.equal(np.expandDims(lengths, -1), np.arange(longest + 1))
  return {
    loss: np.negative(np.sum(np.where(atEnd, finalBlank, 0), { axis: -1 })),
    logAlphaBlank: np.concatenate([blankPath.get(':-1'), np.expandDims(finalBlank, 0)], {
      axis: 0,
    }),
    logAlphaLabel: labelPath,
  }
}

function requireShapes(
  logits: NDArray,
  logitPaddings: NDArray,
  labels: NDArray,
  labelPaddings: NDArray,
): void {
  const [batch, frames] = logits.shape
  const fits =
    logits.ndim === 3 &&
    labels.ndim === 2 &&
    labels.shape[0] === batch &&
    String(logitPaddings.shape) === String([batch, frames]) &&
    String(labelPaddings.shape) === String(labels.shape)
  if (fits) return
  throw new ShapeError({
    op: 'ctcLoss(logits, logitPaddings, labels, labelPaddings)',
    problem: 'the shapes do not belong together',
    operands: [
      { name: 'logits', aval: logits.aval, note: '[batch, frames, classes]' },
      { name: 'logitPaddings', aval: logitPaddings.aval, note: '[batch, frames]' },
      { name: 'labels', aval: labels.aval, note: '[batch, labels]' },
      { name: 'labelPaddings', aval: labelPaddings.aval, note: '[batch, labels]' },
    ],
    rule: 'batch is the same everywhere, and paddings have the shape of what they pad',
  })
}
