/** Options that nobody reads are refused: a misspelt one would otherwise change nothing, in silence. */
import { ArgumentError, np, random, type NDArray } from '@adjoint/core'
import { grad } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import * as nn from './index'

const key = random.key(0)
const image = np.ones([4, 4, 2])
const heads = np.ones([3, 2, 4])
const layer = nn.linear(2, 2)

/** Calls with options of any kind, as JavaScript can make them. */
const calls: { readonly [name: string]: (options: never) => unknown } = {
  linear: (o) => nn.linear(2, 3, o),
  mlp: (o) => nn.mlp([2, 3], o),
  embedding: (o) => nn.embedding(2, 3, o),
  conv1d: (o) => nn.conv1d(2, 3, 3, o),
  conv2d: (o) => nn.conv2d(2, 3, 3, o),
  conv3d: (o) => nn.conv3d(2, 3, 3, o),
  convTranspose1d: (o) => nn.convTranspose1d(2, 3, 3, o),
  convTranspose2d: (o) => nn.convTranspose2d(2, 3, 3, o),
  convTranspose3d: (o) => nn.convTranspose3d(2, 3, 3, o),
  depthwiseConv2d: (o) => nn.depthwiseConv2d(2, 3, o),
  maxPool: (o) => nn.maxPool(image, 2, o),
  averagePool: (o) => nn.averagePool(image, 2, o),
  layerNorm: (o) => nn.layerNorm(2, o),
  rmsNorm: (o) => nn.rmsNorm(2, o),
  groupNorm: (o) => nn.groupNorm(1, 2, o),
  batchNorm: (o) => nn.batchNorm(2, o),
  dropout: (o) => nn.dropout(0.5, o),
  dotProductAttention: (o) => nn.dotProductAttention(heads, heads, heads, o),
  multiHeadAttention: (o: object) => nn.multiHeadAttention(4, { heads: 2, ...o }),
  transformerBlock: (o: object) => nn.transformerBlock(4, { heads: 2, ...o }),
  recurrent: (o) => nn.recurrent(nn.lstm(2, 2), o),
  lstm: (o) => nn.lstm(2, 2, o),
  gru: (o) => nn.gru(2, 2, o),
  rotary: (o) => nn.rotary(heads, undefined, o),
  sinusoidalPositions: (o) => nn.sinusoidalPositions(3, 2, o),
  learnedPositions: (o) => nn.learnedPositions(3, 2, o),
  spectralNorm: (o) => nn.spectralNorm(layer, o),
  repeat: (o) => nn.repeat(layer, 2, o),
  lora: (o) => nn.lora(layer, 1, o),
  parameterAverage: (o: object) => nn.parameterAverage({ decay: 0.9, ...o }),
  mixedPrecision: (o: object) => nn.mixedPrecision({ compute: 'float16', ...o }),
  'mixedPrecision({ lossScale })': (lossScale) =>
    nn.mixedPrecision({ compute: 'float16', lossScale }),
  gradientHealth: (o) => nn.gradientHealth({ w: image }, o),
  encodeSafetensors: (o) => nn.encodeSafetensors({ w: image }, o),
  saveSafetensors: (o) => nn.saveSafetensors('/nowhere', { w: image }, o),
  loadSafetensors: (o) => nn.loadSafetensors(new Uint8Array(8), o),
  softmax: (o) => nn.softmax(image, o),
  logSoftmax: (o) => nn.logSoftmax(image, o),
  standardize: (o) => nn.standardize(image, o),
  logmeanexp: (o) => nn.logmeanexp(image, o),
  gelu: (o) => nn.gelu(image, o),
  glu: (o) => nn.glu(image, o),
  elu: (o) => nn.elu(image, o),
  celu: (o) => nn.celu(image, o),
  leakyRelu: (o) => nn.leakyRelu(image, o),
  squareplus: (o) => nn.squareplus(image, o),
  oneHot: (o) => nn.oneHot(np.array([1]), 2, o),
  varianceScaling: (o) => nn.initializers.varianceScaling(1, 'fanIn', 'normal', o),
  normal: (o) => nn.initializers.normal(o),
  uniform: (o) => nn.initializers.uniform(o),
  truncatedNormal: (o) => nn.initializers.truncatedNormal(o),
  orthogonal: (o) => nn.initializers.orthogonal(o),
}

const refusal = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(ArgumentError)
    return error instanceof Error ? error.message : ''
  }
  return 'no error'
}

describe('an option that does not exist', () => {
  it.each(Object.keys(calls))('%s refuses it and lists those that do', (name) => {
    const message = refusal(() => calls[name]({ misspelt: 1 } as never))
    expect(message).toMatch(/there is no option 'misspelt'[^]*the options are \{ .*\}/)
    expect(message.startsWith(name)).toBe(true)
  })

  it('is corrected where it is nearly right', () => {
    expect(refusal(() => calls.multiHeadAttention({ isCausal: true } as never)))
      .toMatchInlineSnapshot(`
      "multiHeadAttention(4, { heads: 2 }): there is no option 'isCausal'
        rule: the options are { heads, keyHeads, headSize, causal, rotary, dropout, useBias, weightInit }"
    `)
  })
})

