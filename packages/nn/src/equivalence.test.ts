import { random, tree, type NDArray } from '@adjoint/core'
import { describeEquivalence } from '@adjoint/testing'
import { vi } from 'vitest'
import { multiHeadAttention } from './attention'
import { repeat, residual } from './composition'
import { conv2d, convTranspose2d } from './convolution'
import { activation, type Layer, sequential } from './layer'
import { batchNorm, groupNorm } from './normalization'
import { averagePool, globalAveragePool } from './pooling'
import { gru, lstm, recurrent } from './recurrent'
import { transformerBlock } from './transformer'

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

/** Layers, and the shape of an input each. */
const layers: readonly (readonly [name: string, layer: object, shape: readonly number[]])[] = [
  [
    'a residual convolutional network',
    sequential(
      conv2d(2, 4, 3),
      batchNorm(4),
      residual(conv2d(4, 4, 3, { groups: 2 })),
      activation((x) => averagePool(x, [2, 2])),
      groupNorm(2, 4),
      convTranspose2d(4, 2, 2, { stride: 2 }),
      activation((x) => globalAveragePool(x)),
    ),
    [2, 4, 4, 2],
  ],
  ['attention', multiHeadAttention(8, { heads: 4, keyHeads: 2, rotary: true }), [2, 4, 8]],
  ['a stack of transformers', repeat(transformerBlock(4, { heads: 2, causal: true }), 2), [3, 4]],
  ['recurrence', sequential(recurrent(lstm(3, 4)), recurrent(gru(4, 2))), [2, 5, 3]],
]

for (const [name, given, shape] of layers) {
  const layer = given as Layer<unknown, unknown>
  const { params, state } = layer.init(random.key(0))
  const { leaves, structure } = tree.flatten<NDArray>(params)
  const f = (x: NDArray, ...own: NDArray[]): NDArray =>
    layer.apply({ params: tree.unflatten(structure, own), state }, x, { train: true })[0]
  describeEquivalence(name, f, () => [random.normal(random.key(1), shape), ...leaves])
}
