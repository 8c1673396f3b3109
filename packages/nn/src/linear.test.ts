import { np, random, tree, type NDArray } from '@adjoint/core'
import { grad, jit, vmap } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { relu } from './activations'
import * as initializers from './initializers'
import { activation, sequential } from './layer'
import { dropout } from './dropout'
import { linear, mlp } from './linear'
import { layerNorm } from './normalization'

const key = random.key(0)

describe('initialisers', () => {
  const shape = [200, 300]
  const moments = (x: NDArray): { mean: number; variance: number } => ({
    mean: np.mean(x).item() as number,
    variance: np.var(x).item() as number,
  })

  // 60,000 draws: the variance of the estimate is below one percent.
  it.each([
    ['glorotUniform', initializers.glorotUniform(), 2 / 500],
    ['glorotNormal', initializers.glorotNormal(), 2 / 500],
    ['heUniform', initializers.heUniform(), 2 / 200],
    ['heNormal', initializers.heNormal(), 2 / 200],
    ['lecunUniform', initializers.lecunUniform(), 1 / 200],
    ['lecunNormal', initializers.lecunNormal(), 1 / 200],
    ['normal', initializers.normal(0.02), 0.02 ** 2],
    ['orthogonal', initializers.orthogonal(), 1 / 300],
    ['truncatedNormal', initializers.truncatedNormal(0.3), (0.3 * 0.8796256610342398) ** 2],
    ['varianceScaling', initializers.varianceScaling(3, 'fanOut', 'normal'), 3 / 300],
  ] as const)('%s has the variance of its name', (_name, init, variance) => {
    const found = moments(init(key, shape))
    expect(found.variance / variance).toBeCloseTo(1, 1)
    expect(Math.abs(found.mean)).toBeLessThan(5 * Math.sqrt(variance / 60000))
  })

  it.each([
    [200, 300],
    [300, 200],
    [64, 64],
    [5, 1],
    [3, 3, 8, 16],
  ])('orthogonal is orthonormal in its smaller side: %j', (...sizes) => {
    const matrix = initializers
      .orthogonal()(key, sizes)
      .reshape([-1, sizes.at(-1) ?? 1])
    const [rows, columns] = matrix.shape
    const gram = rows < columns ? np.matmul(matrix, matrix.T) : np.matmul(matrix.T, matrix)
    const difference = np.max(np.abs(np.subtract(gram, np.eye(Math.min(rows, columns))))).item()
    expect(difference).toBeLessThan(3e-6)
  })

  it('orthogonal refuses what is no matrix', () => {
    expect(() => initializers.orthogonal()(key, [3])).toThrow('shape has at least two axes')
    expect(() => initializers.deltaOrthogonal()(key, [3, 4, 2])).toThrow('no more inputs')
    expect(() => initializers.varianceScaling(1, 'fanMiddle' as 'fanIn', 'normal'))
      .toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: varianceScaling(scale, mode, distribution): there is no mode fanMiddle
        rule: mode is fanIn, fanOut, fanAvg, fanGeoAvg]
    `)
  })

  it('constant and uniform are what they say', () => {
    expect(initializers.constant(2)(key, [2]).toArray()).toEqual([2, 2])
    const drawn = initializers.uniform(3)(key, [10000])
    expect(np.min(drawn).item()).toBeGreaterThanOrEqual(0)
    expect(np.max(drawn).item()).toBeLessThan(3)
    expect(moments(drawn).mean).toBeCloseTo(1.5, 1)
  })

  it('fans count the receptive field of a convolution', () => {
    const { variance } = moments(initializers.heNormal()(key, [3, 3, 64, 128]))
    expect(variance / (2 / (9 * 64))).toBeCloseTo(1, 1)
  })
})

describe('linear', () => {
  const layer = linear(3, 2)
  const { params } = layer.init(key)

  it('is x @ weight + bias, under any number of batch axes', () => {
    const x = random.normal(random.key(1), [4, 5, 3])
    const [y] = layer.apply({ params, state: null }, x)
    expect(y.shape).toEqual([4, 5, 2])
    const row = np.matmul(x.get(2, 3), params.weight).add(params.bias)
    expect(np.allclose(y.get(2, 3), row, { atol: 1e-6 }).item()).toBe(true)
  })

  it('refuses inputs of another width', () => {
    expect(() => layer.apply({ params, state: null }, np.ones([4])))
      .toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: linear(3, 2): the last axis of x is not 3 long
        x: f32[4]
        rule: x has shape [..., inputs]]
    `)
  })
})

