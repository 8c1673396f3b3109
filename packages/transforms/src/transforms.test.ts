import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  associativeScan,
  evalShape,
  grad,
  jacfwd,
  jacrev,
  jit,
  jvp,
  linearize,
  linearTranspose,
  makeJaxpr,
  psum,
  scan,
  stopGradient,
  valueAndGrad,
  vjp,
  vmap,
  whileLoop,
} from './index'

setDevice('reference')
checkPasses(true)

const f32 = (x: number | readonly unknown[]): NDArray => np.array(x as number, { dtype: 'float32' })
const item = (x: NDArray): number => Number(x.item())
const message = (f: () => unknown): string => {
  try {
    f()
  } catch (error) {
    return String(error)
  }
  return 'no error'
}

describe('perturbations never mix', () => {
  it('in nested gradients', () => {
    expect(
      item(
        grad((x: NDArray) => np.multiply(x, grad((y: NDArray) => np.add(x, y))(f32(1))))(f32(2)),
      ),
    ).toBe(1)
    const mixed = grad((x: NDArray) =>
      np.multiply(x, jvp((y: NDArray) => np.multiply(x, y), [f32(3)], [f32(1)])[1]),
    )
    expect(item(mixed(f32(2)))).toBe(4)
    expect(
      item(
        grad((x: NDArray) => jit(grad((y: NDArray) => np.multiply(np.multiply(x, y), y)))(x))(
          f32(3),
        ),
      ),
    ).toBe(12)
  })
  it('for any stack of transformations of x·y², taken at the same point', () => {
    // d/dx of (d/dy x·y²)(x) = d/dx 2x² = 4x
    const inner = [
      grad,
      (f: (y: NDArray) => NDArray) => (y: NDArray) => jvp(f, [y], [f32(1)])[1],
      jacfwd,
      jacrev,
      (f: (y: NDArray) => NDArray) => grad(jit(f)),
      (f: (y: NDArray) => NDArray) => jit(grad(f)),
      (f: (y: NDArray) => NDArray) => (y: NDArray) => linearize(f, y)[1](f32(1)),
      (f: (y: NDArray) => NDArray) => (y: NDArray) => vmap(grad(f))(y.reshape([1])).reshape([]),
    ] as readonly ((f: (y: NDArray) => NDArray) => (y: NDArray) => NDArray)[]
    for (const outer of inner) {
      for (const middle of inner) {
        const f = outer((x) => middle((y) => np.multiply(x, np.multiply(y, y)))(x))
        expect(item(f(f32(3)))).toBe(12)
      }
    }
  })
})

describe('any composition', () => {
  type Fn = (x: NDArray) => NDArray
  const steps: Readonly<Record<string, { readonly apply: (f: Fn) => Fn; readonly order: number }>> =
    {
      jit: { apply: (f) => jit(f), order: 0 },
      grad: { apply: (f) => grad(f), order: 1 },
      jacfwd: { apply: (f) => jacfwd(f), order: 1 },
      jvp: { apply: (f) => (x) => jvp(f, [x], [f32(1)])[1], order: 1 },
      vmap: { apply: (f) => (x) => vmap(f)(np.stack([x, np.multiply(x, 2)])).get(0), order: 0 },
      scan: {
        apply: (f) => (x) =>
          scan((c: NDArray, _x: null) => [c, f(x)], x, null, { length: 1 })[1].get(0),
        order: 0,
      },
    }
  // sin(2x) and its derivatives: 2ⁿ sin(2x + nπ/2)
  it('has the right derivative', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 5 }), (names) => {
        const base: Fn = (x) => np.sin(np.multiply(x, 2))
        const f = names.reduce((g, name) => steps[name].apply(g), base)
        const n = names.reduce((sum, name) => sum + steps[name].order, 0)
        expect(item(f(f32(0.4)))).toBeCloseTo(2 ** n * Math.sin(0.8 + (n * Math.PI) / 2), 3)
      }),
      { numRuns: 60 },
    )
  })
})

