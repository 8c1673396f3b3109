/** The optimisers people use, each one chain of transformations, with Optax's names and defaults. */
import { type ArrayLike, type DType, type Key, np } from '@adjoint/core'
import {
  type AdamOptions,
  scaleByAdam,
  scaleByAdamax,
  scaleByAdan,
  scaleByAmsgrad,
  scaleByBelief,
  scaleByLion,
  scaleByNovograd,
  scaleByRadam,
  scaleByYogi,
} from './adaptive'
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
    readonly momentum?: Scalar
    readonly nesterov?: boolean
    readonly accumulatorDtype?: DType
  } = {},
): GradientTransformation =>
  chain(
    options.momentum === undefined ? identity : trace(options.momentum, options),
    scaleByLearningRate(learningRate),
  )

/**
 * Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.
 *
 * @example
 * const optimiser = adam(1e-3)
 * const params = { w: np.ones([2]) }
 * const state = optimiser.init(params)
 * const [updates, next] = optimiser.update({ w: np.ones([2]) }, state, params)
 * updates.w // Array([-0.001, -0.001], dtype=float32)
 */
export const adam = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions = {},
): GradientTransformation => chain(scaleByAdam(options), scaleByLearningRate(learningRate))

/** Adam with Nesterov momentum. Dozat, "Incorporating Nesterov Momentum into Adam" (2016). */
export const nadam = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> = {},
): GradientTransformation => adam(learningRate, { ...options, nesterov: true })

/** How much weights decay, and which. */
export interface DecayOptions {
  readonly weightDecay?: ScalarOrSchedule
  /** Which parameters decay: by default all. */
  readonly mask?: MaskOrFn
}

/**
 * Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
 *
 * @example
 * const optimiser = adamw(1e-3, { weightDecay: 0.1, mask: byPath(/weight$/) })
 */
export const adamw = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions & DecayOptions = {},
): GradientTransformation =>
  chain(
    scaleByAdam(options),
    addDecayedWeights(options.weightDecay ?? 1e-4, { mask: options.mask }),
    scaleByLearningRate(learningRate),
  )

/** AdamW with Nesterov momentum. Dozat 2016; Loshchilov & Hutter 2019. */
export const nadamw = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> & DecayOptions = {},
): GradientTransformation => adamw(learningRate, { ...options, nesterov: true })

/** Adam with the largest gradient in place of the mean square. Kingma & Ba 2015, algorithm 2. */
export const adamax = (
  learningRate: ScalarOrSchedule,
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation => chain(scaleByAdamax(options), scaleByLearningRate(learningRate))

/** `adamax` with decoupled weight decay. */
export const adamaxw = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
  } & DecayOptions = {},
): GradientTransformation =>
  chain(
    scaleByAdamax(options),
    addDecayedWeights(options.weightDecay ?? 1e-4, { mask: options.mask }),
    scaleByLearningRate(learningRate),
  )

/** Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2. */
export const amsgrad = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> & {
    readonly biasCorrectionMu?: boolean
    readonly biasCorrectionNu?: boolean
  } = {},
): GradientTransformation => chain(scaleByAmsgrad(options), scaleByLearningRate(learningRate))

/** Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2. */
export const radam = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'muDtype'> & { readonly threshold?: Scalar } = {},
): GradientTransformation => chain(scaleByRadam(options), scaleByLearningRate(learningRate))

/** Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients" (2020). */
export const adabelief = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'muDtype'> = {},
): GradientTransformation => chain(scaleByBelief(options), scaleByLearningRate(learningRate))

/** Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models" (2022). */
export const adan = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly b3?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
  } & DecayOptions = {},
): GradientTransformation =>
  chain(
    scaleByAdan({ ...options, epsRoot: options.epsRoot ?? 1e-8 }),
    addDecayedWeights(options.weightDecay ?? 0, { mask: options.mask }),
    scaleByLearningRate(learningRate),
  )

