/** The parts that optimisers are chained from; names and formulas are Optax's. */
import { ArgumentError, np, type NDArray } from '@adjoint/core'
import type { ScalarOrSchedule, Schedule } from './schedules'
import { globalNorm, type GradientTransformation, mapLeaves, stateless, transformation } from './transformation'

const zerosLike = (params: unknown): unknown => mapLeaves((p) => np.zerosLike(p), params)
const count = (): NDArray => np.zeros([], { dtype: 'int32' })

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
export function trace(decay: number, options: { readonly nesterov?: boolean } = {}): GradientTransformation {
  const accumulate = (g: NDArray, t: NDArray): NDArray => np.add(g, np.multiply(decay, t))
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
  return transformation<{ count: NDArray; mu: unknown; nu: unknown }>({
    init: (params) => ({ count: count(), mu: zerosLike(params), nu: zerosLike(params) }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => average(b1, m, g), grads, state.mu)
      const nu = mapLeaves((g, v) => average(b2, v, np.square(g)), grads, state.nu)
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
  return transformation<{ nu: unknown }>({
    init: (params) => ({ nu: mapLeaves((p) => np.fullLike(p, initialScale), params) }),
    update: (grads, state) => {
      const nu = mapLeaves(
        (g, v) => np.add(np.multiply(decay, v), np.multiply(1 - decay, np.square(g))),
        grads,
        state.nu,
      )
      return [mapLeaves((g, v) => np.multiply(g, np.reciprocal(np.sqrt(np.add(v, eps)))), grads, nu), { nu }]
    },
  })
}

/** Adds `rate · params`: decoupled weight decay when placed after the scaling. Loshchilov & Hutter 2019. */
export const addDecayedWeights = (rate: number): GradientTransformation =>
  stateless((grads, params) =>
    mapLeaves((g, p) => np.add(g, np.multiply(rate, p)), grads, required('addDecayedWeights', params)),
  )

/** Clips every element to `[-limit, limit]`. */
export const clip = (limit: number): GradientTransformation =>
  stateless((grads) => mapLeaves((g) => np.clip(g, -limit, limit), grads))

/** Scales all updates down together when their global norm exceeds `limit`. Pascanu et al. 2013. */
export const clipByGlobalNorm = (limit: number): GradientTransformation =>
  stateless((grads) => {
    const norm = globalNorm(grads)
    const keep = np.less(norm, limit)
    return mapLeaves((g) => np.where(keep, g, np.multiply(np.divide(g, norm), limit)).astype(g.dtype), grads)
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

