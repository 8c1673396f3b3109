/** What holds for every optimiser: batching, composing, and how much code an update is. */
import { np, tree, type NDArray } from '@adjoint/core'
import { jit, scan, valueAndGrad, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from './index'
import { byRate, loss, near, type Params, params } from './optimisers.fixture'

/** The parameters after five steps in one loop, whose carry is the state. */
function train(optimiser: optim.GradientTransformation, start: Params): Params {
  const step = (
    [p, state]: [Params, optim.OptState],
    _: null,
  ): [[Params, optim.OptState], NDArray] => {
    const [value, grads] = valueAndGrad(loss)(p)
    const [updates, next] = optimiser.update(grads, state, p)
    return [[optim.applyUpdates(p, updates), next], value]
  }
  const [[trained]] = scan(step, [start, optimiser.init(start)] as [Params, optim.OptState], null, {
    length: 5,
  })
  return trained
}

describe.each(Object.entries(byRate))('%s', (_, make) => {
  const rates = [0.001, 0.05]

  it('trains a population of learning rates in one call', () => {
    const trained = (rate: NDArray): Params => train(make(rate), params)
    const population = jit(vmap(trained))(np.array(rates))
    const alone = jit(trained)
    rates.forEach((rate, i) => {
      near(
        tree.map((leaf: NDArray) => leaf.get(i), population),
        alone(np.array(rate)),
      )
    })
  })
})

describe('an update is a few loops', () => {
  const leaves = 12
  const many = Object.fromEntries(
    Array.from({ length: leaves }, (_, i) => [`layer${i}`, np.ones([4 + i, 8])]),
  )
  const loops = (optimiser: optim.GradientTransformation): number => {
    const step = jit((p: typeof many, state: optim.OptState, grads: typeof many) => {
      const [updates, next] = optimiser.update(grads, state, p)
      return [optim.applyUpdates(p, updates), next] as const
    })
    const text = step.lower(many, optimiser.init(many), many).text('loops')
    return Number(/: (\d+) loops?,/.exec(text)?.[1])
  }

  it.each([
    ['sgd', optim.sgd(0.1, { momentum: 0.9 })],
    ['adam', optim.adam(optim.cosineDecay(0.1, 100))],
    ['adamw', optim.adamw(0.1)],
    ['radam', optim.radam(0.1)],
    ['lion', optim.lion(0.1)],
    ['yogi', optim.yogi(0.1)],
    ['scheduleFree', optim.scheduleFreeAdamw(0.1)],
  ])('%s: one per parameter, and what is common to all', (_, optimiser) => {
    expect(loops(optimiser)).toBeLessThanOrEqual(leaves + 3)
  })

  it.each([
    ['with a global norm', optim.chain(optim.clipByGlobalNorm(1), optim.adamw(0.1))],
    ['if finite', optim.applyIfFinite(optim.adam(0.1), 3)],
    ['with accumulation', optim.multiSteps(optim.adam(0.1), 4)],
  ])('%s: two per parameter', (_, optimiser) => {
    expect(loops(optimiser)).toBeLessThanOrEqual(2 * leaves + 3)
  })
})

describe('chain is a monoid, up to what can be observed', () => {
  const transformation = fc.constantFrom(
    optim.scale(0.5),
    optim.clip(0.1),
    optim.trace(0.9),
    optim.ema(0.8),
    optim.scaleByAdam(),
    optim.scaleByLion(),
    optim.scaleByTrustRatio(),
    optim.addDecayedWeights(0.1),
    optim.addNoise(0.1, 0.5, 0),
    optim.clipByGlobalNorm(1),
    optim.adaptiveGradClip(0.1),
    optim.centralize(),
    optim.masked(optim.trace(0.5), { weight: true, bias: false }),
    optim.multiSteps(optim.scaleBySign(), 2),
    optim.freeze(optim.byPath(/bias/)),
    optim.monoid.empty,
  )
  const observed = (t: optim.GradientTransformation): unknown => {
    let state = t.init(params)
    return [1, -2, 0.5].map((size) => {
      const grads = tree.map((leaf: NDArray) => np.multiply(size, leaf), params)
      const [updates, next] = t.update(grads, state, params)
      state = next
      return [updates.weight.toArray(), updates.bias.toArray()]
    })
  }
  const { concat, empty } = optim.monoid

  it('has a unit and is associative', () => {
    fc.assert(
      fc.property(transformation, transformation, transformation, (a, b, c) => {
        expect(observed(concat(a, empty))).toEqual(observed(a))
        expect(observed(concat(empty, a))).toEqual(observed(a))
        const left = observed(concat(concat(a, b), c))
        expect(left).toEqual(observed(concat(a, concat(b, c))))
        expect(left).toEqual(observed(optim.chain(a, b, c)))
        expect(left).toEqual(observed(optim.namedChain({ z: a, y: b, x: c })))
      }),
      { numRuns: 12 },
    )
  })
})
