import { np, type NDArray } from '@adjoint/core'
import { jit, type Jitted } from '@adjoint/transforms'
import { describe, expect, test } from 'vitest'
import {
  adafactor,
  adam,
  adamw,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  type GradientTransformation,
  lamb,
  lion,
  muon,
  type OptState,
  rmsprop,
  sgd,
  sm3,
} from './index'

type Leaves = readonly NDArray[]
type Update = (params: Leaves, state: OptState, gradient: Leaves) => readonly [Leaves, OptState]

function updateOf(
  optimiser: GradientTransformation,
): Jitted<Parameters<Update>, ReturnType<Update>> {
  const update: Update = (params, state, gradient) => {
    const [updates, next] = optimiser.update(gradient, state, params)
    return [applyUpdates(params, updates), next]
  }
  return jit(update, { donateArgnums: [0, 1] })
}

/** Weights and biases of several sizes. */
const leavesOf = (count: number): Leaves =>
  Array.from({ length: count }, (_, i) =>
    np.ones(i % 2 === 0 ? [8 + (i % 5) * 4, 12 + (i % 3) * 8] : [12 + (i % 3) * 8]),
  )

const loopsOf = (make: () => GradientTransformation, count: number): number => {
  const optimiser = make()
  const params = leavesOf(count)
  return updateOf(optimiser).lower(params, optimiser.init(params), params).cost().loops
}

describe('an update of a whole tree is a handful of loops', () => {
  const optimisers: readonly (readonly [string, () => GradientTransformation, most: number])[] = [
    ['sgd', () => sgd(0.1), 1],
    ['momentum', () => sgd(0.1, { momentum: 0.9 }), 1],
    ['rmsprop', () => rmsprop(1e-3), 1],
    ['adam', () => adam(1e-3), 2],
    ['adamw', () => adamw(1e-3), 2],
    ['lion', () => lion(1e-3), 2],
    ['clipping and adamw', () => chain(clipByGlobalNorm(1), adamw(1e-3)), 3],
    ['lamb', () => lamb(1e-3), 5],
    ['adafactor', () => adafactor(1e-3), 6],
    ['sm3', () => sm3(1e-3), 7],
    ['muon', () => muon(1e-3), 12],
    ['muon with weight decay', () => muon(1e-3, { nsCoeffs: 'dion', weightDecay: 0.1 }), 12],
  ]
  test.each(optimisers)('%s', (_name, make, most) => {
    expect(loopsOf(make, 8)).toBeLessThanOrEqual(most)
    expect(loopsOf(make, 40)).toBeLessThanOrEqual(most)
  })
  test('however many leaves there are', () => {
    expect(loopsOf(() => sgd(0.1, { momentum: 0.9 }), 150)).toBe(1)
    // The sum of 150 norms is one expression of one element.
    expect(loopsOf(() => chain(clipByGlobalNorm(1), sgd(0.1)), 150)).toBe(3)
  })
})

test('it says so, with what all leaves cost together', () => {
  const optimiser = sgd(0.5, { momentum: 0.9 })
  const params = [np.ones([3, 4]), np.ones([5])]
  const lowered = updateOf(optimiser).lower(params, optimiser.init(params), params)
  expect(lowered.text('loops')).toMatchInlineSnapshot(`
    "update: 1 loop, 119 operations, reads 204 bytes, writes 136 bytes, 0 bytes of temporaries
      takes in0: f32[12], in1: f32[5], in2: f32[12], in3: f32[5], in4: f32[12], in5: f32[5]
      gives out0: f32[12] in place of in0, out1: f32[5] in place of in1, out2: f32[12] in place of in2, out3: f32[5] in place of in3

    1. 2 parts of 17 elements in one loop: map over i < 12 — 119 operations, reads 204 bytes, writes 136 bytes
         v0 = in4[i] + (0.8999999761581421 * in2[i])
         v1 = select(abs(v0) < 1.0000000031710769e-30, 0, v0)
         out2[i] = v1
         out0[i] = in0[i] + (v1 * -0.5)
         and so on:
           map over i < 5, to out3, out1"
  `)
})

describe('orthogonal updates', () => {
  const layer = [[128, 384], [384], [128, 128], [128], [128, 512], [512], [512, 128], [128]]
  const lowered = (layers: number, make = () => muon(1e-3)) => {
    const optimiser = make()
    const shapes = [[65, 128], [64, 128], ...Array.from({ length: layers }, () => layer).flat()]
    const params = shapes.map((shape) => np.ones(shape))
    return updateOf(optimiser).lower(params, optimiser.init(params), params)
  }
  test('are as many loops for a network of twelve layers as for one of two', () => {
    const loops = [2, 12].map((layers) => lowered(layers).cost().loops)
    expect(loops).toEqual([12, 12])
  })
  test('whatever the options', () => {
    const options = { adaptive: true, nesterov: false, consistentRms: 0.2, weightDecay: 0.1 }
    const make = (): GradientTransformation => muon(1e-3, { ...options, nsCoeffs: 'dion' })
    expect(lowered(4, make).cost().loops).toBeLessThanOrEqual(14)
  })
  test('keep no more than three times what they are of', () => {
    const { peakTemporaryBytes } = lowered(4).cost()
    const elements = 65 * 128 + 64 * 128 + 4 * 128 * (384 + 128 + 512 + 512)
    expect(peakTemporaryBytes).toBeLessThan(3 * 4 * elements)
  })
})

test('large leaves are joined as well: nothing waits in a cache for them', () => {
  const optimiser = adamw(1e-3)
  const params = [np.ones([700, 512]), np.ones([512, 300]), np.ones([512])]
  const update = updateOf(optimiser)
  const { loops, peakTemporaryBytes } = update.lower(params, optimiser.init(params), params).cost()
  expect(loops).toBe(2)
  expect(peakTemporaryBytes).toBeLessThan(1024)
})
