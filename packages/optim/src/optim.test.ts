import { np, tree, type NDArray } from '@adjoint/core'
import { jit, valueAndGrad, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

const vector = (values: readonly number[]): NDArray => np.array(values, { dtype: 'float32' })

/** Five gradients that differ in size and sign. */
const gradients = [
  [0.5, -1.5, 3],
  [0.25, 2, -1],
  [-1, 0.5, 0],
  [0.125, -0.25, 4],
  [2, 1, -3],
]
const start = [1, -2, 0.5]

/** What an optimiser makes of the parameters over the five steps. */
function run(optimiser: optim.GradientTransformation, compile: boolean): number[] {
  const step = (p: NDArray, state: optim.OptState, g: NDArray): [NDArray, optim.OptState] => {
    const [updates, next] = optimiser.update(g, state, p)
    return [optim.applyUpdates(p, updates), next]
  }
  const f = compile ? jit(step) : step
  let params = vector(start)
  let state = optimiser.init(params)
  for (const g of gradients) [params, state] = f(params, state, vector(g))
  return params.toArray() as number[]
}

/** The papers' pseudo-code for one parameter, in doubles. */
function reference(update: () => (g: number, p: number, t: number) => number): number[] {
  return start.map((p0, i) => {
    const next = update()
    return gradients.reduce((p, g, t) => p + next(g[i] ?? 0, p, t + 1), p0)
  })
}

/** Kingma & Ba 2015, algorithm 1. */
const adamReference =
  (rate: number, { b1 = 0.9, b2 = 0.999, eps = 1e-8, decay = 0 } = {}) =>
  () => {
    let [m, v] = [0, 0]
    return (g: number, p: number, t: number): number => {
      m = b1 * m + (1 - b1) * g
      v = b2 * v + (1 - b2) * g * g
      return -rate * (m / (1 - b1 ** t) / (Math.sqrt(v / (1 - b2 ** t)) + eps) + decay * p)
    }
  }

const cases: [
  string,
  optim.GradientTransformation,
  () => (g: number, p: number, t: number) => number,
][] = [
  ['sgd', optim.sgd(0.1), () => (g) => -0.1 * g],
  [
    'sgd with momentum',
    optim.sgd(0.1, { momentum: 0.9 }),
    () => {
      let trace = 0
      return (g) => -0.1 * (trace = g + 0.9 * trace)
    },
  ],
  [
    "sgd with Nesterov's momentum",
    optim.sgd(0.1, { momentum: 0.9, nesterov: true }),
    () => {
      let trace = 0
      return (g) => {
        trace = g + 0.9 * trace
        return -0.1 * (g + 0.9 * trace)
      }
    },
  ],
  ['adam', optim.adam(0.01), adamReference(0.01)],
  [
    'adam with other moments',
    optim.adam(0.01, { b1: 0.8, b2: 0.95, eps: 1e-3 }),
    adamReference(0.01, { b1: 0.8, b2: 0.95, eps: 1e-3 }),
  ],
  ['adamw', optim.adamw(0.01, { weightDecay: 0.1 }), adamReference(0.01, { decay: 0.1 })],
  [
    // Dozat 2016, algorithm 2, with constant moments.
    'nadam',
    optim.nadam(0.01),
    () => {
      let [m, v] = [0, 0]
      return (g, _p, t) => {
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        const first = (0.9 * m) / (1 - 0.9 ** (t + 1)) + (0.1 * g) / (1 - 0.9 ** t)
        return (-0.01 * first) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
      }
    },
  ],
  [
    'rmsprop',
    optim.rmsprop(0.01, { decay: 0.9 }),
    () => {
      let v = 0
      return (g) => {
        v = 0.9 * v + 0.1 * g * g
        return (-0.01 * g) / Math.sqrt(v + 1e-8)
      }
    },
  ],
]

describe.each(cases)('%s', (_name, optimiser, update) => {
  it.each([false, true])('follows its pseudo-code (compiled: %s)', (compile) => {
    const expected = reference(update)
    run(optimiser, compile).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] ?? NaN, 5)
    })
  })
})

describe('chain is a monoid, up to what can be observed', () => {
  const transformation = fc.constantFrom(
    optim.scale(0.5),
    optim.clip(1),
    optim.trace(0.9),
    optim.scaleByAdam(),
    optim.addDecayedWeights(0.1),
    optim.clipByGlobalNorm(1),
    optim.identity,
  )
  const same = (a: optim.GradientTransformation, b: optim.GradientTransformation): void => {
    expect(run(a, false)).toEqual(run(b, false))
  }
  const { concat, empty } = optim.monoid

  it('has a unit', () => {
    fc.assert(
      fc.property(transformation, (a) => {
        same(concat(a, empty), a)
        same(concat(empty, a), a)
      }),
      { numRuns: 10 },
    )
  })

  it('is associative', () => {
    fc.assert(
      fc.property(transformation, transformation, transformation, (a, b, c) => {
        same(concat(concat(a, b), c), concat(a, concat(b, c)))
        same(optim.chain(a, b, c), concat(a, concat(b, c)))
      }),
      { numRuns: 10 },
    )
  })
})

