import { np, random, tree, type NDArray } from '@adjoint/core'
import { grad, jit } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { relu } from './activations'
import { repeat } from './composition'
import { activation, sequential } from './layer'
import { linear } from './linear'
import { type Adapters, lora } from './lora'
import { transformerBlock } from './transformer'

const key = random.key(0)
const model = sequential(linear(6, 8), activation(relu), linear(8, 2))
const x = random.normal(random.key(1), [5, 6])
const trained = model.init(key).params
const state = model.init(key).state

const randomized = (adapters: Adapters): Adapters =>
  tree.map(
    (leaf: NDArray) => random.normal(random.foldIn(key, leaf.size), leaf.shape),
    adapters,
  ) as Adapters

describe('lora', () => {
  const adapted = lora(model, 2, { alpha: 4 })
  const fresh = adapted.adapt(trained, random.key(3))

  it('changes nothing at first', () => {
    const [before] = model.apply({ params: trained, state }, x)
    const [after] = adapted.apply({ params: fresh, state }, x)
    expect(after.toArray()).toEqual(before.toArray())
    expect(Object.keys(fresh.adapters)).toEqual(['0.weight', '2.weight'])
    expect(fresh.adapters['0.weight'].down.shape).toEqual([6, 2])
    expect(fresh.adapters['0.weight'].up.shape).toEqual([2, 8])
  })

  it('merges into parameters that compute the same', () => {
    const params = { base: trained, adapters: randomized(fresh.adapters) }
    const [through] = adapted.apply({ params, state }, x)
    const merged = adapted.merge(params)
    expect(model.apply({ params: merged, state }, x)[0].toArray()).toEqual(through.toArray())
    const { down, up } = params.adapters['0.weight']
    const weight = np.add(trained[0].weight, np.matmul(down, up).mul(2))
    expect(np.allclose(merged[0].weight, weight, { atol: 1e-5 }).item()).toBe(true)
    expect(merged[0].bias).toBe(trained[0].bias)
  })

  it('trains the factors only', () => {
    const loss = (params: typeof fresh): NDArray =>
      np.sum(np.square(adapted.apply({ params, state }, x)[0]))
    const gradient = jit(grad(loss))({ ...fresh, adapters: randomized(fresh.adapters) })
    for (const leaf of tree.leaves<NDArray>(gradient.base)) expect(np.any(leaf).item()).toBe(false)
    for (const leaf of tree.leaves<NDArray>(gradient.adapters)) {
      expect(np.any(leaf).item()).toBe(true)
    }
    const onlyAdapters = grad((adapters: Adapters) => loss({ base: trained, adapters }))
    let adapters = fresh.adapters
    const losses = Array.from({ length: 20 }, () => {
      adapters = tree.map(
        (a: NDArray, g: NDArray) => np.subtract(a, np.multiply(0.002, g)),
        adapters,
        onlyAdapters(adapters),
      ) as Adapters
      return Number(loss({ base: trained, adapters }))
    })
    expect(losses[19]).toBeLessThan(0.7 * losses[0])
  })

  it('adapts each layer of a stack, and attention', () => {
    const stack = repeat(transformerBlock(8, { heads: 2, causal: true }), 3)
    const base = stack.init(key)
    const both = lora(stack, 2, { target: ['**.query.weight', '**.value.weight'] })
    const params = both.adapt(base.params, key)
    expect(Object.keys(params.adapters)).toEqual([
      'attention.query.weight',
      'attention.value.weight',
    ])
    expect(params.adapters['attention.query.weight'].down.shape).toEqual([3, 8, 2])
    const changed = { base: base.params, adapters: randomized(params.adapters) }
    const input = random.normal(key, [4, 8])
    const [through] = both.apply({ params: changed, state: base.state }, input)
    const [merged] = stack.apply({ params: both.merge(changed), state: base.state }, input)
    expect(merged.toArray()).toEqual(through.toArray())
    const cache = both.withCache?.(base.state, { length: 4 })
    const shapes = (value: unknown): unknown => tree.map((leaf: NDArray) => leaf.shape, value)
    expect(shapes(cache)).toEqual(shapes(stack.withCache?.(base.state, { length: 4 })))
  })

  it('starts with as much variance in each factor, whatever the number of layers', () => {
    const wide = repeat(linear(200, 200), 5)
    const { adapters } = lora(wide, 8).init(key).params
    expect(Number(np.var(adapters.weight.down)) * 200).toBeCloseTo(1, 1)
  })

  it('needs weights to adapt and a rank', () => {
    expect(() => lora(activation(relu), 2).init(key)).toThrow('no weight of the layer is adapted')
    expect(() => lora(model, 0)).toThrow('not a positive integer')
  })
})
