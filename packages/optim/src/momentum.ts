/** Momentum, averages, noise, decay and accumulation. */
import { type DType, type Key, np, random, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, minus, type Scalar, times, withLeading, zeroCount } from './hyperparameters'
import { type MaskOrFn, masked } from './masking'
import { debiasing, keepDtypes, mean, settled, precisionOf, zeroMoments } from './moments'
import type { ScalarOrSchedule } from './schedules'
import {
  type GradientTransformation,
  mapLeaves,
  requireParams,
  transformation,
  zerosLike,
} from './transformation'

/**
 * Momentum: `t ← g + decay · t`, and `g + decay · t` once more for Nesterov's.
 * Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013).
 *
 * @example
 * const t = trace(0.9, { nesterov: true })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([5.7, 7.6], dtype=float32)
 */
export function trace(
  decay: Scalar,
  options: { readonly nesterov?: boolean; readonly accumulatorDtype?: DType } = {},
): GradientTransformation {
  checkOptions('trace', options, ['nesterov', 'accumulatorDtype'])
  const { nesterov = false, accumulatorDtype } = options
  const accumulate = (g: NDArray, t: NDArray): NDArray => settled(np.add(g, np.multiply(decay, t)))
  return transformation<{ trace: unknown }>({
    init: (params) => ({ trace: zeroMoments(params, accumulatorDtype) }),
    update: (grads, state) => {
      const next = mapLeaves(accumulate, grads, state.trace)
      const updates = nesterov ? mapLeaves(accumulate, grads, next) : next
      return [keepDtypes(updates, grads), { trace: keepDtypes(next, state.trace) }]
    },
  })
}

/**
 * The exponential moving average of the updates; `debias` makes up for its start at 0.
 *
 * @example
 * const t = ema(0.9, { debias: false })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.3, 0.4], dtype=float32)
 */
export function ema(
  decay: Scalar,
  options: { readonly debias?: boolean; readonly accumulatorDtype?: DType } = {},
): GradientTransformation {
  checkOptions('ema', options, ['debias', 'accumulatorDtype'])
  const { debias = true, accumulatorDtype } = options
  return transformation<{ count: NDArray; ema: unknown }>({
    init: (params) => ({ count: zeroCount(), ema: zeroMoments(params, accumulatorDtype) }),
    update: (grads, state) => {
      const next = mapLeaves((g, m) => mean(decay, m, g), grads, state.ema)
      const count = increment(state.count)
      const correction = debias ? debiasing(decay, count, precisionOf(grads)) : 1
      return [
        mapLeaves((g, m) => np.multiply(m, correction).astype(g.dtype), grads, next),
        { count, ema: keepDtypes(next, state.ema) },
      ]
    },
  })
}

export interface DecayedWeightsOptions {
  readonly weightDecay?: ScalarOrSchedule
  /** Which parameters decay: by default all. */
  readonly mask?: MaskOrFn | null | undefined
}

/**
 * Adds `weightDecay · params`: decoupled weight decay when placed after the scaling.
 * Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).
 *
 * @param options.mask which parameters decay, a tree of booleans or a function that makes one
 * @example
 * const t = addDecayedWeights(0.1, { mask: { w: true, b: false } })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads)[0].w // Array([3.3, 4.4], dtype=float32)
 */
export function addDecayedWeights(
  weightDecay: ScalarOrSchedule | DecayedWeightsOptions = {},
  rest: DecayedWeightsOptions = {},
): GradientTransformation {
  const options = withLeading('weightDecay', weightDecay, rest)
  checkOptions('addDecayedWeights', options, ['weightDecay', 'mask'])
  const amount = options.weightDecay ?? 0
  const decayed = (grads: unknown, params: unknown, rate: Scalar): unknown =>
    mapLeaves(
      (g, p) => np.add(g, np.multiply(rate, p)).astype(g.dtype),
      grads,
      requireParams('addDecayedWeights', params),
    )
  const decay =
    typeof amount === 'function'
      ? transformation<{ count: NDArray }>({
          init: () => ({ count: zeroCount() }),
          update: (grads, { count }, params) => [
            decayed(grads, params, amount(count)),
            { count: increment(count) },
          ],
        })
      : transformation<null>({
          init: () => null,
          update: (grads, state, params) => [
            amount === 0 ? grads : decayed(grads, params, amount),
            state,
          ],
        })
  const { mask = null } = options
  return mask === null ? decay : masked(decay, mask)
}