/** Zaheer et al., "Adaptive Methods for Nonconvex Optimization" (2018), algorithm 2. */
export const yogi = (
  learningRate: ScalarOrSchedule,
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation => chain(scaleByYogi(options), scaleByLearningRate(learningRate))

/** Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023), program 1. */
export const lion = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly muDtype?: DType
  } & DecayOptions = {},
): GradientTransformation =>
  chain(
    scaleByLion(options),
    addDecayedWeights(options.weightDecay ?? 1e-3, { mask: options.mask }),
    scaleByLearningRate(learningRate),
  )

/** You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (2020), algorithm 2. */
export const lamb = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov' | 'muDtype'> & DecayOptions = {},
): GradientTransformation =>
  chain(
    scaleByAdam({ ...options, eps: options.eps ?? 1e-6 }),
    addDecayedWeights(options.weightDecay ?? 0, { mask: options.mask }),
    scaleByTrustRatio(),
    scaleByLearningRate(learningRate),
  )

/** You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks" (2017), algorithm 1. */
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
): GradientTransformation =>
  chain(
    addDecayedWeights(options.weightDecay ?? 0, { mask: options.weightDecayMask ?? true }),
    masked(
      scaleByTrustRatio({
        trustCoefficient: options.trustCoefficient ?? 0.001,
        eps: options.eps ?? 0,
      }),
      options.trustRatioMask ?? true,
    ),
    scaleByLearningRate(learningRate),
    trace(options.momentum ?? 0.9, options),
  )

/** Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments" (2020), algorithm 1. */
export const novograd = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
    readonly weightDecay?: Scalar
  } = {},
): GradientTransformation =>
  chain(
    scaleByNovograd({ ...options, eps: options.eps ?? 1e-6 }),
    scaleByLearningRate(learningRate),
  )

/** Hinton, "Neural Networks for Machine Learning", lecture 6e (2012); centered as Graves (2013). */
export const rmsprop = (
  learningRate: ScalarOrSchedule,
  options: RmsOptions & {
    readonly centered?: boolean
    readonly momentum?: Scalar
    readonly nesterov?: boolean
  } = {},
): GradientTransformation =>
  chain(
    options.centered ? scaleByStddev(options) : scaleByRms(options),
    scaleByLearningRate(learningRate),
    options.momentum === undefined
      ? identity
      : trace(options.momentum, { nesterov: options.nesterov ?? false }),
  )

/** Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning" (2011). */
export const adagrad = (
  learningRate: ScalarOrSchedule,
  options: { readonly initialAccumulatorValue?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation => chain(scaleByRss(options), scaleByLearningRate(learningRate))

/** Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012). Without a learning rate, updates keep their sign. */
export function adadelta(
  learningRate: ScalarOrSchedule | null | AdadeltaOptions = {},
  options: AdadeltaOptions = {},
): GradientTransformation {
  const given = withLeading('learningRate', learningRate, options)
  return chain(
    addDecayedWeights(given.weightDecay ?? 0, { mask: given.weightDecayMask }),
    scaleByAdadelta(given),
    scaleByLearningRate(given.learningRate ?? null),
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
  readonly momentum?: Scalar
  readonly dtypeMomentum?: DType
  readonly weightDecayRate?: ScalarOrSchedule
  readonly eps?: Scalar
  readonly factored?: boolean
  readonly weightDecayMask?: MaskOrFn
}

/** Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018), algorithm 6. */
export function adafactor(
  learningRate: ScalarOrSchedule | null | AdafactorOptions = {},
  rest: AdafactorOptions = {},
): GradientTransformation {
  const options = withLeading('learningRate', learningRate, rest)
  const { clippingThreshold = 1, multiplyByParameterScale = true } = options
  const { momentum, weightDecayRate, dtypeMomentum = 'float32' } = options
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
    momentum === undefined
      ? identity
      : ema(momentum, { debias: false, accumulatorDtype: dtypeMomentum }),
    weightDecayRate === undefined
      ? identity
      : addDecayedWeights(weightDecayRate, { mask: options.weightDecayMask }),
    scale(-1),
  )
}

/** Steps of one size, in the directions of the signs. Bernstein et al., "signSGD" (2018), algorithm 1. */
export const signSgd = (learningRate: ScalarOrSchedule): GradientTransformation =>
  chain(scaleBySign(), scaleByLearningRate(learningRate))

/** The signs of averaged gradients. Bernstein et al. (2018), "Signum", algorithm 2. */
export const signum = (
  learningRate: ScalarOrSchedule,
  options: { readonly beta?: Scalar; readonly accumulatorDtype?: DType } = {},
): GradientTransformation =>
  chain(
    ema(options.beta ?? 0.9, {
      debias: false,
      ...(options.accumulatorDtype === undefined
        ? {}
        : { accumulatorDtype: options.accumulatorDtype }),
    }),
    scaleBySign(),
    scaleByLearningRate(learningRate),
  )

/** SGD with gradient noise. Neelakantan et al., "Adding Gradient Noise Improves Learning" (2015). */
export const noisySgd = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly eta?: Scalar
    readonly gamma?: Scalar
    readonly key?: Key | number
  } = {},
): GradientTransformation =>
  chain(
    addNoise(options.eta ?? 0.01, options.gamma ?? 0.55, options.key ?? 0),
    scaleByLearningRate(learningRate),
  )

