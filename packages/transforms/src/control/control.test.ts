import { np, setDevice, type NDArray } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import {
  cond,
  foriLoop,
  grad,
  jacfwd,
  jacrev,
  jit,
  jvp,
  makeJaxpr,
  map,
  scan,
  switchCase,
  vjp,
  vmap,
  whileLoop,
} from '../index'

setDevice('reference')
checkPasses(true)

const f32 = (x: number | number[]): NDArray => np.array(x, { dtype: 'float32' })
const close = (actual: NDArray, expected: unknown): void => {
  const flat = (x: unknown): number[] => (Array.isArray(x) ? x.flatMap(flat) : [Number(x)])
  const a = flat(actual.toArray())
  const e = flat(expected)
  expect(a.length).toBe(e.length)
  a.forEach((x, i) => expect(x).toBeCloseTo(e[i], 4))
}

// c ↦ sin(c)·a + w, ys = c·w
const program = (w: NDArray, c0: NDArray, as: NDArray): [NDArray, NDArray] =>
  scan(
    (c: NDArray, a: NDArray) => [np.add(np.multiply(np.sin(c), a), np.exp(w)), np.multiply(c, w)],
    c0,
    as,
  )
const unrolled = (w: NDArray, c0: NDArray, as: NDArray): [NDArray, NDArray] => {
  let c = c0
  const ys: NDArray[] = []
  for (let i = 0; i < as.shape[0]; i++) {
    ys.push(np.multiply(c, w))
    c = np.add(np.multiply(np.sin(c), as.get(i)), np.exp(w))
  }
  return [c, np.stack(ys)]
}
const loss =
  (f: typeof program) =>
  (w: NDArray, c0: NDArray, as: NDArray): NDArray => {
    const [c, ys] = f(w, c0, as)
    return np.add(np.multiply(c, c), np.sum(np.square(ys)))
  }

describe('scan', () => {
  const w = f32(0.3)
  const c0 = f32(0.7)
  const as = f32([1.5, -0.5, 2])

  it('is the loop written out', () => {
    const [c, ys] = program(w, c0, as)
    const [c2, ys2] = unrolled(w, c0, as)
    close(c, c2.toArray())
    close(ys, ys2.toArray())
  })

  for (const [name, wrap] of [
    ['eager', (f: never) => f],
    ['jit', jit],
  ] as const) {
    it(`differentiates in reverse (${name})`, () => {
      const g = grad((wrap as typeof jit)(loss(program)), { argnums: [0, 1, 2] })(w, c0, as)
      const h = grad(loss(unrolled), { argnums: [0, 1, 2] })(w, c0, as)
      g.forEach((x, i) => close(x, h[i].toArray()))
    })
    it(`differentiates twice (${name})`, () => {
      const second = (f: typeof program) =>
        grad((x: NDArray) =>
          np.sum(grad((wrap as typeof jit)(loss(f)), { argnums: 2 })(x, c0, as)),
        )(w)
      close(second(program), second(unrolled).toArray())
    })
    it(`forward (${name})`, () => {
      const f = (wrap as typeof jit)((x: NDArray, c: NDArray) => loss(program)(x, c, as))
      const h = (x: NDArray, c: NDArray) => loss(unrolled)(x, c, as)
      const t = [f32(0.5), f32(-1)] as [NDArray, NDArray]
      close(jvp(f, [w, c0], t)[1], jvp(h, [w, c0], t)[1].toArray())
    })
    it(`vmaps, and vmaps gradients (${name})`, () => {
      const ws = f32([0.1, 0.2, 0.3, 0.4])
      const f = (wrap as typeof jit)(loss(program))
      close(
        vmap(f, { inAxes: [0, null, null] })(ws, c0, as),
        [0.1, 0.2, 0.3, 0.4].map((x) => loss(unrolled)(np.array(x), c0, as).item()),
      )
      const all = np.stack([as, np.multiply(as, 2), np.multiply(as, 3), np.multiply(as, 4)])
      const g = vmap(grad(f, { argnums: 2 }), { inAxes: [0, null, 1], outAxes: 1 })(ws, c0, all.T)
      const h = [0, 1, 2, 3].map((i) =>
        grad(loss(unrolled), { argnums: 2 })(ws.get(i), c0, all.get(i)).toArray(),
      )
      close(g.T, h)
    })
  }
  it('grad of vmap', () => {
    const ws = f32([0.1, 0.2, 0.3, 0.4])
    const g = grad((v: NDArray) =>
      np.sum(vmap(loss(program), { inAxes: [0, null, null] })(v, c0, as)),
    )(ws)
    const h = [0, 1, 2, 3].map((i) => grad(loss(unrolled))(ws.get(i), c0, as).item())
    close(g, h)
  })
  it('reverses, takes trees, hoists what no step changes', () => {
    const [c, ys] = scan(
      (carry: { a: NDArray }, x: NDArray) => [{ a: np.add(np.multiply(carry.a, 2), x) }, carry.a],
      { a: f32(1.5) },
      f32([1, 2, 3]),
      { reverse: true },
    )
    // c: 1.5 → 6 → 14 → 29
    close(c.a, 29)
    close(ys, [14, 6, 1.5])
    // exp(w) is a residual that no step changes: the backward loop receives it as a constant, and the
    // slices of `as` are not stored a second time.
    const [forward, backward] = makeJaxpr(grad(loss(program)))(w, c0, as).jaxpr.equations.filter(
      (e) => e.primitive.name === 'scan',
    )
    expect([forward.outputs.length, backward.inputs.length, backward.params.numConsts]).toEqual([
      4, 8, 2,
    ])
    expect(String(backward.params.jaxpr)).not.toMatch(/exp|sin|cos/)
  })
  it('map', () => {
    close(
      map((x: NDArray) => np.multiply(x, x), f32([1, 2, 3])),
      [1, 4, 9],
    )
  })
})

