import { np, random, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import golden from '../test-data/layers.json'
import { dotProductAttention, multiHeadAttention } from './attention'
import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
} from './convolution'
import * as initializers from './initializers'
import { linear } from './linear'
import { batchNorm, groupNorm, layerNorm, rmsNorm } from './normalization'
import * as pooling from './pooling'
import { rotary, sinusoidalPositions } from './positions'
import { gru, lstm, recurrent } from './recurrent'
import { spectralNorm, weightNorm } from './reparametrization'

interface Recorded {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

const arrayOf = ({ shape, data }: Recorded, dtype: 'float32' | 'bool' = 'float32'): NDArray =>
  np.array(data, { dtype }).reshape(shape)

/** Agreement up to the rounding of a few dozen float32 operations. */
function close(actual: NDArray, expected: Recorded, tolerance = 2e-5): void {
  expect(actual.shape).toEqual(expected.shape)
  const scale = Math.max(1, ...expected.data.map(Math.abs))
  const difference = np.max(np.abs(np.subtract(actual, arrayOf(expected)))).item() as number
  expect(difference).toBeLessThan(tolerance * scale)
}

const applied = <P, S>(
  layer: { apply(variables: { params: P; state: S }, x: NDArray): [NDArray, S] },
  params: P,
  state: S,
  x: Recorded,
): NDArray => layer.apply({ params, state }, arrayOf(x))[0]

describe(`as PyTorch ${golden.torch} and JAX ${golden.jax} compute it`, () => {
  it.each(golden.convolutions)('conv$axes\\d of $inputs to $outputs with $options', (c) => {
    const make = [conv1d, conv2d, conv3d][c.axes - 1]
    const layer = make(c.inputs, c.outputs, c.window, {
      ...c.options,
      padding: c.options.padding as 'SAME' | 'VALID' | number,
    })
    const params = { weight: arrayOf(c.weight), bias: arrayOf(c.bias) }
    close(applied(layer, params, null, c.x), c.y)
    const initial = layer.init(random.key(0)).params
    expect(initial.weight.shape).toEqual(c.weight.shape)
    expect(initial.bias.shape).toEqual(c.bias.shape)
  })

  it.each(golden.transposes)('convTranspose$axes\\d with window $window and $options', (c) => {
    const make = [convTranspose1d, convTranspose2d, convTranspose3d][c.axes - 1]
    const layer = make(c.inputs, c.outputs, c.window, {
      stride: c.options.stride,
      padding: c.options.padding as 'SAME' | 'VALID',
      useBias: false,
    })
    close(applied(layer, { weight: arrayOf(c.weight) }, null, c.x), c.y)
    expect(layer.init(random.key(0)).params.weight.shape).toEqual(c.weight.shape)
  })

  describe('norms', () => {
    const { norms } = golden
    const params = { scale: arrayOf(norms.scale), bias: arrayOf(norms.bias) }

    it('layerNorm, rmsNorm, groupNorm, instance norm', () => {
      close(applied(layerNorm(6), params, null, norms.x), norms.layerNorm)
      close(applied(rmsNorm(6), { scale: params.scale }, null, norms.x), norms.rmsNorm)
      close(applied(groupNorm(3, 6), params, null, norms.x), norms.groupNorm)
      close(applied(groupNorm(6, 6), params, null, norms.x), norms.instanceNorm)
    })

    it('batchNorm while training and after it', () => {
      const { batchNorm: expected } = norms
      const layer = batchNorm(6, { momentum: 0.9 })
      const state = { mean: arrayOf(expected.mean), variance: arrayOf(expected.variance) }
      const x = arrayOf(norms.x)
      const [y, next] = layer.apply({ params, state }, x, { train: true })
      close(y, expected.train)
      close(next.mean, expected.nextMean)
      close(next.variance, expected.nextVariance)
      const [evaluated, same] = layer.apply({ params, state }, x)
      close(evaluated, expected.evaluate)
      expect(same).toBe(state)
    })
  })

  it('pooling', () => {
    const { pools } = golden
    const x = arrayOf(pools.x)
    const padding = [
      [1, 1],
      [1, 1],
    ] as const
    close(pooling.maxPool(x, [2, 2]), pools.max)
    close(pooling.maxPool(x, [3, 2], { stride: 2, padding }), pools.maxStrided)
    close(pooling.averagePool(x, [2, 3]), pools.average)
    const padded = { stride: [2, 2], padding }
    close(pooling.averagePool(x, [3, 3], padded), pools.averagePadded)
    close(
      pooling.averagePool(x, [3, 3], { ...padded, countIncludePad: false }),
      pools.averageWithoutPadding,
    )
    close(pooling.adaptiveAveragePool(x, [3, 4]), pools.adaptiveAverage)
    close(pooling.adaptiveMaxPool(x, [3, 4]), pools.adaptiveMax)
    close(pooling.globalAveragePool(x), pools.globalAverage)
    expect(pooling.globalMaxPool(x).toArray()).toEqual(
      pooling.adaptiveMaxPool(x, [1, 1]).reshape([2, 3]).toArray(),
    )
  })

  it.each(golden.attentions)('dotProductAttention, causal: $isCausal', (c) => {
    const [query, key, value] = [c.query, c.key, c.value].map((x) => arrayOf(x))
    const y = dotProductAttention(query, key, value, {
      isCausal: c.isCausal,
      ...(c.mask && { mask: arrayOf(c.mask, 'bool') }),
      ...(c.bias && { bias: arrayOf(c.bias) }),
      ...(c.lengths && {
        querySeqLengths: np.array(c.lengths[0]),
        keyValueSeqLengths: np.array(c.lengths[1]),
      }),
      ...(c.window !== null && {
        localWindowSize: Array.isArray(c.window) ? [c.window[0], c.window[1]] : c.window,
      }),
    })
    close(y, c.y)
  })

  it('multiHeadAttention to itself, to the past, and to another sequence', () => {
    const { multiHead } = golden
    const [query, key, value, out] = multiHead.weights.map((weight, i) => ({
      weight: arrayOf(weight),
      bias: arrayOf(multiHead.biases[i]),
    }))
    const params = { query, key, value, out }
    const [x, memory] = [arrayOf(multiHead.x), arrayOf(multiHead.memory)]
    const layer = multiHeadAttention(6, { heads: 2 })
    const causal = multiHeadAttention(6, { heads: 2, causal: true })
    close(layer.apply({ params, state: null }, x)[0], multiHead.self)
    close(causal.apply({ params, state: null }, x)[0], multiHead.causal)
    close(layer.attend(params, x, memory), multiHead.cross)
  })

  it('positions', () => {
    const { positions } = golden
    close(rotary(arrayOf(positions.x)), positions.halves)
    close(rotary(arrayOf(positions.x), undefined, { interleaved: true }), positions.interleaved)
    close(sinusoidalPositions(5, 6), positions.sinusoidal)
  })

  it('lstm and gru', () => {
    const { lstm: l, gru: g } = golden.recurrences
    const input = (c: typeof l): { weight: NDArray; bias: NDArray } => ({
      weight: arrayOf(c.input),
      bias: arrayOf(c.inputBias),
    })
    const long = recurrent(lstm(3, 5))
    const [y, last] = long.run(
      { input: input(l), recurrent: { weight: arrayOf(l.recurrent) } },
      arrayOf(l.x),
    )
    close(y, l.y)
    close(last.cell, { ...l.last, shape: [2, 5] })
    const gated = recurrent(gru(3, 5))
    const [z, hidden] = gated.run(
      {
        input: input(g),
        recurrent: { weight: arrayOf(g.recurrent), bias: arrayOf(g.recurrentBias) },
      },
      arrayOf(g.x),
    )
    close(z, g.y)
    close(hidden, { ...g.last, shape: [2, 5] })
  })

  it('weightNorm, and spectralNorm after enough iterations', () => {
    const { reparametrisations: r } = golden
    const layer = linear(4, 3, { useBias: false })
    const weight = arrayOf(r.weight)
    close(
      applied(weightNorm(layer), { layer: { weight }, scale: arrayOf(r.scale) }, null, r.x),
      r.weightNorm,
    )
    const spectral = spectralNorm(layer, { iterations: 60 })
    close(applied(spectral, { weight }, spectral.init(random.key(0)).state, r.x), r.spectralNorm)
  })

  it.each([
    ['glorotUniform', initializers.glorotUniform()],
    ['glorotNormal', initializers.xavierNormal()],
    ['heUniform', initializers.kaimingUniform()],
    ['heNormal', initializers.heNormal()],
    ['lecunUniform', initializers.lecunUniform()],
    ['lecunNormal', initializers.lecunNormal()],
    ['normal', initializers.normal()],
    ['uniform', initializers.uniform()],
    ['truncatedNormal', initializers.truncatedNormal({ stddev: 0.5, lower: -1, upper: 1.5 })],
    ['orthogonal', initializers.orthogonal()],
    ['orthogonalHigh', initializers.orthogonal(2)],
    ['orthogonalWide', initializers.orthogonal()],
    ['orthogonalDeep', initializers.orthogonal()],
    ['orthogonalColumns', initializers.orthogonal({ scale: 0.5, columnAxis: 1 })],
    ['deltaOrthogonal', initializers.deltaOrthogonal({ scale: 2 })],
    ['geometric', initializers.varianceScaling(2, 'fanGeoAvg', 'uniform')],
    [
      'ofAxes',
      initializers.varianceScaling(3, 'fan_in', 'truncated_normal', {
        inAxis: [0, 1],
        outAxis: 3,
        batchAxis: 2,
      }),
    ],
    ['heFirst', initializers.heNormal({ inAxis: 1, outAxis: 0 })],
    ['normalNamed', initializers.normal({ stddev: 0.5 })],
    ['uniformNamed', initializers.uniform({ scale: 2 })],
  ] as const)('%s gives the numbers of the key', (name, init) => {
    const expected = golden.initialisers[name]
    close(init(random.key(7), expected.shape), expected, 1e-5)
  })
})
