import { np, type NDArray } from '@adjoint/core'
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
