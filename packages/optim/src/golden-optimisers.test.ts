/** Optax's numbers for optimisers and transformations. `scripts/golden/optax_cases.py` makes them. */
import { np, tree, type NDArray } from '@adjoint/core'
import { jit, valueAndGrad } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import optimisersJson from '../test-data/optimisers.json'
import {
  type Call,
  expectClose,
  f32Tree,
  f64Tree,
  type Json,
  perform,
  casesOf,
  titleOf,
} from './golden.fixture'
import * as optim from './index'

interface Precision {
  readonly cast: (value: Json) => unknown
  readonly tolerance: number
}

interface OptimiserCase extends Call {
  /** The parameters after 1, 3 and 7 updates. */
  readonly after: readonly Json[]
  /** What `scheduleFreeEvalParams` gives in the end. */
  readonly eval?: Json
}

interface LbfgsCase {
  readonly loss: string
  readonly options: optim.LbfgsOptions
  readonly steps: readonly { readonly params: Json; readonly evaluations: number }[]
}

interface BacktrackingCase {
  readonly loss: string
  readonly rate: number
  readonly options: optim.BacktrackingLinesearchOptions & { readonly maxBacktrackingSteps: number }
  readonly steps: readonly {
    readonly params: Json
    readonly rate: number
    readonly evaluations: number
  }[]
}

const cases = casesOf<{
  readonly optax: string
  readonly params: Json
  readonly gradients: readonly Json[]
  readonly optimisers: readonly OptimiserCase[]
  readonly transformations: readonly OptimiserCase[]
  readonly lookahead: readonly Json[]
  readonly sophia: readonly {
    readonly options: optim.SophiaScalingOptions
    readonly after: readonly Json[]
  }[]
  readonly lbfgs: readonly LbfgsCase[]
  readonly rprop: readonly OptimiserCase[]
  readonly backtracking: readonly BacktrackingCase[]
}>(optimisersJson)

/** Steps of 0.1 in float32 are this exact, relative to the largest parameter. */
const TOLERANCE = 3e-6
/** Where a difference of nearly equal numbers is divided by. */
const LOOSE: Readonly<Record<string, number>> = {
  muon: 3e-5,
  radam: 1e-5,
  adan: 1e-5,
  rmsprop: 1e-5,
}
const AT = [1, 3, 7]
/** Optimisers that hold nothing in single precision when parameters are doubles; schedules do. */
const inDouble = /^(adam|nadam|amsgrad|adabelief|adan|yogi|lion|lamb|adagrad|sm3|muon|rmsprop)$/
const DOUBLE_TOLERANCE = 1e-12

function checkOptimiser(
  given: OptimiserCase,
  compile: boolean,
  { cast, tolerance }: Precision = { cast: f32Tree, tolerance: LOOSE[given.call] ?? TOLERANCE },
): void {
  const optimiser = perform(given) as optim.GradientTransformation
  const extra = ['polyakSgd', 'reduceOnPlateau'].includes(given.call) ? { value: 0.7 } : {}
  const step = (params: unknown, state: optim.OptState, grads: unknown) => {
    const [updates, next] = optimiser.update(grads, state, params, extra)
    return [optim.applyUpdates(params, updates), next] as const
  }
  const run = compile ? jit(step) : step
  let params = cast(cases.params)
  let state = optimiser.init(params)
  cases.gradients.forEach((g, i) => {
    ;[params, state] = run(params, state, cast(g))
    const place = AT.indexOf(i + 1)
    if (place < 0) return
    expectClose(params, given.after[place], tolerance, `after ${i + 1} updates`)
  })
  if (given.eval !== undefined) {
    expectClose(optim.scheduleFreeEvalParams(state, params), given.eval, 1e-5, 'averaged')
  }
}

describe(`optimisers, as Optax ${cases.optax} has them`, () => {
  it.each(cases.optimisers.map((c) => [titleOf(c), c] as const))('%s', (_, given) => {
    checkOptimiser(given, true)
  })
})

describe('optimisers of doubles are as exact as doubles', () => {
  const isExact = ({ call, args, options }: OptimiserCase): boolean =>
    inDouble.test(call) && args.every((arg) => typeof arg === 'number') && !options?.['weightDecay']
  it.each(cases.optimisers.filter(isExact).map((c) => [titleOf(c), c] as const))(
    '%s',
    (_, given) => {
      checkOptimiser(given, true, { cast: f64Tree, tolerance: DOUBLE_TOLERANCE })
    },
  )
})

describe('transformations, as Optax has them', () => {
  it.each(cases.transformations.map((c) => [titleOf(c), c] as const))('%s', (_, given) => {
    checkOptimiser(given, true)
    checkOptimiser(given, false)
  })

  it('lookahead', () => {
    const optimiser = optim.lookahead(optim.sgd(0.1, { momentum: 0.9 }), 3, 0.4)
    let params = optim.lookaheadParams(f32Tree(cases.params))
    let state = optimiser.init(params)
    const step = jit((p: optim.LookaheadParams<unknown>, s: optim.OptState, g: unknown) => {
      const [updates, next] = optimiser.update(g, s, p)
      return [optim.applyUpdates(p, updates), next] as const
    })
    cases.gradients.forEach((g, i) => {
      ;[params, state] = step(params, state, f32Tree(g))
      const place = AT.indexOf(i + 1)
      if (place >= 0) expectClose(params, cases.lookahead[place], TOLERANCE)
    })
  })
})