describe('transforms', () => {
  it('clipByGlobalNorm scales all leaves together', () => {
    const clipped = optim.clipByGlobalNorm(1)
    const grads = { a: vector([3, 0]), b: vector([4]) }
    const [updates] = clipped.update(grads, clipped.init(grads))
    expect(updates.a.toArray()).toEqual([expect.closeTo(0.6, 6), 0])
    expect(updates.b.toArray()).toEqual([expect.closeTo(0.8, 6)])
    expect(optim.globalNorm(grads).item()).toBe(5)
  })

  it('addDecayedWeights asks for the parameters', () => {
    const decay = optim.addDecayedWeights(0.1)
    expect(() => decay.update(vector([1]), decay.init(vector([1])))).toThrow('needs the parameters')
  })

  it('keeps the dtype of the parameters', () => {
    const params = np.ones([2], { dtype: 'bfloat16' })
    const optimiser = optim.adam(0.1)
    const [updates] = optimiser.update(
      np.ones([2], { dtype: 'bfloat16' }),
      optimiser.init(params),
      params,
    )
    expect(optim.applyUpdates(params, updates).dtype).toBe('bfloat16')
  })

  it('a population of learning rates trains in one call', () => {
    const train = (rate: NDArray): NDArray => {
      const optimiser = optim.sgd(rate)
      const loss = (p: NDArray): NDArray => np.sum(np.square(p))
      let p = vector(start)
      let state = optimiser.init(p)
      for (let i = 0; i < 3; i++) {
        const [, g] = valueAndGrad(loss)(p)
        const [updates, next] = optimiser.update(g, state, p)
        p = optim.applyUpdates(p, updates)
        state = next
      }
      return loss(p)
    }
    const losses = vmap(train)(vector([0, 0.1, 0.5])).toArray() as number[]
    expect(losses[0]).toBeCloseTo(5.25, 5)
    expect(losses[1]).toBeCloseTo(5.25 * 0.8 ** 6, 5)
    expect(losses[2]).toBeCloseTo(0, 5)
  })
})

describe('schedules', () => {
  const at = (schedule: optim.Schedule, ...counts: number[]): number[] =>
    counts.map((c) => schedule(np.array(c)).item() as number)
  const close = (actual: readonly number[], expected: readonly number[]): void => {
    expected.forEach((e, i) => {
      expect(actual[i]).toBeCloseTo(e, 6)
    })
  }

  it('cosineDecay', () => {
    close(at(optim.cosineDecay(2, 10), 0, 5, 10, 20), [2, 1, 0, 0])
    close(at(optim.cosineDecay(2, 10, { alpha: 0.1 }), 10), [0.2])
  })

  it('warmupCosineDecay', () => {
    const schedule = optim.warmupCosineDecay(0, 1, 4, 12, { endValue: 0.5 })
    close(at(schedule, 0, 2, 4, 8, 12, 100), [0, 0.5, 1, 0.75, 0.5, 0.5])
  })

  it('exponentialDecay', () => {
    close(at(optim.exponentialDecay(1, 2, 0.25), 0, 1, 2), [1, 0.5, 0.25])
    close(at(optim.exponentialDecay(1, 2, 0.25, { staircase: true }), 1, 3), [1, 0.25])
    close(at(optim.exponentialDecay(1, 1, 0.5, { endValue: 0.3 }), 5), [0.3])
  })

  it('linear, polynomial and constant', () => {
    close(at(optim.linearSchedule(1, 0, 4), 0, 1, 4, 9), [1, 0.75, 0, 0])
    close(at(optim.polynomialSchedule(1, 0, 2, 4, { transitionBegin: 2 }), 0, 4, 6), [1, 0.25, 0])
    close(at(optim.constantSchedule(0.3), 0, 7), [0.3, 0.3])
  })

  it('a schedule drives an optimiser inside one compiled program', () => {
    const optimiser = optim.sgd(optim.linearSchedule(1, 0, 4))
    const step = jit((state: optim.OptState) => optimiser.update(vector([1]), state))
    let state = optimiser.init(vector([0]))
    const rates: number[] = []
    for (let i = 0; i < 4; i++) {
      const [updates, next] = step(state)
      rates.push(-(updates.get(0).item() as number))
      state = next
    }
    close(rates, [1, 0.75, 0.5, 0.25])
  })
})

describe('losses', () => {
  const logits = np.array([
    [1, 2, 3],
    [100, -100, 0],
  ])

  it('cross-entropy by label equals that by one-hot distribution', () => {
    const labels = np.array([2, 1])
    const byLabel = optim.softmaxCrossEntropyWithIntegerLabels(logits, labels).toArray() as number[]
    const oneHot = np.array([
      [0, 0, 1],
      [0, 1, 0],
    ])
    const byDistribution = optim.softmaxCrossEntropy(logits, oneHot).toArray() as number[]
    expect(byLabel[0]).toBeCloseTo(Math.log(Math.exp(-2) + Math.exp(-1) + 1), 5)
    expect(byLabel[1]).toBeCloseTo(200, 3)
    expect(byDistribution[0]).toBeCloseTo(byLabel[0] ?? NaN, 5)
  })

  it('sigmoidBinaryCrossEntropy stays finite', () => {
    const value = optim
      .sigmoidBinaryCrossEntropy(vector([-200, 0, 200]), vector([0, 1, 0]))
      .toArray() as number[]
    expect(value).toEqual([0, expect.closeTo(Math.LN2, 6), 200])
  })

  it('huber is quadratic inside and linear outside', () => {
    expect(optim.huber(vector([0.5, 3, -3]), 0, 1).toArray()).toEqual([0.125, 2.5, 2.5])
    expect(optim.l2Loss(vector([3]), 1).toArray()).toEqual([2])
    expect(optim.squaredError(vector([3]), 1).toArray()).toEqual([4])
  })
})

describe('states', () => {
  it('are trees that can be mapped', () => {
    const state = optim.adam(0.1).init({ w: np.ones([2, 2]) })
    const leaves = tree.leaves<NDArray>(state)
    expect(leaves.map((x) => x.shape)).toEqual([[], [2, 2], [2, 2]])
  })
})
