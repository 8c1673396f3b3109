/** Rules that call their own function, as rules do to compute the primal result. */
import { np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { customJvp } from './custom-jvp'
import { customVjp } from './custom-vjp'
import { grad } from './grad'
import { jit } from './jit/jit'
import { jvp } from './jvp'
import { vmap } from './vmap'

/** x³, whose rules scale the derivative by 2 each time, so that it shows which rule was used. */
const cubeJvp: (x: NDArray) => NDArray = customJvp((x: NDArray) => np.power(x, 3)).defjvp(
  ([x], [xDot]) => [cubeJvp(x), np.multiply(np.multiply(6, np.square(x)), xDot)],
)

const expVjp: (x: NDArray) => NDArray = customVjp((x: NDArray) => np.exp(x)).defvjp(
  (x: NDArray) => {
    const y = expVjp(x)
    return [y, y] as const
  },
  (y: NDArray, yBar: NDArray) => [np.multiply(np.multiply(2, y), yBar)] as const,
)

/** 1/x, whose backward function calls the function. */
const inverse: (x: NDArray) => NDArray = customVjp((x: NDArray) => np.reciprocal(x)).defvjp(
  (x: NDArray) => [np.reciprocal(x), x] as const,
  (x: NDArray, yBar: NDArray) =>
    [np.multiply(np.multiply(-2, np.square(inverse(x))), yBar)] as const,
)

const x = np.array(1.5)
const wrappers = {
  plain: (f: (x: NDArray) => NDArray) => f,
  jit: (f: (x: NDArray) => NDArray) => jit(f),
  vmap: (f: (x: NDArray) => NDArray) => (x: NDArray) => vmap(f)(np.stack([x, x])).get(0),
}

describe.each(Object.entries(wrappers))('under %s', (_name, wrap) => {
  it('a jvp rule that calls its function, to second order', () => {
    expect(wrap(cubeJvp)(x).item()).toBeCloseTo(3.375, 5)
    expect(wrap(grad(cubeJvp))(x).item()).toBeCloseTo(13.5, 5)
    expect(wrap(grad(grad(cubeJvp)))(x).item()).toBeCloseTo(18, 4)
    expect(grad(wrap(cubeJvp))(x).item()).toBeCloseTo(13.5, 5)
  })

  it('a forward function that calls its function, to second order', () => {
    expect(wrap(expVjp)(x).item()).toBeCloseTo(Math.exp(1.5), 5)
    expect(wrap(grad(expVjp))(x).item()).toBeCloseTo(2 * Math.exp(1.5), 5)
    // The residual y is expVjp(x) itself, so its derivative carries the factor once more.
    expect(wrap(grad(grad(expVjp)))(x).item()).toBeCloseTo(4 * Math.exp(1.5), 4)
  })

  it('a backward function that calls its function, to second order', () => {
    expect(wrap(inverse)(x).item()).toBeCloseTo(1 / 1.5, 6)
    expect(wrap(grad(inverse))(x).item()).toBeCloseTo(-2 / 2.25, 5)
    // d(−2 f²)/dx = −4 f f′ with f′ = −2 f².
    expect(wrap(grad(grad(inverse)))(x).item()).toBeCloseTo(8 / 1.5 ** 3, 4)
  })
})

describe('a rule that cannot be traced', () => {
  const f = customVjp((x: NDArray) => np.sin(x)).defvjp(
    (x: NDArray) => [np.sin(x), x] as const,
    (x: NDArray) => [np.array(Math.cos(Number(x)))] as const,
  )

  it('matters only where the derivative is asked for', () => {
    expect(jit(f)(x).item()).toBeCloseTo(Math.sin(1.5), 6)
    expect(() => jit(grad(f))(x)).toThrow('has no value yet')
    expect(jit(f)(x).item()).toBeCloseTo(Math.sin(1.5), 6)
  })
})

describe('a rule that returns another type than its function', () => {
  const message = 'the rule returns another type of result than the function'
  const twice = (x: NDArray): NDArray => np.stack([np.sum(x), np.sum(x)])
  const xs = np.array([1.5, 2])

  it('is refused where its derivative is asked for, and nowhere else', () => {
    const f = customJvp((x: NDArray) => np.sum(x)).defjvp(([x], [xDot]) => [twice(x), twice(xDot)])
    expect(jit(f)(xs).item()).toBe(3.5)
    expect(() => jit((x: NDArray) => jvp(f, [x], [x])[0])(xs)).toThrow(message)
    expect(() => jit(grad(f))(xs)).toThrow(message)

    const g = customVjp((x: NDArray) => np.sum(x)).defvjp(
      (x: NDArray) => [twice(x), x] as const,
      (x: NDArray, yBar: NDArray) => [np.multiply(x, np.sum(yBar))] as const,
    )
    expect(jit(g)(xs).item()).toBe(3.5)
    expect(() => jit(grad((x: NDArray) => np.sum(g(x))))(xs)).toThrow(message)
  })
})
