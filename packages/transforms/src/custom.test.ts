import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import {
  customJvp,
  customRoot,
  customVjp,
  customVmap,
  grad,
  jacfwd,
  jacrev,
  jit,
  jvp,
  makeJaxpr,
  scan,
  vmap,
} from './index'

setDevice('reference')
checkPasses(true)

const f32 = (x: number | number[]): NDArray => np.array(x, { dtype: 'float32' })
const numbers = (x: NDArray): number[] =>
  Array.from(x.dataSync(), Number).map((v) => Math.round(v * 1e4) / 1e4)

describe('customJvp', () => {
  // The rule is wrong on purpose, so that its use can be seen: f(x) = x³, ẏ = 5x²·ẋ.
  const f = customJvp((x: NDArray) => np.multiply(x, np.multiply(x, x)))
  f.defjvp(([x], [xDot]) => [
    np.multiply(x, np.multiply(x, x)),
    np.multiply(np.multiply(5, np.square(x)), xDot),
  ])

  it('uses the rule in both modes, and differentiates the rule', () => {
    expect(f(f32(2)).item()).toBe(8)
    expect(jvp(f, [f32(2)], [f32(1)])[1].item()).toBe(20)
    expect(grad(f)(f32(2)).item()).toBe(20)
    expect(grad(grad(f))(f32(2)).item()).toBe(20)
    expect(grad(jit(f))(f32(2)).item()).toBe(20)
    expect(jit(grad(f))(f32(2)).item()).toBe(20)
    expect(jit(grad(grad(jit(f))))(f32(2)).item()).toBe(20)
  })
  it('batches', () => {
    expect(numbers(vmap(grad(f))(f32([1, 2])))).toEqual([5, 20])
    expect(numbers(grad((x: NDArray) => np.sum(vmap(f)(x)))(f32([1, 2])))).toEqual([5, 20])
    expect(numbers(jit(vmap(grad(f)))(f32([1, 2])))).toEqual([5, 20])
    expect(numbers(grad((x: NDArray) => np.sum(jit(vmap(f))(x)))(f32([1, 2])))).toEqual([5, 20])
  })
  it('may close over tracers of outer transformations', () => {
    const outer = (w: NDArray): NDArray => {
      const g = customJvp((x: NDArray) => np.multiply(x, w)).defjvp(([x], [xDot]) => [
        np.multiply(x, w),
        np.multiply(np.multiply(xDot, w), 2),
      ])
      return grad(g)(f32(3))
    }
    expect(outer(f32(5)).item()).toBe(10)
    expect(grad(outer)(f32(5)).item()).toBe(2)
    expect(grad(jit(outer))(f32(5)).item()).toBe(2)
    expect(numbers(vmap(outer)(f32([5, 6])))).toEqual([10, 12])
    expect(numbers(vmap(jit(outer))(f32([5, 6])))).toEqual([10, 12])
  })
  it('lets JavaScript look at values outside of jit', () => {
    const g = customJvp((x: NDArray) => (Number(x.item()) > 0 ? x : np.negative(x))).defjvp(
      ([x], [xDot]) => [x, Number(x.item()) > 0 ? xDot : np.negative(xDot)],
    )
    expect(grad(g)(f32(-3)).item()).toBe(-1)
  })
  it('works inside of scan, with nondiff arguments, and prints', () => {
    const g = (x: NDArray): NDArray =>
      scan((c: NDArray, a: NDArray) => [np.add(f(c), a), null], x, f32([1, 2]))[0]
    // c1 = x³+1, out = c1³+2; with the rule: 5c1²·5x² = 25·(2²)·1
    expect(grad(g)(f32(1)).item()).toBe(100)
    const h = customJvp((n: number, x: NDArray) => np.multiply(x, n), { nondiffArgnums: 0 })
    h.defjvp((n, [x], [xDot]) => [np.multiply(x, n), np.multiply(xDot, n * 10)])
    expect(grad((x: NDArray) => h(3, x))(f32(1)).item()).toBe(30)
    expect(String(makeJaxpr(f)(f32(1)))).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          b:f32[] = custom_jvp_call[
            name=<lambda>
            call_jaxpr={ lambda ; c:f32[]. let
                d:f32[] = mul c c
                e:f32[] = mul c d
              in (e,) }
            jvp=jvp
            num_consts=0
            symbolic_zeros=False
          ] a
        in (b,) }"
    `)
  })
  it('refuses what it cannot do', () => {
    const g = customJvp((x: NDArray) => x)
    expect(() => g(f32(1))).toThrow(/has no rule yet/)
    const h = customJvp((x: NDArray) => x).defjvp(([x], [xDot]) => [x, np.stack([xDot, xDot])])
    expect(() => grad(h)(f32(1))).toThrow(/yDot does not fit its result/)
  })
})

describe('customVjp', () => {
  const f = customVjp((x: NDArray, y: NDArray) => np.multiply(x, y)).defvjp(
    (x, y) => [np.multiply(x, y), { x, y }],
    (r, zBar) => [np.multiply(zBar, np.multiply(r.y, 10)), np.multiply(zBar, r.x)],
  )
  it('pulls back by the rule', () => {
    expect(grad(f, { argnums: [0, 1] })(f32(2), f32(3)).map((x) => x.item())).toEqual([30, 2])
    expect(grad(jit(f), { argnums: [0, 1] })(f32(2), f32(3)).map((x) => x.item())).toEqual([30, 2])
    expect(jit(grad(f))(f32(2), f32(3)).item()).toBe(30)
    expect(grad(grad(f), { argnums: 1 })(f32(2), f32(3)).item()).toBe(10)
    expect(jacrev(f)(f32(2), f32(3)).item()).toBe(30)
  })
  it('batches, and sums over examples for arguments that are the same for all', () => {
    const xs = f32([1, 2])
    expect(numbers(vmap(grad(f), { inAxes: [0, null] })(xs, f32(3)))).toEqual([30, 30])
    const total =
      (wrap: (g: typeof f) => typeof f) =>
      (x: NDArray, y: NDArray): NDArray =>
        np.sum(vmap(wrap(f), { inAxes: [0, null] })(x, y))
    for (const wrap of [(g: typeof f) => g, jit]) {
      const [xBar, yBar] = grad(total(wrap as typeof jit), { argnums: [0, 1] })(xs, f32(3))
      expect(numbers(xBar)).toEqual([30, 30])
      expect(yBar.item()).toBe(3)
    }
  })
  it('refuses forward mode', () => {
    expect(() => jvp(f, [f32(1), f32(1)], [f32(1), f32(1)])).toThrow(
      /can't apply forward-mode autodiff \(jvp\) to a customVjp function/,
    )
    expect(() => jacfwd(jit(f))(f32(1), f32(1))).toThrow(/forward-mode/)
  })
  it('says what is wrong with its rules', () => {
    const none = customVjp((x: NDArray) => x)
    expect(() => none(f32(1))).toThrow(/no VJP defined/)
    const short = customVjp((x: NDArray, y: NDArray) => np.add(x, y)).defvjp(
      (x, y) => [np.add(x, y), null],
      ((_r: null, z: NDArray) => [z]) as never,
    )
    expect(() => grad(short)(f32(1), f32(1))).toThrow(/returned 1 cotangents for 2 arguments/)
  })
  it('takes null for zero, integer arguments, and works in scan', () => {
    const g = customVjp((x: NDArray, i: NDArray) => np.multiply(x, i)).defvjp(
      (x, i) => [np.multiply(x, i), i],
      (i, yBar) => [np.multiply(np.multiply(yBar, i), 2), null],
    )
    expect(grad(g)(f32(1), np.array(3)).item()).toBe(6)
    const looped = (x: NDArray): NDArray =>
      scan((c: NDArray, i: NDArray) => [g(c, i), null], x, np.array([1, 2, 3]))[0]
    expect(grad(looped)(f32(1)).item()).toBe(48)
    expect(grad(jit(looped))(f32(1)).item()).toBe(48)
    expect(numbers(vmap(grad(looped))(f32([1, 2])))).toEqual([48, 48])
  })
})

describe('customVmap', () => {
  const seen: unknown[] = []
  const f = customVmap((x: NDArray, y: NDArray) => np.multiply(x, y)).defvmap(
    (size, inBatched, x, y) => {
      seen.push([size, inBatched])
      return [np.multiply(np.multiply(x, y), 100), true]
    },
  )
  it('uses the rule when it is mapped, and not otherwise', () => {
    expect(f(f32(2), f32(3)).item()).toBe(6)
    expect(numbers(vmap(f, { inAxes: [0, null] })(f32([1, 2]), f32(3)))).toEqual([300, 600])
    expect(seen).toEqual([[2, [true, false]]])
    expect(numbers(jit(vmap(f))(f32([1, 2]), f32([1, 2])))).toEqual([100, 400])
    expect(grad(f)(f32(2), f32(3)).item()).toBe(3)
  })
})

describe('numbers as tangents', () => {
  it('take the type of what they belong to', () => {
    // The derivative of f at the root, applied to 1 as a user writes it.
    const root = (a: NDArray): NDArray =>
      customRoot(
        (x: NDArray) => np.subtract(np.multiply(x, x), a),
        f32(1),
        () => np.sqrt(a),
        (g, y) => np.divide(y, g(1)),
      )
    expect(grad(root)(f32(4)).item()).toBeCloseTo(0.25)
  })
})

describe('closures over mapped values', () => {
  type Scaled = (x: NDArray) => (y: NDArray) => NDArray
  const byJvp: Scaled = (x) =>
    customJvp((y: NDArray) => np.multiply(y, x)).defjvp(([y], [yDot]) => [
      np.multiply(y, x),
      np.multiply(np.multiply(yDot, x), x),
    ])
  const byVjp: Scaled = (x) =>
    customVjp((y: NDArray) => np.multiply(y, x)).defvjp(
      (y) => [np.multiply(y, x), null],
      (_residuals, yBar) => [np.multiply(np.multiply(yBar, x), x)],
    )
  const xs = f32([2, 3])

  for (const [name, scaled] of Object.entries({ customJvp: byJvp, customVjp: byVjp })) {
    it(`of ${name}, whether or not its arguments are mapped`, () => {
      const [own, other] = [(x: NDArray) => scaled(x)(x), (x: NDArray) => scaled(x)(f32(5))]
      const slope = (x: NDArray): NDArray => grad(scaled(x))(f32(5))
      const wraps: readonly ((f: typeof own) => typeof own)[] = [
        (f) => vmap(f),
        (f) => jit(vmap(f)),
        (f) => vmap(jit(f)),
      ]
      for (const wrap of wraps) {
        expect(numbers(wrap(own)(xs))).toEqual([4, 9])
        expect(numbers(wrap(other)(xs))).toEqual([10, 15])
        expect(numbers(wrap(slope)(xs))).toEqual([4, 9])
      }
    })
    it(`of ${name} are refused where they are differentiated`, () => {
      for (const f of [(x: NDArray) => scaled(x)(x), jit((x: NDArray) => scaled(x)(x))]) {
        expect(() => grad(f)(f32(2))).toThrow(/closed-over value[^]*pass the value as an argument/)
      }
    })
  }
})