describe('derivatives', () => {
  it('of trees have the tree', () => {
    const p = { b: f32([1, 2]), a: [f32(3), null] as const }
    const g = grad((q: typeof p) => np.add(np.sum(np.square(q.b)), np.multiply(q.a[0], 5)))(p)
    expect([g.b.toArray(), item(g.a[0]), g.a[1]]).toEqual([[2, 4], 5, null])
  })
  it('value, aux, argnums', () => {
    const f = (x: NDArray, y: NDArray) => [np.multiply(x, y), { sum: np.add(x, y) }] as const
    const [[value, aux], g] = valueAndGrad(f, { hasAux: true, argnums: 1 })(f32(2), f32(3))
    expect([item(value), item(aux.sum), item(g)]).toEqual([6, 5, 2])
    expect(item(grad((x: number) => np.multiply(x, x))(3))).toBe(6)
  })
  it('vjp, linearize, linearTranspose', () => {
    const [y, pullback] = vjp(
      (x: NDArray, z: NDArray) => ({ p: np.multiply(x, z), q: x }),
      f32(2),
      f32(3),
    )
    expect(item(y.p)).toBe(6)
    expect(pullback({ p: f32(1), q: f32(10) }).map(item)).toEqual([13, 2])
    const [, linear] = linearize((x: NDArray) => np.multiply(x, np.sin(x)), f32(2))
    expect(item(linear(f32(2)))).toBeCloseTo(2 * (Math.sin(2) + 2 * Math.cos(2)), 5)
    expect(
      linearTranspose((x: NDArray) => np.multiply(np.sum(x), 3), f32([1, 2]))(f32(2))[0].toArray(),
    ).toEqual([6, 6])
    expect(
      message(() => linearTranspose((x: NDArray) => np.multiply(x, x), f32(1))(f32(1))),
    ).toMatch(/linear/)
  })
  it('stop at stopGradient', () => {
    expect(item(grad((x: NDArray) => np.multiply(x, stopGradient(x)))(f32(3)))).toBe(3)
  })
  it('associativeScan', () => {
    for (const n of [1, 2, 3, 5, 8]) {
      const x = np.arange(1, n + 1, 1, { dtype: 'float32' })
      const sums = (reverse: boolean) =>
        associativeScan((a: NDArray, b: NDArray) => np.add(a, b), x, { reverse }).toArray()
      const expected = Array.from({ length: n }, (_, i) => ((i + 1) * (i + 2)) / 2)
      expect(sums(false)).toEqual(expected)
      expect(sums(true)).toEqual(expected.map((_, i) => (n * (n + 1)) / 2 - (i * (i + 1)) / 2))
    }
    const g = grad((x: NDArray) =>
      np.sum(associativeScan((a: NDArray, b: NDArray) => np.multiply(a, b), x)),
    )(f32([2, 3, 4]))
    expect(g.toArray()).toEqual([1 + 3 + 12, 2 + 8, 6])
  })
  it('evalShape, makeJaxpr', () => {
    expect(String(evalShape((x: NDArray) => np.matmul(x, x.T), np.zeros([2, 3])).shape)).toBe('2,2')
    expect(String(makeJaxpr((x: NDArray) => np.sin(x))(f32(1)))).toBe(
      '{ lambda ; a:f32[]. let b:f32[] = sin a in (b,) }',
    )
    const w = f32([1, 2])
    expect(String(makeJaxpr((x: NDArray) => np.multiply(x, w))(w))).toBe(
      '{ lambda a:f32[2]; b:f32[2]. let c:f32[2] = mul b a in (c,) }',
    )
    const f = jit((x: NDArray) => np.multiply(np.sin(x), 2), { name: 'f' })
    expect(String(makeJaxpr((x: NDArray) => np.add(f(x), x))(f32(1)))).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          b:f32[] = jit[
            name=f
            jaxpr={ lambda ; c:f32[]. let
                d:f32[] = sin c
                e:f32[] = mul d 2.0:f32[]
              in (e,) }
          ] a
          f:f32[] = add b a
        in (f,) }"
    `)
  })
})

describe('errors say what to do', () => {
  it('for functions that cannot be transformed', () => {
    const asynchronous = (async (x: NDArray) => Promise.resolve(x)) as never
    for (const transform of [grad, jit, vmap, jacfwd, jacrev, makeJaxpr, valueAndGrad]) {
      expect(message(() => (transform as (f: never) => unknown)(asynchronous))).toMatch(/async/)
      const promise = ((x: NDArray) => Promise.resolve(x)) as never
      expect(
        message(() =>
          ((transform as (f: never) => unknown)(promise) as (x: NDArray) => unknown)(f32([1])),
        ),
      ).toMatch(/returned a Promise/)
    }
  })
  it('for gradients', () => {
    expect(message(() => grad((x: NDArray) => x)(np.array(1)))).toMatchInlineSnapshot(`
      "DifferentiationError: grad: cannot differentiate with respect to int32 values
        args[0]: i32[]
        at: args[0]
        rule: differentiated arguments are floating point
        hint: convert with astype, choose other argnums, or pass { allowInt: true } for float0 zeros"
    `)
    expect(
      message(() =>
        grad(function loss(x: NDArray) {
          return np.multiply(x, f32([1, 2]))
        })(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: grad(loss): the function returned an array, not a scalar
        result: f32[2]
        rule: a gradient is that of one scalar
        hint: sum or average the result; jacrev and vjp differentiate functions with several results"
    `)
    expect(message(() => grad(((x: NDArray) => [x, x]) as never)(f32(1) as never)))
      .toMatchInlineSnapshot(`
      "DifferentiationError: grad: the function returned a tree, not one scalar
        result[0]: f32[]
        result[1]: f32[]
        rule: a gradient is that of one scalar
        hint: return the loss only, or [loss, aux] with { hasAux: true }; jacrev and vjp take any result"
    `)
    expect(message(() => grad((x: NDArray) => np.greater(x, 1))(f32(1)))).toMatch(/bool/)
    expect(
      message(() =>
        grad((x: NDArray) =>
          whileLoop(
            (c: NDArray) => np.less(c, 10),
            (c: NDArray) => np.multiply(c, 2),
            x,
          ),
        )(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: whileLoop: reverse mode cannot go through a loop whose number of steps is not known beforehand
        operand 0: f32[]
        operand 1: f32[]
        rule: grad, vjp and jacrev need a fixed number of steps; jvp and jacfwd do not
        hint: use scan, or foriLoop with bounds that are known while tracing: with others it is a whileLoop"
    `)
    expect(
      grad((x: NDArray) => np.multiply(x.astype('float32'), 2), { allowInt: true })(np.array(1))
        .dtype,
    ).toBe('float0')
  })
  it('for vmap', () => {
    const two = (x: { a: NDArray }, _y: NDArray): NDArray => x.a
    expect(message(() => vmap(two)({ a: f32([1, 2, 3]) }, f32([1, 2])))).toMatchInlineSnapshot(`
      "TransformationError: vmap(two): mapped axes have different sizes
        args[0].a: f32[3]   axis 0 is 3
        args[1]:   f32[2]   axis 0 is 2
        rule: all mapped axes have one size
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
    expect(message(() => vmap(two)({ a: f32([1, 2, 3]) }, f32(1)))).toMatchInlineSnapshot(`
      "TransformationError: vmap(two): cannot map axis 0 of args[1], which has 0 dimensions
        args[1]: f32[]
        at: args[1]
        rule: a mapped argument has the axis named by inAxes
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
    expect(message(() => vmap(two, { inAxes: [0, 0, 0] })({ a: f32([1]) }, f32([1])))).toMatch(
      /3 entries for 2 elements/,
    )
    expect(message(() => vmap((x: NDArray) => psum(x, 'j'), { axisName: 'i' })(f32([1]))))
      .toMatchInlineSnapshot(`
      "ArgumentError: psum(x, 'j'): no axis is named j here
        rule: named axes here: i
        hint: call it inside of vmap(f, { axisName: 'j' })
        inside: vmap"
    `)
  })
  it('for loops', () => {
    expect(
      message(() =>
        scan(
          (c: { a: NDArray; b: NDArray }, _x: NDArray) => [{ a: c.a, b: np.array(1) }, null],
          { a: f32(1), b: f32(2) },
          f32([1, 2]),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: carry.b changes its dtype
        carry:     f32[]
        new carry: i32[]
        at: carry.b
        rule: a carry has one type in all steps
        hint: start with i32, or convert the new carry with astype('float32')"
    `)
    expect(message(() => scan(((c: NDArray) => c) as never, f32(1), f32([1])))).toMatch(
      /returns \[carry, y\]/,
    )
    expect(
      message(() =>
        scan((c: NDArray, _x: unknown) => [c, null], f32(1), { p: f32([1, 2]), q: f32([1]) }),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: the leading axes of xs have different sizes
        xs.p: f32[2]   axis 0 is 2
        xs.q: f32[1]   axis 0 is 1
        rule: all leaves of xs have the same leading axis, the number of steps"
    `)
  })
  it('for tracers that escape', () => {
    let leaked: NDArray = f32(0)
    grad((x: NDArray) => (leaked = np.multiply(x, x)))(f32(1))
    expect(message(() => np.add(leaked, 1))).toMatch(
      /a tracer of grad.*is used after it has finished/,
    )
    jit((x: NDArray) => (leaked = np.multiply(x, x)))(f32(1))
    expect(message(() => np.add(leaked, 1))).toMatch(
      /a tracer of jit.*is used after it has finished/,
    )
    expect(message(() => jit((x: NDArray) => (item(x) > 0 ? x : x))(f32(1)))).toMatch(
      /Concretization/,
    )
  })
})
