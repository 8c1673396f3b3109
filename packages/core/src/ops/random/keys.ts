/**
 * Keys: the explicit state of randomness. JAX's Threefry-2x32 keys (Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011) as raw pairs of uint32, with its partitionable counters:
 * word `i` of a result depends on the key and `i` only.
 */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { makeArray } from '../../trace/interpreter'
import { Aval, type Shape, sizeOf } from '../../types/aval'
import { isInteger } from '../../types/dtype'
import { ArgumentError, DTypeError, ShapeError } from '../../types/errors'
import { canonicalShape } from '../arguments'
import { type ArrayLike, broadcastTo, convert, full, isArray, refuse } from '../promotion'

/** A key is an array of two uint32 words; keys made by `split` stand along leading axes. */
export type Key = NDArray

const scalarKey = (high: number, low: number): Key =>
  makeArray(Uint32Array.of(high, low), new Aval([2], 'uint32'))

/**
 * The key of a seed: JAX's `random.key(seed)`. Seeds that agree in their lowest 32 bits give the
 * same key, as in JAX with 32-bit integers.
 *
 * @param seed an integer between −2⁵³ and 2⁵³, or an integer scalar array (also traced)
 * @example
 * const key = random.key(0)
 * const [first, second] = random.split(key)
 */
export function key(seed: ArrayLike): Key {
  if (typeof seed === 'number') {
    if (!Number.isSafeInteger(seed)) {
      throw new ArgumentError({
        op: 'key(seed)',
        problem: `${seed} is not an integer`,
        rule: 'a seed is an integer between -2^53 and 2^53',
      })
    }
    return scalarKey(0, seed >>> 0)
  }
  if (!isArray(seed)) return refuse('key(seed)', seed)
  if (seed.ndim !== 0 || !isInteger(seed.dtype)) {
    throw new DTypeError({
      op: 'key(seed)',
      problem: 'the seed is not an integer scalar',
      operands: [{ name: 'seed', aval: seed.aval }],
      hint: 'vmap(random.key) makes one key per seed',
    })
  }
  return pair(full([], 0, 'uint32'), convert(seed, 'uint32'))
}

/** `key` under its older name: keys are raw either way. */
export const PRNGKey: typeof key = key

/** Two words as a key, or arrays of words as keys along leading axes. */
const pair = (high: NDArray, low: NDArray): Key =>
  prim.concatenate(
    [high, low].map((word) => prim.expandDims(word, [word.ndim])),
    { dimension: high.ndim },
  )

const notAKey = (op: string, given: unknown): ArgumentError =>
  new ArgumentError({
    op: `${op}(key)`,
    problem: `${Array.isArray(given) ? 'a list' : typeof given === 'number' ? 'a number' : 'this'} is no key`,
    rule: 'randomness is explicit: the first argument is a key',
    hint: typeof given === 'number' ? `random.key(${given}) makes one` : 'random.key(0) makes one',
  })

/** The two words of one key, after checking that it is one. */
function wordsOf(op: string, k: Key): [NDArray, NDArray] {
  if (!isArray(k)) throw notAKey(op, k)
  if (k.dtype !== 'uint32' || k.ndim !== 1 || k.shape[0] !== 2) {
    throw new ShapeError({
      op: `${op}(key)`,
      problem: 'this is not one key',
      operands: [{ name: 'key', aval: k.aval }],
      rule: 'a key is u32[2]',
      hint:
        k.ndim === 2 && k.shape[1] === 2
          ? 'these are several keys: take one with keys.get(i), or use vmap'
          : 'random.key(seed) makes one, random.split(key) more of them',
    })
  }
  const word = (i: number): NDArray =>
    prim.squeeze(prim.sliceInAxis(k, 0, i, i + 1), { dimensions: [0] })
  return [word(0), word(1)]
}

/** Threefry of a key and the counters 0 … n − 1, as two words each. */
function counted(op: string, k: Key, size: number): readonly NDArray[] {
  const [high, low] = wordsOf(op, k)
  const counters = prim.iota({ dtype: 'uint32', shape: [size], dimension: 0 })
  // The counter's upper word: arrays have fewer than 2³² elements.
  const zero = full([size], 0, 'uint32')
  return prim.threefry2x32(broadcastTo(high, [size]), broadcastTo(low, [size]), zero, counters)
}

/** `num` (2) independent keys, or as many as a shape says, along leading axes. */
export function split(k: Key, num: number | Shape = 2): Key {
  const shape = canonicalShape('split', num)
  const [high, low] = counted('split', k, sizeOf(shape))
  return prim.reshape(pair(high, low), { newSizes: [...shape, 2] })
}

/** A key derived from a key and an integer: distinct integers give independent keys. */
export function foldIn(k: Key, data: ArrayLike): Key {
  const [high, low] = wordsOf('foldIn', k)
  const seed = key(data)
  const word = (i: number): NDArray =>
    prim.squeeze(prim.sliceInAxis(seed, 0, i, i + 1), { dimensions: [0] })
  const [first, second] = prim.threefry2x32(high, low, word(0), word(1))
  return pair(first, second)
}

/** The words of a key; keys are their own data here. */
export const keyData = (k: Key): NDArray => k

/** A key from its words. */
export function wrapKeyData(data: NDArray): Key {
  if (data.dtype === 'uint32' && data.ndim > 0 && data.shape[data.ndim - 1] === 2) return data
  throw new ShapeError({
    op: 'wrapKeyData(data)',
    problem: 'these are not the words of keys',
    operands: [{ name: 'data', aval: data.aval }],
    rule: 'uint32, with two words along the last axis',
  })
}

/** A copy of a key. */
export const clone = (k: Key): Key => k

/** 32 random bits per element. */
export function words(op: string, k: Key, shape: Shape): NDArray {
  const [high, low] = counted(op, k, sizeOf(shape))
  return prim.reshape(prim.xor(high, low), { newSizes: shape })
}

/** 64 random bits per element, as two words. */
export function doubleWords(op: string, k: Key, shape: Shape): [NDArray, NDArray] {
  const [high, low] = counted(op, k, sizeOf(shape))
  return [prim.reshape(high, { newSizes: shape }), prim.reshape(low, { newSizes: shape })]
}
