import { np, type NDArray, random } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { checkpoint, grad, jit, type Lowered, valueAndGrad } from '@adjoint/transforms'
import { expect, test } from 'vitest'

type Weights = readonly NDArray[]

const [batch, width, depth] = [256, 64, 16]
const x = np.ones([batch, width])

const layer = (h: NDArray, w: NDArray): NDArray => np.sin(np.matmul(h, w))

const weights = (count: number): Weights =>
  Array.from({ length: count }, () => np.ones([width, width]))

const costOf = <A extends readonly unknown[], R>(lowered: Lowered<A, R>) => lowered.cost()

test('what a training step takes is close to what lives at one time', () => {
  const loss = (ws: Weights, x: NDArray): NDArray => np.mean(np.square(ws.reduce(layer, x)))
  const optimiser = optim.adam(1e-3)
  const step = jit(
    (ws: Weights, state: optim.OptState, x: NDArray) => {
      const [value, gradient] = valueAndGrad(loss)(ws, x)
      const [updates, next] = optimiser.update<Weights>(gradient, state, ws)
      return [optim.applyUpdates(ws, updates), next, value] as const
    },
    { donateArgnums: [0, 1] },
  )
  const ws = weights(depth)
  const state = optimiser.init(ws)
  const { peakTemporaryBytes, liveTemporaryBytes, peakBytes } = costOf(step.lower(ws, state, x))
  expect(peakTemporaryBytes).toBeLessThanOrEqual(1.3 * liveTemporaryBytes)
  // Weights and both moments are updated in place: they count once.
  const argumentBytes = 4 * (3 * depth * width ** 2 + batch * width)
  expect(peakBytes - peakTemporaryBytes).toBeLessThan(argumentBytes + 1024)
})

test('checkpoint lowers the peak of a deep network from one activation a layer to a few', () => {
  const segment = 4
  const run = (h: NDArray, ws: Weights): NDArray => ws.reduce(layer, h)
  const plain = (ws: Weights, x: NDArray): NDArray => np.sum(run(x, ws))
  const saving = (ws: Weights, x: NDArray): NDArray => {
    let h = x
    for (let i = 0; i < ws.length; i += segment) {
      h = checkpoint(run)(h, ws.slice(i, i + segment))
    }
    return np.sum(h)
  }
  const ws = weights(depth)
  const activation = 4 * batch * width
  const kept = costOf(jit(grad(plain)).lower(ws, x)).peakTemporaryBytes
  const recomputed = costOf(jit(grad(saving)).lower(ws, x)).peakTemporaryBytes
  expect(kept).toBeGreaterThan((depth - 1) * activation)
  // An activation for every segment, those of one segment, and a few for what is at work.
  expect(recomputed).toBeLessThan((depth / segment + segment + 4) * activation)
})

test('checkpoint lowers the peak of a training step of a deep transformer', () => {
  const [features, layers] = [64, 4]
  const x = np.ones([8, 64, features])
  const block = nn.transformerBlock(features, { heads: 4, causal: true })
  const optimiser = optim.adamw(1e-3)
  type Blocks = readonly nn.TransformerParams[]
  const keys = random.split(random.key(0), layers)
  const first: Blocks = Array.from({ length: layers }, (_, i) => block.init(keys.get(i)).params)
  const stepOf = (layer: typeof block) => {
    const loss = (blocks: Blocks, x: NDArray): NDArray =>
      np.mean(
        np.square(blocks.reduce((h, params) => layer.apply({ params, state: null }, h)[0], x)),
      )
    const step = jit(
      (blocks: Blocks, state: optim.OptState, x: NDArray) => {
        const [value, gradient] = valueAndGrad(loss)(blocks, x)
        const [updates, next] = optimiser.update<Blocks>(gradient, state, blocks)
        return [optim.applyUpdates(blocks, updates), next, value] as const
      },
      { donateArgnums: [0, 1] },
    )
    return costOf(step.lower(first, optimiser.init(first), x))
  }
  const [kept, recomputed] = [stepOf(block), stepOf(nn.checkpointed(block))]
  for (const { peakTemporaryBytes, liveTemporaryBytes } of [kept, recomputed]) {
    expect(peakTemporaryBytes).toBeLessThanOrEqual(1.3 * liveTemporaryBytes)
  }
  // What is kept of a block is its argument; one block at a time has everything else.
  expect(recomputed.peakTemporaryBytes).toBeLessThan(kept.peakTemporaryBytes / 3.5)
  expect(recomputed.flops).toBeLessThan(1.5 * kept.flops)
})