describe('what is no layer, and a layer without its parameters', () => {
  const any = (value: unknown): never => value as never
  it.each<readonly [string, () => unknown, RegExp]>([
    ['a function', () => nn.sequential(layer, any(nn.relu)), /layer 1 is a function[^]*activation/],
    ['a list', () => nn.sequential(any([layer, layer])), /layer 0 is a list/],
    ['in parallel', () => nn.parallel([layer, any(undefined)]), /layer 1 is of type undefined/],
    ['in a sum', () => nn.residual(any(nn.relu)), /the body is a function/],
    ['in a stack', () => nn.repeat(any(nn.relu), 2), /the layer is a function/],
  ])('%s', (_name, call, message) => {
    expect(refusal(call)).toMatch(message)
  })

  it.each<readonly [string, nn.AnyLayer, readonly number[]]>([
    ['linear', layer, [2]],
    ['mlp', nn.mlp([2, 2]), [2]],
    ['sequential', nn.sequential(layer), [2]],
    ['conv2d', nn.conv2d(2, 2, 3), [4, 4, 2]],
    ['layerNorm', nn.layerNorm(2), [2]],
    ['batchNorm', nn.batchNorm(2), [2]],
    ['multiHeadAttention', nn.multiHeadAttention(2, { heads: 1 }), [3, 2]],
    ['recurrent', nn.recurrent(nn.gru(2, 2)), [3, 2]],
    ['learnedPositions', nn.learnedPositions(3, 2), [3, 2]],
  ])('%s', (name, given, shape) => {
    const { params } = given.init(key)
    const message = refusal(() => given.apply(any(params), np.ones(shape)))
    expect(message.startsWith(name)).toBe(true)
    expect(message).toMatch('layer.apply({ params, state }, x)')
  })

  it('a state is wanted where there is one', () => {
    const norm = nn.batchNorm(2)
    const { params } = norm.init(key)
    expect(refusal(() => norm.apply(any({ params }), np.ones([3, 2])))).toMatch('there is no state')
  })
})

describe('norms', () => {
  const x = random.normal(random.key(1), [2, 3, 4, 6])
  const makes: readonly (readonly [string, (options: nn.NormOptions) => nn.AnyLayer])[] = [
    ['layerNorm', (o) => nn.layerNorm(6, o)],
    ['groupNorm', (o) => nn.groupNorm(2, 6, o)],
    ['batchNorm', (o) => nn.batchNorm(6, o)],
  ]
  const context = { train: true }
  const applied = (norm: nn.AnyLayer, params: unknown): NDArray =>
    norm.apply({ params, state: norm.init(key).state } as never, x, context)[0]

  it.each(makes)('%s without scale or shift is the one with ones and zeros', (_name, make) => {
    const { scale, bias } = make({
      scaleInit: nn.initializers.normal(1),
      biasInit: nn.initializers.normal(1),
    }).init(key).params as nn.NormParams
    expect(np.allclose(scale, bias).item()).toBe(false)
    const full = make({})
    const [ones, zeros] = [np.ones([6]), np.zeros([6])]
    for (const useScale of [true, false]) {
      for (const useBias of [true, false]) {
        const params = { ...(useScale && { scale }), ...(useBias && { bias }) }
        const norm = make({ useScale, useBias })
        expect(Object.keys(norm.init(key).params as object).sort()).toEqual(
          Object.keys(params).sort(),
        )
        const expected = applied(full, {
          scale: useScale ? scale : ones,
          bias: useBias ? bias : zeros,
        })
        expect(np.allclose(applied(norm, params), expected, { atol: 1e-6 }).item()).toBe(true)
      }
    }
  })

  it('of integers are floats', () => {
    const whole = np.array([
      [1, 2, 6],
      [3, 4, 5],
    ])
    for (const norm of [nn.layerNorm(3), nn.rmsNorm(3), nn.batchNorm(3)] as nn.AnyLayer[]) {
      for (const train of [true, false]) {
        const variables = norm.init(key) as never
        const [y] = norm.apply(variables, whole, { train })
        expect(y.dtype).toBe('float32')
        const [z] = norm.apply(variables, whole.astype('float32'), { train })
        expect(np.allclose(y, z).item()).toBe(true)
      }
    }
  })
})

it('means of integers are floats', () => {
  const whole = np.arange(32).reshape([4, 4, 2])
  for (const pool of [
    (x: NDArray) => nn.averagePool(x, 2),
    (x: NDArray) => nn.adaptiveAveragePool(x, 2),
    (x: NDArray) => nn.globalAveragePool(x),
  ]) {
    expect(np.arrayEqual(pool(whole), pool(whole.astype('float32'))).item()).toBe(true)
    expect(pool(whole).dtype).toBe('float32')
  }
})

it('padding is a number for each axis, or two', () => {
  const shapeOf = (padding: nn.WindowPadding): readonly number[] => {
    const conv = nn.conv2d(2, 1, 3, { padding })
    const [y] = conv.apply(conv.init(key), image)
    expect(nn.maxPool(image, 3, { stride: 1, padding }).shape.slice(0, 2)).toEqual(
      y.shape.slice(0, 2),
    )
    return y.shape.slice(0, 2)
  }
  expect(shapeOf(1)).toEqual([4, 4])
  expect(shapeOf([1, 2])).toEqual([4, 6])
  expect(shapeOf([[0, 1], 2])).toEqual([3, 6])
  for (const wrong of ['same', 1.5, [1], [1, [1, 0.5]]]) {
    expect(refusal(() => nn.conv2d(2, 1, 3, { padding: wrong as never }))).toMatch(
      /^conv2d.*padding/,
    )
    expect(refusal(() => nn.maxPool(image, 2, { padding: wrong as never }))).toMatch(
      /^maxPool.*padding/,
    )
  }
})

it('dropping everything leaves zeros, with the derivative zero', () => {
  const all = nn.dropout(1)
  const dropped = (x: NDArray): NDArray =>
    np.sum(all.apply({ params: null, state: null }, x, { train: true, key })[0])
  expect(dropped(np.ones([3])).item()).toBe(0)
  expect(grad(dropped)(np.ones([3])).toArray()).toEqual([0, 0, 0])
})
