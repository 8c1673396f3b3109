/** A line search that only shortens steps. Nocedal & Wright, "Numerical Optimization" (2006), algorithm 3.1. */
import { np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { valueAndGrad, whileLoop } from '@adjoint/transforms'
import type { Scalar } from './hyperparameters'
import { keepDtypes } from './moments'
import { searchArguments, searchDType } from './search-arguments'
import {
  type GradientTransformation,
  mapLeaves,
  transformation,
  vdot,
  zerosLike,
} from './transformation'

export interface BacktrackingLinesearchOptions {
  /** How much of the decrease that the slope promises is enough. */
  readonly slopeRtol?: Scalar
  /** What a step that does not decrease enough is multiplied by. */
  readonly decreaseFactor?: Scalar
  /** What the last step size is multiplied by for the first try of the next search. */
  readonly increaseFactor?: Scalar
  readonly maxLearningRate?: Scalar
  /** By how much a step may miss the decrease, and by which part of the value. */
  readonly atol?: Scalar
  readonly rtol?: Scalar
  /** Whether the gradient at the new parameters is computed and kept, for `valueAndGradFromState`. */
  readonly storeGrad?: boolean
}

interface State {
  readonly learningRate: NDArray
  readonly value: NDArray
  readonly grad: unknown
  readonly info: { readonly numLinesearchSteps: NDArray; readonly decreaseError: NDArray }
}

interface Search {
  readonly count: NDArray
  readonly stepsize: NDArray
  readonly value: NDArray
  readonly decreaseError: NDArray
}

/**
 * Multiplies the updates by the first step size that decreases the loss enough (Armijo 1966):
 * `f(w + η u) ≤ (1 + rtol) f(w) + slopeRtol · η ⟨u, ∇f(w)⟩ + atol`. Wants the extra arguments `value`, `grad`
 * and `valueFn` at the parameters. Where the loss is not finite at any step that was tried, there is none.
 *
 * @param maxBacktrackingSteps how often a step is shortened at most
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = chain(sgd(1), scaleByBacktrackingLinesearch(15, { storeGrad: true }))
 * const params = np.ones([2])
 * const state = optimiser.init(params)
 * const [value, grad] = valueAndGradFromState(loss)(params, { state })
 * const [updates] = optimiser.update(grad, state, params, { value, grad, valueFn: loss })
 * applyUpdates(params, updates) // Array([-0.6, -0.6], dtype=float32)
 */
export function scaleByBacktrackingLinesearch(
  maxBacktrackingSteps: Scalar,
  options: BacktrackingLinesearchOptions = {},
): GradientTransformation {
  checkOptions('scaleByBacktrackingLinesearch', options, [
    'slopeRtol',
    'decreaseFactor',
    'increaseFactor',
    'maxLearningRate',
    'atol',
    'rtol',
    'storeGrad',
  ])
  const { slopeRtol = 1e-4, decreaseFactor = 0.8, increaseFactor = 1.5 } = options
  const { maxLearningRate = 1, atol = 0, rtol = 0, storeGrad = false } = options
  return transformation<State>({
    init: (params) => {
      const dtype = searchDType(params)
      return {
        learningRate: np.ones([], { dtype }),
        value: np.full([], Infinity, { dtype }),
        grad: storeGrad ? zerosLike(params) : null,
        info: {
          numLinesearchSteps: np.zeros([], { dtype: 'int32' }),
          decreaseError: np.full([], Infinity, { dtype }),
        },
      }
    },
    update: (updates, state, given, extra) => {
      const op = 'scaleByBacktrackingLinesearch'
      const { dtype } = state.value
      const known = searchArguments(op, dtype, given, extra)
      const { params, value: start, valueFn, number } = known
      const slope = number(vdot(updates, known.grad))
      const at = (stepsize: NDArray): unknown =>
        mapLeaves((p, u) => np.add(p, np.multiply(stepsize, u)).astype(p.dtype), params, updates)
      const errorOf = (stepsize: NDArray, value: NDArray): NDArray => {
        const promised = np.multiply(np.multiply(slopeRtol, stepsize), slope)
        const excess = np.subtract(
          np.subtract(value, np.multiply(np.add(1, rtol), start)),
          promised,
        )
        return np.where(np.isnan(excess), Infinity, np.maximum(excess, 0))
      }
      const last = whileLoop<Search>(
        ({ count, decreaseError }: Search) =>
          np.logicalAnd(
            np.logicalNot(np.lessEqual(decreaseError, atol)),
            np.lessEqual(count, maxBacktrackingSteps),
          ),
        (search: Search): Search => {
          const shorter = np.multiply(decreaseFactor, search.stepsize)
          const stepsize = number(np.where(np.greater(search.count, 0), shorter, search.stepsize))
          const value = number(valueFn(at(stepsize)))
          return {
            count: np.add(search.count, 1),
            stepsize,
            value,
            decreaseError: number(errorOf(stepsize, value)),
          }
        },
        {
          count: np.zeros([], { dtype: 'int32' }),
          stepsize: number(
            np.minimum(np.multiply(increaseFactor, state.learningRate), maxLearningRate),
          ),
          value: start,
          decreaseError: np.full([], Infinity, { dtype }),
        },
      )
      const learningRate = np.where(np.isinf(last.decreaseError), 0, last.stepsize).astype(dtype)
      const gradientAt = (p: unknown): unknown => valueAndGrad(valueFn)(p)[1]
      return [
        mapLeaves((u) => np.multiply(learningRate, u).astype(u.dtype), updates),
        {
          learningRate,
          value: last.value,
          grad: storeGrad ? keepDtypes(gradientAt(at(learningRate)), params) : null,
          info: { numLinesearchSteps: last.count, decreaseError: last.decreaseError },
        },
      ]
    },
  })
}