describe('sophia, as Optax has it', () => {
  /** Squares of gradients stand for the diagonal of the Hessian. */
  const squares: optim.GradientTransformation = {
    init: () => null,
    update: <P>(grads: P, state: optim.OptState): [P, optim.OptState] => [
      tree.map((g: NDArray) => np.square(g), grads) as P,
      state,
    ],
  }
  it.each(cases.sophia.map((c) => [JSON.stringify(c.options), c] as const))('%s', (_, given) => {
    const optimiser = optim.sophia(0.1, { ...given.options, hessianDiagonalFn: squares })
    const step = jit((params: unknown, state: optim.OptState, grads: unknown) => {
      const [updates, next] = optimiser.update(grads, state, params)
      return [optim.applyUpdates(params, updates), next] as const
    })
    let params = f32Tree(cases.params)
    let state = optimiser.init(params)
    cases.gradients.forEach((g, i) => {
      ;[params, state] = step(params, state, f32Tree(g))
      const place = AT.indexOf(i + 1)
      if (place >= 0) expectClose(params, given.after[place], TOLERANCE, `after ${i + 1} updates`)
    })
  })
})

describe('as PyTorch has it', () => {
  it.each(cases.rprop.map((c) => [titleOf(c), c] as const))('%s', (_, given) => {
    checkOptimiser(given, true)
    checkOptimiser(given, false)
  })
})

describe('line searches, as Optax has them', () => {
  interface P {
    readonly a: NDArray
    readonly b: NDArray
  }
  const functions: Readonly<Record<string, (p: P) => NDArray>> = {
    rosenbrock: ({ a, b }) =>
      np.sum(
        np.add(
          np.multiply(100, np.square(np.subtract(b, np.square(a)))),
          np.square(np.subtract(1, a)),
        ),
      ),
    quartic: ({ a, b }) =>
      np.add(
        np.add(np.sum(np.power(np.subtract(a, 1), 4)), np.sum(np.square(np.add(b, 0.5)))),
        np.multiply(0.1, np.sum(np.multiply(a, b))),
      ),
  }

  const f64 = (values: readonly number[]): NDArray => np.array(values, { dtype: 'float64' })

  it.each(cases.backtracking.map((c) => [`${c.loss} ${JSON.stringify(c.options)}`, c] as const))(
    'backtracking: %s',
    (_, { loss: name, rate, options, steps }) => {
      const loss = functions[name]
      const { maxBacktrackingSteps, ...rest } = options
      const search = optim.scaleByBacktrackingLinesearch(maxBacktrackingSteps, rest)
      const optimiser = optim.chain(optim.sgd(rate), search)
      const remembered = optim.valueAndGradFromState(loss)
      const step = jit((params: P, state: optim.OptState) => {
        const [value, grad] = options.storeGrad
          ? remembered(params, { state })
          : valueAndGrad(loss)(params)
        const extra = { value, grad, valueFn: loss }
        const [updates, next] = optimiser.update(grad, state, params, extra)
        return [optim.applyUpdates(params, updates), next] as const
      })
      let params: P = { a: f64([-1, 0.5]), b: f64([1, 2]) }
      let state = optimiser.init(params)
      for (const expected of steps) {
        ;[params, state] = step(params, state)
        expectClose(params, expected.params, 1e-9)
        const [, last] = state as [
          unknown,
          { learningRate: NDArray; info: { numLinesearchSteps: NDArray } },
        ]
        expect(last.learningRate.item()).toBeCloseTo(expected.rate, 12)
        expect(last.info.numLinesearchSteps.item()).toBe(expected.evaluations)
      }
      if (options.storeGrad) return
      expect(() => remembered(params, { state })).toThrow('this line search keeps no gradient')
    },
  )

  it.each(cases.lbfgs.map((c) => [`${c.loss} ${JSON.stringify(c.options)}`, c] as const))(
    '%s',
    (_, { loss: name, options, steps }) => {
      const loss = functions[name]
      const optimiser = optim.lbfgs(options)
      const step = jit((params: P, state: optim.OptState) => {
        const [value, gradient] = valueAndGrad(loss)(params)
        const [updates, next] = optimiser.update(gradient, state, params, {
          value,
          grad: gradient,
          valueFn: loss,
        })
        return [optim.applyUpdates(params, updates), next] as const
      })
      let params: P = { a: f64([-1, 0.5]), b: f64([1, 2]) }
      let state = optimiser.init(params)
      for (const expected of steps) {
        ;[params, state] = step(params, state)
        expectClose(params, expected.params, 1e-6)
        const [, , search] = state as [unknown, unknown, { info: { numLinesearchSteps: NDArray } }]
        expect(search.info.numLinesearchSteps.item()).toBe(expected.evaluations)
      }
    },
  )
})
