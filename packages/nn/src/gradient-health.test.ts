import { np, random, tree, type NDArray } from '@adjoint/core'
import { grad } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { relu, sigmoid } from './activations'
import { repeat } from './composition'
import { gradientHealth, gradientHealthAsync } from './gradient-health'
import * as initializers from './initializers'
import { activation, type Layer, sequential } from './layer'
import { linear } from './linear'

const key = random.key(0)
const x = random.normal(random.key(1), [32, 16])

/** Layers of 16 units, with weights of this deviation times 1/√16. */
const block = (deviation: number, f: (y: NDArray) => NDArray) =>
  sequential(linear(16, 16, { weightInit: initializers.normal(deviation / 4) }), activation(f))

function gradientOf<P, S>(model: Layer<P, S>): unknown {
  const { params, state } = model.init(key)
  const loss = (leaves: NDArray[]): NDArray => {
    const p = tree.unflatten(tree.structure(params), leaves) as P
    return np.mean(np.square(model.apply({ params: p, state }, x)[0]))
  }
  return tree.unflatten(tree.structure(params), grad(loss)(tree.leaves(params)))
}

const deep = (deviation: number, f: (y: NDArray) => NDArray): unknown =>
  gradientOf(sequential(...Array.from({ length: 20 }, () => block(deviation, f))))

const healthyGradients = {
  layers: [
    {
      weight: np
        .array([
          [1, 2],
          [3, 4],
        ])
        .mul(0.1),
      bias: np.array([0.1, 0.2]),
    },
    {
      weight: np
        .array([
          [1, 2],
          [3, 5],
        ])
        .mul(0.1),
      bias: np.array([0.3, 0.1]),
    },
  ],
}

describe('numbers', () => {
  it('are those of the definition', () => {
    const { layers, globalNorm } = gradientHealth(
      {
        a: np
          .array([
            [3, 0, 4],
            [0, 0, 0],
          ])
          .astype('float32'),
        b: np.array([NaN, Infinity, -2, 0]),
      },
      { params: { a: np.ones([2, 3]), b: np.zeros([4]) } },
    )
    expect(layers[0]).toEqual({
      path: 'a',
      size: 6,
      norm: 5,
      rootMeanSquare: 5 / Math.sqrt(6),
      largest: 4,
      zeros: 4 / 6,
      nans: 0,
      infinities: 0,
      deadUnits: 1,
      units: 3,
      paramNorm: expect.closeTo(Math.sqrt(6), 5) as number,
    })
    expect(layers[1]).toMatchObject({ norm: 2, largest: 2, nans: 1, infinities: 1, zeros: 0.25 })
    expect(globalNorm).toBeCloseTo(Math.sqrt(29), 6)
  })

  it('of a stack are those of its layers', () => {
    const gradient = random.normal(key, [3, 4, 5]).at(1).set(0)
    const { layers } = gradientHealth({ blocks: gradient }, { stacked: 'blocks' })
    expect(layers.map(({ path }) => path)).toEqual(['blocks[0]', 'blocks[1]', 'blocks[2]'])
    layers.forEach((layer, i) => {
      const [alone] = gradientHealth({ blocks: gradient.get(i) }).layers
      expect(layer).toEqual({ ...alone, path: `blocks[${i}]` })
    })
    expect(layers[1].zeros).toBe(1)
  })

  it('come the same way without waiting', async () => {
    expect(await gradientHealthAsync(healthyGradients)).toEqual(gradientHealth(healthyGradients))
  })

  it('of 16-bit gradients, scalars, empty arrays and nothing', () => {
    const { layers, healthy } = gradientHealth({
      a: np.ones([2, 2], { dtype: 'bfloat16' }),
      b: np.ones([]),
      c: np.zeros([0, 3]),
      count: np.array(3),
    })
    expect(layers.map(({ path, norm }) => [path, norm])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 0],
    ])
    expect(healthy).toBe(true)
    expect(gradientHealth([]).globalNorm).toBe(0)
  })
})

