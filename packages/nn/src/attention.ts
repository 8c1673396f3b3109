/** Attention: values weighed by how well their keys fit a query. Vaswani et al. 2017. */
import {
  ArgumentError,
  type ArrayLike,
  type Key,
  lax,
  NDArray,
  np,
  random,
  ShapeError,
} from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { softmax } from './activations'
import { dropped, requireKey, requireRate } from './dropout'
import { glorotUniform, type Initializer } from './initializers'
import { type Context, type Layer, requireParams } from './layer'
import { linear, type LinearParams, requireFeatures, type WeightParams } from './linear'
import { rotary, type RotaryOptions } from './positions'

export interface DotProductAttentionOptions {
  /** Added to the scores; broadcasts to `[..., heads, queries, keys]`. */
  readonly bias?: NDArray
  /** True where a query may look at a key; broadcasts to `[..., heads, queries, keys]`. */
  readonly mask?: NDArray
  /** Whether the i-th query looks at the first i keys only. */
  readonly isCausal?: boolean
  /** How many of the queries there are, by example (`[...]`); the results of the others are 0. */
  readonly querySeqLengths?: NDArray
  /** How many of the keys there are, by example (`[...]`). */
  readonly keyValueSeqLengths?: NDArray
  /** How far a query sees to both sides, or `[left, right]`. Beltagy et al. 2020. */
  readonly localWindowSize?: number | readonly [left: number, right: number]
  /** `1 / √features` unless given. */
  readonly scale?: ArrayLike
  /** Drops weights, while training. */
  readonly dropout?: { readonly rate: number; readonly key: Key }
}

/**
 * `softmax(query · keyᵀ · scale + bias) · value` for each head: JAX's `dot_product_attention`.
 *
 * Scores and their softmax are computed in float32 at least. A query that may look at no key weighs
 * all of them alike.
 *
 * @param query `[..., queries, heads, features]`
 * @param key `[..., keys, keyHeads, features]`; each key head serves `heads / keyHeads` heads that
 *   follow one another (Ainslie et al. 2023)
 * @param value `[..., keys, keyHeads, features]`
 * @returns `[..., queries, heads, features]`
 * @throws ShapeError when heads or features do not fit
 * @example
 * const [q, kv] = [np.ones([5, 4, 8]), np.ones([7, 2, 8])]
 * dotProductAttention(q, kv, kv).shape // [ 5, 4, 8 ]
 */
export function dotProductAttention(
  query: NDArray,
  key: NDArray,
  value: NDArray,
  options: DotProductAttentionOptions = {},
): NDArray {
  checkOptions('dotProductAttention', options, [
    'bias',
    'mask',
    'isCausal',
    'querySeqLengths',
    'keyValueSeqLengths',
    'localWindowSize',
    'scale',
    'dropout',
  ])
  requireHeads(query, key, value)
  const [queries, heads, features] = query.shape.slice(-3)
  const [keys, keyHeads] = key.shape.slice(-3)
  const { scale = 1 / Math.sqrt(features) } = options
  const group = heads / keyHeads
  const lead = query.shape.slice(0, -3)
  const grouped = group === 1 ? query : query.reshape([...lead, queries, keyHeads, group, features])
  const products = np.einsum(
    group === 1 ? '...tnh,...snh->...nts' : '...tkgh,...skh->...kgts',
    grouped,
    key,
    { preferredElementType: query.dtype === 'float64' ? 'float64' : 'float32' },
  )
  const scores = group === 1 ? products : products.reshape([...lead, heads, queries, keys])
  const weights = attentionWeights(scores, scale, queries, keys, options).astype(value.dtype)
  const result = (): NDArray => {
    if (group === 1) return np.einsum('...nts,...snh->...tnh', weights, value)
    const split = weights.reshape([...lead, keyHeads, group, queries, keys])
    return np.einsum('...kgts,...skh->...tkgh', split, value).reshape(query.shape)
  }
  const { querySeqLengths } = options
  if (querySeqLengths === undefined) return result()
  const isThere = np.less(np.arange(queries), np.expandDims(querySeqLengths, -1))
  return np.where(np.expandDims(isThere, [-2, -1]), result(), 0)
}

/** Which keys a query may look at, as far as that follows from their places; `[..., 1, queries, keys]`. */
function placesSeen(
  queries: number,
  keys: number,
  options: DotProductAttentionOptions,
): readonly NDArray[] {
  const { isCausal = false, keyValueSeqLengths: length, localWindowSize: local } = options
  const distance = np.subtract(np.arange(keys), np.expandDims(np.arange(queries), -1))
  const [left, right] = typeof local === 'number' ? [local, local] : (local ?? [])
  return [
    isCausal && np.tri(queries, keys, { dtype: 'bool' }),
    left !== undefined && np.greaterEqual(distance, -left),
    right !== undefined && np.lessEqual(distance, right),
    length && np.less(np.arange(keys), np.expandDims(length, [-3, -2, -1])),
  ].filter((mask) => mask instanceof NDArray)
}

