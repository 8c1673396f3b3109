/** How far windows reach beyond an array, as users say it. */
import { ArgumentError, type lax } from '@adjoint/core'

/**
 * `'SAME'`, `'VALID'`, the same number on every side, or for each axis a number or `[low, high]`.
 */
export type WindowPadding =
  'SAME' | 'VALID' | number | readonly (number | readonly [low: number, high: number])[]

const isWhole = (n: number): boolean => Number.isInteger(n)

/** Padding as operations take it: a name, or a pair for each axis. */
export function paddingOf(op: string, padding: WindowPadding, axes: number): lax.Padding {
  if (typeof padding === 'string') {
    if (padding === 'SAME' || padding === 'VALID') return padding
    throw refusal(op, `padding is '${String(padding)}'`, axes)
  }
  const given = typeof padding === 'number' ? Array.from({ length: axes }, () => padding) : padding
  const pairs = given.map((each) =>
    typeof each === 'number' ? ([each, each] as const) : ([each[0], each[1]] as const),
  )
  if (pairs.length !== axes) throw refusal(op, `padding is given for ${pairs.length} axes`, axes)
  if (pairs.every((pair) => pair.every(isWhole))) return pairs
  throw refusal(op, `padding is ${JSON.stringify(padding)}`, axes)
}

const refusal = (op: string, problem: string, axes: number): ArgumentError =>
  new ArgumentError({
    op,
    problem,
    rule: `padding is 'SAME', 'VALID', a whole number, or for each of ${axes} axes one or [low, high]`,
  })
