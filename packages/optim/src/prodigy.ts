/** AdamW that finds its learning rate. */
import { np, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, requireRate, type Scalar, withLeading, zeroCount } from './hyperparameters'
import { average, keepDtypes, powers, precisionOf, zeroMoments } from './moments'
import type { ScalarOrSchedule } from './schedules'
import {
  copies,
  type GradientTransformation,
  mapLeaves,
  requireParams,
  total,
  transformation,
  vdot,
} from './transformation'

export interface ProdigyOptions {
  /** What the estimate is multiplied by: 1 unless given, or a schedule that begins there. */
  readonly learningRate?: ScalarOrSchedule
  /** The decays of Adam's averages: 0.9 and 0.999 unless given. */
  readonly betas?: readonly [Scalar, Scalar]
  /** The decay of what the estimate is made of; the root of the second of `betas` unless given. */
  readonly beta3?: Scalar
  readonly eps?: Scalar
  /** The first estimate, far below any rate that would do: 1e-6 unless given. */
  readonly estimLr0?: Scalar
  /** What estimates are multiplied by. */
  readonly estimLrCoef?: Scalar
  readonly weightDecay?: Scalar
  /** Leaves the schedule out of the estimate's denominator: for long warm-ups. */
  readonly safeguardWarmup?: boolean
}

interface State {
  readonly expAvg: unknown
  readonly expAvgSq: unknown
  readonly gradSum: unknown
  readonly params0: unknown
  readonly estimLr: NDArray
  readonly numeratorWeighted: NDArray
  readonly count: NDArray
}

/**
 * AdamW whose step size grows to what the distance from the start shows to be right; it has no
 * learning rate to tune. Mishchenko & Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free
 * Learner" (2023), algorithm 4.
 *
 * @param learningRate a factor: 1, or a schedule from 1 to 0
 * @example
 * const optimiser = prodigy()
 * const w = np.ones([2])
 * optimiser.update(w, optimiser.init(w), w)[0].shape // [ 2 ]
 */
export function prodigy(
  learningRate: ScalarOrSchedule | ProdigyOptions = {},
  rest: ProdigyOptions = {},
): GradientTransformation {
  const options = withLeading('learningRate', learningRate, rest)
  checkOptions('prodigy', options, [
    'learningRate',
    'betas',
    'beta3',
    'eps',
    'estimLr0',
    'estimLrCoef',
    'weightDecay',
    'safeguardWarmup',
  ])
  const { learningRate: rate = 1, betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 } = options
  const { estimLr0 = 1e-6, estimLrCoef = 1, weightDecay = 0, safeguardWarmup = false } = options
  const { beta3 = typeof beta2 === 'number' ? Math.sqrt(beta2) : np.sqrt(beta2) } = options
  requireRate(rate)
  return transformation<State>({
    init: (params) => {
      const dtype = precisionOf(params)
      return {
        expAvg: zeroMoments(params),
        expAvgSq: zeroMoments(params),
        gradSum: zeroMoments(params),
        params0: copies(params),
        estimLr: np.asarray(estimLr0, { dtype }),
        numeratorWeighted: np.zeros([], { dtype }),
        count: zeroCount(),
      }
    },
    update: (grads, state, given) => {
      const params = requireParams('prodigy', given)
      const { estimLr, count: before } = state
      const { dtype } = estimLr
      const count = increment(before)
      const schedule = typeof rate === 'function' ? rate(before) : rate
      const own = precisionOf(params)
      const correction = np.divide(
        np.sqrt(powers(beta2, count, own).rest),
        powers(beta1, count, own).rest,
      )
      const step = np.multiply(np.multiply(estimLr, schedule), correction).astype(dtype)
      const expAvg = mapLeaves(
        (g, m) => average(beta1, m, np.multiply(estimLr, g)),
        grads,
        state.expAvg,
      )
      const expAvgSq = mapLeaves(
        (g, v) => average(beta2, v, np.square(np.multiply(estimLr, g))),
        grads,
        state.expAvgSq,
      )
      const relative = np.divide(estimLr, estimLr0)
      const weight = np.multiply(relative, safeguardWarmup ? estimLr : step)
      const gradSum = mapLeaves(
        (g, s) => np.add(np.multiply(beta3, s), np.multiply(weight, g)),
        grads,
        state.gradSum,
      )
      // ⟨g, x₀ − x⟩, in the order that keeps it exact when the two are close.
      const progress = vdot(
        grads,
        mapLeaves((p0, p) => np.subtract(p0, p), state.params0, params),
      )
      const numeratorWeighted = np
        .add(
          np.multiply(beta3, state.numeratorWeighted),
          np.multiply(np.multiply(relative, step), progress),
        )
        .astype(dtype)
      const denominator = total(tree.leaves<NDArray>(gradSum).map((s) => np.sum(np.abs(s))))
      // Without any gradient so far there is nothing to go by.
      const isKnown = np.greater(denominator, 0)
      const estimate = np.where(
        isKnown,
        np.divide(np.multiply(estimLrCoef, numeratorWeighted), np.where(isKnown, denominator, 1)),
        0,
      )
      const next = np.maximum(estimLr, estimate).astype(dtype)
      const updates = mapLeaves(
        (g, m, v, p) => {
          const adam = np.divide(m, np.add(np.sqrt(v), np.multiply(next, eps)))
          const decayed = np.add(adam, np.multiply(weightDecay, p))
          return np.multiply(np.negative(step), decayed).astype(g.dtype)
        },
        grads,
        expAvg,
        expAvgSq,
        params,
      )
      return [
        updates,
        {
          expAvg: keepDtypes(expAvg, state.expAvg),
          expAvgSq: keepDtypes(expAvgSq, state.expAvgSq),
          gradSum: keepDtypes(gradSum, state.gradSum),
          params0: state.params0,
          estimLr: next,
          numeratorWeighted,
          count,
        },
      ]
    },
  })
}
