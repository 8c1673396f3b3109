import { np, tree, type NDArray } from '@adjoint/core'
import { explainRetrace, grad, jit, traceCount } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

const f32 = (...values: readonly number[]): NDArray => np.array(values, { dtype: 'float32' })
const params = {
  encoder: { weight: f32(1, 2), bias: f32(0.5) },
  layers: [{ weight: f32(3), bias: f32(-1) }],
}
const ones = tree.map((leaf: NDArray) => np.onesLike(leaf), params)

/** What a stateless use of a transformation makes of updates of 1. */
const onOnes = (t: optim.GradientTransformation): unknown =>
  tree.map((leaf: NDArray) => leaf.toArray(), t.update(ones, t.init(params), params)[0])

describe('masks', () => {
  const doubled = optim.scale(2)
  const expected = {
    encoder: { weight: [2, 2], bias: [1] },
    layers: [{ weight: [2], bias: [1] }],
  }

  it.each<[string, optim.MaskOrFn]>([
    ['a tree', { encoder: { weight: true, bias: false }, layers: [{ weight: true, bias: false }] }],
    ['a pattern of paths', optim.byPath(/\.weight$/)],
    ['a global pattern, whose position is not kept', optim.byPath(/weight/g)],
    ['a predicate', optim.byPath((path, leaf) => path.endsWith('weight') && leaf.size > 0)],
    ['a function of the parameters', (p) => tree.mapWithPath((path) => path.includes('weight'), p)],
  ])('%s', (_, mask) => {
    expect(onOnes(optim.masked(doubled, mask))).toEqual(expected)
  })

  it('speak for branches', () => {
    const mask = { encoder: true, layers: false }
    expect(onOnes(optim.masked(doubled, mask))).toEqual({
      encoder: { weight: [2, 2], bias: [2] },
      layers: [{ weight: [1], bias: [1] }],
    })
    expect(onOnes(optim.freeze(true))).toEqual(onOnes(optim.setToZero()))
  })

  it('say so when they are silent about a parameter', () => {
    expect(() => onOnes(optim.masked(doubled, { encoder: true })))
      .toThrowErrorMatchingInlineSnapshot(`
      [TreeError: masked: nothing is said of this parameter
        at: .layers[0].bias
        rule: masks and labels have a leaf for each parameter, or for a branch that it grows on
        hint: byPath makes masks and labels from a function of path and leaf]
    `)
    expect(() => onOnes(optim.masked(doubled, () => tree.map(() => 1, params)))).toThrow(
      'the mask of .encoder.bias is 1',
    )
  })

  it('keep no state for what they leave out', () => {
    const state = optim.masked(optim.trace(0.9), optim.byPath(/bias/)).init(params)
    expect(tree.paths(state)).toEqual(['.trace.encoder.bias', '.trace.layers[0].bias'])
  })

  it('apply to weight decay', () => {
    const decay = optim.addDecayedWeights(0.5, { mask: optim.byPath(/weight$/) })
    expect(onOnes(decay)).toEqual({
      encoder: { weight: [1.5, 2], bias: [1] },
      layers: [{ weight: [2.5], bias: [1] }],
    })
  })
})

