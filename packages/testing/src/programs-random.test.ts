/**
 * Random programs under random stacks of transformations compute what the stack means, on every
 * device; and whatever is done to a program on its way to a device leaves its values alone.
 */
import { np, setDevice, type NDArray } from '@adjoint/core'
import {
  checkJaxpr,
  checkPasses,
  evaluateJaxpr,
  fromHostArray,
  hostArray,
  optimize,
  withDevice,
} from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ArbitraryProgram, jaxprOf } from './arbitrary-program'
import { arbitraryTransformations, type Endomorphism } from './arbitrary-transformations'
import { checkGrads } from './check-grads'
import {
  devicesAgree,
  doublesOf,
  expectClose,
  float32Allowance,
  nearby,
  onDevice,
  programs,
  runs,
  sizeOf,
} from './random-programs.fixture'

beforeAll(() => {
  checkPasses(true)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  setDevice('wasm')
})

/** A line through a point, with another slope in every coordinate of every argument. */
const along = (x: NDArray, argument: number, t: number): NDArray =>
  fromHostArray(
    hostArray(
      x.aval,
      Float64Array.from(doublesOf(x), (v, i) => v + t * (1 - 0.37 * i + 0.61 * argument)),
    ),
  )

const agree = (xs: Float64Array, ys: Float64Array, allowed: number): boolean =>
  xs.every((x, i) => Math.abs(x - (ys[i] ?? 0)) < allowed)

/** A program as a function from one array to another of its shape, of size about 1. */
const endomorphismOf =
  ({ f }: ArbitraryProgram): Endomorphism =>
  (x) => {
    const y = f(x)
    const fitting = y.shape.join() === x.shape.join() ? y : np.mean(y)
    return np.sin(np.add(np.multiply(x, 0.5), fitting))
  }

describe('random programs', () => {
  it('under random stacks of transformations mean what the stack means', () => {
    fc.assert(
      fc.property(programs(1, 1), arbitraryTransformations(), ({ program, xs: [x] }, stack) => {
        const f = endomorphismOf(program)
        const meaning = stack.meaning(f)
        const [expected, besides] = [doublesOf(meaning(x)), doublesOf(meaning(nearby(x)))]
        const allowance = float32Allowance(expected, besides)
        fc.pre(allowance !== null)
        if (allowance === null) return
        const exact = { relative: 0, absolute: 1e-8 * sizeOf(expected) }
        expectClose('on the reference device', stack.transform(f)(x), expected, exact)
        expectClose('compiled on the reference device', jit(stack.transform(f))(x), expected, exact)
        const compiled = withDevice('wasm', () => jit(stack.transform(f))(onDevice(x)))
        expectClose('compiled to WebAssembly', compiled, expected, allowance)
      }),
      runs(40),
    )
  })

  it('have the derivatives of finite differences', () => {
    fc.assert(
      fc.property(programs(2, 1), ({ program: { f }, xs }) => {
        const moved = (t: number): Float64Array =>
          doublesOf(f(...xs.map((x, argument) => along(x, argument, t))))
        const here = moved(0)
        // Near ties of extrema and jumps of `where`, differences with two steps disagree.
        const [fine, coarse] = [1e-4, 1e-3].map((h) => {
          const [plus, minus] = [moved(h), moved(-h)]
          const first = plus.map((y, i) => (y - (minus[i] ?? 0)) / (2 * h))
          const second = plus.map((y, i) => (y - 2 * (here[i] ?? 0) + (minus[i] ?? 0)) / h ** 2)
          return { first, second }
        })
        const scale = Math.max(sizeOf(fine.first), sizeOf(coarse.second))
        fc.pre(
          agree(fine.first, coarse.first, 1e-2 * scale) &&
            agree(fine.second, coarse.second, 1e-1 * scale),
        )
        checkGrads(f, xs, { order: 2, tolerance: { relative: 1e-4, absolute: 1e-4 * scale } })
      }),
      runs(20),
    )
  })

  it('are their jaxprs, optimised or not', () => {
    fc.assert(
      fc.property(programs(2, 2), ({ program, xs }) => {
        const { jaxpr, constants } = jaxprOf(program)
        checkJaxpr(jaxpr)
        const expected = doublesOf(program.f(...xs))
        const optimised = optimize(jaxpr)
        checkJaxpr(optimised)
        const exact = { relative: 0, absolute: 1e-10 * sizeOf(expected) }
        expectClose('the jaxpr', evaluateJaxpr(jaxpr, [...constants, ...xs])[0], expected, exact)
        expectClose(
          'the optimised jaxpr',
          evaluateJaxpr(optimised, [...constants, ...xs])[0],
          expected,
          exact,
        )
      }),
      runs(40),
    )
  })

  it('compute the same on every device, eagerly and compiled', () => {
    fc.assert(fc.property(programs(2, 1), devicesAgree), runs(15))
  })
})
