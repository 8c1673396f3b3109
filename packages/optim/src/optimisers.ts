/** The optimisers people use, each one chain of transformations, as in Optax. */
import type { ScalarOrSchedule } from './schedules'
import { chain, type GradientTransformation, identity } from './transformation'
import {
  addDecayedWeights,
  type AdamOptions,
  scaleByAdam,
  scaleByLearningRate,
  scaleByRms,
  trace,
} from './transforms'

/**
 * Stochastic gradient descent, with momentum or Nesterov's.
 *
 * @example
 * const optimiser = sgd(0.1, { momentum: 0.9 })
 */
export const sgd = (
  learningRate: ScalarOrSchedule,
  options: { readonly momentum?: number; readonly nesterov?: boolean } = {},
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
 * let state = optimiser.init(params)
 * const [updates, next] = optimiser.update(grads, state, params)
 */
export const adam = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions = {},
): GradientTransformation => chain(scaleByAdam(options), scaleByLearningRate(learningRate))

/** Adam with Nesterov momentum. Dozat, "Incorporating Nesterov Momentum into Adam" (2016). */
export const nadam = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions = {},
): GradientTransformation => adam(learningRate, { ...options, nesterov: true })

/** Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2. */
export const adamw = (
  learningRate: ScalarOrSchedule,
  options: AdamOptions & { readonly weightDecay?: number } = {},
): GradientTransformation =>
  chain(
    scaleByAdam(options),
    addDecayedWeights(options.weightDecay ?? 1e-4),
    scaleByLearningRate(learningRate),
  )

/** Hinton, "Neural Networks for Machine Learning", lecture 6e (2012). */
export const rmsprop = (
  learningRate: ScalarOrSchedule,
  options: {
    readonly decay?: number
    readonly eps?: number
    readonly initialScale?: number
    readonly momentum?: number
    readonly nesterov?: boolean
  } = {},
): GradientTransformation =>
  chain(
    scaleByRms(options),
    scaleByLearningRate(learningRate),
    options.momentum === undefined ? identity : trace(options.momentum, options),
  )
