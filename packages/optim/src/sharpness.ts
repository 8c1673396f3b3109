/** Minima whose neighbourhood is low as well. */
import { ArgumentError, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { pmean } from '@adjoint/transforms'
import { zeroCount } from './hyperparameters'
import {
  applyUpdates,
  copies,
  type ExtraArgs,
  globalNorm,
  type GradientTransformation,
  mapLeaves,
  type OptState,
  requireExtra,
  requireParams,
  selectTree,
  stateless,
  transformation,
} from './transformation'

/**
 * Divides all updates by their global norm: a step of a known length.
 *
 * @example
 * const t = normalize()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.59702235, 0.7960298 ], dtype=float32)
 */
export const normalize = (): GradientTransformation =>
  stateless((grads) => {
    const norm = globalNorm(grads)
    return mapLeaves((g) => np.divide(g, norm).astype(g.dtype), grads)
  })

export interface SamOptions {
  /** How many updates make a step of the outer optimiser, the last of them that step: 2 unless given. */
  readonly syncPeriod?: number
  /** Whether the adversarial optimiser starts anew after each step; true unless given. */
  readonly resetState?: boolean
  /**
   * Whether each update is a whole step, with gradients that it takes itself: then it wants the extra
   * argument `gradFn`, and parameters are never seen at the adversarial points.
   */
  readonly opaqueMode?: boolean
  /** With `opaqueMode`: the axis of a `pmap` or `vmap` over which its gradients are averaged. */
  readonly batchAxisName?: string
}

interface State {
  readonly stepsSinceSync: NDArray
  readonly optState: OptState
  readonly advState: OptState
  /** The parameters before the adversarial steps. */
  readonly cache: unknown
}

/**
 * Sharpness-aware minimisation: climbs to where the loss is high nearby, and steps from where it was
 * by the gradient found there. Foret et al., "Sharpness-Aware Minimization for Efficiently Improving
 * Generalization" (2021), algorithm 1.
 *
 * @param optimizer makes the step
 * @param advOptimizer climbs: the negative of its updates is taken; `chain(normalize(), sgd(rho))` is
 *   the paper's
 * @throws ArgumentError when `syncPeriod` is less than 1
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = sam(sgd(0.1), chain(normalize(), sgd(0.05)), { opaqueMode: true })
 * const w = np.array([3, 4], { dtype: 'float32' })
 * const [updates] = optimiser.update(grad(loss)(w), optimiser.init(w), w, { gradFn: grad(loss) })
 * applyUpdates(w, updates) // Array([2.394    , 3.1919999], dtype=float32)
 */
export function sam(
  optimizer: GradientTransformation,
  advOptimizer: GradientTransformation,
  options: SamOptions = {},
): GradientTransformation {
  checkOptions('sam', options, ['syncPeriod', 'resetState', 'opaqueMode', 'batchAxisName'])
  const { syncPeriod = 2, resetState = true, opaqueMode = false, batchAxisName } = options
  if (!(Number.isInteger(syncPeriod) && syncPeriod >= 1)) {
    throw new ArgumentError({
      op: 'sam(optimizer, advOptimizer, { syncPeriod })',
      problem: `the period is ${syncPeriod}`,
      rule: 'syncPeriod is a whole number from 1 on',
    })
  }
  const climbing = (updates: unknown): unknown => mapLeaves((u) => np.negative(u), updates)

  /** One update of either optimiser: adversarial ones, and then the step. */
  const visible = (grads: unknown, state: State, params: unknown): [unknown, State] => {
    const isFirst = np.equal(state.stepsSinceSync, 0)
    const isLast = np.equal(state.stepsSinceSync, syncPeriod - 1)
    const cache = selectTree(isFirst, params, state.cache)
    const [climb, climbed] = advOptimizer.update(grads, state.advState, params)
    const [step, stepped] = optimizer.update(grads, state.optState, cache)
    const fromCache = mapLeaves(
      (c, p, u) => np.add(np.subtract(c, p), u).astype(u.dtype),
      cache,
      params,
      step,
    )
    const restarted = resetState ? advOptimizer.init(params) : state.advState
    return [
      selectTree(isLast, fromCache, climbing(climb)),
      {
        stepsSinceSync: np.mod(np.add(state.stepsSinceSync, 1), syncPeriod).astype('int32'),
        optState: selectTree(isLast, stepped, state.optState),
        advState: selectTree(isLast, restarted, climbed),
        cache,
      },
    ]
  }

  const opaque = (
    grads: unknown,
    state: State,
    params: unknown,
    extra: ExtraArgs,
  ): [unknown, State] => {
    const { gradFn } = requireExtra('sam', extra, 'gradFn')
    let [there, gradient, advState] = [params, grads, state.advState]
    for (let i = 0; i < syncPeriod - 1; i++) {
      const [climb, next] = advOptimizer.update(gradient, advState, there)
      there = applyUpdates(there, climbing(climb))
      const found = gradFn(there, i)
      gradient = batchAxisName === undefined ? found : pmean(found, batchAxisName)
      advState = next
    }
    const [updates, optState] = optimizer.update(gradient, state.optState, params)
    return [
      updates,
      { ...state, optState, advState: resetState ? advOptimizer.init(params) : advState },
    ]
  }

  return transformation<State>({
    init: (params) => ({
      stepsSinceSync: zeroCount(),
      optState: optimizer.init(params),
      advState: advOptimizer.init(params),
      cache: opaqueMode ? null : copies(params),
    }),
    update: (grads, state, given, extra) => {
      const params = requireParams('sam', given)
      return opaqueMode ? opaque(grads, state, params, extra) : visible(grads, state, params)
    },
  })
}
