/**
 * Training without a schedule: gradients are taken between the iterates and their average.
 * Defazio et al., "The Road Less Scheduled" (2024).
 */
import { ArgumentError, type DType, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { complement, increment, type Scalar, withLeading } from './hyperparameters'
import { addDecayedWeights } from './momentum'
import { scaleByRms } from './root-mean-square'
import { scaleByLearningRate } from './scaling'
import { type ScalarOrSchedule, warmupConstant } from './schedules'
import {
  chain,
  copies,
  type GradientTransformation,
  mapLeaves,
  type OptState,
  requireParams,
  transformation,
} from './transformation'

interface ScheduleFreeState {
  readonly b1: NDArray
  readonly weightSum: NDArray
  readonly stepCount: NDArray
  readonly maxLr: NDArray
  readonly baseOptimizerState: OptState
  /** The iterates of the base optimiser. */
  readonly z: unknown
}

export interface ScheduleFreeOptions {
  /** How much of the average there is in the point where gradients are taken. */
  readonly b1?: Scalar | undefined
  /** Steps weigh as this power of the learning rate. */
  readonly weightLrPower?: Scalar | undefined
  readonly stateDtype?: DType | undefined
}

/** The averaged iterates x, from the parameters y = b1 · x + (1 − b1) · z. */
const averaged = (params: unknown, z: unknown, b1: Scalar): unknown =>
  mapLeaves(
    (y, zLeaf) => np.divide(np.subtract(y, np.multiply(complement(b1), zLeaf)), b1),
    params,
    z,
  )

/**
 * Averages the iterates of an optimiser without momentum, and moves the parameters between them and
 * their average; `scheduleFreeEvalParams` gives the average, which is what to use in the end.
 *
 * @param learningRate the base optimiser's
 * @example
 * const optimiser = scheduleFree(sgd(0.1), 0.1, { b1: 0.95 })
 */
export function scheduleFree(
  baseOptimizer: GradientTransformation,
  learningRate: ScalarOrSchedule,
  options: ScheduleFreeOptions = {},
): GradientTransformation {
  checkOptions('scheduleFree', options, ['b1', 'weightLrPower', 'stateDtype'])
  const { b1 = 0.9, weightLrPower = 2, stateDtype } = options
  return transformation<ScheduleFreeState>({
    init: (params) => ({
      b1: np.asarray(b1, { dtype: 'float32' }),
      weightSum: np.zeros([]),
      stepCount: np.ones([], { dtype: 'int32' }),
      maxLr: np.zeros([]),
      baseOptimizerState: baseOptimizer.init(params),
      z: mapLeaves((p) => p.astype(stateDtype ?? p.dtype), copies(params)),
    }),
    update: (grads, state, params, extra) => {
      requireParams('scheduleFree', params)
      const rate = typeof learningRate === 'function' ? learningRate(state.stepCount) : learningRate
      const maxLr = np.maximum(state.maxLr, rate).astype('float32')
      const weight = np.power(maxLr, weightLrPower)
      const weightSum = np.add(state.weightSum, weight).astype('float32')
      // Before any step of a rate above 0 there is nothing to average.
      const share = np.where(np.equal(weightSum, 0), 0, np.divide(weight, weightSum))
      const [updates, baseOptimizerState] = baseOptimizer.update(
        grads,
        state.baseOptimizerState,
        params,
        extra,
      )
      const z = mapLeaves((old, u) => np.add(old, u).astype(old.dtype), state.z, updates)
      const x = mapLeaves(
        (old, zLeaf) => np.add(np.multiply(np.subtract(1, share), old), np.multiply(share, zLeaf)),
        averaged(params, state.z, b1),
        z,
      )
      const moves = mapLeaves(
        (p, xLeaf, zLeaf) => {
          const next = np.add(np.multiply(b1, xLeaf), np.multiply(complement(b1), zLeaf))
          return np.subtract(next, p).astype(p.dtype)
        },
        params,
        x,
        z,
      )
      const stepCount = increment(state.stepCount)
      return [moves, { b1: state.b1, weightSum, stepCount, maxLr, baseOptimizerState, z }]
    },
  })
}

/**
 * The averaged parameters: what to evaluate and to keep. The state is `scheduleFree`'s.
 *
 * @example
 * const optimiser = scheduleFreeSgd(0.5)
 * const w = np.ones([2])
 * const [updates, state] = optimiser.update(np.ones([2]), optimiser.init(w), w)
 * scheduleFreeEvalParams(state, applyUpdates(w, updates)) // Array([0.5, 0.5], dtype=float32)
 */
export function scheduleFreeEvalParams<P>(state: OptState, params: P): P {
  if (!isScheduleFreeState(state)) {
    throw new ArgumentError({
      op: 'scheduleFreeEvalParams',
      problem: 'the state is not that of scheduleFree',
      hint: 'pass the state that scheduleFree, scheduleFreeSgd or scheduleFreeAdamw returned',
    })
  }
  return mapLeaves((x, p) => x.astype(p.dtype), averaged(params, state.z, state.b1), params) as P
}

const isScheduleFreeState = (state: OptState): state is ScheduleFreeState =>
  typeof state === 'object' && state !== null && 'z' in state && 'b1' in state

const warmed = (learningRate: Scalar, warmupSteps: number | undefined): ScalarOrSchedule =>
  warmupSteps === undefined ? learningRate : warmupConstant(0, learningRate, warmupSteps)

export interface ScheduleFreeSgdOptions extends ScheduleFreeOptions {
  /** 1 for SGD and 0.0025 for AdamW, unless given. */
  readonly learningRate?: Scalar
  /** Steps of a linear rise to the learning rate. */
  readonly warmupSteps?: number
  readonly weightDecay?: Scalar
}

export interface ScheduleFreeAdamwOptions extends ScheduleFreeSgdOptions {
  readonly b2?: Scalar
  readonly eps?: Scalar
}

/**
 * `scheduleFree` of SGD. Defazio et al. (2024), algorithm 1.
 *
 * @example
 * const optimiser = scheduleFreeSgd(1, { warmupSteps: 100 })
 */
export function scheduleFreeSgd(
  learningRate: Scalar | ScheduleFreeSgdOptions = {},
  rest: ScheduleFreeSgdOptions = {},
): GradientTransformation {
  const options = withLeading('learningRate', learningRate, rest)
  checkOptions('scheduleFreeSgd', options, [
    'learningRate',
    'warmupSteps',
    'weightDecay',
    'b1',
    'weightLrPower',
    'stateDtype',
  ])
  const { learningRate: peak = 1, warmupSteps, weightDecay = 0, ...averaging } = options
  const rate = warmed(peak, warmupSteps)
  const sgd = chain(addDecayedWeights(weightDecay), scaleByLearningRate(rate))
  return scheduleFree(sgd, rate, averaging)
}

/**
 * `scheduleFree` of AdamW without its momentum. Defazio et al. (2024), algorithm 2.
 *
 * @example
 * const optimiser = scheduleFreeAdamw(0.0025, { warmupSteps: 100 })
 */
export function scheduleFreeAdamw(
  learningRate: Scalar | ScheduleFreeAdamwOptions = {},
  rest: ScheduleFreeAdamwOptions = {},
): GradientTransformation {
  const options = withLeading('learningRate', learningRate, rest)
  checkOptions('scheduleFreeAdamw', options, [
    'b2',
    'eps',
    'learningRate',
    'warmupSteps',
    'weightDecay',
    'b1',
    'weightLrPower',
    'stateDtype',
  ])
  const { learningRate: peak = 0.0025, warmupSteps, weightDecay = 0 } = options
  const { b2 = 0.999, eps = 1e-8, b1, weightLrPower, stateDtype } = options
  const rate = warmed(peak, warmupSteps)
  const optimiser = chain(
    scaleByRms({ decay: b2, eps, epsInSqrt: false, biasCorrection: true }),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(rate),
  )
  return scheduleFree(optimiser, rate, { b1, weightLrPower, stateDtype })
}
