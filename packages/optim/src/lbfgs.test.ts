import { np, random, type NDArray } from '@adjoint/core'
import { jit, valueAndGrad, vmap, whileLoop } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

/** Rosenbrock's valley. */
const valley = (p: NDArray): NDArray =>
  np.sum(
    np.add(
      np.multiply(100, np.square(np.subtract(p.get('1:'), np.square(p.get(':-1'))))),
      np.square(np.subtract(1, p.get(':-1'))),
    ),
  )

interface SearchState {
  readonly info: { readonly numLinesearchSteps: NDArray }
}

describe('the line search', () => {
  /** Smooth functions of one variable with a minimum: a parabola, and waves on it that leave it one. */
  const functions = fc.record({
    curvature: fc.double({ min: 0.05, max: 20, noNaN: true }),
    center: fc.double({ min: -3, max: 3, noNaN: true }),
    waves: fc.double({ min: 0, max: 1, noNaN: true }),
    direction: fc.double({ min: 0.01, max: 100, noNaN: true }),
    guess: fc.constantFrom('one' as const, 'keep' as const),
  })

  /** The step that is found, and the direction in which it goes. */
  const searched = (initialGuessStrategy: 'one' | 'keep') =>
    jit((x: NDArray, constants: NDArray) => {
      const [curvature, center, waves, direction] = constants
      const loss = (p: NDArray): NDArray =>
        np.add(
          np.multiply(np.multiply(0.5, curvature), np.square(np.subtract(p, center))),
          np.multiply(waves, np.sin(p)),
        )
      const [value, gradient] = valueAndGrad(loss)(x)
      const search = optim.scaleByZoomLinesearch(30, { initialGuessStrategy, approxDecRtol: null })
      const descent = np.negative(np.multiply(direction, gradient))
      const extra = { value, grad: gradient, valueFn: loss }
      return [search.update(descent, search.init(x), x, extra)[0], descent] as const
    })
  const searches = { one: searched('one'), keep: searched('keep') }

  it('finds steps that satisfy the strong Wolfe conditions', () => {
    const [c1, c2] = [1e-4, 0.9]
    fc.assert(
      fc.property(functions, ({ curvature, center, waves, direction, guess }) => {
        const f = (x: number): number => (curvature / 2) * (x - center) ** 2 + waves * Math.sin(x)
        const slopeOf = (x: number): number => curvature * (x - center) + waves * Math.cos(x)
        const x = center + 1.5
        const f64 = { dtype: 'float64' } as const
        const [step, along] = searches[guess](
          np.array(x, f64),
          np.array([curvature, center, waves, direction], f64),
        ).map(Number)
        const slope = slopeOf(x) * along
        fc.pre(Math.abs(slope) > 1e-6)
        const rate = step / along
        expect(rate).toBeGreaterThan(0)
        expect(f(x + step)).toBeLessThanOrEqual(f(x) + c1 * rate * slope + 1e-12)
        expect(Math.abs(slopeOf(x + step) * along)).toBeLessThanOrEqual(
          c2 * Math.abs(slope) + 1e-12,
        )
      }),
      { numRuns: 300 },
    )
  })

  it('does not leave the domain of the function', () => {
    const loss = (p: NDArray): NDArray => np.sum(np.subtract(p, np.log(p)))
    const p = np.array([3], { dtype: 'float32' })
    const optimiser = optim.lbfgs()
    const [value, gradient] = valueAndGrad(loss)(p)
    const [updates] = optimiser.update(np.multiply(20, gradient), optimiser.init(p), p, {
      value,
      grad: np.multiply(20, gradient),
      valueFn: (q) => np.multiply(20, loss(q)),
    })
    const next = optim.applyUpdates(p, updates)
    expect(next.item()).toBeGreaterThan(0)
    expect(Number(loss(next))).toBeLessThan(Number(value))
  })

  it('stays where a function is not finite anywhere near', () => {
    const search = optim.scaleByZoomLinesearch(5)
    const [updates] = search.update(np.ones([1]), search.init(np.array([0.5])), np.array([0.5]), {
      value: 0,
      grad: np.array([-1.5]),
      valueFn: (q: NDArray) => np.sum(np.multiply(q, NaN)),
    })
    expect(updates.item()).toBe(0)
  })

  it('keeps to the largest step', () => {
    const search = optim.scaleByZoomLinesearch(10, { maxLearningRate: 0.25 })
    const p = np.zeros([1])
    const [updates] = search.update(np.ones([1]), search.init(p), p, {
      value: 0,
      grad: np.full([1], -1.0).astype('float32'),
      valueFn: (q) => np.sum(np.negative(q)),
    })
    expect(updates.item()).toBe(0.25)
  })

  it('asks for the function', () => {
    const optimiser = optim.lbfgs()
    const p = np.array([1])
    expect(() => optimiser.update(p, optimiser.init(p), p)).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: scaleByZoomLinesearch: needs the extra argument value
        hint: call update(grads, state, params, { value, grad, valueFn })]
    `)
  })
})

describe('lbfgs', () => {
  /** A whole minimisation as one loop: until the gradient is small. */
  function minimise(loss: (p: NDArray) => NDArray, start: NDArray, most: number) {
    const optimiser = optim.lbfgs({ memorySize: 5 })
    const valueAndGradient = optim.valueAndGradFromState(loss)
    type Carry = readonly [NDArray, optim.OptState, count: NDArray]
    const [found, , count] = whileLoop<Carry>(
      ([, state, n]) => {
        const [, , { grad }] = state as [unknown, unknown, { grad: NDArray }]
        return np.logicalOr(
          np.equal(n, 0),
          np.logicalAnd(np.less(n, most), np.greater(optim.globalNorm(grad), 1e-4)),
        )
      },
      ([p, state, n]) => {
        const [value, gradient] = valueAndGradient(p, { state })
        const [updates, next] = optimiser.update(gradient, state, p, {
          value,
          grad: gradient,
          valueFn: loss,
        })
        return [optim.applyUpdates(p, updates), next, np.add(n, 1)]
      },
      [start, optimiser.init(start), np.zeros([], { dtype: 'int32' })],
    )
    return [found, count] as const
  }

  it('goes down the valley, compiled to one program', () => {
    const [found, steps] = jit((p: NDArray) => minimise(valley, p, 200))(
      np.array([-1.2, 1, -0.5, 0.8]),
    )
    for (const x of found.toArray() as number[]) expect(x).toBeCloseTo(1, 3)
    expect(Number(steps)).toBeLessThan(80)
  })

  it('goes down from several places at once', () => {
    const starts = random.uniform(random.key(0), [6, 2], { minval: -1.5, maxval: 1.5 })
    const [found, steps] = jit(vmap((p: NDArray) => minimise(valley, p, 100)))(starts)
    const alone = jit((p: NDArray) => minimise(valley, p, 100))
    for (const x of (found.toArray() as number[][]).flat()) expect(x).toBeCloseTo(1, 3)
    const counts = steps.toArray() as number[]
    counts.forEach((count, i) => {
      expect(Math.abs(count - Number(alone(starts.get(i))[1]))).toBeLessThanOrEqual(3)
    })
    expect(new Set(counts).size).toBeGreaterThan(1)
  })

  it('solves a quadratic problem in as many steps as it has dimensions, nearly', () => {
    const scales = np.array([1, 4, 9, 16])
    const loss = (p: NDArray): NDArray =>
      np.multiply(0.5, np.sum(np.multiply(scales, np.square(np.subtract(p, 2)))))
    const [found, steps] = minimise(loss, np.zeros([4]), 30)
    for (const x of found.toArray() as number[]) expect(x).toBeCloseTo(2, 3)
    expect(Number(steps)).toBeLessThanOrEqual(12)
  })

  it('evaluates the function once a step when the first guess is good', () => {
    const loss = (p: NDArray): NDArray => np.multiply(0.5, np.sum(np.square(p)))
    const optimiser = optim.lbfgs()
    const p = np.array([0.3, 0.4])
    const [value, gradient] = valueAndGrad(loss)(p)
    const [updates, state] = optimiser.update(gradient, optimiser.init(p), p, {
      value,
      grad: gradient,
      valueFn: loss,
    })
    const [, , search] = state as [unknown, unknown, SearchState]
    expect(search.info.numLinesearchSteps.item()).toBe(1)
    expect(np.allclose(optim.applyUpdates(p, updates), 0, { atol: 1e-6 }).item()).toBe(true)
  })

  it('runs with a learning rate in place of a search', () => {
    const optimiser = optim.lbfgs(0.5, { linesearch: null })
    const p = np.array([2], { dtype: 'float32' })
    const [updates] = optimiser.update(p, optimiser.init(p), p)
    expect(updates.item()).toBe(-0.5)
    expect(() => optim.lbfgs({ memorySize: 0 })).toThrow('memorySize is 1 or more')
  })
})
