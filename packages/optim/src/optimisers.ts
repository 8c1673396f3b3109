/**
 * The optimisers people use, each one chain of transformations, with Optax's names and defaults; those
 * like Adam are in `adam-family.ts`.
 */
import { type ArrayLike, type DType, type Key, np } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { adamNames, type DecayOptions, decayNames } from './adam-family'
import { type AdamOptions, scaleByAdam, scaleByLion, scaleByNovograd } from './adaptive'
import { clipByBlockRms } from './clipping'
import { minus, type Scalar, times, withLeading } from './hyperparameters'
import { type MaskOrFn, masked } from './masking'
import { addDecayedWeights, addNoise, ema, scaleByOptimisticGradient, trace } from './momentum'
import { type RpropOptions, scaleByRprop } from './resilient'
import {
  type RmsOptions,
  scaleByAdadelta,
  scaleByFactoredRms,
  scaleByRms,
  scaleByRss,
  scaleByStddev,
} from './root-mean-square'
import {
  scale,
  scaleByLearningRate,
  scaleByParamBlockRms,
  scaleByPolyak,
  scaleBySign,
  scaleByTrustRatio,
} from './scaling'
import type { ScalarOrSchedule } from './schedules'
import { scaleBySm3 } from './square-root-memory'
import { chain, type GradientTransformation, identity } from './transformation'

/**
 * Stochastic gradient descent, with momentum or Nesterov's.
 * Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013).
 *
 * @example
 * const optimiser = sgd(0.1, { momentum: 0.9 })
 */
export const sgd = (
  learningRate: ScalarOrSchedule,
  options: {
    /** None where it is not given, or null. */
    readonly momentum?: Scalar | null
    readonly nesterov?: boolean
    readonly accumulatorDtype?: DType
  } = {},
): GradientTransformation => {
  const { momentum = null, ...rest } = checkOptions('sgd', options, [
    'momentum',
    'nesterov',
    'accumulatorDtype',
  ])
  return chain(
    momentum === null ? identity : trace(momentum, rest),
    scaleByLearningRate(learningRate),
  )
}

/**
 * Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023), program 1.
 *
 * @example
 * const optimiser = lion(1e-4, { weightDecay: 0.1 })
 */
export const lion = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly muDtype?: DType
  } & DecayOptions = {},
): GradientTransformation => {
  checkOptions('lion', options, ['b1', 'b2', 'muDtype', ...decayNames])
  const { weightDecay = 1e-3, mask, ...rest } = options
  return chain(
    scaleByLion(rest),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (2020),
 * algorithm 2.
 *
 * @example
 * const optimiser = lamb(2e-3, { weightDecay: 0.01, mask: byPath(/weight$/) })
 */
export const lamb = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov' | 'muDtype'> & DecayOptions = {},
): GradientTransformation => {
  checkOptions('lamb', options, ['b1', 'b2', 'eps', 'epsRoot', ...decayNames])
  const { weightDecay = 0, mask, eps = 1e-6, ...rest } = options
  return chain(
    scaleByAdam({ ...rest, eps }),
    addDecayedWeights(weightDecay, { mask }),
    scaleByTrustRatio(),
    scaleByLearningRate(learningRate),
  )
}

/**
 * You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks" (2017), algorithm 1.
 *
 * @example
 * const optimiser = lars(0.1, { weightDecay: 1e-4, trustRatioMask: byPath(/weight$/) })
 */
export const lars = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly weightDecay?: ScalarOrSchedule
    readonly weightDecayMask?: MaskOrFn
    readonly trustCoefficient?: Scalar
    readonly eps?: Scalar
    readonly trustRatioMask?: MaskOrFn
    readonly momentum?: Scalar
    readonly nesterov?: boolean
  } = {},
): GradientTransformation => {
  checkOptions('lars', options, [
    'weightDecay',
    'weightDecayMask',
    'trustCoefficient',
    'eps',
    'trustRatioMask',
    'momentum',
    'nesterov',
  ])
  const { weightDecay = 0, weightDecayMask: mask = true, trustCoefficient = 0.001 } = options
  const { eps = 0, trustRatioMask = true, momentum = 0.9, nesterov = false } = options
  return chain(
    addDecayedWeights(weightDecay, { mask }),
    masked(scaleByTrustRatio({ trustCoefficient, eps }), trustRatioMask),
    scaleByLearningRate(learningRate),
    trace(momentum, { nesterov }),
  )
}