describe('words', () => {
  const words = (grads: unknown, options = {}): string[] =>
    gradientHealth(grads, options).findings.map(({ message }) => message)

  it('there are none for healthy gradients', () => {
    expect(words(healthyGradients, { params: healthyGradients })).toEqual([])
    expect(String(gradientHealth(healthyGradients, { params: healthyGradients })))
      .toMatchInlineSnapshot(`
      "gradient of       norm    rms  largest  zeros  norm / param
      layers.0.bias    0.224  0.158      0.2     0%             1
      layers.0.weight  0.548  0.274      0.4     0%             1
      layers.1.bias    0.316  0.224      0.3     0%             1
      layers.1.weight  0.624  0.312      0.5     0%             1
      all              0.917
      nothing to remark"
    `)
  })

  it('are numbers of the size that the gradients have', () => {
    const sizes = Array.from({ length: 71 }, (_, i) => 10 ** (i / 2 - 20))
    const health = gradientHealth(sizes.map((size) => np.full([1], size, { dtype: 'float32' })))
    const rows = String(health)
      .split('\n')
      .slice(1, 1 + sizes.length)
    rows.forEach((row, i) => {
      const shown = Number(row.split(/ +/)[1])
      expect(Math.abs(shown / sizes[i] - 1), row).toBeLessThan(0.006)
    })
  })

  it('say that weights get nothing where only biases do', () => {
    const gradient = {
      weight: np.full([3, 3], 1e-12),
      last: np.full([3, 2], 1e-11),
      bias: np.ones([2]),
    }
    const [finding] = gradientHealth(gradient).findings
    expect(finding.problem).toBe('vanishing')
    expect(finding.paths).toEqual(['last', 'weight'])
    expect(finding.message).toMatch(/all weights together is 2\.47e-11, so that nothing but biases/)
  })

  it('say where NaN and infinities are', () => {
    const broken = { ...healthyGradients, head: np.array([NaN, 1, Infinity]) }
    expect(words(broken)).toMatchInlineSnapshot(`
      [
        "not finite: 1 NaN and 1 infinite elements in the gradient of head. Look for log, sqrt or division at 0, or an overflow; checkNans finds the operation, and mixedPrecision skips such steps.",
      ]
    `)
    expect(words([np.array([NaN])])[0]).toContain('every parameter')
  })

  it('say that gradients vanish, and how fast', () => {
    const [finding] = gradientHealth(deep(1, sigmoid)).findings
    expect(finding.problem).toBe('vanishing')
    expect(finding.paths[0]).toBe('0.0.weight')
    expect(finding.message).toMatchInlineSnapshot(
      `"vanishing: the gradient of 13 of 20 weights is less than 0.0001 of the largest: rms 1.26e-15 at 0.0.weight, 0.00737 at 19.0.weight; on the way back from 19.0.weight to 0.0.weight it is multiplied by 0.213 from weight to weight. Residual connections, normalisation, or weights of larger variance help."`,
    )
    expect(words(deep(1, np.sin))).toEqual([])
  })

  it('say that gradients explode, and how fast', () => {
    const [finding] = gradientHealth(deep(4, np.sin)).findings
    expect(finding.problem).toBe('exploding')
    // The layers are chaotic, so the last digits depend on the order of sums.
    expect(finding.message).toMatch(
      /^exploding: the gradient has the norm [\d.]+e\+\d+, most of it in 0\.0\.weight; on the way back from 19\.0\.weight to 0\.0\.weight it is multiplied by [23]\.\d+ from weight to weight\. Clip/,
    )
  })

  it('see into stacks', () => {
    const gradient = gradientOf(repeat(block(1, sigmoid), 20))
    const { findings } = gradientHealth(gradient, { stacked: '**' })
    expect(findings[0].problem).toBe('vanishing')
    expect(findings[0].message).toContain('0.weight[19] to 0.weight[0]')
  })

  it('say that a gradient is out of proportion', () => {
    expect(words([np.full([2, 2], 5.5)], { params: [np.full([2, 2], 0.01)] }))
      .toMatchInlineSnapshot(`
      [
        "exploding: the gradient of 0 is more than 100 times as large as the parameter itself. A plain gradient step would overwrite it: clip, or lower the learning rate.",
      ]
    `)
  })

  it('say what gets no gradient', () => {
    const frozen = { ...healthyGradients, embedding: np.zeros([4, 3]) }
    expect(words(frozen)).toMatchInlineSnapshot(`
      [
        "frozen: embedding gets no gradient at all. Fine if frozen on purpose; otherwise the loss does not depend on it, or only through stopGradient, an integer or a dead unit.",
      ]
    `)
    expect(words([np.zeros([2]), np.zeros([3])])[0]).toContain('no parameter gets a gradient')
  })

  it('say which units are dead', () => {
    const layer = linear(16, 10)
    const { params } = layer.init(key)
    const dead = {
      ...params,
      bias: np.array([0, 0, 0, -100, 0, 0, 0, 0, -100, 0]).astype('float32'),
    }
    const output = (p: typeof params): NDArray =>
      relu(layer.apply({ params: p, state: null }, x)[0])
    const gradient = grad((p: typeof params) => np.sum(np.square(output(p))))(dead)
    expect(
      gradientHealth(gradient, { activations: { hidden: output(dead) } }).findings.map(
        ({ message }) => message,
      ),
    ).toMatchInlineSnapshot(`
      [
        "dead units: 2 of 10 in hidden are 0 for every example of the batch. A lower learning rate, another initialisation, or an activation that is not flat (leakyRelu, gelu) keeps them alive.",
        "dead units: 2 of 10 in weight get no gradient from this batch, as behind a relu that never fires.",
      ]
    `)
  })

  it('name the path where gradients and parameters do not fit together', () => {
    expect(() => gradientHealth({ a: np.ones([2]) }, { params: { b: np.ones([2]) } })).toThrow('.a')
  })
})
