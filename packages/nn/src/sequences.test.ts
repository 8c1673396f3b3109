import { np, random, tree, type NDArray } from '@adjoint/core'
import { requireClose } from '@adjoint/testing'
import { jit, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dotProductAttention, multiHeadAttention } from './attention'
import { repeat, residual } from './composition'
import { type Layer, sequential, withCache } from './layer'
import { embedding, linear } from './linear'
import { layerNorm } from './normalization'
import { learnedPositions, rotary } from './positions'
import { gru, lstm, recurrent } from './recurrent'
import { transformerBlock } from './transformer'

/** Layers that read sequences `[..., time, 4]` from the past only. */
const readers: readonly (readonly [string, object])[] = [
  ['causal attention', multiHeadAttention(4, { heads: 2, causal: true })],
  [
    'grouped rotary attention',
    multiHeadAttention(4, { heads: 2, keyHeads: 1, headSize: 6, causal: true, rotary: true }),
  ],
  ['learned positions', learnedPositions(9, 4)],
  ['lstm', recurrent(lstm(4, 3))],
  ['gru', recurrent(gru(4, 4))],
  [
    'a transformer',
    sequential(
      learnedPositions(9, 4),
      repeat(transformerBlock(4, { heads: 2, causal: true, hidden: 8 }), 3),
      layerNorm(4),
      linear(4, 5),
    ),
  ],
  ['residual recurrence', repeat(residual(recurrent(gru(4, 4))), 2)],
]

describe.each(readers)('%s', (_name, given) => {
  const layer = given as Layer<unknown, unknown>
  const { params, state } = layer.init(random.key(0))
  const x = random.normal(random.key(1), [2, 9, 4])
  const [whole] = layer.apply({ params, state }, x)

  it('read piece by piece gives what the whole sequence gives', () => {
    const apply = jit((now: unknown, piece: NDArray) => layer.apply({ params, state: now }, piece))
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 9 }),
        (cuts) => {
          let now = withCache(layer, state, { batch: [2], length: 9 })
          let at = 0
          const pieces: NDArray[] = []
          for (const size of [...cuts, 9]) {
            const end = Math.min(9, at + size)
            if (end === at) break
            const [y, next] = apply(now, x.get(':', `${at}:${end}`))
            pieces.push(y)
            now = next
            at = end
          }
          requireClose('pieces', np.concatenate(pieces, 1), whole)
        },
      ),
      { numRuns: 8 },
    )
  })

  it('does not see the future', () => {
    const other = x.at(':', '5:').set(7)
    const [changed] = layer.apply({ params, state }, other)
    requireClose('past', changed.get(':', ':5'), whole.get(':', ':5'))
    expect(np.allclose(changed.get(':', '5:'), whole.get(':', '5:')).item()).toBe(false)
  })
})

