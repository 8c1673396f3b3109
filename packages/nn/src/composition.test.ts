import { np, random, tree, type NDArray } from '@adjoint/core'
import { requireClose } from '@adjoint/testing'
import { grad, jit, makeJaxpr, vmap } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { parallel, repeat, residual } from './composition'
import { dropout } from './dropout'
import { activation, type Layer, sequential } from './layer'
import { linear } from './linear'
import { batchNorm, type BatchNormState } from './normalization'
import { summary } from './summary'
import { transformerBlock } from './transformer'

const key = random.key(0)
const x = random.normal(random.key(1), [8, 3])

describe('repeat', () => {
  const block = sequential(linear(3, 3), activation(np.tanh), batchNorm(3))
  const stack = repeat(block, 4)
  const variables = stack.init(key)

  const unrolled = (train: boolean): [NDArray, readonly unknown[]] => {
    let y = x
    const states = Array.from({ length: 4 }, (_, i) => {
      const own = tree.map<typeof variables, NDArray, NDArray>((leaf) => leaf.get(i), variables)
      const [next, state] = block.apply(own, y, { train })
      y = next
      return state
    })
    return [y, states]
  }

  it.each([true, false])('is its layers one after the other (training: %s)', (train) => {
    const [y, state] = stack.apply(variables, x, { train })
    const [expected, states] = unrolled(train)
    requireClose('output', y, expected)
    states.forEach((own, i) => {
      tree.map((a: NDArray, b: NDArray) => requireClose('state', a.get(i), b), state, own)
    })
  })

  it('gives every layer parameters of its own', () => {
    const { weight } = variables.params[0]
    expect(weight.shape).toEqual([4, 3, 3])
    expect(np.allclose(weight.get(0), weight.get(1)).item()).toBe(false)
  })

  it('is a program whose size does not depend on its depth', () => {
    const lines = (depth: number): number => {
      const deep = repeat(transformerBlock(8, { heads: 2 }), depth)
      const own = deep.init(key)
      const loss = (params: typeof own.params): NDArray =>
        np.sum(deep.apply({ params, state: own.state }, np.ones([2, 8]))[0])
      return String(makeJaxpr(grad(loss))(own.params)).split('\n').length
    }
    expect(lines(12)).toBe(lines(2))
  })

  it('recomputes without changing values or gradients', () => {
    const loss =
      (layer: Layer<(typeof variables)['params'], (typeof variables)['state']>) =>
      (params: typeof variables.params): NDArray =>
        np.sum(np.square(layer.apply({ params, state: variables.state }, x, { train: true })[0]))
    const kept = jit(grad(loss(stack)))(variables.params)
    const recomputed = jit(grad(loss(repeat(block, 4, { remat: true }))))(variables.params)
    tree.map((a: NDArray, b: NDArray) => requireClose('gradient', a, b), recomputed, kept)
  })

  it('drops other elements in every layer', () => {
    const noisy = repeat(dropout(0.5), 3)
    const [y] = noisy.apply(noisy.init(key), np.ones([4000]), { train: true, key })
    // An element survives three layers with probability 1/8, and is 8 then.
    expect(np.mean(np.equal(y, 8)).item()).toBeCloseTo(1 / 8, 1)
    expect(np.mean(np.equal(y, 0)).item()).toBeCloseTo(7 / 8, 1)
  })

  it('refuses a layer that changes the shape, and a depth that is none', () => {
    const wrong = repeat(linear(3, 2), 2)
    expect(() => wrong.apply(wrong.init(key), x)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: repeat(layer, count): the layer changes the shape
        x:        f32[8,3]
        layer(x): f32[8,2]
        rule: what one layer returns is what the next takes
        hint: put what changes the shape before or after the stack
        inside: scan]
    `)
    expect(() => repeat(block, 0)).toThrow('0 is not a number of layers')
  })
})

describe('residual', () => {
  it('adds the input, and threads the state of the body', () => {
    const layer = residual(sequential(linear(3, 3), batchNorm(3)))
    const variables = layer.init(key)
    const body = sequential(linear(3, 3), batchNorm(3))
    const [y, state] = layer.apply(variables, x, { train: true })
    const [inner, innerState] = body.apply(variables, x, { train: true })
    requireClose('output', y, inner.add(x))
    requireClose('state', state[1].mean, innerState[1].mean)
  })

  it('refuses a body that changes the shape', () => {
    const layer = residual(linear(3, 2))
    expect(() => layer.apply(layer.init(key), x)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: residual(body): the body changes the shape
        x:       f32[8,3]   what goes around the body
        body(x): f32[8,2]
        rule: both have one shape
        hint: residual(body, shortcut) with a shortcut that changes it in the same way]
    `)
  })
})

