/** Steps by an estimate of the Hessian's diagonal, clipped. */
import { type DType, type Key, np, type NDArray, random, tree } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { cond, grad, jvp } from '@adjoint/transforms'
import { increment, type Scalar, times, zeroCount } from './hyperparameters'
import type { MaskOrFn } from './masking'
import { average, debiasing, keepDtypes, mean, precisionOf, zeroMoments } from './moments'
import { addDecayedWeights } from './momentum'
import { scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import {
  chain,
  type GradientTransformation,
  mapLeaves,
  type OptState,
  requireExtra,
  requireParams,
  transformation,
} from './transformation'

/**
 * Replaces updates by an estimate of the diagonal of the Hessian, `u ⊙ (H u)` for random signs u,
 * whose mean it is. Wants the extra argument `objFn`, the loss as a function of the parameters.
 * Hutchinson, "A stochastic estimator of the trace of the influence matrix" (1989); Bekas, Kokiopoulou
 * & Saad, "An estimator for the diagonal of a matrix" (2007), section 2.
 *
 * @example
 * const estimator = hutchinsonEstimatorDiagHessian()
 * const loss = (w: NDArray): NDArray => np.sum(np.power(w, 3))
 * const w = np.array([1, 2], { dtype: 'float32' })
 * estimator.update(w, estimator.init(w), w, { objFn: loss })[0]
 * // Array([ 6., 12.], dtype=float32)
 */
export function hutchinsonEstimatorDiagHessian(
  randomSeed: Key | number = 0,
): GradientTransformation {
  return transformation<{ readonly key: Key }>({
    init: () => ({ key: typeof randomSeed === 'number' ? random.key(randomSeed) : randomSeed }),
    update: (_grads, state, given, extra) => {
      const op = 'hutchinsonEstimatorDiagHessian'
      const params = requireParams(op, given)
      const { objFn } = requireExtra(op, extra, 'objFn')
      const [key, own] = random.split(state.key)
      const { leaves, structure } = tree.flatten<NDArray>(params)
      const keys = random.split(own, leaves.length)
      const signs = tree.unflatten(
        structure,
        leaves.map((p, i) => random.rademacher(keys.get(i), p.shape).astype(p.dtype)),
      )
      const slope: (p: unknown) => unknown = grad((p: unknown) => objFn(p))
      const [, product] = jvp(slope, [params], [signs])
      return [mapLeaves((h, u) => np.multiply(h, u), product, signs), { key }]
    },
  })
}

export interface SophiaScalingOptions {
  /** The decay of the gradients' average: 0.965 unless given. */
  readonly b1?: Scalar
  /** Of the diagonal's average, per estimate: 0.99 unless given. */
  readonly b2?: Scalar
  readonly eps?: Scalar
  /** What the diagonal is multiplied by: more clips less. 0.01 unless given. */
  readonly gamma?: Scalar
  /** The largest element of an update; null for none. 1 unless given. */
  readonly clipThreshold?: Scalar | null
  /** An estimate is made each so many updates: 10 unless given. */
  readonly updateInterval?: Scalar
  /** Makes estimates of updates; `hutchinsonEstimatorDiagHessian()` unless given. */
  readonly hessianDiagonalFn?: GradientTransformation
  readonly muDtype?: DType
}

interface State {
  readonly count: NDArray
  readonly mu: unknown
  readonly nu: unknown
  readonly hessianFnState: OptState
}

const scalingNames = [
  'b1',
  'b2',
  'eps',
  'gamma',
  'clipThreshold',
  'updateInterval',
  'hessianDiagonalFn',
  'muDtype',
] as const

/**
 * The average of the gradients over that of the Hessian's diagonal, clipped element by element. Liu et
 * al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training" (2023),
 * algorithm 3.
 *
 * @example
 * const optimiser = chain(scaleBySophia({ gamma: 0.05 }), scaleByLearningRate(1e-3))
 */
export function scaleBySophia(options: SophiaScalingOptions = {}): GradientTransformation {
  checkOptions('scaleBySophia', options, scalingNames)
  const { b1 = 0.965, b2 = 0.99, eps = 1e-8, gamma = 0.01, clipThreshold = 1 } = options
  const { updateInterval = 10, muDtype } = options
  const { hessianDiagonalFn = hutchinsonEstimatorDiagHessian() } = options
  return transformation<State>({
    init: (params) => ({
      count: zeroCount(),
      mu: zeroMoments(params, muDtype),
      nu: zeroMoments(params),
      hessianFnState: hessianDiagonalFn.init(params),
    }),
    update: (grads, state, given, extra) => {
      const params = requireParams('scaleBySophia', given)
      const count = increment(state.count)
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const correction = debiasing(b1, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, m, h) => {
          const curvature = np.maximum(np.multiply(gamma, h), eps)
          const step = np.divide(np.multiply(m, correction), curvature)
          const bounded =
            clipThreshold === null ? step : np.clip(step, times(-1, clipThreshold), clipThreshold)
          return bounded.astype(g.dtype)
        },
        grads,
        mu,
        state.nu,
      )
      const [nu, hessianFnState] = cond<[unknown, OptState], readonly [unknown, OptState]>(
        np.equal(np.mod(state.count, updateInterval), 0),
        (old, inside) => {
          const [diagonal, next] = hessianDiagonalFn.update(grads, inside, params, extra)
          return [
            keepDtypes(
              mapLeaves((v, h) => average(b2, v, h), old, diagonal),
              old,
            ),
            next,
          ]
        },
        (old, inside) => [old, inside],
        state.nu,
        state.hessianFnState,
      )
      return [updates, { count, mu: keepDtypes(mu, state.mu), nu, hessianFnState }]
    },
  })
}

/**
 * Sophia-H, with decoupled weight decay: wants the extra argument `objFn`, the loss as a function of
 * the parameters. Liu et al. (2023), algorithm 3.
 *
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = sophia(0.1)
 * const w = np.ones([2])
 * optimiser.update(grad(loss)(w), optimiser.init(w), w, { objFn: loss })[0].shape // [ 2 ]
 */
export const sophia = (
  learningRate: ScalarOrSchedule,
  options: SophiaScalingOptions & {
    readonly weightDecay?: ScalarOrSchedule
    readonly weightDecayMask?: MaskOrFn
  } = {},
): GradientTransformation => {
  checkOptions('sophia', options, [...scalingNames, 'weightDecay', 'weightDecayMask'])
  const { weightDecay = 1e-4, weightDecayMask: mask, ...rest } = options
  return chain(
    scaleBySophia(rest),
    addDecayedWeights(weightDecay, { mask }),
    scaleByLearningRate(learningRate),
  )
}
