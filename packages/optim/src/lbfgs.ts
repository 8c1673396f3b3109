/** Limited-memory BFGS. */
import { ArgumentError, lax, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { scan } from '@adjoint/transforms'
import { increment, type Scalar, withLeading, zeroCount } from './hyperparameters'
import { scaleByZoomLinesearch } from './line-search'
import { scale, scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import {
  chain,
  globalNorm,
  type GradientTransformation,
  mapLeaves,
  requireParams,
  squaredNorm,
  transformation,
  vdot,
  zerosLike,
} from './transformation'

interface LbfgsState {
  readonly count: NDArray
  /** The last parameters and gradients. */
  readonly params: unknown
  readonly updates: unknown
  /** Differences of parameters and gradients, stacked along a first axis that is used in a circle. */
  readonly diffParamsMemory: unknown
  readonly diffUpdatesMemory: unknown
  /** 1 / ⟨difference of gradients, difference of parameters⟩. */
  readonly weightsMemory: NDArray
}

/**
 * Multiplies gradients by an approximation of the inverse Hessian, made of the last differences of
 * gradients and parameters. Nocedal & Wright, "Numerical Optimization" (2006), algorithm 7.4.
 *
 * @param options.scaleInitPrecond whether the approximation starts from a multiple of the identity
 *   that fits the last difference (equation 7.20), and not from the identity
 * @example
 * const optimiser = chain(scaleByLbfgs({ memorySize: 5 }), scaleByLearningRate(1e-3))
 */
export function scaleByLbfgs(
  options: { readonly memorySize?: number; readonly scaleInitPrecond?: boolean } = {},
): GradientTransformation {
  checkOptions('scaleByLbfgs', options, ['memorySize', 'scaleInitPrecond'])
  const { memorySize = 10, scaleInitPrecond = true } = options
  if (!(memorySize >= 1)) {
    throw new ArgumentError({
      op: 'scaleByLbfgs',
      problem: `the memory has ${memorySize} places`,
      rule: 'memorySize is 1 or more',
    })
  }
  const remember = (memory: NDArray, value: NDArray, place: NDArray): NDArray =>
    lax.dynamicUpdateIndexInDim(memory, value, place, 0)

  return transformation<LbfgsState>({
    init: (params) => {
      const memory = (): unknown =>
        mapLeaves((p) => np.zeros([memorySize, ...p.shape], { dtype: p.dtype }), params)
      return {
        count: zeroCount(),
        params: zerosLike(params),
        updates: zerosLike(params),
        diffParamsMemory: memory(),
        diffUpdatesMemory: memory(),
        weightsMemory: np.zeros([memorySize]),
      }
    },
    update: (updates, state, given) => {
      const params = requireParams('scaleByLbfgs', given)
      // There is no difference yet before the first step.
      const isLater = np.greater(state.count, 0)
      const difference = (now: NDArray, before: NDArray): NDArray =>
        np.where(isLater, np.subtract(now, before), 0).astype(now.dtype)
      const diffParams = mapLeaves(difference, params, state.params)
      const diffUpdates = mapLeaves(difference, updates, state.updates)
      const product = vdot(diffUpdates, diffParams)
      const weight = np.where(np.equal(product, 0), 0, np.reciprocal(product))

      const last = np.mod(np.subtract(state.count, 1), memorySize)
      const diffParamsMemory = mapLeaves(
        (m, d) => remember(m, d, last),
        state.diffParamsMemory,
        diffParams,
      )
      const diffUpdatesMemory = mapLeaves(
        (m, d) => remember(m, d, last),
        state.diffUpdatesMemory,
        diffUpdates,
      )
      const weightsMemory = remember(
        state.weightsMemory,
        weight.astype(state.weightsMemory.dtype),
        last,
      )

      const square = squaredNorm(diffUpdates)
      const fitted = np.where(np.greater(square, 0), np.divide(product, square), 1)
      const firstScale = np.minimum(1, np.reciprocal(globalNorm(updates)))
      const identityScale: Scalar = scaleInitPrecond ? np.where(isLater, fitted, firstScale) : 1

      const oldestFirst = np.mod(np.add(state.count, np.arange(memorySize)), memorySize)
      const at = (memory: unknown, place: NDArray): unknown =>
        mapLeaves((m) => lax.dynamicIndexInDim(m, place, 0, { keepdims: false }), memory)
      const plus = (vector: unknown, factor: NDArray, direction: unknown): unknown =>
        mapLeaves((v, d) => np.add(v, np.multiply(factor, d)).astype(v.dtype), vector, direction)
      const weightAt = (place: NDArray): NDArray =>
        lax.dynamicIndexInDim(weightsMemory, place, 0, { keepdims: false })
      const [inner, alphas] = scan(
        (vector: unknown, place: NDArray): [unknown, NDArray] => {
          const alpha = np.multiply(weightAt(place), vdot(at(diffParamsMemory, place), vector))
          return [plus(vector, np.negative(alpha), at(diffUpdatesMemory, place)), alpha]
        },
        updates,
        oldestFirst,
        { reverse: true },
      )
      const scaled = mapLeaves((v) => np.multiply(identityScale, v).astype(v.dtype), inner)
      const [preconditioned] = scan(
        (vector: unknown, [place, alpha]: readonly [NDArray, NDArray]): [unknown, null] => {
          const beta = np.multiply(weightAt(place), vdot(at(diffUpdatesMemory, place), vector))
          return [plus(vector, np.subtract(alpha, beta), at(diffParamsMemory, place)), null]
        },
        scaled,
        [oldestFirst, alphas] as const,
      )
      return [
        preconditioned,
        {
          count: increment(state.count),
          params,
          updates,
          diffParamsMemory,
          diffUpdatesMemory,
          weightsMemory,
        },
      ]
    },
  })
}

export interface LbfgsOptions {
  readonly learningRate?: ScalarOrSchedule | null
  readonly memorySize?: number
  readonly scaleInitPrecond?: boolean
  /** What finds the step size; null for the learning rate alone. */
  readonly linesearch?: GradientTransformation | null
}

/**
 * Limited-memory BFGS with a line search: for smooth losses without noise.
 * Liu & Nocedal, "On the limited memory BFGS method for large scale optimization" (1989).
 *
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(np.subtract(w, 3)))
 * const optimiser = lbfgs()
 * const valueAndGradient = valueAndGradFromState(loss)
 * const step = jit((params: NDArray, state: OptState) => {
 *   const [value, grad] = valueAndGradient(params, { state })
 *   const [updates, next] = optimiser.update(grad, state, params, { value, grad, valueFn: loss })
 *   return [applyUpdates(params, updates), next] as const
 * })
 * const start = np.zeros([2])
 * step(start, optimiser.init(start))[0] // Array([0.7071068, 0.7071068], dtype=float32)
 */
export function lbfgs(
  learningRate: ScalarOrSchedule | null | LbfgsOptions = {},
  options: LbfgsOptions = {},
): GradientTransformation {
  const given = withLeading('learningRate', learningRate, options)
  checkOptions('lbfgs', given, ['learningRate', 'memorySize', 'scaleInitPrecond', 'linesearch'])
  const { learningRate: rate = null, memorySize, scaleInitPrecond, linesearch } = given
  const search =
    linesearch === undefined
      ? scaleByZoomLinesearch(20, { initialGuessStrategy: 'one' })
      : linesearch
  const direction = scaleByLbfgs({
    ...(memorySize === undefined ? {} : { memorySize }),
    ...(scaleInitPrecond === undefined ? {} : { scaleInitPrecond }),
  })
  const descent = rate === null ? scale(-1) : scaleByLearningRate(rate)
  return search === null ? chain(direction, descent) : chain(direction, descent, search)
}