/**
 * Adds normal noise of variance `eta / count^gamma`, from keys that follow one another.
 * Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep Networks" (2015), eq. 1.
 *
 * @example
 * const t = addNoise(0.01, 0.55, 0)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w.shape // [ 2 ]
 */
export function addNoise(eta: Scalar, gamma: Scalar, key: Key | number): GradientTransformation {
  return transformation<{ count: NDArray; rngKey: Key }>({
    init: () => ({ count: zeroCount(), rngKey: typeof key === 'number' ? random.key(key) : key }),
    update: (grads, state) => {
      const count = increment(state.count)
      const deviation = np.sqrt(np.divide(eta, np.power(count.astype('float32'), gamma)))
      const [rngKey, sampleKey] = random.split(state.rngKey)
      const { leaves, structure } = tree.flatten<NDArray>(grads)
      const keys = random.split(sampleKey, leaves.length)
      const noisy = leaves.map((g, i) => {
        const noise = random.normal(keys.get(i), g.shape, { dtype: g.dtype })
        return np.add(g, np.multiply(deviation, noise)).astype(g.dtype)
      })
      return [tree.unflatten(structure, noisy), { count, rngKey }]
    },
  })
}

/**
 * Adds up `k` updates and emits their sum; the other updates are zero.
 *
 * @example
 * const t = applyEvery(2)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0., 0.], dtype=float32)
 */
export function applyEvery(options: Scalar | { readonly k?: Scalar } = {}): GradientTransformation {
  const given = withLeading<{ readonly k?: Scalar }>('k', options, {})
  const { k = 1 } = checkOptions('applyEvery', given, ['k'])
  return transformation<{ count: NDArray; gradAcc: unknown }>({
    init: (params) => ({ count: zeroCount(), gradAcc: zerosLike(params) }),
    update: (grads, state) => {
      const position = np.mod(state.count, k)
      const gradAcc = mapLeaves(
        (g, sum) => np.where(np.equal(position, 0), g, np.add(g, sum)).astype(g.dtype),
        grads,
        state.gradAcc,
      )
      const emit = np.equal(position, minus(k, 1))
      return [
        mapLeaves((sum) => np.where(emit, sum, 0).astype(sum.dtype), gradAcc),
        { count: np.mod(np.add(state.count, 1), k).astype('int32'), gradAcc },
      ]
    },
  })
}

/**
 * `(α + β) · g − β · previous g`. Daskalakis et al., "Training GANs with Optimism" (2018), eq. 3;
 * Mokhtari et al., "A Unified Analysis of Extra-gradient and Optimistic Gradient Methods" (2020).
 *
 * @example
 * const t = scaleByOptimisticGradient({ alpha: 0.5 })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1.5, 2. ], dtype=float32)
 */
export function scaleByOptimisticGradient(
  options: { readonly alpha?: Scalar; readonly beta?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleByOptimisticGradient', options, ['alpha', 'beta'])
  const { alpha = 1, beta = 1 } = options
  return transformation<{ isInitialStep: NDArray; previousGradient: unknown }>({
    init: (params) => ({ isInitialStep: np.array(true), previousGradient: zerosLike(params) }),
    update: (grads, state) => [
      mapLeaves(
        (g, previous) => {
          const before = np.where(state.isInitialStep, g, previous)
          const now = np.multiply(minus(alpha, times(-1, beta)), g)
          return np.subtract(now, np.multiply(beta, before)).astype(g.dtype)
        },
        grads,
        state.previousGradient,
      ),
      { isInitialStep: np.array(false), previousGradient: grads },
    ],
  })
}