function attentionWeights(
  products: NDArray,
  scale: ArrayLike,
  queries: number,
  keys: number,
  options: DotProductAttentionOptions,
): NDArray {
  const { bias, mask, dropout } = options
  const scaled = np.multiply(products, scale)
  const biased = bias === undefined ? scaled : np.add(scaled, bias)
  const [first, ...others] = [...(mask ? [mask] : []), ...placesSeen(queries, keys, options)]
  const allowed = others.reduce<NDArray | undefined>(
    (all, other) => all && np.logicalAnd(all, other),
    first,
  )
  // Far below every score, yet finite: a row without any key has a softmax, and derivatives.
  const scores = allowed ? np.where(allowed, biased, lowest) : biased
  const weights = softmax(scores)
  return dropout ? dropped(dropout.key, dropout.rate, weights) : weights
}

/** 0.7 of the lowest float32, so that a bias may still be added. */
const lowest = -0.7 * 3.4028234663852886e38

function requireHeads(query: NDArray, key: NDArray, value: NDArray): void {
  const [heads, features] = query.shape.slice(-2)
  const [keyHeads, keyFeatures] = key.shape.slice(-2)
  const problem =
    Math.min(query.ndim, key.ndim, value.ndim) < 3
      ? 'an operand has fewer than 3 axes'
      : features !== keyFeatures
        ? 'queries and keys have different features'
        : heads % keyHeads !== 0
          ? `${keyHeads} key heads do not divide ${heads} heads`
          : key.shape.at(-3) !== value.shape.at(-3) || keyHeads !== value.shape.at(-2)
            ? 'keys and values differ in number'
            : null
  if (problem === null) return
  throw new ShapeError({
    op: 'dotProductAttention(query, key, value)',
    problem,
    operands: [
      { name: 'query', aval: query.aval },
      { name: 'key', aval: key.aval },
      { name: 'value', aval: value.aval },
    ],
    rule: 'query is [..., queries, heads, features], key and value are [..., keys, heads, features]',
    hint: 'heads stand before features, positions before heads',
  })
}

type Projection = LinearParams | WeightParams

export interface AttentionParams {
  readonly query: Projection
  readonly key: Projection
  readonly value: Projection
  readonly out: Projection
}

/** Keys and values of what has been read, `[..., length, keyHeads, headSize]`, and how much it is. */
export interface AttentionCache {
  readonly keys: NDArray
  readonly values: NDArray
  readonly position: NDArray
}

export interface AttentionOptions {
  readonly heads: number
  /** Heads of keys and values, each shared by as many heads of queries; `heads` unless given. */
  readonly keyHeads?: number
  /** Features of one head; `features / heads` unless given. */
  readonly headSize?: number
  /** Whether a position sees only itself and those before it. */
  readonly causal?: boolean
  /** Turns queries and keys by their positions. */
  readonly rotary?: boolean | RotaryOptions
  /** The rate at which weights are dropped while training. */
  readonly dropout?: number
  readonly useBias?: boolean
  readonly weightInit?: Initializer
}

export interface AttentionLayer extends Layer<AttentionParams, AttentionCache | null> {
  /**
   * Attention from one sequence to another: queries from `x`, keys and values from `memory`, both
   * `[..., time, features]`.
   */
  attend(params: AttentionParams, x: NDArray, memory: NDArray, context?: Context): NDArray
}

/**
 * Attention of a sequence to itself with several heads: `[..., time, features]` to the same shape.
 * With a cache as state (see `withCache`) the input continues the sequence in the cache, and what
 * comes out is what the whole sequence would have given; beyond the cache's length it is NaN.
 *
 * @param options.keyHeads fewer than `heads`: grouped queries; 1: multi-query
 * @example
 * const layer = multiHeadAttention(16, { heads: 4, keyHeads: 2, causal: true, rotary: true })
 * layer.apply(layer.init(random.key(0)), np.ones([2, 5, 16]))[0].shape // [ 2, 5, 16 ]
 */
export function multiHeadAttention(features: number, options: AttentionOptions): AttentionLayer {
  const op = `multiHeadAttention(${features}, { heads: ${options.heads} })`
  return attentionOf(op, features, checkOptions(op, options, attentionNames))
}

/** What `multiHeadAttention` may be told, and blocks that have one. */
export const attentionNames = [
  'heads',
  'keyHeads',
  'headSize',
  'causal',
  'rotary',
  'dropout',
  'useBias',
  'weightInit',
] as const

