/** The parts that optimisers are chained from; names and formulas are Optax's. */
import { ArgumentError, np, type NDArray } from '@adjoint/core'
import type { ScalarOrSchedule, Schedule } from './schedules'
import {
  globalNorm,
  type GradientTransformation,
  mapLeaves,
  stateless,
  transformation,
} from './transformation'

const zerosLike = (params: unknown): unknown => mapLeaves((p) => np.zerosLike(p), params)
const count = (): NDArray => np.zeros([], { dtype: 'int32' })

/**
 * Zero where less than `least` is left of a decaying average.
 *
 * The averages of a weight that gets no gradient any more (of a dead unit, an unused word) shrink
 * until they are subnormal, and there they stay, because rounding does not let the last few units go.
 * Processors take a hundred times as long for subnormal numbers, so such weights alone can make a
 * step four times as slow. Engines with a flush-to-zero mode have it switched on; WebAssembly has
 * none. The bounds below are so small that no update changes in its last digit.
 */
const settled = (x: NDArray, least: number): NDArray => np.where(np.less(np.abs(x), least), 0, x)

/** The square of a gradient, of which nothing remains in an average of squares when it is tiny. */
const squared = (g: NDArray): NDArray => np.square(settled(g, LEAST_SQUARED))

/** `settled` for what is never negative. */
const settledSquares = (x: NDArray): NDArray => np.where(np.less(x, LEAST_MEAN_SQUARE), 0, x)

const LEAST_MEAN = 1e-30
const LEAST_MEAN_SQUARE = 1e-36
/** Its square times 0.001 is about the least mean square. */
const LEAST_SQUARED = 1e-17
/** With a smaller one, mean squares that small would count. */
const SAFE_EPS = 1e-9

/** Multiplies every update by a constant. */
export const scale = (factor: number | NDArray): GradientTransformation =>
  stateless((grads) => mapLeaves((g) => np.multiply(g, factor).astype(g.dtype), grads))

/** Multiplies every update by a function of how many updates were done before. */
export function scaleBySchedule(schedule: Schedule): GradientTransformation {
  return transformation<{ count: NDArray }>({
    init: () => ({ count: count() }),
    update: (grads, state) => {
      const factor = schedule(state.count)
      return [
        mapLeaves((g) => np.multiply(g, factor).astype(g.dtype), grads),
        { count: np.add(state.count, 1) },
      ]
    },
  })
}

/** The last link of an optimiser: minus the learning rate, constant or scheduled. */
export const scaleByLearningRate = (rate: ScalarOrSchedule): GradientTransformation =>
  typeof rate === 'function'
    ? scaleBySchedule((c) => np.negative(rate(c)))
    : scale(typeof rate === 'number' ? -rate : np.negative(rate))

/** Momentum: `t ← g + decay · t`, and `g + decay · t` once more for Nesterov's. Sutskever et al. 2013. */
export function trace(
  decay: number,
  options: { readonly nesterov?: boolean } = {},
): GradientTransformation {
  const accumulate = (g: NDArray, t: NDArray): NDArray =>
    settled(np.add(g, np.multiply(decay, t)), LEAST_MEAN)
  return transformation<{ trace: unknown }>({
    init: (params) => ({ trace: zerosLike(params) }),
    update: (grads, state) => {
      const next = mapLeaves(accumulate, grads, state.trace)
      return [options.nesterov ? mapLeaves(accumulate, grads, next) : next, { trace: next }]
    },
  })
}

export interface AdamOptions {
  readonly b1?: number
  readonly b2?: number
  /** Added outside the root. */
  readonly eps?: number
  /** Added inside the root, so that the update has a derivative where the second moment is 0. */
  readonly epsRoot?: number
  readonly nesterov?: boolean
}

