/** Shuffling, and drawing from the elements of an array. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type Shape, sizeOf } from '../../types/aval'
import { ArgumentError, ShapeError } from '../../types/errors'
import { canonicalAxis, canonicalShape, checkOptions } from '../arguments'
import { type ArrayLike, asArray, convert, isArray, promoteDTypesInexact } from '../promotion'
import { arange } from '../np/creation'
import { cumsum } from '../np/cumulative'
import { add, log, multiply, subtract } from '../np/elementwise'
import { searchsorted, take } from '../np/searching'
import { gumbel } from './distributions'
import { type Key, split, words } from './keys'
import { randint, rows, uniform } from './uniform'

/**
 * Sorts by random keys. One round of 32-bit keys has ties: enough rounds are made that a tie in all
 * of them has probability below 1/n (JAX's count).
 */
function shuffled(k: Key, x: NDArray, axis: number): NDArray {
  const rounds = Math.ceil((3 * Math.log(Math.max(1, x.size))) / Math.log(2 ** 32 - 1))
  let key = k
  let result = x
  for (let round = 0; round < rounds; round++) {
    const keys = split(key)
    key = rows(keys, 0)
    const order = words('permutation', rows(keys, 1), x.shape)
    result = prim.sort([order, result], { dimension: axis, numKeys: 1 })[1]
  }
  return result
}

export interface PermutationOptions {
  readonly axis?: number
  /** Shuffle every slice along the axis on its own. */
  readonly independent?: boolean
}

/** The slices of an array in random order, or the numbers `0 … n − 1`. */
export function permutation(
  k: Key,
  x: ArrayLike,
  axisOrOptions: number | PermutationOptions = {},
): NDArray {
  const options: PermutationOptions =
    typeof axisOrOptions === 'number' ? { axis: axisOrOptions } : axisOrOptions
  checkOptions('permutation', options, ['axis', 'independent'])
  if (!isArray(x)) return shuffled(k, arange(countOf('permutation(key, n)', x)), 0)
  if (x.ndim === 0) return shuffled(k, arange(countOf('permutation(key, n)', x.scalarLiteral)), 0)
  const axis = canonicalAxis('permutation', options.axis ?? 0, x)
  if (options.independent || x.ndim === 1) return shuffled(k, x, axis)
  return take(x, shuffled(k, arange(x.shape[axis]), 0), axis, { mode: 'promiseInBounds' })
}

function countOf(op: string, n: number | boolean | null): number {
  if (typeof n === 'number' && Number.isInteger(n) && n >= 0) return n
  throw new ArgumentError({
    op,
    problem: 'n is not a nonnegative JavaScript integer',
    rule: 'the number of elements is static',
  })
}

export interface ChoiceOptions {
  /** Whether an element may be drawn more than once. */
  readonly replace?: boolean
  /** The probability of each element; uniform without it. */
  readonly p?: ArrayLike
  readonly axis?: number
}

/** Elements (slices along an axis) drawn at random, or numbers below `a`. */
export function choice(
  k: Key,
  a: ArrayLike,
  shape: Shape = [],
  options: ChoiceOptions = {},
): NDArray {
  const { replace = true, p } = checkOptions('choice', options, ['replace', 'p', 'axis'])
  const sizes = canonicalShape('choice', shape)
  const array = isArray(a) && a.ndim > 0 ? a : null
  const axis = array === null ? 0 : canonicalAxis('choice', options.axis ?? 0, array)
  const population =
    array === null ? countOf('choice(key, n)', isArray(a) ? a.scalarLiteral : a) : array.shape[axis]
  const draws = sizeOf(sizes)
  if (draws > 0 && (population === 0 || (!replace && draws > population))) {
    throw new ArgumentError({
      op: 'choice(key, a, shape)',
      problem: `${draws} draws from ${population} elements`,
      operands: array === null ? [] : [{ name: 'a', aval: array.aval }],
      rule: replace
        ? 'there is something to draw from'
        : 'without replacement there are at most as many draws as elements',
    })
  }
  const pick = (index: NDArray): NDArray =>
    array === null ? index : take(array, index, axis, { mode: 'promiseInBounds' })
  if (p === undefined) {
    if (replace) return pick(randint(k, sizes, 0, population))
    const all = permutation(k, array ?? population, axis)
    const drawn = prim.sliceInAxis(all, axis, 0, draws)
    return prim.reshape(drawn, {
      newSizes: [...all.shape.slice(0, axis), ...sizes, ...all.shape.slice(axis + 1)],
    })
  }
  const [weights] = promoteDTypesInexact('choice', [p])
  if (weights.ndim !== 1 || weights.size !== population) {
    throw new ShapeError({
      op: 'choice(key, a, shape, { p })',
      problem: `p does not hold one probability for each of ${population} elements`,
      operands: [{ name: 'p', aval: asArray('choice', p).aval }],
    })
  }
  if (replace) {
    const cumulative = cumsum(weights)
    const total = prim.squeeze(prim.sliceInAxis(cumulative, 0, population - 1, population), {
      dimensions: [0],
    })
    const u = uniform(k, sizes, { dtype: weights.dtype })
    return pick(searchsorted(cumulative, multiply(total, subtract(1, u))))
  }
  const scores = add(gumbel(k, [population], { dtype: weights.dtype }), log(weights))
  const [, best] = prim.topK(scores, { k: draws, axis: 0 })
  return pick(prim.reshape(convert(best, 'int32'), { newSizes: sizes }))
}
