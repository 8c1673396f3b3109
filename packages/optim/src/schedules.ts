/**
 * Schedules: functions from the number of updates done so far to a value, traced or not.
 * Names and formulas are Optax's (https://optax.readthedocs.io/en/latest/api/optimizer_schedules.html).
 */
import { ArgumentError, np, type ArrayLike, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { minus, over, type Scalar, times } from './hyperparameters'

export type Schedule = (count: ArrayLike) => NDArray
/** A constant, or a schedule. */
export type ScalarOrSchedule = Scalar | Schedule

export const toSchedule = (value: ScalarOrSchedule): Schedule =>
  typeof value === 'function' ? value : () => np.asarray(value, { dtype: 'float32' })

/**
 * The same value at every step.
 *
 * @example
 * const schedule = constantSchedule(0.1)
 * schedule(5) // Array(0.1, dtype=float32)
 */
export const constantSchedule = (value: Scalar): Schedule => toSchedule(value)

/**
 * From `initValue` to `endValue` along a power of the remaining fraction, over `transitionSteps`
 * after `transitionBegin`. Without steps it is constant.
 *
 * @example
 * const schedule = polynomialSchedule(1, 0, 2, 10)
 * schedule(5) // Array(0.25, dtype=float32, weak_type=True)
 */
export function polynomialSchedule(
  initValue: Scalar,
  endValue: Scalar,
  power: Scalar,
  transitionSteps: number,
  options: { readonly transitionBegin?: number } = {},
): Schedule {
  checkOptions('polynomialSchedule', options, ['transitionBegin'])
  if (transitionSteps <= 0) return constantSchedule(initValue)
  const begin = Math.max(0, options.transitionBegin ?? 0)
  return (count) => {
    const done = np.clip(np.subtract(count, begin), 0, transitionSteps)
    const remaining = np.subtract(1, np.divide(done, transitionSteps))
    return np.add(np.multiply(minus(initValue, endValue), np.power(remaining, power)), endValue)
  }
}

/**
 * From `initValue` to `endValue` on a line, over `transitionSteps` after `transitionBegin`.
 *
 * @example
 * const schedule = linearSchedule(1, 0, 10)
 * schedule(5) // Array(0.5, dtype=float32, weak_type=True)
 */
export const linearSchedule = (
  initValue: Scalar,
  endValue: Scalar,
  transitionSteps: number,
  options: { readonly transitionBegin?: number } = {},
): Schedule => {
  checkOptions('linearSchedule', options, ['transitionBegin'])
  return polynomialSchedule(initValue, endValue, 1, transitionSteps, options)
}

/**
 * Half a cosine from `initValue` to `alpha · initValue` over `decaySteps`.
 * Loshchilov & Hutter, "SGDR" (2017), equation 5, with restarts left out.
 *
 * @example
 * const schedule = cosineDecay(1, 100, { alpha: 0.1 })
 * schedule(50) // Array(0.54999995, dtype=float32, weak_type=True)
 */
export function cosineDecay(
  initValue: Scalar,
  decaySteps: number,
  options: { readonly alpha?: Scalar; readonly exponent?: Scalar } = {},
): Schedule {
  checkOptions('cosineDecay', options, ['alpha', 'exponent'])
  const { alpha = 0, exponent = 1 } = options
  requirePositive('cosineDecay', 'decaySteps', decaySteps)
  return (count) => {
    const done = np.divide(np.minimum(count, decaySteps), decaySteps)
    const cosine = np.multiply(0.5, np.add(1, np.cos(np.multiply(Math.PI, done))))
    const decayed = np.add(np.multiply(minus(1, alpha), np.power(cosine, exponent)), alpha)
    return np.multiply(initValue, decayed)
  }
}

/**
 * `initValue · decayRate^(count / transitionSteps)`, in whole steps when `staircase`.
 *
 * @example
 * const schedule = exponentialDecay(1, 10, 0.5)
 * schedule(20) // Array(0.25, dtype=float32, weak_type=True)
 */
export function exponentialDecay(
  initValue: Scalar,
  transitionSteps: number,
  decayRate: number,
  options: {
    readonly transitionBegin?: number
    readonly staircase?: boolean
    /** A bound: the lowest value when decaying, the highest when growing. */
    readonly endValue?: Scalar
  } = {},
): Schedule {
  checkOptions('exponentialDecay', options, ['transitionBegin', 'staircase', 'endValue'])
  const { staircase = false, endValue } = options
  if (transitionSteps <= 0 || decayRate === 0) return constantSchedule(initValue)
  const begin = Math.max(0, options.transitionBegin ?? 0)
  return (count) => {
    const periods = np.divide(np.maximum(np.subtract(count, begin), 0), transitionSteps)
    const power = np.power(decayRate, staircase ? np.floor(periods) : periods)
    const value = np.multiply(initValue, power)
    if (endValue === undefined) return value
    return decayRate < 1 ? np.maximum(value, endValue) : np.minimum(value, endValue)
  }
}

/** Factors by step, as an object or in pairs: from step `boundary` on, multiply by `scale`. */
export type BoundariesAndScales =
  Readonly<Record<number, number>> | readonly (readonly [boundary: number, scale: number])[]

function sortedPairs(
  op: string,
  boundariesAndScales: BoundariesAndScales,
): readonly (readonly [boundary: number, scale: number])[] {
  const pairs: readonly (readonly [number, number])[] = Array.isArray(boundariesAndScales)
    ? (boundariesAndScales as readonly (readonly [number, number])[])
    : Object.entries(boundariesAndScales).map(([b, s]) => [Number(b), s as number])
  const negative = pairs.find(([, s]) => s < 0)
  if (negative !== undefined) {
    throw new ArgumentError({
      op,
      problem: `the scale at step ${negative[0]} is ${negative[1]}`,
      rule: 'scales are not negative',
    })
  }
  return pairs.toSorted(([a], [b]) => a - b)
}

/**
 * `initValue`, multiplied by each scale from its boundary on.
 *
 * @example
 * const schedule = piecewiseConstant(1, { 10: 0.5, 20: 0.1 })
 * schedule(15) // Array(0.5, dtype=float32)
 */
export function piecewiseConstant(
  initValue: Scalar,
  boundariesAndScales: BoundariesAndScales = {},
): Schedule {
  const pairs = sortedPairs('piecewiseConstant', boundariesAndScales)
  return (count) =>
    pairs.reduce(
      (value, [boundary, factor]) =>
        np.multiply(value, np.where(np.less(count, boundary), 1, factor)),
      np.asarray(initValue, { dtype: 'float32' }),
    )
}

/**
 * From value to value, each the one before times the scale at its boundary, on a line or half a
 * cosine.
 *
 * @example
 * const schedule = piecewiseInterpolate('linear', 1, { 10: 0.5 })
 * schedule(5) // Array(0.75, dtype=float32)
 */
export function piecewiseInterpolate(
  interpolateType: 'linear' | 'cosine',
  initValue: Scalar,
  boundariesAndScales: BoundariesAndScales = {},
): Schedule {
  const pairs = sortedPairs('piecewiseInterpolate', boundariesAndScales)
  const blend = (start: Scalar, end: Scalar, fraction: NDArray): NDArray =>
    interpolateType === 'linear'
      ? np.add(np.multiply(minus(end, start), fraction), start)
      : np.add(
          end,
          np.multiply(
            times(0.5, minus(start, end)),
            np.add(np.cos(np.multiply(Math.PI, fraction)), 1),
          ),
        )
  return (count) => {
    let [begin, start]: [number, Scalar] = [0, initValue]
    const pieces = pairs.map(([boundary, factor]) => {
      const piece = { begin, boundary, start, end: times(start, factor) }
      ;[begin, start] = [boundary, piece.end]
      return piece
    })
    const last = np.asarray(start, { dtype: 'float32' })
    return pieces.reduceRight((later, { begin: from, boundary, start: a, end: b }) => {
      const fraction = np.divide(np.subtract(count, from), Math.max(1, boundary - from))
      return np.where(np.less(count, boundary), blend(a, b, fraction), later)
    }, last)
  }
}

/**
 * Up to `peakValue` on a line, down again, and further down. Smith & Topin, "Super-Convergence"
 * (2018).
 *
 * @example
 * const schedule = linearOnecycle(100, 1)
 * schedule(30) // Array(1., dtype=float32)
 */
export function linearOnecycle(
  transitionSteps: number,
  peakValue: Scalar,
  options: {
    readonly pctStart?: number
    readonly pctFinal?: number
    readonly divFactor?: number
    readonly finalDivFactor?: number
  } = {},
): Schedule {
  checkOptions('linearOnecycle', options, ['pctStart', 'pctFinal', 'divFactor', 'finalDivFactor'])
  const { pctStart = 0.3, pctFinal = 0.85, divFactor = 25, finalDivFactor = 1e4 } = options
  requirePositive('linearOnecycle', 'transitionSteps', transitionSteps)
  return piecewiseInterpolate('linear', over(peakValue, divFactor), [
    [Math.trunc(pctStart * transitionSteps), divFactor],
    [Math.trunc(pctFinal * transitionSteps), 1 / divFactor],
    [transitionSteps, 1 / finalDivFactor],
  ])
}

/**
 * `linearOnecycle` with halves of cosines, and two parts.
 *
 * @example
 * const schedule = cosineOnecycle(100, 1)
 * schedule(30) // Array(1., dtype=float32)
 */
export function cosineOnecycle(
  transitionSteps: number,
  peakValue: Scalar,
  options: {
    readonly pctStart?: number
    readonly divFactor?: number
    readonly finalDivFactor?: number
  } = {},
): Schedule {
  checkOptions('cosineOnecycle', options, ['pctStart', 'divFactor', 'finalDivFactor'])
  const { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = options
  requirePositive('cosineOnecycle', 'transitionSteps', transitionSteps)
  return piecewiseInterpolate('cosine', over(peakValue, divFactor), [
    [Math.trunc(pctStart * transitionSteps), divFactor],
    [Math.trunc(transitionSteps), 1 / (divFactor * finalDivFactor)],
  ])
}

/**
 * Pieces in sequence: piece `i`, a schedule or a constant, counts from `boundaries[i - 1]`.
 *
 * @example
 * const schedule = joinSchedules([linearSchedule(0, 1, 10), constantSchedule(1)], [10])
 * schedule(5) // Array(0.5, dtype=float32)
 */
export function joinSchedules(
  schedules: readonly ScalarOrSchedule[],
  boundaries: readonly number[],
): Schedule {
  const [first, ...others] = schedules.map(toSchedule)
  if (first === undefined || others.length !== boundaries.length) {
    throw new ArgumentError({
      op: 'joinSchedules',
      problem: `${schedules.length} schedules with ${boundaries.length} boundaries`,
      rule: 'there is one boundary between each two schedules',
    })
  }
  return (count) =>
    others.reduce((value, schedule, i) => {
      const boundary = boundaries[i] ?? Infinity
      return np.where(np.less(count, boundary), value, schedule(np.subtract(count, boundary)))
    }, first(count))
}

/**
 * A linear rise to `peakValue`, which stays.
 *
 * @example
 * const schedule = warmupConstant(0, 1, 10)
 * schedule(5) // Array(0.5, dtype=float32, weak_type=True)
 */
export const warmupConstant = (
  initValue: Scalar,
  peakValue: Scalar,
  warmupSteps: number,
): Schedule => linearSchedule(initValue, peakValue, warmupSteps)

/**
 * A linear rise to `peakValue`, then `cosineDecay` to `endValue`; `decaySteps` counts both.
 *
 * @example
 * const schedule = warmupCosineDecay(0, 1, 10, 110)
 * schedule(60) // Array(0.49999997, dtype=float32, weak_type=True)
 */
export function warmupCosineDecay(
  initValue: Scalar,
  peakValue: Scalar,
  warmupSteps: number,
  decaySteps: number,
  options: { readonly endValue?: Scalar; readonly exponent?: Scalar } = {},
): Schedule {
  checkOptions('warmupCosineDecay', options, ['endValue', 'exponent'])
  const { endValue = 0, exponent = 1 } = options
  const alpha = peakValue === 0 ? 0 : over(endValue, peakValue)
  const decay = cosineDecay(peakValue, decaySteps - warmupSteps, { alpha, exponent })
  return joinSchedules([linearSchedule(initValue, peakValue, warmupSteps), decay], [warmupSteps])
}

/**
 * A linear rise to `peakValue`, then `exponentialDecay`.
 *
 * @example
 * const schedule = warmupExponentialDecay(0, 1, 10, 100, 0.5)
 * schedule(110) // Array(0.5, dtype=float32, weak_type=True)
 */
export const warmupExponentialDecay = (
  initValue: Scalar,
  peakValue: Scalar,
  warmupSteps: number,
  transitionSteps: number,
  decayRate: number,
  options: {
    readonly transitionBegin?: number
    readonly staircase?: boolean
    readonly endValue?: Scalar
  } = {},
): Schedule => {
  checkOptions('warmupExponentialDecay', options, ['transitionBegin', 'staircase', 'endValue'])
  return joinSchedules(
    [
      linearSchedule(initValue, peakValue, warmupSteps),
      exponentialDecay(peakValue, transitionSteps, decayRate, options),
    ],
    [warmupSteps],
  )
}

/** One period of `sgdr`: the arguments of `warmupCosineDecay`. */
export interface CosinePeriod {
  readonly initValue: Scalar
  readonly peakValue: Scalar
  readonly warmupSteps: number
  readonly decaySteps: number
  readonly endValue?: Scalar
  readonly exponent?: Scalar
}

/**
 * `warmupCosineDecay` again and again. Loshchilov & Hutter, "SGDR" (2017).
 *
 * @example
 * const period = { initValue: 0, peakValue: 1, warmupSteps: 10, decaySteps: 60 }
 * const schedule = sgdr([period, period])
 * schedule(70) // Array(1., dtype=float32, weak_type=True)
 */
export function sgdr(periods: readonly CosinePeriod[]): Schedule {
  let end = 0
  const ends = periods.map(({ decaySteps }) => (end += decaySteps))
  const schedules = periods.map(({ initValue, peakValue, warmupSteps, decaySteps, ...options }) =>
    warmupCosineDecay(initValue, peakValue, warmupSteps, decaySteps, options),
  )
  return joinSchedules(schedules, ends.slice(0, -1))
}

function requirePositive(op: string, name: string, steps: number): void {
  if (steps > 0) return
  throw new ArgumentError({ op, problem: `${name} is ${steps}`, rule: `${name} is positive` })
}