describe('parallel', () => {
  it('joins or combines what its branches give', () => {
    const branches = [linear(3, 2), linear(3, 2)] as const
    const joined = parallel(branches)
    const variables = joined.init(key)
    const [y] = joined.apply(variables, x)
    expect(y.shape).toEqual([8, 4])
    const summed = parallel(branches, ([a, b]) => np.add(a, b))
    requireClose('sum', summed.apply(variables, x)[0], y.get(':', ':2').add(y.get(':', '2:')))
  })
})

describe('batchNorm', () => {
  const layer = batchNorm(3, { momentum: 0.5 })
  const { params, state } = layer.init(key)
  const train = { train: true }

  it('normalises a batch while training, and converges to the statistics of the data', () => {
    const data = x.mul(4).add(2)
    const [y] = layer.apply({ params, state }, data, train)
    for (const mean of np.mean(y, 0).toArray() as number[]) expect(mean).toBeCloseTo(0, 5)
    for (const variance of np.var(y, 0).toArray() as number[]) expect(variance).toBeCloseTo(1, 3)
    let now: BatchNormState = state
    for (let i = 0; i < 30; i++) [, now] = layer.apply({ params, state: now }, data, train)
    requireClose('mean', now.mean, np.mean(data, 0))
    requireClose('variance', now.variance, np.var(data, 0))
    requireClose('then', layer.apply({ params, state: now }, data)[0], y)
  })

  it('shared over a named axis equals one batch', () => {
    const shared = batchNorm(3, { momentum: 0.5, axisName: 'devices' })
    const parts = x.reshape([4, 2, 3])
    const apply = (p: typeof params, part: NDArray): [NDArray, BatchNormState] =>
      shared.apply({ params: p, state }, part, train)
    const [y, states] = vmap(apply, { axisName: 'devices', inAxes: [null, 0] })(params, parts)
    const [expected, expectedState] = layer.apply({ params, state }, x, train)
    requireClose('output', y.reshape([8, 3]), expected)
    requireClose('mean', states.mean.get(2), expectedState.mean)
    requireClose('variance', states.variance.get(3), expectedState.variance)
  })

  it('shared over a named axis has the gradient of one batch', () => {
    const shared = batchNorm(3, { axisName: 'devices' })
    const target = random.normal(random.key(5), [8, 3])
    const whole = (data: NDArray): NDArray =>
      np.sum(np.multiply(layer.apply({ params, state }, data, train)[0], target))
    const parts = (data: NDArray): NDArray => {
      const y = vmap((part: NDArray) => shared.apply({ params, state }, part, train)[0], {
        axisName: 'devices',
      })(data.reshape([4, 2, 3]))
      return np.sum(np.multiply(y.reshape([8, 3]), target))
    }
    requireClose('gradient', grad(parts)(x), grad(whole)(x))
  })

  it('keeps statistics in float32 for half-precision inputs', () => {
    const [y, next] = layer.apply({ params, state }, x.astype('float16'), train)
    expect(y.dtype).toBe('float16')
    expect(next.mean.dtype).toBe('float32')
  })
})

describe('summary', () => {
  it('prints the tree as a table', () => {
    const { params } = sequential(
      linear(3, 4),
      activation(np.tanh),
      repeat(linear(4, 4), 300),
    ).init(key)
    const table = summary(params)
    expect(String(table)).toMatchInlineSnapshot(`
      "path      shape        dtype    count   bytes
      ─────────────────────────────────────────────
      0.bias    [4]          float32      4      16
      0.weight  [3, 4]       float32     12      48
      2.bias    [300, 4]     float32  1,200   4,800
      2.weight  [300, 4, 4]  float32  4,800  19,200
      ─────────────────────────────────────────────
      total                           6,016  24,064"
    `)
    expect([table.count, table.bytes]).toEqual([6016, 24064])
    expect(table.rows[0]).toEqual({
      path: '0.bias',
      shape: [4],
      dtype: 'float32',
      count: 4,
      bytes: 16,
    })
    expect(String(summary({}))).toContain('total')
  })
})