describe('while, fori', () => {
  it('runs and differentiates forward', () => {
    const f = (x: NDArray): NDArray =>
      whileLoop(
        (c: NDArray) => np.less(c, 10),
        (c: NDArray) => np.multiply(c, x),
        f32(1.5),
      )
    close(f(f32(2)), 12)
    close(f(f32(2.5)), 1.5 * 2.5 ** 3)
    close(jvp(f, [f32(2)], [f32(1)])[1], 1.5 * 3 * 4)
    close(jacfwd(f)(f32(2)), 1.5 * 3 * 4)
    expect(() => grad(f)(f32(2))).toThrow(/reverse mode/)
    close(vmap(f)(f32([2, 3, 1.5])), [12, 13.5, 1.5 * 1.5 ** 5])
    close(jit(vmap(f))(f32([2, 3, 1.5])), [12, 13.5, 1.5 * 1.5 ** 5])
    close(vmap((y: NDArray) => jvp(f, [y], [f32(1)])[1])(f32([2, 3])), [18, 1.5 * 6])
  })
  it('fori', () => {
    const f = (x: NDArray): NDArray =>
      foriLoop(0, 4, (i, c: NDArray) => np.multiply(np.add(c, i), x), f32(1))
    const g = (x: number) => [0, 1, 2, 3].reduce((c, i) => (c + i) * x, 1)
    close(f(f32(1.5)), g(1.5))
    close(grad(f)(f32(1.5)), (g(1.5001) - g(1.4999)) / 0.0002)
    const h = jit((n: NDArray, x: NDArray) =>
      foriLoop(0, n, (_i, c: NDArray) => np.multiply(c, x), f32(1)),
    )
    close(h(np.array(3, { dtype: 'int32' }), f32(2)), 8)
    close(
      foriLoop(0, 5, (i, sum) => sum.add(i), 0),
      10,
    )
  })
  it('differentiates a fori in reverse whose bounds are known arrays', () => {
    const [lower, upper] = np.array([0, 3])
    const power = (x: NDArray): NDArray =>
      foriLoop(lower, upper, (_i, c: NDArray) => np.multiply(c, x), f32(1))
    close(grad(power)(f32(2)), 12)
    close(jit(grad(power))(f32(2)), 12)
  })
  it('unrolls by any number to the same values', () => {
    for (const unroll of [1, 2, 7, true, false]) {
      const [sum] = scan((c: NDArray, x: NDArray) => [c.add(x), null], f32(0), f32([1, 2, 3]), {
        unroll,
      })
      close(sum, 6)
    }
  })
})

