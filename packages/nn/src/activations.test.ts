import { np, type NDArray } from '@adjoint/core'
import { grad, jit, vmap } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import golden from '../test-data/activations.json'
import * as activations from './activations'

const functions: Record<keyof typeof golden.cases, (x: NDArray) => NDArray> = {
  relu: activations.relu,
  sigmoid: activations.sigmoid,
  silu: activations.silu,
  softplus: activations.softplus,
  logSigmoid: activations.logSigmoid,
  leakyRelu: (x) => activations.leakyRelu(x),
  elu: (x) => activations.elu(x),
  gelu: (x) => activations.gelu(x),
  celu: (x) => activations.celu(x),
  selu: activations.selu,
  relu6: activations.relu6,
  hardTanh: activations.hardTanh,
  hardSigmoid: activations.hardSigmoid,
  hardSilu: activations.hardSwish,
  mish: activations.mish,
  softSign: activations.softSign,
  squareplus: (x) => activations.squareplus(x),
  sparsePlus: activations.sparsePlus,
  sparseSigmoid: activations.sparseSigmoid,
  tanh: activations.tanh,
  identity: activations.identity,
  leakyRelu02: (x) => activations.leakyRelu(x, { negativeSlope: 0.2 }),
  elu05: (x) => activations.elu(x, { alpha: 0.5 }),
  celu05: (x) => activations.celu(x, { alpha: 0.5 }),
  squareplus1: (x) => activations.squareplus(x, { b: 1 }),
  log1mexp: (x) => activations.log1mexp(np.add(np.abs(x), 1e-3)),
  geluExact: (x) => activations.gelu(x, { approximate: false }),
}

const close = (actual: NDArray, expected: readonly number[]): void => {
  const values = actual.toArray() as number[]
  expected.forEach((e, i) => {
    expect(Math.abs((values[i] ?? NaN) - e), `element ${i}`).toBeLessThanOrEqual(
      2e-6 * Math.max(1, Math.abs(e)),
    )
  })
}

describe.each(Object.entries(golden.cases))(
  `%s, as JAX ${golden.jax} has it`,
  (name, { values, derivatives }) => {
    const f = functions[name as keyof typeof functions]
    const x = np.array(golden.xs, { dtype: 'float32' })

    it('values', () => {
      close(f(x), values)
      close(jit(f)(x), values)
    })

    it('derivatives, also at kinks and far out', () => {
      close(vmap(grad(f))(x), derivatives)
      close(jit(vmap(grad(f)))(x), derivatives)
    })
  },
)

describe('over an axis', () => {
  const rows = np.array([
    [1, 2, 3],
    [-1000, 0, 1000],
    [5, 5, -Infinity],
  ])

  it('softmax', () => {
    golden.softmax.forEach((row, i) => {
      close(activations.softmax(rows).get(i), row)
    })
    expect(activations.softmax(rows, 0).get(0, 0).item()).toBeLessThan(0.02)
  })

  it.each([
    ['softmax', activations.softmax, golden.softmaxWhere],
    ['logSoftmax', activations.logSoftmax, golden.logSoftmaxWhere],
  ] as const)('%s of some elements, with the gradients of those', (_, f, { values, gradient }) => {
    const mask = np.array(golden.mask)
    const x = np.array(golden.plain, { dtype: 'float32' })
    const wanted = values.flat().map((v) => (v === '-inf' ? -Infinity : Number(v)))
    const actual = f(x, { where: mask }).ravel()
    wanted.forEach((e, i) => {
      if (Number.isFinite(e)) expect(actual.get(i).item()).toBeCloseTo(e, 5)
      else expect(actual.get(i).item()).toBe(e)
    })
    const loss = (at: NDArray): NDArray =>
      np.sum(np.multiply(np.where(mask, f(at, { where: mask }), 0), np.arange(9).reshape([3, 3])))
    close(grad(loss)(x).ravel(), gradient.flat())
  })

  it('takes axes by position, by name, and several', () => {
    const cube = np.array(golden.cube, { dtype: 'float32' })
    const flat = golden.softmaxOfAxes.flat(2)
    close(activations.softmax(cube, { axis: [0, 2] }).ravel(), flat)
    close(activations.softmax(cube, [0, 2]).ravel(), flat)
    expect(activations.logSoftmax(cube, { axis: 1 }).toArray()).toEqual(
      activations.logSoftmax(cube, 1).toArray(),
    )
    expect(activations.glu(cube, { axis: 2 }).toArray()).toEqual(activations.glu(cube, 2).toArray())
  })

  it('standardize and logmeanexp', () => {
    const cube = np.array(golden.cube, { dtype: 'float32' })
    close(activations.standardize(cube).ravel(), golden.standardize.flat(2))
    const given = { axis: 1, mean: 0.5, variance: 2, epsilon: 0.1 }
    close(activations.standardize(cube, given).ravel(), golden.standardizeGiven.flat(2))
    close(activations.logmeanexp(cube, { axis: 1 }).ravel(), golden.logmeanexp.flat())
    expect(activations.logsumexp(np.zeros([4])).item()).toBeCloseTo(Math.log(4), 6)
  })

  it('glu', () => {
    close(activations.glu(np.array(golden.xs.slice(0, 12), { dtype: 'float32' })), golden.glu)
    expect(activations.glu(np.ones([4, 3]), 0).shape).toEqual([2, 3])
  })

  it('logSoftmax', () => {
    golden.logSoftmax.forEach((row, i) => {
      const actual = activations.logSoftmax(rows).get(i).toArray() as number[]
      row.map(Number).forEach((e, k) => {
        if (Number.isFinite(e)) expect(actual[k]).toBeCloseTo(e, 5)
        else expect(actual[k]).toBe(row[k] === '-inf' ? -Infinity : e)
      })
    })
  })

  it('oneHot', () => {
    expect(activations.oneHot(np.array([2, 0, 5]), 3).toArray()).toEqual([
      [0, 0, 1],
      [1, 0, 0],
      [0, 0, 0],
    ])
    expect(activations.oneHot(np.array([1]), 2, { dtype: 'bool' }).dtype).toBe('bool')
    const labels = np.array([
      [0, 2],
      [3, -1],
    ])
    expect(activations.oneHot(labels, 3, { axis: 1 }).toArray()).toEqual(golden.oneHotFirst)
  })
})

describe('logaddexp', () => {
  it('has derivative one half in each of two equal operands', () => {
    const [gx, gy] = grad((x: NDArray, y: NDArray) => np.logaddexp(x, y), { argnums: [0, 1] })(
      np.array(0.5),
      np.array(0.5),
    )
    expect([gx.item(), gy.item()]).toEqual([0.5, 0.5])
  })
})
