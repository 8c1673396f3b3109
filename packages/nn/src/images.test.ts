import { np, random, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { conv1d, conv2d, convTranspose2d, depthwiseConv2d } from './convolution'
import { groupNorm } from './normalization'
import { adaptiveAveragePool, adaptiveMaxPool, averagePool, maxPool } from './pooling'
import { learnedPositions } from './positions'

const key = random.key(0)

describe('convolutions', () => {
  it('depthwise is one convolution for each feature', () => {
    const layer = depthwiseConv2d(2, 3, { useBias: false })
    const { params } = layer.init(key)
    expect(params.weight.shape).toEqual([3, 3, 1, 2])
    const x = random.normal(key, [4, 5, 2])
    const [y] = layer.apply({ params, state: null }, x)
    const single = conv2d(1, 1, 3, { useBias: false })
    for (const i of [0, 1]) {
      const weight = params.weight.get('...', `${i}:${i + 1}`)
      const [own] = single.apply({ params: { weight }, state: null }, x.get('...', `${i}:${i + 1}`))
      expect(np.allclose(own, y.get('...', `${i}:${i + 1}`), { atol: 1e-5 }).item()).toBe(true)
    }
  })

  it('a strided one halves what the transposed one doubles', () => {
    const half = conv2d(3, 4, 3, { stride: 2 })
    const double = convTranspose2d(4, 3, 3, { stride: 2 })
    const [small] = half.apply(half.init(key), np.ones([8, 6, 3]))
    expect(small.shape).toEqual([4, 3, 4])
    expect(double.apply(double.init(key), small)[0].shape).toEqual([8, 6, 3])
  })

  it('say what does not fit', () => {
    const layer = conv2d(3, 4, 3)
    const { params } = layer.init(key)
    const apply = (x: NDArray) => (): unknown => layer.apply({ params, state: null }, x)
    expect(apply(np.ones([3, 8, 8]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: conv2d(3, 4, …): the last axis of x is not 3 long
        x: f32[3,8,8]
        rule: x has shape [..., height, width, 3]
        hint: features are the last axis]
    `)
    expect(apply(np.ones([8, 3]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: conv2d(3, 4, …): x has fewer than 3 axes
        x: f32[8,3]
        rule: x has shape [..., height, width, 3]
        hint: features are the last axis]
    `)
    expect(() => conv2d(3, 4, 3, { groups: 2 })).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: conv2d(3, 4, …): 2 groups do not divide 3 inputs and 4 outputs
        rule: inputs and outputs are multiples of groups]
    `)
    expect(() => conv1d(3, 4, [3, 3])).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: conv1d(3, 4, …): a window of 2 axes
        rule: the window is one number, or 1 of them
        hint: give the size of the filters: conv1d(inputs, outputs, 3)]
    `)
    const untyped: (...args: readonly number[]) => unknown = conv2d as never
    expect(() => untyped(3, 4)).toThrow('conv2d(3, 4, …): the window is missing')
  })
})

describe('pooling', () => {
  const x = random.normal(key, [2, 6, 4, 3])

  it('adapts to the sizes that it is asked for', () => {
    expect(np.allclose(adaptiveAveragePool(x, [3, 2]), averagePool(x, [2, 2])).item()).toBe(true)
    expect(np.allclose(adaptiveMaxPool(x, [3, 2]), maxPool(x, [2, 2])).item()).toBe(true)
    expect(np.allclose(adaptiveMaxPool(x, [6, 4]), x).item()).toBe(true)
  })

  it('says what does not fit', () => {
    expect(() => maxPool(np.ones([4, 4]), [2, 2])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: maxPool(x, window): a window over 2 axes does not fit
        x: f32[4,4]
        rule: x has shape [..., position..., features], one position per axis of the window]
    `)
    expect(() => adaptiveMaxPool(np.ones([4, 4]), [2, 2])).toThrow('2 sizes for an array of 2 axes')
    expect(() => averagePool(x, [0, 2])).toThrow('the window is [0, 2]')
    expect(() => adaptiveAveragePool(x, [0, 2])).toThrow('the sizes are [0, 2]')
  })

  it('takes one number for the two axes of an image', () => {
    expect(maxPool(x, 2).toArray()).toEqual(maxPool(x, [2, 2]).toArray())
    expect(averagePool(x, 2, { stride: 1 }).shape).toEqual([2, 5, 3, 3])
    expect(adaptiveMaxPool(x, 2).shape).toEqual([2, 2, 2, 3])
  })
})

it('groups divide features', () => {
  expect(() => groupNorm(3, 8)).toThrow('3 groups do not divide 8 features')
})

it('learned positions end somewhere', () => {
  const layer = learnedPositions(3, 2)
  expect(() => layer.apply(layer.init(key), np.ones([4, 2]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: learnedPositions(3, 2): a sequence of 4 is too long
      x: f32[4,2]
      rule: x has shape [..., time, 2] with time up to 3]
  `)
})
