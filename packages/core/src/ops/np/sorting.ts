/** Sorting, and sets of sorted elements. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { readElements } from '../../trace/interpreter'
import { ConcretizationError, ShapeError } from '../../types/errors'
import { axisOptions, canonicalAxis, checkOptions } from '../arguments'
import { type ArrayLike, asArray, operandReports } from '../promotion'
import { array } from './creation'
import { ravel } from './shape'

export interface SortOptions {
  /** The axis to sort along: the last unless given, the flattened array if null. */
  readonly axis?: number | null
  readonly descending?: boolean
  /** Equal elements keep their order. Always true here. */
  readonly stable?: boolean
}

const sortKeys = ['axis', 'descending', 'stable'] as const

function sortable(op: string, x: ArrayLike, options: SortOptions): [NDArray, number] {
  const given = asArray(op, x)
  const { axis = -1 } = options
  if (axis === null) return [ravel(given), 0]
  return [given, canonicalAxis(op, axis, given)]
}

const sortOn = (operands: readonly NDArray[], axis: number, numKeys: number): readonly NDArray[] =>
  prim.sort(operands, { dimension: axis, numKeys, isStable: true })

/** Ascending (or descending) order along an axis; NaN last (first). */
export function sort(
  x: ArrayLike,
  axisOrOptions?: number | null | SortOptions,
  rest?: SortOptions,
): NDArray {
  const options = axisOptions('sort', sortKeys, axisOrOptions, rest) ?? {}
  const [a, axis] = sortable('sort', x, options)
  const [sorted] = sortOn([a], axis, 1)
  return options.descending ? prim.rev(sorted, { dimensions: [axis] }) : sorted
}

/** The positions that sort along an axis. Equal elements keep their order, also descending. */
export function argsort(
  x: ArrayLike,
  axisOrOptions?: number | null | SortOptions,
  rest?: SortOptions,
): NDArray {
  const options = axisOptions('argsort', sortKeys, axisOrOptions, rest) ?? {}
  const [a, axis] = sortable('argsort', x, options)
  const index = prim.iota({ dtype: 'int32', shape: a.shape, dimension: axis })
  if (!options.descending) return sortOn([a, index], axis, 1)[1]
  // Sorted backwards twice: once before, so that equal elements end in their own order.
  const reversed = { dimensions: [axis] }
  const [, order] = sortOn([prim.rev(a, reversed), prim.rev(index, reversed)], axis, 1)
  return prim.rev(order, reversed)
}

/** The positions that sort by several keys, the last one first. */
export function lexsort(
  keys: readonly ArrayLike[],
  axisOrOptions: number | { readonly axis?: number } = -1,
): NDArray {
  const given =
    typeof axisOrOptions === 'number'
      ? axisOrOptions
      : (checkOptions('lexsort', axisOrOptions, ['axis']).axis ?? -1)
  const arrays = keys.map((k) => asArray('lexsort', k))
  if (arrays.length === 0 || arrays.some((k) => k.ndim === 0)) {
    throw new ShapeError({
      op: 'lexsort(keys)',
      problem: 'needs keys with at least one axis',
      operands: operandReports(arrays),
    })
  }
  const axis = canonicalAxis('lexsort', given, arrays[0])
  const index = prim.iota({ dtype: 'int32', shape: arrays[0].shape, dimension: axis })
  const results = sortOn([...arrays.reverse(), index], axis, arrays.length)
  return results[results.length - 1]
}

export interface UniqueOptions {
  readonly returnIndex?: boolean
  readonly returnInverse?: boolean
  readonly returnCounts?: boolean
}

/** The distinct elements in ascending order. For concrete arrays: the size depends on the values. */
export function unique(
  x: ArrayLike,
  options: UniqueOptions &
    ({ returnIndex: true } | { returnInverse: true } | { returnCounts: true }),
): NDArray[]
export function unique(
  x: ArrayLike,
  options?: { readonly [K in keyof UniqueOptions]?: false },
): NDArray
export function unique(x: ArrayLike, options: UniqueOptions = {}): NDArray | NDArray[] {
  checkOptions('unique', options, ['returnIndex', 'returnInverse', 'returnCounts'])
  const a = asArray('unique', x)
  if (a.owner !== null) {
    throw new ConcretizationError({
      op: 'unique(a)',
      problem: 'the size of the result depends on traced values',
      operands: [{ name: 'a', aval: a.aval }],
      rule: 'shapes are static',
      hint: 'call it outside, or sort and mask',
    })
  }
  const values = readElements(a, 'unique(a)')
  const order = Array.from({ length: a.size }, (_, i) => i).sort((i, j) =>
    compare(values[i], values[j]),
  )
  const first: number[] = []
  const counts: number[] = []
  const inverse = new Int32Array(a.size)
  order.forEach((flat, i) => {
    if (i === 0 || compare(values[order[i - 1]], values[flat]) !== 0) {
      first.push(flat)
      counts.push(0)
    }
    counts[counts.length - 1]++
    inverse[flat] = first.length - 1
  })
  const distinct = array(
    first.map((flat) => values[flat]),
    { dtype: a.dtype },
  )
  const results = [distinct]
  if (options.returnIndex) results.push(array(Int32Array.from(first)))
  if (options.returnInverse) results.push(array(inverse, { shape: a.shape }))
  if (options.returnCounts) results.push(array(Int32Array.from(counts)))
  return results.length === 1 ? distinct : results
}

/** Ascending, NaN last and equal to itself. */
const compare = (a: number | boolean, b: number | boolean): number => {
  const [x, y] = [Number(a), Number(b)]
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
  return x < y ? -1 : x > y ? 1 : 0
}