describe('partition', () => {
  it('gives each label its transformation', () => {
    const parts = { twice: optim.scale(2), still: optim.setToZero() }
    expect(onOnes(optim.partition(parts, { encoder: 'still', layers: 'twice' }))).toEqual({
      encoder: { weight: [0, 0], bias: [0] },
      layers: [{ weight: [2], bias: [2] }],
    })
    const labels = optim.byPath((path) => (path.includes('bias') ? 'twice' : 'still'))
    expect(onOnes(optim.partition(parts, labels))).toEqual({
      encoder: { weight: [0, 0], bias: [2] },
      layers: [{ weight: [0], bias: [2] }],
    })
  })

  it('knows its labels', () => {
    const optimiser = optim.partition({ a: optim.identity }, { encoder: 'a', layers: 'b' })
    expect(() => optimiser.init(params)).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: partition: .layers[0].bias is labelled b
        rule: the labels are a]
    `)
  })

  it('is selectiveTransform for what is frozen', () => {
    const optimiser = optim.selectiveTransform(optim.scale(3), {
      freezeMask: { encoder: true, layers: false },
    })
    expect(onOnes(optimiser)).toEqual({
      encoder: { weight: [0, 0], bias: [0] },
      layers: [{ weight: [3], bias: [3] }],
    })
  })
})

describe('multiSteps', () => {
  it('is one step with the mean of the gradients', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 4, maxLength: 4 }),
        fc.boolean(),
        (gradients, lazy) => {
          // A mean of 0 is not exactly 0, which a smaller eps would show.
          const inner = optim.adam(0.1, { eps: 1e-2 })
          const optimiser = optim.multiSteps(inner, 4, { lazy })
          const p = f32(1)
          let state = optimiser.init(p)
          const updates = gradients.map((g) => {
            const [u, next] = optimiser.update(f32(g), state, p)
            state = next
            return u.get(0).item()
          })
          const mean = gradients.reduce((a, b) => a + b, 0) / 4
          const [whole] = inner.update(f32(mean), inner.init(p), p)
          expect(updates.slice(0, 3)).toEqual([0, 0, 0])
          // The last digit of a mean near 0, 6e-8, becomes 6e-7 by 0.1 / eps.
          expect(updates[3]).toBeCloseTo(whole.get(0).item() as number, 5)
          expect(optim.hasUpdated(state).item()).toBe(true)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('collects 16-bit gradients in 32 bits', () => {
    const optimiser = optim.multiSteps(optim.sgd(1), 64, { useGradMean: false })
    const p = np.zeros([1], { dtype: 'bfloat16' })
    let state = optimiser.init(p)
    let updates = p
    for (let i = 0; i < 64; i++) {
      const g = np.array([i === 0 ? 256 : 0.25], { dtype: 'bfloat16' })
      ;[updates, state] = optimiser.update(g, state, p)
    }
    // In bfloat16, 256 + 0.25 is 256.
    expect(updates.item()).toBe(-272)
    expect(updates.dtype).toBe('bfloat16')
  })

  it('leaves out gradients that are not finite, or too large', () => {
    const run = (skip: (grads: unknown) => NDArray): unknown => {
      const optimiser = optim.multiSteps(optim.sgd(1), 2, { shouldSkipUpdateFn: skip })
      let state = optimiser.init(f32(0))
      return [1, NaN, 100, 3].map((g) => {
        const [updates, next] = optimiser.update(f32(g), state)
        state = next
        return updates.get(0).item()
      })
    }
    expect(run(optim.skipNotFinite)).toEqual([0, 0, -50.5, 0])
    expect(run(optim.skipLargeUpdates(50))).toEqual([0, 0, 0, -2])
  })

  it('may change how many it collects', () => {
    const optimiser = optim.multiSteps(optim.sgd(1), (done) => np.add(done, 1))
    let state = optimiser.init(f32(0))
    const updates = [1, 2, 4, 6, 6, 6].map((g) => {
      const [u, next] = optimiser.update(f32(g), state)
      state = next
      return u.get(0).item()
    })
    expect(updates).toEqual([-1, 0, -3, 0, 0, -6].map((u) => u || expect.closeTo(0)))
  })
})

describe('applyIfFinite', () => {
  it('skips what is not finite, up to a number in a row', () => {
    const optimiser = optim.applyIfFinite(optim.sgd(1, { momentum: 1 }), 2)
    const step = jit((g: NDArray, state: optim.OptState) => optimiser.update(g, state))
    let state = optimiser.init(f32(0))
    const updates = [1, NaN, Infinity, 2, NaN, NaN, NaN].map((g) => {
      const [u, next] = step(f32(g), state)
      state = next
      return u.get(0).item()
    })
    expect(updates.map(Math.abs as (x: unknown) => number)).toEqual([1, 0, 0, 3, 0, 0, NaN])
  })
})

describe('conditionally', () => {
  const odd = (step: NDArray): NDArray => np.equal(np.mod(step, 2), 1)
  it.each([
    ['conditionallyTransform', optim.conditionallyTransform, [1, -1, 1, -2]],
    ['conditionallyMask', optim.conditionallyMask, [0, -1, 0, -2]],
  ] as const)('%s', (_, wrap, expected) => {
    const optimiser = wrap(optim.sgd(1, { momentum: 1 }), odd)
    let state = optimiser.init(f32(0))
    const updates = expected.map(() => {
      const [u, next] = optimiser.update(f32(1), state)
      state = next
      return u.get(0).item()
    })
    expect(updates).toEqual(expected)
  })
})

describe('lookahead', () => {
  const slope = grad((p: NDArray) => np.sum(np.square(p)))
  it('starts its fast optimiser anew when asked to', () => {
    const run = (resetState: boolean): number => {
      const optimiser = optim.lookahead(optim.sgd(0.1, { momentum: 0.9 }), 2, 0.5, { resetState })
      let p = optim.lookaheadParams(f32(1))
      let state = optimiser.init(p)
      for (let i = 0; i < 3; i++) {
        const [updates, next] = optimiser.update(slope(p.fast), state, p)
        p = optim.applyUpdates(p, updates)
        state = next
      }
      return p.fast.get(0).item() as number
    }
    // 1 → 0.8 → 0.46, halfway 0.73; then a step of 0.2 · 0.73, with or without 0.9 of the last.
    expect(run(true)).toBeCloseTo(0.73 * 0.8, 6)
    expect(run(false)).toBeCloseTo(0.73 * 0.8 - 0.9 * 0.34, 6)
  })

  it('has a period', () => {
    expect(() => optim.lookahead(optim.sgd(1), 0, 0.5)).toThrow(
      'syncPeriod is a whole number from 1 on',
    )
  })
})

describe('injectHyperparams', () => {
  it('changes a learning rate without compiling anew', () => {
    const optimiser = optim.chain(
      optim.clip(10),
      optim.injectHyperparams(optim.sgd)(0.5, { momentum: 0 }),
    )
    const step = jit((g: NDArray, state: optim.OptState) => optimiser.update(g, state))
    let state = optimiser.init(f32(0))
    let updates = f32(0)
    ;[updates, state] = step(f32(1), state)
    expect(updates.item()).toBe(-0.5)
    state = optim.withHyperparams(state, { learningRate: 0.25 })
    ;[updates, state] = step(f32(1), state)
    expect(updates.item()).toBe(-0.25)
    expect(traceCount(step), explainRetrace(step)).toBe(1)
    expect(optim.hyperparamsOf(state)['learningRate'].item()).toBe(0.25)
    expect(Object.keys(optim.hyperparamsOf(state))).toEqual(['learningRate', 'momentum'])
  })

  it('shows what schedules say', () => {
    const optimiser = optim.injectHyperparams(optim.sgd)(optim.linearSchedule(1, 0, 4))
    let state = optimiser.init(f32(0))
    const seen = [0, 1, 2].map(() => {
      ;[, state] = optimiser.update(f32(1), state)
      return optim.hyperparamsOf(state)['learningRate'].item()
    })
    expect(seen).toEqual([1, 0.75, 0.5])
  })

  it('leaves static arguments, and names positional ones', () => {
    const optimiser = optim.injectHyperparams(optim.multiSteps, {
      names: ['inner', 'k'],
      staticArgs: ['k'],
    })(optim.sgd(1), 2)
    expect(optim.hyperparamsOf(optimiser.init(f32(0)))).toEqual({})
    const adamw = optim.injectHyperparams(optim.adamw)(1, { b1: 0.5, mask: optim.byPath(/weight/) })
    expect(Object.keys(optim.hyperparamsOf(adamw.init(params)))).toEqual(['learningRate', 'b1'])
    const clip = optim.injectHyperparams(optim.clip, { names: ['maxDelta'] })(0.5)
    expect(Object.keys(optim.hyperparamsOf(clip.init(f32(0))))).toEqual(['maxDelta'])
  })

  it('is as exact as the parameters', () => {
    const optimiser = optim.injectHyperparams(optim.sgd)(0.1)
    const state = optimiser.init(np.zeros([1], { dtype: 'float64' }))
    expect(optim.hyperparamsOf(state)['learningRate'].item()).toBe(0.1)
    const changed = optim.withHyperparams(state, { learningRate: 0.3 })
    expect(optim.hyperparamsOf(changed)['learningRate'].item()).toBe(0.3)
  })

  it('refuses names that it does not have', () => {
    const state = optim.injectHyperparams(optim.sgd)(1).init(f32(0))
    expect(() => optim.withHyperparams(state, { rate: 1 })).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: withHyperparams: there is no hyperparameter rate
        rule: the hyperparameters are learningRate]
    `)
    expect(() => optim.hyperparamsOf(optim.sgd(1).init(f32(0)))).toThrow('injectHyperparams')
  })
})

