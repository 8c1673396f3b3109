/** What trees are to the type checker. */
import { describe, expectTypeOf, it } from 'vitest'
import { type NDArray, np, tree } from '../index'

interface Params {
  readonly layers: readonly { readonly w: NDArray; readonly b: NDArray | null }[]
  readonly scale: NDArray
}
declare const params: Params
declare const grads: Params
declare const pair: [NDArray, { n: NDArray }]

describe('tree.map', () => {
  it('of arrays to arrays keeps the type of the tree', () => {
    const updated = tree.map((w: NDArray, g: NDArray) => np.subtract(w, g), params, grads)
    expectTypeOf(updated).toEqualTypeOf<Params>()
    expectTypeOf(tree.map((x) => np.negative(x), params)).toEqualTypeOf<Params>()
    expectTypeOf(tree.map((x: NDArray) => x, pair)).toEqualTypeOf<[NDArray, { n: NDArray }]>()
  })
  it('puts other leaves in their places', () => {
    const shapes = tree.map((x: NDArray) => x.shape.length, pair)
    expectTypeOf(shapes).toEqualTypeOf<[number, { n: number }]>()
    expectTypeOf(tree.map((x: number) => String(x), { a: 1, b: [2, 3] })).toEqualTypeOf<{
      a: string
      b: string[]
    }>()
    expectTypeOf(tree.mapWithPath((path: string, _: NDArray) => path, pair)).toEqualTypeOf<
      [string, { n: string }]
    >()
  })
  it('knows the leaves of a tree without being told', () => {
    tree.map((x) => expectTypeOf(x).toEqualTypeOf<NDArray>(), params)
    tree.map((x) => expectTypeOf(x).toEqualTypeOf<number | boolean>(), { a: 1, b: [true] })
  })
})

describe('folds', () => {
  it('have the type of what they start from', () => {
    expectTypeOf(
      tree.reduce((n: number, x: NDArray) => n + x.size, params, 0),
    ).toEqualTypeOf<number>()
    expectTypeOf(tree.leaves<NDArray>(params)).toEqualTypeOf<NDArray[]>()
    expectTypeOf(tree.paths(params)).toEqualTypeOf<string[]>()
  })
})
