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