describe('mlp', () => {
  it('has its activation between linear maps only, and no bias where it has none', () => {
    const layer = mlp([3, 4, 2], { useBias: false })
    const { params, state } = layer.init(key)
    const x = random.normal(random.key(1), [5, 3])
    const [y, next] = layer.apply({ params, state }, x)
    const inner = np.maximum(np.matmul(x, params[0].weight), 0)
    expect(np.allclose(y, np.matmul(inner, params[1].weight), { atol: 1e-6 }).item()).toBe(true)
    expect(Object.keys(params[0])).toEqual(['weight'])
    expect(next).toEqual([null, null])
  })
})

describe('sequential', () => {
  const model = sequential(linear(4, 8), activation(relu), dropout(0.5), linear(8, 1))

  it('gives each layer its own key, parameters and state', () => {
    const { params, state } = model.init(key)
    expect(params[0].weight.shape).toEqual([4, 8])
    expect(params[3].bias.shape).toEqual([1])
    expect(state).toEqual([null, null, null, null])
    const again = model.init(key)
    expect(again.params[0].weight.toArray()).toEqual(params[0].weight.toArray())
  })

  it('is differentiable, compilable and batchable', () => {
    const { params, state } = model.init(key)
    const loss = (p: typeof params, x: NDArray): NDArray =>
      np.mean(np.square(model.apply({ params: p, state }, x)[0]))
    const x = random.normal(random.key(2), [6, 4])
    const whole = jit(grad(loss))(params, x)
    const rows = vmap(grad(loss), { inAxes: [null, 0] })(params, x)
    const mean = tree.map((g: NDArray) => np.mean(g, 0), rows)
    const others = tree.leaves<NDArray>(mean)
    const differences = tree
      .leaves<NDArray>(whole)
      .map((a, i) => np.max(np.abs(np.subtract(a, others[i]))).item() as number)
    expect(Math.max(...differences)).toBeLessThan(1e-5)
  })
})

describe('dropout', () => {
  const layer = dropout(0.25)
  const variables = { params: null, state: null }
  const x = np.ones([200, 100])

  it('keeps the mean while training, and everything otherwise', () => {
    const [y] = layer.apply(variables, x, { train: true, key })
    expect(np.mean(y).item()).toBeCloseTo(1, 1)
    expect(np.mean(np.equal(y, 0)).item()).toBeCloseTo(0.25, 1)
    expect(layer.apply(variables, x)[0]).toBe(x)
  })

  it('makes one decision along the axes that share it', () => {
    const whole = dropout(0.5, { broadcastAxes: [-2] })
    const [y] = whole.apply(variables, x, { train: true, key })
    expect(np.allclose(y, y.get(0)).item()).toBe(true)
    expect(np.mean(np.equal(y.get(0), 0)).item()).toBeCloseTo(0.5, 0)
  })

  it('says that it needs a key', () => {
    expect(() => layer.apply(variables, x, { train: true })).toThrow('needs a key while training')
  })
})

describe('layerNorm', () => {
  it('gives zero mean and unit variance over the last axis', () => {
    const layer = layerNorm(64)
    const x = random.normal(key, [5, 64]).mul(7).add(3)
    const [y] = layer.apply(layer.init(key), x)
    for (const value of np.mean(y, -1).toArray() as number[]) expect(value).toBeCloseTo(0, 5)
    for (const value of np.var(y, -1).toArray() as number[]) expect(value).toBeCloseTo(1, 4)
  })
})