/** @param op what the user called */
export function attentionOf(
  op: string,
  features: number,
  options: AttentionOptions,
): AttentionLayer {
  const { heads, keyHeads = heads, causal = false, dropout = 0, useBias = true } = options
  const headSize = options.headSize ?? features / heads
  if (!Number.isInteger(headSize) || heads % keyHeads !== 0) {
    throw new ArgumentError({
      op,
      problem: Number.isInteger(headSize)
        ? `${keyHeads} key heads do not divide ${heads} heads`
        : `${heads} heads do not divide ${features} features`,
      rule: 'features is a multiple of heads, and heads of keyHeads',
    })
  }
  requireRate(op, dropout)
  const linearOptions = { useBias, weightInit: options.weightInit ?? glorotUniform() }
  const toQuery = linear(features, heads * headSize, linearOptions)
  const toKey = linear(features, keyHeads * headSize, linearOptions)
  const out = linear(heads * headSize, features, linearOptions)

  const project = (
    layer: Layer<Projection>,
    params: Projection,
    x: NDArray,
    count: number,
  ): NDArray => {
    requireFeatures(op, x, features, 'time, features')
    const [y] = layer.apply({ params, state: null }, x)
    return y.reshape([...x.shape.slice(0, -1), count, headSize])
  }
  const turned = (x: NDArray, positions?: NDArray): NDArray =>
    options.rotary
      ? rotary(x, positions, typeof options.rotary === 'object' ? options.rotary : {})
      : x
  const dropping = (context: Context): Pick<DotProductAttentionOptions, 'dropout'> =>
    context.train && dropout > 0 ? { dropout: { rate: dropout, key: requireKey(op, context) } } : {}
  const merged = (params: AttentionParams, y: NDArray): NDArray => {
    const flat = y.reshape([...y.shape.slice(0, -2), heads * headSize])
    return out.apply({ params: params.out, state: null }, flat)[0]
  }

  const attend: AttentionLayer['attend'] = (params, x, memory, context = {}) => {
    const query = turned(project(toQuery, params.query, x, heads))
    const key = turned(project(toKey, params.key, memory, keyHeads))
    const value = project(toKey, params.value, memory, keyHeads)
    const weighed = dotProductAttention(query, key, value, {
      mask: context.mask,
      isCausal: causal,
      ...dropping(context),
    })
    return merged(params, weighed)
  }

  return {
    init: (key) => {
      const [q, k, v, o] = random.split(key, 4)
      return {
        params: {
          query: toQuery.init(q).params,
          key: toKey.init(k).params,
          value: toKey.init(v).params,
          out: out.init(o).params,
        },
        state: null,
      }
    },
    attend,
    apply: ({ params, state: cache }, x, context = {}) => {
      requireParams(op, params)
      if (!cache) return [attend(params, x, x, context), null]
      const time = x.shape.at(-2) ?? 0
      requireRoom(op, x, cache)
      const positions = np.add(cache.position, np.arange(time))
      const query = turned(project(toQuery, params.query, x, heads), positions)
      const key = turned(project(toKey, params.key, x, keyHeads), positions)
      const value = project(toKey, params.value, x, keyHeads)
      const next = extended(cache, key, value)
      const length = roomOf(cache)
      const known = np.less(
        np.arange(length),
        np.expandDims(causal ? np.add(positions, 1) : np.full([time], next.position), -1),
      )
      const weighed = dotProductAttention(query, next.keys, next.values, {
        mask: context.mask ? np.logicalAnd(context.mask, known) : known,
        ...dropping(context),
      })
      const y = merged(params, weighed)
      return [np.where(np.lessEqual(next.position, length), y, NaN), next]
    },
    withCache: (_state, { batch = [], length, dtype = 'float32' }) => ({
      keys: np.zeros([...batch, length, keyHeads, headSize], { dtype }),
      values: np.zeros([...batch, length, keyHeads, headSize], { dtype }),
      position: np.zeros([], { dtype: 'int32' }),
    }),
  }
}

const roomOf = (cache: AttentionCache): number => cache.keys.shape.at(-3) ?? 0

/** Refuses what no cache could continue with: a piece longer than all of it, or another batch. */
function requireRoom(op: string, x: NDArray, cache: AttentionCache): void {
  const [batch, room] = [cache.keys.shape.slice(0, -3), roomOf(cache)]
  const time = x.shape.at(-2) ?? 0
  const isSameBatch =
    x.ndim - 2 === batch.length && batch.every((size, axis) => size === x.shape[axis])
  if (time <= room && isSameBatch) return
  throw new ShapeError({
    op,
    problem: isSameBatch
      ? `a piece of ${time} positions does not fit into a cache of ${room}`
      : 'the cache is for another batch',
    operands: [
      { name: 'x', aval: x.aval },
      { name: 'cache.keys', aval: cache.keys.aval, note: '[...batch, length, heads, features]' },
    ],
    rule: 'x has shape [...batch, time, features], and all pieces fit into the length',
    hint: 'say for what the cache is: withCache(layer, state, { batch, length })',
  })
}

function extended(cache: AttentionCache, key: NDArray, value: NDArray): AttentionCache {
  const axis = cache.keys.ndim - 3
  const put = (old: NDArray, now: NDArray): NDArray =>
    lax.dynamicUpdateSliceInDim(old, now.astype(old.dtype), cache.position, axis)
  return {
    keys: put(cache.keys, key),
    values: put(cache.values, value),
    position: np.add(cache.position, key.shape[axis]),
  }
}
