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

/** Refuses options that nobody reads: a misspelt one would change nothing, in silence. */
export function checkOptions<T extends object>(
  op: string,
  options: T,
  known: readonly (keyof T & string)[],
): T {
  const wrong = isOptions(options)
    ? Object.keys(options).find((key) => !(known as readonly string[]).includes(key))
    : null
  if (wrong === undefined) return options
  const listed = `{ ${known.join(', ')} }`
  throw new ArgumentError({
    op,
    problem:
      wrong === null
        ? `options are an object, not ${shownOption(options)}`
        : `there is no option '${wrong}'`,
    rule: `the options are ${listed}`,
    hint: wrong === null ? 'name the option: { key: value }' : closest(wrong, known),
  })
}

const shownOption = (value: unknown): string => {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an array or an instance of a class'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** An argument that has no default, refused where a call left it out. */
export function given<T>(op: string, name: string, value: T | undefined): T {
  if (value !== undefined) return value
  throw new ArgumentError({
    op,
    problem: `${name} is missing`,
    rule: `${name} has no default and stands in the list of arguments, not in the options`,
  })
}

/** The option that a misspelt name probably means: equal but for case, underscores and one slip. */
function closest(wrong: string, known: readonly string[]): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
  const given = plain(wrong)
  const meant = known.find((name) => {
    const wanted = plain(name)
    return wanted === given || wanted.startsWith(given) || given.startsWith(wanted)
  })
  return meant === undefined ? undefined : `did you mean '${meant}'?`
}

/** `f(x, axis)`, `f(x, axis, options)` and `f(x, options)` in one form. */
export function axisOptions<A, T extends { readonly axis?: A }>(
  op: string,
  known: readonly (keyof T & string)[],
  axisOrOptions: A | T | undefined,
  options: T | undefined,
): T | undefined {
  if (axisOrOptions !== undefined && isOptions(axisOrOptions as T | null)) {
    return checkOptions(op, axisOrOptions as T, known)
  }
  if (options !== undefined) checkOptions(op, options, known)
  return axisOrOptions === undefined ? options : ({ ...options, axis: axisOrOptions } as T)
}
