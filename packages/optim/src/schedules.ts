/**
 * Schedules: functions from the number of updates done so far to a value, traced or not.
 * Names and formulas are Optax's (https://optax.readthedocs.io/en/latest/api/optimizer_schedules.html).
 */
import { np, type ArrayLike, type NDArray } from '@adjoint/core'

export type Schedule = (count: ArrayLike) => NDArray
/** A constant, or a schedule. */
export type ScalarOrSchedule = number | NDArray | Schedule

export const toSchedule = (value: ScalarOrSchedule): Schedule =>
  typeof value === 'function' ? value : () => np.asarray(value, { dtype: 'float32' })

export const constant = (value: number): Schedule => toSchedule(value)

/** From `initial` to `end` along a power of the remaining fraction, over `steps` after `begin`. */
export function polynomial(options: {
  readonly initial: number
  readonly end: number
  readonly power: number
  readonly steps: number
  readonly begin?: number
}): Schedule {
  const { initial, end, power, steps, begin = 0 } = options
  return (count) => {
    const done = np.clip(np.subtract(count, begin), 0, steps)
    const remaining = np.subtract(1, np.divide(done, steps))
    return np.add(np.multiply(initial - end, np.power(remaining, power)), end)
  }
}

export const linear = (initial: number, end: number, steps: number, begin = 0): Schedule =>
  polynomial({ initial, end, power: 1, steps, begin })

/**
 * Half a cosine from `initial` to `alpha · initial` over `steps`.
 * Loshchilov & Hutter, "SGDR" (2017), equation 5, with restarts left out.
 */
export function cosineDecay(
  initial: number,
  steps: number,
  options: { readonly alpha?: number; readonly exponent?: number } = {},
): Schedule {
  const { alpha = 0, exponent = 1 } = options
  return (count) => {
    const done = np.divide(np.minimum(count, steps), steps)
    const cosine = np.multiply(0.5, np.add(1, np.cos(np.multiply(Math.PI, done))))
    return np.multiply(initial, np.add(np.multiply(1 - alpha, np.power(cosine, exponent)), alpha))
  }
}

/** Pieces in sequence: piece `i` counts from `boundaries[i - 1]`. */
export function joinSchedules(
  schedules: readonly Schedule[],
  boundaries: readonly number[],
): Schedule {
  return (count) =>
    schedules
      .slice(1)
      .reduce(
        (value, schedule, i) =>
          np.where(
            np.less(count, boundaries[i] ?? Infinity),
            value,
            schedule(np.subtract(count, boundaries[i] ?? 0)),
          ),
        schedules[0]?.(count) ?? np.zeros([]),
      )
}

/** A linear rise to `peak`, then `cosineDecay` to `end`; `decaySteps` counts both. */
export function warmupCosineDecay(options: {
  readonly initial: number
  readonly peak: number
  readonly warmupSteps: number
  readonly decaySteps: number
  readonly end?: number
}): Schedule {
  const { initial, peak, warmupSteps, decaySteps, end = 0 } = options
  const decay = cosineDecay(peak, decaySteps - warmupSteps, { alpha: peak === 0 ? 0 : end / peak })
  return joinSchedules([linear(initial, peak, warmupSteps), decay], [warmupSteps])
}

/** `initial · rate^(count / steps)`, in whole steps when `staircase`. */
export function exponentialDecay(
  initial: number,
  steps: number,
  rate: number,
  options: { readonly begin?: number; readonly staircase?: boolean; readonly end?: number } = {},
): Schedule {
  const { begin = 0, staircase = false, end } = options
  return (count) => {
    const periods = np.divide(np.maximum(np.subtract(count, begin), 0), steps)
    const value = np.multiply(initial, np.power(rate, staircase ? np.floor(periods) : periods))
    if (end === undefined) return value
    return rate < 1 ? np.maximum(value, end) : np.minimum(value, end)
  }
}