describe("errors of loops name what was called, and the user's own carry", () => {
  const failure = (call: () => unknown): string => {
    try {
      call()
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
    return 'no error'
  }
  const wider = (_i: NDArray, c: { a: NDArray }): { a: NDArray } => ({ a: np.stack([c.a, c.a]) })
  const bare = (_i: NDArray, c: { a: NDArray }): never => c.a as never

  it('foriLoop with known bounds', () => {
    expect(failure(() => foriLoop(0, 3, wider, { a: f32(1) }))).toMatchInlineSnapshot(`
      "foriLoop(wider): carry.a changes its shape
        carry:     f32[]
        new carry: f32[2]
        at: carry.a
        rule: a carry has one type in all steps
        hint: carries cannot grow: collect results as ys instead"
    `)
    expect(failure(() => foriLoop(0, 3, bare, { a: f32(1) }))).toMatchInlineSnapshot(`
      "foriLoop(bare): the carry and the new carry have different tree structures: an object here, a leaf there
        at: carry
        rule: the carry is {a: *}, the new carry is *
        hint: give both trees the same keys and lengths
        inside: foriLoop of bare"
    `)
  })
  it('foriLoop with traced bounds', () => {
    const run = (body: typeof wider) => () =>
      jit((n: NDArray) => foriLoop(0, n, body, { a: f32(1) }))(np.array(3))
    expect(failure(run(wider))).toMatchInlineSnapshot(`
      "foriLoop(wider): carry.a changes its shape
        carry:     f32[]
        new carry: f32[2]
        at: carry.a
        rule: a carry has one type in all steps
        hint: carries cannot grow: collect results as ys instead
        inside: jit"
    `)
    expect(failure(run(bare))).toMatchInlineSnapshot(`
      "foriLoop(bare): the carry and the new carry have different tree structures: an object here, a leaf there
        at: carry
        rule: the carry is {a: *}, the new carry is *
        hint: give both trees the same keys and lengths
        inside: jit of foriLoop of bare"
    `)
  })
  it('map', () => {
    expect(failure(() => map((x: NDArray) => x, f32(1)))).toMatchInlineSnapshot(`
      "map: xs is a scalar and has no axis to scan over
        xs: f32[]
        at: xs
        rule: every leaf of xs has a leading axis, one slice per step
        hint: close over values that are the same in all steps"
    `)
  })
})

describe('cond', () => {
  const f = (x: NDArray): NDArray =>
    cond(
      np.greater(x, 0),
      (y: NDArray) => np.sqrt(y),
      (y: NDArray) => np.multiply(y, y),
      x,
    )
  it('chooses', () => {
    close(f(f32(4)), 2)
    close(f(f32(-3)), 9)
    close(grad(f)(f32(4)), 0.25)
    close(grad(f)(f32(-3)), -6)
    close(grad(jit(f))(f32(-3)), -6)
    close(jit(grad(f))(f32(4)), 0.25)
    close(grad(grad(f))(f32(-3)), 2)
    close(jacfwd(f)(f32(-3)), -6)
    close(jacrev(f)(f32(-3)), -6)
  })
  it('shields the untaken branch under vmap', () => {
    const xs = f32([4, 0, -3])
    close(vmap(f)(xs), [2, 0, 9])
    close(vmap(grad(f))(xs), [0.25, 0, -6])
    close(grad((v: NDArray) => np.sum(vmap(f)(v)))(xs), [0.25, 0, -6])
  })
  it('switch', () => {
    const g = (i: NDArray, x: NDArray): NDArray =>
      switchCase(
        i,
        [(y: NDArray) => np.sin(y), (y: NDArray) => np.multiply(y, 3), (y: NDArray) => np.exp(y)],
        x,
      )
    const i = np.array([0, 1, 2, 7], { dtype: 'int32' })
    close(vmap(g, { inAxes: [0, null] })(i, f32(0.5)), [
      Math.sin(0.5),
      1.5,
      Math.exp(0.5),
      Math.exp(0.5),
    ])
    close(vjp((x: NDArray) => g(np.array(1, { dtype: 'int32' }), x), f32(0.5))[1](f32(1))[0], 3)
  })
})
