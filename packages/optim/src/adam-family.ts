/** Adam and its kin: steps in proportion to a mean of gradients over a mean of their squares. */
import { checkOptions } from '@adjoint/core/internal'
import {
  type AdamOptions,
  scaleByAdam,
  scaleByAdamax,
  scaleByAdan,
  scaleByAmsgrad,
  scaleByBelief,
  scaleByRadam,
  scaleByYogi,
} from './adaptive'
import type { Scalar } from './hyperparameters'
import type { MaskOrFn } from './masking'
import { addDecayedWeights } from './momentum'
import { scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import { chain, type GradientTransformation } from './transformation'

export const adamNames = ['b1', 'b2', 'eps', 'epsRoot', 'muDtype', 'nesterov'] as const
/** Of those that have no dtype of their own for the first moment. */
const beliefNames = ['b1', 'b2', 'eps', 'epsRoot', 'nesterov'] as const
const nadamNames = ['b1', 'b2', 'eps', 'epsRoot', 'muDtype'] as const
export const decayNames = ['weightDecay', 'mask'] as const

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
): GradientTransformation =>
  chain(scaleByAdam(checkOptions('adam', options, adamNames)), scaleByLearningRate(learningRate))

/**
 * Adam with Nesterov momentum. Dozat, "Incorporating Nesterov Momentum into Adam" (2016).
 *
 * @example
 * const optimiser = nadam(1e-3)
 */
export const nadam = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> = {},
): GradientTransformation =>
  adam(learningRate, { ...checkOptions('nadam', options, nadamNames), nesterov: true })

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
): GradientTransformation => {
  checkOptions('adamw', options, [...adamNames, ...decayNames])
  const { weightDecay = 1e-4, mask, ...rest } = options
  return chain(
    scaleByAdam(rest),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * AdamW with Nesterov momentum. Dozat 2016; Loshchilov & Hutter 2019.
 *
 * @example
 * const optimiser = nadamw(1e-3, { weightDecay: 0.1 })
 */
export const nadamw = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> & DecayOptions = {},
): GradientTransformation => {
  checkOptions('nadamw', options, [...nadamNames, ...decayNames])
  return adamw(learningRate, { ...options, nesterov: true })
}

/**
 * Adam with the largest gradient in place of the mean square. Kingma & Ba 2015, algorithm 2.
 *
 * @example
 * const optimiser = adamax(2e-3)
 */
export const adamax = (
  learningRate: ScalarOrSchedule,
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByAdamax(checkOptions('adamax', options, ['b1', 'b2', 'eps'])),
    scaleByLearningRate(learningRate),
  )

/**
 * `adamax` with decoupled weight decay.
 *
 * @example
 * const optimiser = adamaxw(2e-3, { weightDecay: 0.01 })
 */
export const adamaxw = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
  } & DecayOptions = {},
): GradientTransformation => {
  checkOptions('adamaxw', options, ['b1', 'b2', 'eps', ...decayNames])
  const { weightDecay = 1e-4, mask, ...rest } = options
  return chain(
    scaleByAdamax(rest),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2.
 *
 * @example
 * const optimiser = amsgrad(1e-3)
 */
export const amsgrad = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'nesterov'> & {
    readonly biasCorrectionMu?: boolean
    readonly biasCorrectionNu?: boolean
  } = {},
): GradientTransformation => {
  checkOptions('amsgrad', options, [...nadamNames, 'biasCorrectionMu', 'biasCorrectionNu'])
  return chain(scaleByAmsgrad(options), scaleByLearningRate(learningRate))
}

/**
 * Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2.
 *
 * @example
 * const optimiser = radam(1e-3)
 */
export const radam = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'muDtype'> & { readonly threshold?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByRadam(checkOptions('radam', options, [...beliefNames, 'threshold'])),
    scaleByLearningRate(learningRate),
  )

/**
 * Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients"
 * (2020).
 *
 * @example
 * const optimiser = adabelief(1e-3, { eps: 1e-12 })
 */
export const adabelief = (
  learningRate: ScalarOrSchedule,
  options: Omit<AdamOptions, 'muDtype'> = {},
): GradientTransformation =>
  chain(
    scaleByBelief(checkOptions('adabelief', options, beliefNames)),
    scaleByLearningRate(learningRate),
  )

/**
 * Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models"
 * (2022).
 *
 * @example
 * const optimiser = adan(1e-3, { weightDecay: 0.02 })
 */
export const adan = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly b3?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
  } & DecayOptions = {},
): GradientTransformation => {
  checkOptions('adan', options, ['b1', 'b2', 'b3', 'eps', 'epsRoot', ...decayNames])
  const { weightDecay = 0, mask, epsRoot = 1e-8, ...rest } = options
  return chain(
    scaleByAdan({ ...rest, epsRoot }),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}

/**
 * Zaheer et al., "Adaptive Methods for Nonconvex Optimization" (2018), algorithm 2.
 *
 * @example
 * const optimiser = yogi(1e-2)
 */
export const yogi = (
  learningRate: ScalarOrSchedule,
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation =>
  chain(
    scaleByYogi(checkOptions('yogi', options, ['b1', 'b2', 'eps'])),
    scaleByLearningRate(learningRate),
  )
