/** What must compile, and what must not. */
import { type NDArray, np } from '@adjoint/core'
import { pipe } from 'fp-ts/lib/function.js'
import { assertType, describe, expectTypeOf, it } from 'vitest'
import {
  customJvp,
  customVjp,
  grad,
  hessian,
  jacrev,
  jit,
  scan,
  valueAndGrad,
  vjp,
  vmap,
} from './index'

interface Params {
  readonly weights: NDArray
  readonly layers: readonly { readonly b: NDArray }[]
}
declare const params: Params
declare const x: NDArray
declare const loss: (p: Params, x: NDArray) => NDArray

describe('grad', () => {
  it("has its argument's own type", () => {
    expectTypeOf(grad(loss)(params, x)).toEqualTypeOf<Params>()
    expectTypeOf(grad(loss, { argnums: 1 })(params, x)).toEqualTypeOf<NDArray>()
    const [p, g] = grad(loss, { argnums: [0, 1] })(params, x)
    expectTypeOf(p).toEqualTypeOf<Params>()
    expectTypeOf(g).toEqualTypeOf<NDArray>()
    expectTypeOf(grad((a: [NDArray, NDArray]) => a[0])([x, x])).toEqualTypeOf<[NDArray, NDArray]>()
    class Point {
      constructor(readonly x: NDArray) {}
      norm(): NDArray {
        return this.x
      }
    }
    expectTypeOf(grad((a: Point) => a.norm())(new Point(x))).toEqualTypeOf<Point>()
    expectTypeOf(grad((a: number) => np.sin(a))(1)).toEqualTypeOf<NDArray>()
    expectTypeOf(grad((a: { s: number; t: NDArray }) => a.t)({ s: 1, t: x })).toEqualTypeOf<{
      s: NDArray
      t: NDArray
    }>()
  })
  it('passes aux along', () => {
    const withAux = (a: NDArray): readonly [NDArray, { n: NDArray }] => [a, { n: a }]
    expectTypeOf(grad(withAux, { hasAux: true })(x)).toEqualTypeOf<[NDArray, { n: NDArray }]>()
    expectTypeOf(valueAndGrad(withAux, { hasAux: true })(x)).toEqualTypeOf<
      [[NDArray, { n: NDArray }], NDArray]
    >()
    expectTypeOf(valueAndGrad(loss)(params, x)).toEqualTypeOf<[NDArray, Params]>()
  })
  it('refuses what has no gradient', () => {
    // @ts-expect-error async
    grad(async (a: NDArray) => Promise.resolve(a))
    // @ts-expect-error two results
    grad((a: NDArray) => [a, a])
    // @ts-expect-error a boolean leaf
    grad((a: { flag: boolean; x: NDArray }) => a.x)
    // @ts-expect-error a string
    grad((_a: string, b: NDArray) => b)
    grad((_a: string, b: NDArray) => b, { argnums: 1 })
    // @ts-expect-error hasAux without a pair
    grad((a: NDArray) => a, { hasAux: true })
  })
})

describe('composition', () => {
  it('pipes', () => {
    const mapped = pipe(loss, grad, vmap, jit)
    expectTypeOf(mapped(params, x)).toEqualTypeOf<Params>()
    const f = pipe((a: NDArray) => np.sum(a), valueAndGrad, jit)
    expectTypeOf(f(x)).toEqualTypeOf<[NDArray, NDArray]>()
    expectTypeOf(jit(vmap(grad(loss)))(params, x)).toEqualTypeOf<Params>()
    expectTypeOf(hessian((a: NDArray) => np.sum(a))(x)).toEqualTypeOf<NDArray>()
    expectTypeOf(jacrev((a: Params) => ({ y: a.weights }))(params)).toEqualTypeOf<{ y: Params }>()
  })
  it('refuses async functions', () => {
    const asynchronous = async (a: NDArray): Promise<NDArray> => Promise.resolve(a)
    // @ts-expect-error async
    jit(asynchronous)
    // @ts-expect-error async
    vmap(asynchronous)
    // @ts-expect-error async
    void vjp(asynchronous, x)
  })
  it('keeps arguments', () => {
    const f = jit((a: NDArray, n: number) => np.multiply(a, n), { staticArgnums: 1 })
    assertType<NDArray>(f(x, 2))
    // @ts-expect-error a string is not a number
    f(x, '2')
    // @ts-expect-error two arguments
    f(x)
  })
})

describe('loops and rules', () => {
  it('infer carries and results', () => {
    const [carry, ys] = scan((c: NDArray, a: NDArray) => [np.add(c, a), { y: c }], x, x)
    expectTypeOf(carry).toEqualTypeOf<NDArray>()
    expectTypeOf(ys).toEqualTypeOf<{ y: NDArray }>()
  })
  it('type rules by the function', () => {
    customJvp((a: NDArray) => a).defjvp(([a], [aDot]) => [a, aDot])
    customJvp((n: number, a: NDArray) => np.multiply(a, n), { nondiffArgnums: 0 }).defjvp(
      (n, [a], [aDot]) => {
        expectTypeOf(n).toEqualTypeOf<number>()
        return [a, aDot]
      },
    )
    customVjp((a: NDArray, b: NDArray) => np.multiply(a, b)).defvjp(
      (a, b) => [np.multiply(a, b), { a, b }],
      (r, zBar) => [np.multiply(r.b, zBar), null],
    )
    const product = customVjp((a: NDArray, b: NDArray) => np.multiply(a, b))
    const forward = (a: NDArray, b: NDArray): [NDArray, NDArray] => [a, b]
    // @ts-expect-error one cotangent for two arguments
    product.defvjp(forward, (r, zBar) => [np.add(r, zBar)])
  })
})
