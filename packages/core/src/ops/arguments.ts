/** Arguments as users write them: axes, shapes, and options that may begin with an axis. */
import type { NDArray } from '../array/ndarray'
import type { Aval, Shape } from '../types/aval'
import { ArgumentError, ShapeError } from '../types/errors'

/** One axis, several, or null for all of them. */
export type Axes = number | readonly number[] | null

/** Anything with an aval or a rank, for messages. */
interface Ranked {
  readonly aval: Aval
}

export function canonicalAxis(op: string, axis: number, x: Ranked, ndim = x.aval.ndim): number {
  if (!Number.isInteger(axis)) {
    throw new ArgumentError({
      op,
      problem: `axis must be an integer, not ${String(axis)}`,
      operands: [{ name: 'a', aval: x.aval }],
      rule: `an axis is an integer from ${-ndim} to ${ndim - 1}`,
    })
  }
  if (axis < -ndim || axis >= ndim) {
    throw new ShapeError({
      op,
      problem: `axis ${axis} is out of range for ${ndim} dimension${ndim === 1 ? '' : 's'}`,
      operands: [{ name: 'a', aval: x.aval }],
      axis,
      rule: ndim === 0 ? 'a scalar has no axes' : `an axis is from ${-ndim} to ${ndim - 1}`,
      hint: ndim === 0 ? 'leave axis out' : `the last axis is ${ndim - 1} or -1`,
    })
  }
  return axis < 0 ? axis + ndim : axis
}

/** Sorted nonnegative axes; null and undefined mean all. */
export function canonicalAxes(
  op: string,
  axes: Axes | undefined,
  x: Ranked,
  ndim = x.aval.ndim,
): number[] {
  if (axes == null) return Array.from({ length: ndim }, (_, i) => i)
  const list = Array.isArray(axes) ? (axes as readonly number[]) : [axes as number]
  const result = list.map((axis) => canonicalAxis(op, axis, x, ndim))
  if (new Set(result).size !== result.length) {
    throw new ShapeError({
      op,
      problem: `axis [${list.join(', ')}] names the same axis twice`,
      operands: [{ name: 'a', aval: x.aval }],
      rule: 'every axis appears at most once',
    })
  }
  return result.sort((a, b) => a - b)
}

/** A shape as users write it: checked, and a single number is a vector's length. */
export function canonicalShape(op: string, shape: number | Shape): Shape {
  const list = typeof shape === 'number' ? [shape] : shape
  if (!Array.isArray(list)) {
    throw new ArgumentError({
      op,
      problem: `shape must be a list of sizes, not ${String(shape)}`,
      rule: 'a shape is a list of nonnegative integers',
      hint: 'for example [2, 3]',
    })
  }
  for (const n of list) {
    if (!Number.isInteger(n) || n < 0) {
      throw new ArgumentError({
        op,
        problem: `shape [${list.map(shownSize).join(', ')}] contains ${shownSize(n)}`,
        rule: 'a shape is a list of nonnegative integers',
        hint:
          typeof n === 'number'
            ? 'a size that was computed may be NaN, negative or a fraction by mistake'
            : 'shapes are static: no array, traced or not, can be a size',
      })
    }
  }
  return list.slice()
}

const shownSize = (n: unknown): string =>
  typeof n === 'number' ? String(n) : typeof n === 'object' && n !== null ? 'an array' : typeof n

/** Told apart from operands: an NDArray is a class, options are plain objects. */
export const isOptions = <T extends object>(
  x: T | NDArray | number | boolean | string | readonly unknown[] | null | undefined,
): x is T => {
  if (typeof x !== 'object' || x === null) return false
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}

/** `f(x, axis)`, `f(x, axis, options)` and `f(x, options)` in one form. */
export function axisOptions<A, T extends { readonly axis?: A }>(
  axisOrOptions: A | T | undefined,
  options: T | undefined,
): T | undefined {
  if (axisOrOptions === undefined) return options
  if (isOptions(axisOrOptions as T | null)) return axisOrOptions as T
  return { ...options, axis: axisOrOptions } as T
}
