import { AdjointError, np, random, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import * as nn from '.'

const key = random.key(0)
const image = np.ones([4, 4, 2])

/** A layer in use, with an input that does not suit it. */
const applied =
  <P, S>(make: () => nn.Layer<P, S>, x: NDArray, context: nn.Context = {}) =>
  (): unknown => {
    const layer = make()
    return layer.apply(layer.init(key), x, context)
  }

/** A call that its types refuse, as JavaScript may make it. */
const untyped =
  (f: unknown, ...args: readonly unknown[]) =>
  (): unknown =>
    (f as (...args: readonly unknown[]) => unknown)(...args)

const convolutions = {
  conv1d: nn.conv1d,
  conv2d: nn.conv2d,
  conv3d: nn.conv3d,
  convTranspose1d: nn.convTranspose1d,
  convTranspose2d: nn.convTranspose2d,
  convTranspose3d: nn.convTranspose3d,
}

const ofConvolutions = Object.entries(convolutions).flatMap(([name, make]) => [
  [name, 'no window', untyped(make, 2, 3)] as const,
  [name, 'a window of 4 axes', () => make(2, 3, [1, 1, 1, 1])] as const,
  [name, 'features', applied(() => make(3, 2, 1), np.ones([4, 4, 4, 2]))] as const,
  [name, 'rank', applied(() => make(3, 2, 1), np.ones([3]))] as const,
  [name, 'strides', () => make(2, 3, 1, { stride: [1, 1, 1, 1] })] as const,
  [name, 'a stride of 0', () => make(2, 3, 1, { stride: 0 })] as const,
  [name, 'dilations', () => make(2, 3, 1, { dilation: [] })] as const,
  [name, 'padding', () => make(2, 3, 1, { padding: [] })] as const,
])

const mistakes: readonly (readonly [name: string, mistake: string, run: () => unknown])[] = [
  ...ofConvolutions,
  ['conv2d', 'groups', () => nn.conv2d(3, 4, 3, { groups: 2 })],
  ['depthwiseConv2d', 'no window', untyped(nn.depthwiseConv2d, 2)],
  ['depthwiseConv2d', 'a window of 1 axis', () => nn.depthwiseConv2d(2, [3])],
  ['depthwiseConv2d', 'features', applied(() => nn.depthwiseConv2d(3, 3), image)],
  ['depthwiseConv2d', 'rank', applied(() => nn.depthwiseConv2d(3, 3), np.ones([3]))],
  ['depthwiseConv2d', 'strides', () => nn.depthwiseConv2d(3, 3, { stride: [2] })],
  ['linear', 'features', applied(() => nn.linear(3, 4), image)],
  ['mlp', 'features', applied(() => nn.mlp([3, 4]), image)],
  ['transformerBlock', 'heads', () => nn.transformerBlock(8, { heads: 3 })],
  ['transformerBlock', 'rate', () => nn.transformerBlock(8, { heads: 2, dropout: 2 })],
  ['transformerBlock', 'features', applied(() => nn.transformerBlock(8, { heads: 2 }), image)],
  [
    'transformerBlock',
    'no key',
    applied(() => nn.transformerBlock(8, { heads: 2, dropout: 0.1 }), np.ones([4, 8]), {
      train: true,
    }),
  ],
  ['multiHeadAttention', 'heads', () => nn.multiHeadAttention(8, { heads: 3 })],
  ['multiHeadAttention', 'features', applied(() => nn.multiHeadAttention(8, { heads: 2 }), image)],
  ['layerNorm', 'features', applied(() => nn.layerNorm(3), image)],
  ['rmsNorm', 'features', applied(() => nn.rmsNorm(3), image)],
  ['batchNorm', 'features', applied(() => nn.batchNorm(3), image)],
  ['groupNorm', 'features', applied(() => nn.groupNorm(3, 3), image)],
  ['groupNorm', 'rank', applied(() => nn.groupNorm(2, 2), np.ones([2]))],
  ['gru', 'features', applied(() => nn.recurrent(nn.gru(3, 4)), image)],
  ['lstm', 'features', applied(() => nn.recurrent(nn.lstm(3, 4)), image)],
  ['recurrent', 'rank', applied(() => nn.recurrent(nn.gru(3, 4)), np.ones([3]))],
  ['maxPool', 'strides', () => nn.maxPool(image, 2, { stride: [1] })],
  ['maxPool', 'padding', () => nn.maxPool(image, 2, { padding: [[1, 1]] })],
  ['averagePool', 'a stride of 0', () => nn.averagePool(image, 2, { stride: 0 })],
  ['globalAveragePool', 'rank', () => nn.globalAveragePool(np.ones([4]))],
  ['globalMaxPool', 'rank', () => nn.globalMaxPool(np.ones([4]))],
  ['softmax', 'axis', () => nn.softmax(image, 3)],
  ['logSoftmax', 'axis', () => nn.logSoftmax(image, [0, 3])],
  ['standardize', 'axis', () => nn.standardize(image, { axis: -4 })],
  ['logsumexp', 'axis', () => nn.logsumexp(image, 3)],
  ['logmeanexp', 'axis', () => nn.logmeanexp(image, { axis: 3 })],
  ['glu', 'axis', () => nn.glu(image, 3)],
  ['glu', 'an odd axis', () => nn.glu(np.ones([3]))],
]

describe('an error names what the user called', () => {
  it.each(mistakes)('%s: %s', (name, _mistake, run) => {
    let error: unknown
    try {
      run()
    } catch (thrown) {
      error = thrown
    }
    if (!(error instanceof AdjointError)) throw new Error('it was not refused')
    expect(error.op.replace(/\(.*/s, '')).toBe(name)
    // No word of anything else that makes it up, in advice neither.
    const others = mistakes.map(([other]) => other).filter((other) => other !== name)
    for (const other of others) expect(error.message).not.toMatch(new RegExp(`\\b${other}\\(`))
  })
})