/** Kingma & Ba, "Adam" (2015), algorithm 1, without the learning rate; Nesterov as Dozat (2016). */
export function scaleByAdam(options: AdamOptions = {}): GradientTransformation {
  const { b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, nesterov = false } = options
  const average = (decay: number, old: NDArray, value: NDArray): NDArray =>
    np.add(np.multiply(decay, old), np.multiply(1 - decay, value))
  const meanSquare = (v: NDArray, g: NDArray): NDArray =>
    eps >= SAFE_EPS ? settledSquares(average(b2, v, squared(g))) : average(b2, v, np.square(g))
  return transformation<{ count: NDArray; mu: unknown; nu: unknown }>({
    init: (params) => ({ count: count(), mu: zerosLike(params), nu: zerosLike(params) }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => settled(average(b1, m, g), LEAST_MEAN), grads, state.mu)
      const nu = mapLeaves((g, v) => meanSquare(v, g), grads, state.nu)
      const next = np.add(state.count, 1)
      const correction = (decay: number, n: NDArray): NDArray =>
        np.reciprocal(np.subtract(1, np.power(decay, n.astype('float32'))))
      const c1 = correction(b1, nesterov ? np.add(next, 1) : next)
      const c2 = correction(b2, next)
      const c1Now = nesterov ? correction(b1, next) : c1
      const updates = mapLeaves(
        (g, m, v) => {
          const first = nesterov
            ? average(b1, np.multiply(m, c1), np.multiply(g, c1Now))
            : np.multiply(m, c1)
          const second = np.sqrt(np.add(np.multiply(v, c2), epsRoot))
          return np.divide(first, np.add(second, eps)).astype(g.dtype)
        },
        grads,
        mu,
        nu,
      )
      return [updates, { count: next, mu, nu }]
    },
  })
}

/** Divides by the root of a running mean of squares. Hinton's lecture 6e (2012). */
export function scaleByRms(
  options: { readonly decay?: number; readonly eps?: number; readonly initialScale?: number } = {},
): GradientTransformation {
  const { decay = 0.9, eps = 1e-8, initialScale = 0 } = options
  const meanSquare = (v: NDArray, square: NDArray): NDArray =>
    np.add(np.multiply(decay, v), np.multiply(1 - decay, square))
  return transformation<{ nu: unknown }>({
    init: (params) => ({ nu: mapLeaves((p) => np.fullLike(p, initialScale), params) }),
    update: (grads, state) => {
      const nu = mapLeaves(
        (g, v) =>
          eps >= SAFE_EPS ? settledSquares(meanSquare(v, squared(g))) : meanSquare(v, np.square(g)),
        grads,
        state.nu,
      )
      return [
        mapLeaves((g, v) => np.multiply(g, np.reciprocal(np.sqrt(np.add(v, eps)))), grads, nu),
        { nu },
      ]
    },
  })
}

/** Adds `rate · params`: decoupled weight decay when placed after the scaling. Loshchilov & Hutter 2019. */
export const addDecayedWeights = (rate: number): GradientTransformation =>
  stateless((grads, params) =>
    mapLeaves(
      (g, p) => np.add(g, np.multiply(rate, p)),
      grads,
      required('addDecayedWeights', params),
    ),
  )

/** Clips every element to `[-limit, limit]`. */
export const clip = (limit: number): GradientTransformation =>
  stateless((grads) => mapLeaves((g) => np.clip(g, -limit, limit), grads))

/** Scales all updates down together when their global norm exceeds `limit`. Pascanu et al. 2013. */
export const clipByGlobalNorm = (limit: number): GradientTransformation =>
  stateless((grads) => {
    const norm = globalNorm(grads)
    const keep = np.less(norm, limit)
    return mapLeaves(
      (g) => np.where(keep, g, np.multiply(np.divide(g, norm), limit)).astype(g.dtype),
      grads,
    )
  })

function required(op: string, params: unknown): unknown {
  if (params === undefined) {
    throw new ArgumentError({
      op,
      problem: 'needs the parameters',
      hint: 'call update(grads, state, params)',
    })
  }
  return params
}
