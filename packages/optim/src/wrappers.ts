/** Transformations of transformations. */
import { ArgumentError, np, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { cond } from '@adjoint/transforms'
import { complement, increment, minus, type Scalar, times, zeroCount } from './hyperparameters'
import {
  copies,
  type ExtraArgs,
  type GradientTransformation,
  mapLeaves,
  type OptState,
  selectTree,
  transformation,
  zerosLike,
} from './transformation'

interface MultiStepsState {
  readonly miniStep: NDArray
  readonly gradientStep: NDArray
  readonly innerOptState: OptState
  readonly accGrads: unknown
}

/**
 * Collects the gradients of `everyKSchedule` updates and gives `inner` their mean (or sum) once;
 * the other updates are zero. So a large batch can be trained on in small pieces.
 *
 * @param everyKSchedule a number, or a function of how many updates of `inner` were done
 * @param options.lazy whether `inner` is computed only when it is due. That pays when it is dear, as
 *   Muon and line searches are; for others to compute it and to choose is faster than to branch.
 * @param options.shouldSkipUpdateFn says whether gradients are left out as if they had not been there
 * @example
 * const optimiser = multiSteps(adam(1e-3), 4)
 */
export function multiSteps(
  inner: GradientTransformation,
  everyKSchedule: number | ((gradientStep: NDArray) => NDArray | number),
  options: {
    readonly useGradMean?: boolean
    readonly lazy?: boolean
    readonly shouldSkipUpdateFn?: (
      grads: unknown,
      gradientStep: NDArray,
      params: unknown,
    ) => NDArray
  } = {},
): GradientTransformation {
  checkOptions('multiSteps', options, ['useGradMean', 'lazy', 'shouldSkipUpdateFn'])
  const { useGradMean = true, lazy = false, shouldSkipUpdateFn } = options
  const isCount = typeof everyKSchedule !== 'number' || Number.isInteger(everyKSchedule)
  if (!isCount || (typeof everyKSchedule === 'number' && everyKSchedule < 1)) {
    throw new ArgumentError({
      op: 'multiSteps(inner, everyKSchedule)',
      problem: `gradients of ${everyKSchedule} steps cannot be collected`,
      rule: 'everyKSchedule is a whole number from 1 on, or a function',
    })
  }
  return transformation<MultiStepsState>({
    init: (params) => ({
      miniStep: zeroCount(),
      gradientStep: zeroCount(),
      innerOptState: inner.init(params),
      accGrads: mapLeaves((p) => np.zerosLike(p, { dtype: accumulatorOf(p) }), params),
    }),
    update: (grads, state, params, extra) => {
      const k =
        typeof everyKSchedule === 'function' ? everyKSchedule(state.gradientStep) : everyKSchedule
      const accGrads = mapLeaves(
        (g, sum) => {
          if (!useGradMean) return np.add(g, sum).astype(sum.dtype)
          // Welford's recurrence keeps the mean in range.
          const share = np.divide(np.subtract(g, sum), np.add(state.miniStep, 1))
          return np.add(sum, share).astype(sum.dtype)
        },
        grads,
        state.accGrads,
      )
      const emit = np.equal(state.miniStep, minus(k, 1))
      const finish = (mean: unknown, inside: OptState): [unknown, OptState] =>
        inner.update(
          mapLeaves((m, g) => m.astype(g.dtype), mean, grads),
          inside,
          params,
          extra,
        )
      const [updates, innerOptState] = lazy
        ? cond<[unknown, OptState], readonly [unknown, OptState]>(
            emit,
            finish,
            (_mean, inside) => [zerosLike(grads), inside],
            accGrads,
            state.innerOptState,
          )
        : finish(accGrads, state.innerOptState).map((changed, i) =>
            selectTree(emit, changed, i === 0 ? zerosLike(grads) : state.innerOptState),
          )
      const next: MultiStepsState = {
        miniStep: np.mod(np.add(state.miniStep, 1), k).astype('int32'),
        gradientStep: np.where(emit, increment(state.gradientStep), state.gradientStep),
        innerOptState,
        accGrads: selectTree(emit, zerosLike(accGrads), accGrads),
      }
      if (shouldSkipUpdateFn === undefined) return [updates, next]
      const skip = shouldSkipUpdateFn(grads, state.gradientStep, params)
      return [
        selectTree(skip, zerosLike(updates), updates),
        selectTree(skip, state, next) as MultiStepsState,
      ]
    },
  })
}

/** Gradients of 16 bits are collected in 32. */
const accumulatorOf = (p: NDArray): 'float64' | 'float32' =>
  p.dtype === 'float64' ? 'float64' : 'float32'

/**
 * Whether the last update of `multiSteps` was one of the inner optimiser's.
 *
 * @example
 * const optimiser = multiSteps(sgd(1), 2)
 * const w = np.ones([2])
 * const [, state] = optimiser.update(w, optimiser.init(w), w)
 * hasUpdated(state) // Array(False, dtype=bool)
 */
export function hasUpdated(state: OptState): NDArray {
  if (!isMultiStepsState(state)) {
    throw new ArgumentError({
      op: 'hasUpdated(state)',
      problem: 'the state is not that of multiSteps',
      hint: 'in a chain it is one of the parts of the state',
    })
  }
  const { miniStep, gradientStep } = state
  return np.logicalAnd(np.equal(miniStep, 0), np.greater(gradientStep, 0))
}

const isMultiStepsState = (state: OptState): state is MultiStepsState =>
  typeof state === 'object' && state !== null && 'miniStep' in state && 'gradientStep' in state

/**
 * For `multiSteps`: leaves out gradients that are not finite.
 *
 * @example
 * const optimiser = multiSteps(adam(1e-3), 4, { shouldSkipUpdateFn: skipNotFinite })
 */
export const skipNotFinite = (grads: unknown): NDArray => np.logicalNot(allFinite(grads))

/**
 * For `multiSteps`: leaves out gradients whose squared norm is not below a bound.
 *
 * @example
 * const optimiser = multiSteps(adam(1e-3), 4, { shouldSkipUpdateFn: skipLargeUpdates(100) })
 */
export const skipLargeUpdates =
  (maxSquaredNorm: Scalar) =>
  (grads: unknown): NDArray => {
    const square = tree
      .leaves<NDArray>(grads)
      .reduce<NDArray>((sum, g) => np.add(sum, np.sum(np.square(g))), np.zeros([]))
    return np.logicalNot(np.less(square, maxSquaredNorm))
  }

/**
 * Whether all elements of all leaves are finite.
 *
 * @example
 * allFinite({ w: np.array([1, NaN]) }) // Array(False, dtype=bool)
 */
export const allFinite = (updates: unknown): NDArray =>
  tree
    .leaves<NDArray>(updates)
    .reduce<NDArray>((all, g) => np.logicalAnd(all, np.all(np.isfinite(g))), np.array(true))

/**
 * Ignores updates that are not finite, unless they come more than `maxConsecutiveErrors` times in
 * a row: the updates are zero and the state of `inner` stays.
 *
 * @example
 * const t = applyIfFinite(sgd(1), 3)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([-3., -4.], dtype=float32)
 */
export function applyIfFinite(
  inner: GradientTransformation,
  maxConsecutiveErrors: Scalar,
): GradientTransformation {
  interface State {
    readonly notfiniteCount: NDArray
    readonly lastFinite: NDArray
    readonly totalNotfinite: NDArray
    readonly innerState: OptState
  }
  return transformation<State>({
    init: (params) => ({
      notfiniteCount: zeroCount(),
      lastFinite: np.array(true),
      totalNotfinite: zeroCount(),
      innerState: inner.init(params),
    }),
    update: (grads, state, params, extra) => {
      const lastFinite = allFinite(grads)
      const notfiniteCount = np.where(lastFinite, 0, increment(state.notfiniteCount))
      const [updates, innerState] = inner.update(grads, state.innerState, params, extra)
      const accept = np.logicalOr(lastFinite, np.greater(notfiniteCount, maxConsecutiveErrors))
      return [
        selectTree(accept, updates, zerosLike(updates)),
        {
          notfiniteCount: notfiniteCount.astype('int32'),
          lastFinite,
          totalNotfinite: np.where(
            lastFinite,
            state.totalNotfinite,
            increment(state.totalNotfinite),
          ),
          innerState: selectTree(accept, innerState, state.innerState),
        },
      ]
    },
  })
}

interface ConditionalState {
  readonly innerState: OptState
  readonly step: NDArray
}

/** Applies `inner` in the steps for which the function says so, and otherwise what `rejected` makes of the updates. */
function conditionally(
  inner: GradientTransformation,
  shouldTransformFn: (step: NDArray, extra: ExtraArgs) => NDArray,
  rejected: (updates: unknown) => unknown,
): GradientTransformation {
  return transformation<ConditionalState>({
    init: (params) => ({ innerState: inner.init(params), step: zeroCount() }),
    update: (grads, state, params, extra) => {
      const accept = shouldTransformFn(state.step, extra)
      const [updates, innerState] = inner.update(grads, state.innerState, params, extra)
      return [
        selectTree(accept, updates, rejected(grads)),
        {
          innerState: selectTree(accept, innerState, state.innerState),
          step: increment(state.step),
        },
      ]
    },
  })
}

/**
 * Applies `inner` in the steps for which the function says so; in the others updates stay as they
 * are.
 *
 * @example
 * const t = conditionallyTransform(scale(0.5), (step) => np.greater(step, 0))
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([3., 4.], dtype=float32)
 */
export const conditionallyTransform = (
  inner: GradientTransformation,
  shouldTransformFn: (step: NDArray, extra: ExtraArgs) => NDArray,
): GradientTransformation => conditionally(inner, shouldTransformFn, (updates) => updates)

/**
 * Applies `inner` in the steps for which the function says so; in the others updates are zero.
 *
 * @example
 * const t = conditionallyMask(scale(0.5), (step) => np.greater(step, 0))
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0., 0.], dtype=float32)
 */
export const conditionallyMask = (
  inner: GradientTransformation,
  shouldTransformFn: (step: NDArray, extra: ExtraArgs) => NDArray,
): GradientTransformation => conditionally(inner, shouldTransformFn, zerosLike)

/** Parameters that an optimiser moves, and those that follow slowly. */
export interface LookaheadParams<P> {
  readonly fast: P
  readonly slow: P
}

/**
 * Both kinds of parameters start the same.
 *
 * @example
 * Object.keys(lookaheadParams({ w: np.ones([2]) })) // [ 'fast', 'slow' ]
 */
export const lookaheadParams = <P>(params: P): LookaheadParams<P> => ({
  fast: params,
  slow: copies(params) as P,
})

/** A transformation from gradients of fast parameters to updates of both kinds. */
export interface Lookahead {
  init<P>(params: LookaheadParams<P>): OptState
  update<P>(
    grads: P,
    state: OptState,
    params: LookaheadParams<P>,
    extra?: ExtraArgs<P>,
  ): [updates: LookaheadParams<P>, state: OptState]
}

/**
 * Every `syncPeriod` steps the slow parameters go a part of the way to the fast ones, which then
 * start again from there. Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back" (2019),
 * algorithm 1. Gradients are taken at the fast parameters; the slow ones are the result.
 *
 * @param options.resetState whether the fast optimiser starts anew as well
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = lookahead(sgd(0.1), 5, 0.5)
 * const params = lookaheadParams(np.ones([2]))
 * const state = optimiser.init(params)
 * const [updates, next] = optimiser.update(grad(loss)(params.fast), state, params)
 */
export function lookahead(
  fastOptimizer: GradientTransformation,
  syncPeriod: number,
  slowStepSize: Scalar,
  options: { readonly resetState?: boolean } = {},
): Lookahead {
  checkOptions('lookahead', options, ['resetState'])
  if (!(Number.isInteger(syncPeriod) && syncPeriod >= 1)) {
    throw new ArgumentError({
      op: 'lookahead',
      problem: `the period is ${syncPeriod}`,
      rule: 'syncPeriod is a whole number from 1 on',
    })
  }
  interface State {
    readonly fastState: OptState
    readonly stepsSinceSync: NDArray
  }
  return {
    init: (params) => {
      const { fast } = requireBoth(params)
      return { fastState: fastOptimizer.init(fast), stepsSinceSync: zeroCount() }
    },
    update: <P>(
      grads: P,
      state: OptState,
      params: LookaheadParams<P>,
      extra?: ExtraArgs<P>,
    ): [LookaheadParams<P>, OptState] => {
      const { fast, slow } = requireBoth(params)
      const { fastState, stepsSinceSync } = state as State
      const [updates, moved] = fastOptimizer.update(grads, fastState, fast, extra)
      const sync = np.equal(stepsSinceSync, syncPeriod - 1)
      const apart = mapLeaves((f, u, s) => np.subtract(np.add(f, u), s), fast, updates, slow)
      const approach = (part: Scalar) => (difference: NDArray) =>
        np.where(sync, np.multiply(part, difference), 0)
      const fastUpdates = mapLeaves(
        (u, d) => np.add(u, approach(times(-1, complement(slowStepSize)))(d)).astype(u.dtype),
        updates,
        apart,
      )
      const slowUpdates = mapLeaves(
        (d, s) => approach(slowStepSize)(d).astype(s.dtype),
        apart,
        slow,
      )
      const nextFast = options.resetState
        ? selectTree(sync, fastOptimizer.init(fast), moved)
        : moved
      const next: State = {
        fastState: nextFast,
        stepsSinceSync: np.mod(np.add(stepsSinceSync, 1), syncPeriod).astype('int32'),
      }
      return [{ fast: fastUpdates as P, slow: slowUpdates as P }, next]
    },
  }
}

/** Parameters of one kind have no place where both are wanted. */
function requireBoth<P>(params: LookaheadParams<P>): LookaheadParams<P> {
  const given: object = params ?? {}
  if ('fast' in given && 'slow' in given) return params
  throw new ArgumentError({
    op: 'lookahead',
    problem: 'these are not two kinds of parameters',
    rule: 'its parameters are { fast, slow }',
    hint: 'begin with lookaheadParams(params), take gradients at params.fast, and use params.slow in the end',
  })
}

/**
 * Concatenates all parameters to one vector for `inner`, whose work then is one loop.
 *
 * @example
 * const t = flatten(adam(0.1))
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([-0.09999999, -0.1 ], dtype=float32)
 */
export function flatten(inner: GradientTransformation): GradientTransformation {
  const join = (like: unknown): NDArray => {
    const rows = tree.leaves<NDArray>(like).map((leaf) => np.ravel(leaf))
    return rows.length === 0 ? np.zeros([0]) : np.concatenate(rows)
  }
  return {
    init: (params) => inner.init(join(params)),
    update: <P>(grads: P, state: OptState, params?: P, extra?: ExtraArgs<P>): [P, OptState] => {
      const [updates, next] = inner.update(
        join(grads),
        state,
        params === undefined ? undefined : join(params),
        extra as ExtraArgs<NDArray> | undefined,
      )
      let offset = 0
      const parts = mapLeaves((g) => {
        const part = updates.get(`${offset}:${offset + g.size}`).reshape(g.shape)
        offset += g.size
        return part.astype(g.dtype)
      }, grads)
      return [parts as P, next]
    },
  }
}
