/** Adam with a second, much slower average of gradients. */
import { type DType, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, type Scalar, zeroCount } from './hyperparameters'
import type { MaskOrFn } from './masking'
import { debiasing, keepDtypes, mean, meanSquare, precisionOf, zeroMoments } from './moments'
import { addDecayedWeights } from './momentum'
import { scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import { chain, type GradientTransformation, mapLeaves, transformation } from './transformation'

export interface AdemamixScalingOptions {
  /** The decay of the fast average: 0.9 unless given. */
  readonly b1?: Scalar
  /** Of the mean square: 0.999 unless given. */
  readonly b2?: Scalar
  /** Of the slow average: 0.9999 unless given; less for trainings of few steps. */
  readonly b3?: ScalarOrSchedule
  /** How much the slow average weighs: 6 unless given, and 5 in `ademamix`. */
  readonly alpha?: ScalarOrSchedule
  readonly eps?: Scalar
  readonly epsRoot?: Scalar
  readonly muDtype?: DType
}

/**
 * The fast average, without its bias, plus `alpha` times the slow one, over the root of the mean square.
 * Pagliardini, Ablin & Grangier, "The AdEMAMix Optimizer: Better, Faster, Older" (2024), section 3.
 *
 * @example
 * const optimiser = chain(scaleByAdemamix({ b3: 0.999 }), scaleByLearningRate(1e-3))
 */
export function scaleByAdemamix(options: AdemamixScalingOptions = {}): GradientTransformation {
  checkOptions('scaleByAdemamix', options, ['b1', 'b2', 'b3', 'alpha', 'eps', 'epsRoot', 'muDtype'])
  const { b1 = 0.9, b2 = 0.999, b3 = 0.9999, alpha = 6, eps = 1e-8, epsRoot = 0 } = options
  interface State {
    readonly count: NDArray
    readonly m1: unknown
    readonly m2: unknown
    readonly nu: unknown
  }
  const at = (value: ScalarOrSchedule, count: NDArray): Scalar =>
    typeof value === 'function' ? value(count) : value
  return transformation<State>({
    init: (params) => ({
      count: zeroCount(),
      m1: zeroMoments(params, options.muDtype),
      m2: zeroMoments(params, options.muDtype),
      nu: zeroMoments(params),
    }),
    update: (grads, state) => {
      const [slow, weight] = [at(b3, state.count), at(alpha, state.count)]
      const m1 = mapLeaves((g, m) => mean(b1, m, g), grads, state.m1)
      const m2 = mapLeaves((g, m) => mean(slow, m, g), grads, state.m2)
      const nu = mapLeaves((g, v) => meanSquare(b2, v, g, eps), grads, state.nu)
      const count = increment(state.count)
      const [c1, c2] = [
        debiasing(b1, count, precisionOf(grads)),
        debiasing(b2, count, precisionOf(grads)),
      ]
      const updates = mapLeaves(
        (g, fast, old, v) => {
          const root = np.sqrt(np.add(np.multiply(v, c2), epsRoot))
          const both = np.add(np.multiply(fast, c1), np.multiply(weight, old))
          return np.divide(both, np.add(root, eps)).astype(g.dtype)
        },
        grads,
        m1,
        m2,
        nu,
      )
      return [
        updates,
        {
          count,
          m1: keepDtypes(m1, state.m1),
          m2: keepDtypes(m2, state.m2),
          nu: keepDtypes(nu, state.nu),
        },
      ]
    },
  })
}

/**
 * AdamW with a mixture of two averages, of which the slow one remembers thousands of steps.
 * Pagliardini, Ablin & Grangier (2024), algorithm 1.
 *
 * @example
 * const optimiser = ademamix(1e-3, { b3: 0.999, weightDecay: 0.1 })
 */
export const ademamix = (
  learningRate: ScalarOrSchedule,
  options: AdemamixScalingOptions & {
    readonly weightDecay?: ScalarOrSchedule
    readonly mask?: MaskOrFn
  } = {},
): GradientTransformation => {
  checkOptions('ademamix', options, [
    'b1',
    'b2',
    'b3',
    'alpha',
    'eps',
    'epsRoot',
    'muDtype',
    'weightDecay',
    'mask',
  ])
  const { weightDecay = 0, mask, alpha = 5, ...rest } = options
  return chain(
    scaleByAdemamix({ ...rest, alpha }),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}