describe('zeroNans', () => {
  it('remembers where there were any', () => {
    const t = optim.zeroNans()
    const [updates, state] = t.update([f32(NaN, 1), f32(2)], t.init([f32(0, 0), f32(0)]))
    expect(updates.map((u) => u.toArray())).toEqual([[0, 1], [2]])
    expect(tree.leaves<NDArray>(state).map((leaf) => leaf.item())).toEqual([true, false])
  })
})

describe('averages of parameters', () => {
  it('incrementalUpdate and periodicUpdate', () => {
    expect(optim.incrementalUpdate(f32(4), f32(0), 0.25).toArray()).toEqual([1])
    const at = (step: number): unknown => optim.periodicUpdate(f32(4), f32(0), step, 3).item()
    expect([0, 1, 2, 3].map(at)).toEqual([4, 0, 0, 4])
  })
})

describe('orthogonalizeViaNewtonSchulz', () => {
  it('brings all singular values near 1, in both orientations', () => {
    const x = np.array([
      [3, 1, 0.5],
      [-1, 0.25, 2],
    ])
    for (const matrix of [x, x.T]) {
      const y = optim.orthogonalizeViaNewtonSchulz(matrix)
      const gram = (y.shape[0] < y.shape[1] ? np.matmul(y, y.T) : np.matmul(y.T, y)).toArray()
      const [[a, b], [, d]] = gram as number[][]
      const spread = Math.hypot(a - d, 2 * b)
      for (const eigenvalue of [(a + d + spread) / 2, (a + d - spread) / 2]) {
        expect(Math.sqrt(eigenvalue)).toBeGreaterThan(0.65)
        expect(Math.sqrt(eigenvalue)).toBeLessThan(1.3)
      }
    }
    expect(() => optim.orthogonalizeViaNewtonSchulz(f32(1))).toThrow('1 axes is no matrix')
  })
})

describe('schedules', () => {
  it('refuse what means nothing', () => {
    expect(() => optim.cosineDecay(1, 0)).toThrow('decaySteps is positive')
    expect(() => optim.piecewiseConstant(1, { 3: -1 })).toThrow('scales are not negative')
    expect(() => optim.joinSchedules([optim.constantSchedule(1)], [3])).toThrow('one boundary')
  })
})