/**
 * Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments" (2020), algorithm
 * 1.
 *
 * @example
 * const optimiser = novograd(1e-2, { weightDecay: 1e-3 })
 */
export const novograd = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
    readonly weightDecay?: Scalar
  } = {},
): GradientTransformation => {
  checkOptions('novograd', options, ['b1', 'b2', 'eps', 'epsRoot', 'weightDecay'])
  return chain(
    scaleByNovograd({ ...options, eps: options.eps ?? 1e-6 }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * Hinton, "Neural Networks for Machine Learning", lecture 6e (2012); centered as Graves (2013).
 *
 * @example
 * const optimiser = rmsprop(1e-3, { momentum: 0.9 })
 */
export const rmsprop = (
  learningRate: ScalarOrSchedule,
  options: RmsOptions & {
    readonly centered?: boolean
    /** None where it is not given, or null. */
    readonly momentum?: Scalar | null
    readonly nesterov?: boolean
  } = {},
): GradientTransformation => {
  checkOptions('rmsprop', options, [
    'decay',
    'eps',
    'initialScale',
    'epsInSqrt',
    'biasCorrection',
    'centered',
    'momentum',
    'nesterov',
  ])
  const { centered = false, momentum = null, nesterov = false, ...rest } = options
  return chain(
    centered ? scaleByStddev(rest) : scaleByRms(rest),
    scaleByLearningRate(learningRate),
    momentum === null ? identity : trace(momentum, { nesterov }),
  )
}

/**
 * Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning" (2011).
 *
 * @example
 * const optimiser = adagrad(0.1)
 */
export const adagrad = (
  learningRate: ScalarOrSchedule,
  options: { readonly initialAccumulatorValue?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByRss(checkOptions('adagrad', options, ['initialAccumulatorValue', 'eps'])),
    scaleByLearningRate(learningRate),
  )

/**
 * Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012). Without a learning rate, updates
 * keep their sign.
 *
 * @example
 * const optimiser = adadelta(1, { rho: 0.95 })
 */
export function adadelta(
  learningRate: ScalarOrSchedule | null | AdadeltaOptions = {},
  options: AdadeltaOptions = {},
): GradientTransformation {
  const given = withLeading('learningRate', learningRate, options)
  checkOptions('adadelta', given, ['learningRate', 'rho', 'eps', 'weightDecay', 'weightDecayMask'])
  const { learningRate: rate = null, weightDecay = 0, weightDecayMask: mask, ...rest } = given
  return chain(
    addDecayedWeights(weightDecay, { mask }),
    scaleByAdadelta(rest),
    scaleByLearningRate(rate),
  )
}

export interface AdadeltaOptions {
  readonly learningRate?: ScalarOrSchedule | null
  readonly rho?: Scalar
  readonly eps?: Scalar
  readonly weightDecay?: ScalarOrSchedule
  readonly weightDecayMask?: MaskOrFn
}

export interface AdafactorOptions {
  readonly learningRate?: ScalarOrSchedule | null
  readonly minDimSizeToFactor?: number
  readonly decayRate?: Scalar
  readonly decayOffset?: Scalar
  readonly multiplyByParameterScale?: boolean
  /** The largest root mean square of an update; null for none. */
  readonly clippingThreshold?: Scalar | null
  /** None where it is not given, or null. */
  readonly momentum?: Scalar | null
  readonly dtypeMomentum?: DType
  /** Likewise. */
  readonly weightDecayRate?: ScalarOrSchedule | null
  readonly eps?: Scalar
  readonly factored?: boolean
  readonly weightDecayMask?: MaskOrFn
}

/**
 * Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018),
 * algorithm 6.
 *
 * @example
 * const optimiser = adafactor(1e-2, { momentum: 0.9 })
 */
export function adafactor(
  learningRate: ScalarOrSchedule | null | AdafactorOptions = {},
  rest: AdafactorOptions = {},
): GradientTransformation {
  const options = withLeading('learningRate', learningRate, rest)
  checkOptions('adafactor', options, [
    'learningRate',
    'minDimSizeToFactor',
    'decayRate',
    'decayOffset',
    'multiplyByParameterScale',
    'clippingThreshold',
    'momentum',
    'dtypeMomentum',
    'weightDecayRate',
    'eps',
    'factored',
    'weightDecayMask',
  ])
  const { clippingThreshold = 1, multiplyByParameterScale = true } = options
  const { momentum = null, weightDecayRate = null, dtypeMomentum = 'float32' } = options
  const { decayRate = 0.8, decayOffset = 0, eps = 1e-30 } = options
  const { factored = true, minDimSizeToFactor = 128 } = options
  return chain(
    scaleByFactoredRms({
      factored,
      decayRate,
      stepOffset: decayOffset,
      minDimSizeToFactor,
      epsilon: eps,
    }),
    clippingThreshold === null ? identity : clipByBlockRms(clippingThreshold),
    scaleByLearningRate(options.learningRate ?? null, { flipSign: false }),
    multiplyByParameterScale ? scaleByParamBlockRms() : identity,
    momentum === null
      ? identity
      : ema(momentum, { debias: false, accumulatorDtype: dtypeMomentum }),
    weightDecayRate === null
      ? identity
      : addDecayedWeights(weightDecayRate, { mask: options.weightDecayMask }),
    scale(-1),
  )
}

/**
 * Steps of one size, in the directions of the signs. Bernstein et al., "signSGD" (2018), algorithm
 * 1.
 *
 * @example
 * const optimiser = signSgd(1e-3)
 */
export const signSgd = (learningRate: ScalarOrSchedule): GradientTransformation =>
  chain(scaleBySign(), scaleByLearningRate(learningRate))

/**
 * The signs of averaged gradients. Bernstein et al. (2018), "Signum", algorithm 2.
 *
 * @example
 * const optimiser = signum(1e-3, { beta: 0.95 })
 */
export const signum = (
  learningRate: ScalarOrSchedule,
  options: { readonly beta?: Scalar; readonly accumulatorDtype?: DType } = {},
): GradientTransformation => {
  const { beta = 0.9, ...rest } = checkOptions('signum', options, ['beta', 'accumulatorDtype'])
  return chain(
    ema(beta, { ...rest, debias: false }),
    scaleBySign(),
    scaleByLearningRate(learningRate),
  )
}

/**
 * SGD with gradient noise. Neelakantan et al., "Adding Gradient Noise Improves Learning" (2015).
 *
 * @example
 * const optimiser = noisySgd(0.1, { eta: 0.3, key: 7 })
 */
export const noisySgd = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly eta?: Scalar
    readonly gamma?: Scalar
    readonly key?: Key | number
  } = {},
): GradientTransformation => {
  const {
    eta = 0.01,
    gamma = 0.55,
    key = 0,
  } = checkOptions('noisySgd', options, ['eta', 'gamma', 'key'])
  return chain(addNoise(eta, gamma, key), scaleByLearningRate(learningRate))
}

/**
 * Adam with optimism: `adam` before `scaleByOptimisticGradient`. Daskalakis et al., "Training GANs
 * with Optimism" (2018), algorithm 1.
 *
 * @example
 * const optimiser = optimisticAdam(1e-3, { beta: 0.5 })
 */
export const optimisticAdam = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions & { readonly alpha?: Scalar; readonly beta?: Scalar } = {},
): GradientTransformation => {
  checkOptions('optimisticAdam', options, [...adamNames, 'alpha', 'beta'])
  const { alpha = 1, beta = 1, nesterov = true, ...rest } = options
  return chain(
    scaleByAdam({ ...rest, nesterov }),
    scaleByOptimisticGradient({ alpha, beta }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * Steps by signs, each parameter with a step size that adapts. Igel & Hüsken, "Improving the Rprop
 * Learning Algorithm" (2000).
 *
 * @example
 * const optimiser = rprop(1e-2)
 */
export const rprop = (learningRate: Scalar, options: RpropOptions = {}): GradientTransformation => {
  checkOptions('rprop', options, ['etaMinus', 'etaPlus', 'minStepSize', 'maxStepSize'])
  return chain(scaleByRprop(learningRate, options), scale(-1))
}

/**
 * AdaGrad in little memory, with momentum. Anil et al., "Memory-Efficient Adaptive Optimization"
 * (2019), algorithm SM3-II.
 *
 * @example
 * const optimiser = sm3(0.1)
 */
export const sm3 = (
  learningRate: ScalarOrSchedule,
  options: { readonly momentum?: Scalar } = {},
): GradientTransformation => {
  const { momentum = 0.9 } = checkOptions('sm3', options, ['momentum'])
  return chain(scaleBySm3({ b1: momentum }), scaleByLearningRate(learningRate))
}

/**
 * Steps of a fixed part of each layer's norm. Bernstein et al., "On the distance between two neural
 * networks and the stability of learning" (2020), algorithm 1.
 *
 * @example
 * const optimiser = fromage(1e-2)
 */
export function fromage(
  learningRate: ScalarOrSchedule,
  options: { readonly minNorm?: Scalar } = {},
): GradientTransformation {
  const { minNorm = 1e-6 } = checkOptions('fromage', options, ['minNorm'])
  const rateOf = (count: ArrayLike): Scalar =>
    typeof learningRate === 'function' ? learningRate(count) : learningRate
  /** Keeps the norm from growing: 1 / √(1 + rate²). */
  const shrink = (rate: Scalar): Scalar =>
    typeof rate === 'number'
      ? 1 / Math.sqrt(1 + rate * rate)
      : np.reciprocal(np.sqrt(np.add(1, np.square(rate))))
  const scheduled = (of: (rate: Scalar) => Scalar): ScalarOrSchedule =>
    typeof learningRate === 'function' ? (count) => np.asarray(of(rateOf(count))) : of(learningRate)
  return chain(
    scaleByTrustRatio({ minNorm }),
    scaleByLearningRate(scheduled((rate) => times(rate, shrink(rate)))),
    addDecayedWeights(scheduled((rate) => minus(shrink(rate), 1))),
  )
}

/**
 * Mokhtari et al., "A Unified Analysis of Extra-gradient and Optimistic Gradient Methods" (2020).
 *
 * @example
 * const optimiser = optimisticGradientDescent(0.1)
 */
export const optimisticGradientDescent = (
  learningRate: ScalarOrSchedule,
  options: { readonly alpha?: Scalar; readonly beta?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByOptimisticGradient(
      checkOptions('optimisticGradientDescent', options, ['alpha', 'beta']),
    ),
    scaleByLearningRate(learningRate),
  )

/**
 * SGD with Polyak's step size; wants the extra argument `value`. Loizou et al. (2021).
 *
 * @example
 * const optimiser = polyakSgd({ maxLearningRate: 0.5 })
 * const w = np.array([3, 4], { dtype: 'float32' })
 * optimiser.update(w, optimiser.init(w), w, { value: 12.5 })[0]
 * // Array([-1.5, -2. ], dtype=float32)
 */
export const polyakSgd = (
  options: {
    readonly maxLearningRate?: Scalar
    readonly scaling?: ScalarOrSchedule
    readonly fMin?: Scalar
    readonly eps?: Scalar
    readonly variant?: 'sps' | 'sps+'
  } = {},
): GradientTransformation => {
  checkOptions('polyakSgd', options, ['maxLearningRate', 'scaling', 'fMin', 'eps', 'variant'])
  const { scaling = 1, ...rest } = options
  return chain(sgd(scaling), scaleByPolyak(rest))
}
