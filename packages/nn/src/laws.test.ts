import { np, random, tree, type NDArray } from '@adjoint/core'
import { checkGrads, requireClose } from '@adjoint/testing'
import { jit, vmap } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { gelu } from './activations'
import { multiHeadAttention } from './attention'
import { parallel, repeat, residual } from './composition'
import { conv1d, conv2d, conv3d, convTranspose2d, depthwiseConv2d } from './convolution'
import { activation, type Layer, sequential } from './layer'
import { linear, mlp } from './linear'
import { batchNorm, groupNorm, layerNorm, rmsNorm } from './normalization'
import { adaptiveAveragePool, averagePool, globalAveragePool } from './pooling'
import { learnedPositions } from './positions'
import { gru, lstm, recurrent } from './recurrent'
import { spectralNorm, weightNorm } from './reparametrization'
import { transformerBlock } from './transformer'

type Any = Layer<unknown, unknown>

/** Layers with the shape of one example: what holds for all of them. */
const layers: readonly (readonly [name: string, layer: object, example: readonly number[]])[] = [
  ['linear', linear(3, 2), [3]],
  ['mlp', mlp([3, 4, 2], { activation: gelu }), [3]],
  ['conv1d', conv1d(2, 3, 3), [5, 2]],
  ['conv2d, strided', conv2d(2, 3, 3, { stride: 2 }), [4, 5, 2]],
  ['conv2d, grouped', conv2d(4, 2, [2, 1], { groups: 2, padding: 1 }), [3, 2, 4]],
  ['conv3d', conv3d(1, 2, 2), [2, 3, 2, 1]],
  ['convTranspose2d', convTranspose2d(2, 3, 2, { stride: 2 }), [2, 3, 2]],
  ['depthwiseConv2d', depthwiseConv2d(2, 3, { multiplier: 2 }), [3, 3, 2]],
  ['layerNorm', layerNorm(4), [4]],
  ['rmsNorm', rmsNorm(4), [4]],
  ['groupNorm', groupNorm(2, 4), [2, 3, 4]],
  ['batchNorm, not training', batchNorm(3), [3]],
  ['multiHeadAttention', multiHeadAttention(4, { heads: 2 }), [3, 4]],
  [
    'multiHeadAttention, grouped, causal and rotary',
    multiHeadAttention(8, { heads: 4, keyHeads: 2, causal: true, rotary: true, useBias: false }),
    [3, 8],
  ],
  ['transformerBlock', transformerBlock(4, { heads: 2, causal: true }), [3, 4]],
  [
    'transformerBlock, gated',
    transformerBlock(4, { heads: 2, norm: 'rms', gated: true, hidden: 6, useBias: false }),
    [2, 4],
  ],
  ['learnedPositions', learnedPositions(5, 2), [4, 2]],
  ['recurrent lstm', recurrent(lstm(2, 3)), [4, 2]],
  ['recurrent gru, reversed', recurrent(gru(2, 3), { reverse: true }), [4, 2]],
  ['weightNorm', weightNorm(linear(3, 2)), [3]],
  ['residual', residual(linear(3, 3)), [3]],
  ['residual with a shortcut', residual(mlp([3, 4, 2]), linear(3, 2)), [3]],
  ['parallel', parallel([linear(3, 2), sequential(linear(3, 1), activation(np.tanh))]), [3]],
  ['repeat', repeat(sequential(linear(3, 3), activation(np.tanh)), 3), [3]],
  ['repeat, recomputed', repeat(residual(linear(3, 3)), 2, { remat: true }), [3]],
  ['averagePool', activation((x) => averagePool(x, [2, 2])), [4, 4, 2]],
  ['adaptiveAveragePool', activation((x) => adaptiveAveragePool(x, [2, 3])), [3, 4, 2]],
  ['globalAveragePool', activation((x) => globalAveragePool(x)), [3, 4, 2]],
]

describe.each(layers)('%s', (_name, given, example) => {
  const layer = given as Any
  const variables = layer.init(random.key(1))
  const y = (x: NDArray): NDArray => layer.apply(variables, x)[0]
  const batch = random.normal(random.key(2), [2, 3, ...example])

  it('takes any number of leading batch axes, and means the same as vmap', () => {
    const expected = vmap(vmap(y))(batch)
    requireClose('leading axes', y(batch), expected)
    requireClose('one example', y(batch.get(1, 2)), expected.get(1, 2))
  })

  it('compiles to the same', () => {
    requireClose('jit', jit(y)(batch.get(0)), y(batch.get(0)))
  })

  it('has the derivatives that differences say, in parameters and input', () => {
    const { leaves, structure } = tree.flatten<NDArray>(variables.params)
    const f = (x: NDArray, ...own: NDArray[]): NDArray => {
      const params = tree.unflatten(structure, own)
      return layer.apply({ params, state: variables.state }, x)[0]
    }
    checkGrads(f, [batch.get(0, ':2'), ...leaves])
  })
})

describe('spectralNorm', () => {
  const layer = spectralNorm(conv2d(2, 3, 2))
  const { params, state } = layer.init(random.key(0))
  const x = random.normal(random.key(1), [4, 4, 2])

  it('converges over training steps to a weight of norm 1, and stays where it is otherwise', () => {
    let now = state
    for (let i = 0; i < 40; i++) [, now] = layer.apply({ params, state: now }, x, { train: true })
    const [, same] = layer.apply({ params, state: now }, x)
    expect(same.direction).toBe(now.direction)
    const image = np.matmul(params.weight.reshape([8, 3]), now.direction)
    const matrix = params.weight.reshape([8, 3])
    const gain = (v: NDArray): number =>
      np.sqrt(np.sum(np.square(np.matmul(matrix, v)))).item() as number
    const largest = np.sqrt(np.sum(np.square(image))).item() as number
    for (let i = 0; i < 20; i++) {
      const v = random.normal(random.key(i), [3])
      expect(gain(np.divide(v, np.sqrt(np.sum(np.square(v)))))).toBeLessThanOrEqual(largest * 1.001)
    }
  })

  it('has the derivative of W / σ(W) once it has converged', () => {
    const precise = spectralNorm(linear(3, 2, { useBias: false }), { iterations: 80 })
    const variables = precise.init(random.key(3))
    checkGrads(
      (weight: NDArray) =>
        precise.apply({ params: { weight }, state: variables.state }, np.array([0.3, -1, 0.5]))[0],
      [variables.params.weight],
    )
  })
})