/** Adam with optimism: `adam` before `scaleByOptimisticGradient`. Daskalakis et al., "Training GANs with Optimism" (2018), algorithm 1. */
export const optimisticAdam = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions & { readonly alpha?: Scalar; readonly beta?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByAdam({ ...options, nesterov: options.nesterov ?? true }),
    scaleByOptimisticGradient(options),
    scaleByLearningRate(learningRate),
  )

/** Steps by signs, each parameter with a step size that adapts. Igel & Hüsken, "Improving the Rprop Learning Algorithm" (2000). */
export const rprop = (learningRate: Scalar, options: RpropOptions = {}): GradientTransformation =>
  chain(scaleByRprop(learningRate, options), scale(-1))

/** AdaGrad in little memory, with momentum. Anil et al., "Memory-Efficient Adaptive Optimization" (2019), algorithm SM3-II. */
export const sm3 = (
  learningRate: ScalarOrSchedule,
  options: { readonly momentum?: Scalar } = {},
): GradientTransformation =>
  chain(scaleBySm3({ b1: options.momentum ?? 0.9 }), scaleByLearningRate(learningRate))

/** Steps of a fixed part of each layer's norm. Bernstein et al., "On the distance between two neural networks and the stability of learning" (2020), algorithm 1. */
export function fromage(
  learningRate: ScalarOrSchedule,
  options: { readonly minNorm?: Scalar } = {},
): GradientTransformation {
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
    scaleByTrustRatio({ minNorm: options.minNorm ?? 1e-6 }),
    scaleByLearningRate(scheduled((rate) => times(rate, shrink(rate)))),
    addDecayedWeights(scheduled((rate) => minus(shrink(rate), 1))),
  )
}

/** Mokhtari et al., "A Unified Analysis of Extra-gradient and Optimistic Gradient Methods" (2020). */
export const optimisticGradientDescent = (
  learningRate: ScalarOrSchedule,
  options: { readonly alpha?: Scalar; readonly beta?: Scalar } = {},
): GradientTransformation =>
  chain(scaleByOptimisticGradient(options), scaleByLearningRate(learningRate))

/** SGD with Polyak's step size; wants the extra argument `value`. Loizou et al. (2021). */
export const polyakSgd = (
  options: {
    readonly maxLearningRate?: Scalar
    readonly scaling?: ScalarOrSchedule
    readonly fMin?: Scalar
    readonly eps?: Scalar
    readonly variant?: 'sps' | 'sps+'
  } = {},
): GradientTransformation => chain(sgd(options.scaling ?? 1), scaleByPolyak(options))
