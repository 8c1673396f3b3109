/** States are trees of arrays that keep their types and can be donated. */
import { NDArray, np, tree } from '@adjoint/core'
import { evalShape, jit, valueAndGrad } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import * as optim from './index'
import { byRate, loss, near, type Params, params } from './optimisers.fixture'

describe.each(Object.entries(byRate))('%s', (_, make) => {
  it('has a state of arrays, which keeps its type', () => {
    const optimiser = make(0.1)
    const state = optimiser.init(params)
    const leaves = tree.leaves(state)
    expect(leaves.every((leaf) => leaf instanceof NDArray)).toBe(true)
    const [, next] = optimiser.update(params, state, params)
    const types = (s: unknown): string[] =>
      tree.leaves<NDArray>(s).map((leaf) => `${leaf.dtype}[${String(leaf.shape)}]`)
    expect(types(next)).toEqual(types(state))
    expect(tree.paths(next)).toEqual(tree.paths(state))
  })

  it('gives up its state and parameters to the next', () => {
    const optimiser = make(0.1)
    const step = (p: Params, state: optim.OptState): [Params, optim.OptState] => {
      const [updates, next] = optimiser.update(valueAndGrad(loss)(p)[1], state, p)
      return [optim.applyUpdates(p, updates), next]
    }
    const donating = jit(step, { donateArgnums: [0, 1] })
    const copy = (t: unknown): unknown => tree.map((leaf: NDArray) => np.multiply(leaf, 1), t)
    let kept = jit(step)(params, optimiser.init(params))
    let given = donating(copy(params) as Params, copy(optimiser.init(params)))
    for (let i = 0; i < 3; i++) {
      kept = jit(step)(...kept)
      given = donating(...given)
    }
    near(given, kept)
  })

  it('keeps 16-bit parameters and updates', () => {
    const half = tree.map((leaf: NDArray) => leaf.astype('bfloat16'), params)
    const optimiser = make(0.1)
    const shapes = evalShape(
      (p: Params, state: optim.OptState) => optimiser.update(p, state, p)[0],
      half,
      optimiser.init(half),
    )
    expect([shapes.weight.dtype, shapes.bias.dtype]).toEqual(['bfloat16', 'bfloat16'])
  })
})

describe('numbers and integers', () => {
  it('are taken as float32', () => {
    const given = { a: 2, b: np.array([1, 2]) }
    const optimiser = optim.chain(optim.addDecayedWeights(0.25), optim.sgd(1, { momentum: 0.5 }))
    const [updates] = optimiser.update(given, optimiser.init(given), given)
    const shown = tree.leaves<NDArray>(updates).map((leaf) => [leaf.dtype, leaf.toArray()])
    expect(shown).toEqual([
      ['float32', -2.5],
      ['float32', [-1.25, -2.5]],
    ])
    const next = tree.leaves<NDArray>(optim.applyUpdates(given, updates))
    // Parameters keep their dtype, so steps of integers are whole.
    expect(next.map((leaf) => leaf.toArray())).toEqual([-0.5, [0, 0]])
  })
})