describe('attention', () => {
  it('says with NaN that a cache is full', () => {
    const layer = multiHeadAttention(4, { heads: 2, causal: true })
    const { params } = layer.init(random.key(0))
    const cache = withCache(layer, null, { length: 3 })
    const [y, next] = layer.apply({ params, state: cache }, np.ones([3, 4]))
    expect(np.any(np.isnan(y)).item()).toBe(false)
    expect(np.all(np.isnan(layer.apply({ params, state: next }, np.ones([1, 4]))[0])).item()).toBe(
      true,
    )
  })

  it('looks where the mask of the context allows, also through a stack', () => {
    const stack = repeat(transformerBlock(4, { heads: 2 }), 2)
    const variables = stack.init(random.key(0))
    const x = random.normal(random.key(1), [5, 4])
    const mask = np.less(np.arange(5), 3)
    const [y] = stack.apply(variables, x, { mask })
    const [alone] = stack.apply(variables, x.get(':3'))
    requireClose('masked', y.get(':3'), alone)
  })

  it('drops weights while training only, and by its key', () => {
    const layer = multiHeadAttention(4, { heads: 2, dropout: 0.5 })
    const variables = layer.init(random.key(0))
    const x = random.normal(random.key(1), [6, 4])
    const trained = (seed: number): NDArray =>
      layer.apply(variables, x, { train: true, key: random.key(seed) })[0]
    const [evaluated] = layer.apply(variables, x)
    expect(trained(1).toArray()).toEqual(trained(1).toArray())
    expect(np.allclose(trained(1), trained(2)).item()).toBe(false)
    expect(np.allclose(trained(1), evaluated).item()).toBe(false)
    expect(() => layer.apply(variables, x, { train: true })).toThrow('needs a key while training')
  })

  it('computes in float32 what half precision cannot hold, and answers in its dtype', () => {
    const q = np.full([4, 1, 8], 200, { dtype: 'float16' })
    const v = random.normal(random.key(0), [4, 1, 8]).astype('float16')
    const y = dotProductAttention(q, q, v, { scale: 1 / 64 })
    expect(y.dtype).toBe('float16')
    requireClose('mean', y.get(0).astype('float32'), np.mean(v.astype('float32'), 0), {
      tolerance: { relative: 2e-3, absolute: 2e-3 },
    })
  })

  it('refuses a piece or a batch that the cache is not for', () => {
    const layer = multiHeadAttention(4, { heads: 2, causal: true })
    const { params } = layer.init(random.key(0))
    const state = withCache(layer, null, { batch: [2], length: 3 })
    const read = (x: NDArray) => (): unknown => layer.apply({ params, state }, x)
    expect(read(np.ones([2, 4, 4]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: multiHeadAttention(4, { heads: 2 }): a piece of 4 positions does not fit into a cache of 3
        x:          f32[2,4,4]
        cache.keys: f32[2,3,2,2]   [...batch, length, heads, features]
        rule: x has shape [...batch, time, features], and all pieces fit into the length
        hint: say for what the cache is: withCache(layer, state, { batch, length })]
    `)
    expect(read(np.ones([3, 4]))).toThrow('the cache is for another batch')
    expect(() => multiHeadAttention(4, { heads: 2, dropout: 1.5 })).toThrow(
      'the rate of dropout is 1.5',
    )
  })

  it('refuses what does not fit', () => {
    expect(() => multiHeadAttention(6, { heads: 4 })).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: multiHeadAttention(6, { heads: 4 }): 4 heads do not divide 6 features
        rule: features is a multiple of heads, and heads of keyHeads]
    `)
    expect(() => dotProductAttention(np.ones([3, 4, 8]), np.ones([3, 3, 8]), np.ones([3, 3, 8])))
      .toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: dotProductAttention(query, key, value): 3 key heads do not divide 4 heads
        query: f32[3,4,8]
        key:   f32[3,3,8]
        value: f32[3,3,8]
        rule: query is [..., queries, heads, features], key and value are [..., keys, heads, features]
        hint: heads stand before features, positions before heads]
    `)
  })
})

describe('rotary positions', () => {
  it('make products depend on distances only', () => {
    const [q, k] = [
      random.normal(random.key(0), [1, 1, 8]),
      random.normal(random.key(1), [1, 1, 8]),
    ]
    const product = (i: number, j: number): NDArray =>
      np.sum(np.multiply(rotary(q, np.array([i])), rotary(k, np.array([j]))))
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), fc.nat(500), (i, j, shift) => {
        const difference = product(i, j)
          .sub(product(i + shift, j + shift))
          .abs()
          .item() as number
        expect(difference).toBeLessThan(2e-3)
      }),
      { numRuns: 20 },
    )
  })
})

describe('embedding', () => {
  const layer = embedding(5, 3)
  const { params } = layer.init(random.key(0))

  it('takes rows, scores by the same weights, and sums gradients where an entry is used twice', () => {
    const ids = np.array([
      [0, 3],
      [3, 4],
    ])
    const [y] = layer.apply({ params, state: null }, ids)
    expect(y.get(0, 1).toArray()).toEqual(params.weight.get(3).toArray())
    requireClose('attend', layer.attend(params, y), np.matmul(y, params.weight.T))
    requireClose('vmap', vmap((i: NDArray) => layer.apply({ params, state: null }, i)[0])(ids), y)
  })

  it('refuses what is not an integer', () => {
    expect(() => layer.apply({ params, state: null }, np.ones([2])))
      .toThrowErrorMatchingInlineSnapshot(`
      [DTypeError: embedding(5, 3): x does not hold integers
        x: f32[2]
        rule: x holds the numbers of entries, from 0 to 4]
    `)
  })
})

describe('recurrent', () => {
  it('read backwards is read forwards of the reversed sequence', () => {
    const cell = lstm(2, 3)
    const params = cell.init(random.key(0))
    const x = random.normal(random.key(1), [4, 6, 2])
    const [y, last] = recurrent(cell, { reverse: true }).run(params, x)
    const [other, otherLast] = recurrent(cell).run(params, np.flip(x, 1))
    requireClose('outputs', y, np.flip(other, 1))
    tree.map((a: NDArray, b: NDArray) => requireClose('carry', a, b), last, otherLast)
  })

  it('starts with open forget gates', () => {
    expect(lstm(2, 3).init(random.key(0)).input.bias.toArray()).toEqual([
      0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    ])
  })
})
