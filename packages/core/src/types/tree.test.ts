import * as E from 'fp-ts/lib/Either.js'
import * as O from 'fp-ts/lib/Option.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as tree from './tree'

const anyTree = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.integer(),
    fc.constant(null),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.string({ maxLength: 4 }), tie('tree'), { maxKeys: 3 }),
  ),
})).tree

class Point {
  constructor(
    readonly x: unknown,
    readonly y: unknown,
    readonly unit: string,
  ) {}
}
tree.register(Point, {
  flatten: ({ x, y, unit }) => ({ children: { x, y }, aux: unit }),
  unflatten: ({ x, y }, unit) => new Point(x, y, unit),
})

describe('flatten and unflatten', () => {
  it('are inverse', () => {
    fc.assert(
      fc.property(anyTree, (t) => {
        const { leaves, structure } = tree.flatten(t)
        expect(tree.unflatten(structure, leaves)).toEqual(t)
        expect(leaves).toHaveLength(structure.size)
        expect(tree.structurePaths(structure)).toHaveLength(structure.size)
      }),
    )
  })

  it('visits keys in sorted order, so that insertion order does not matter', () => {
    expect(tree.leaves({ b: 1, a: [2, { z: 3, y: 4 }], c: null })).toEqual([2, 4, 3, 1])
    expect(
      tree.structuresEqual(tree.structure({ a: 1, b: 2 }), tree.structure({ b: 3, a: 4 })),
    ).toBe(true)
  })

  it('looks inside registered classes only', () => {
    const p = new Point(1, [2, 3], 'm')
    expect(tree.leaves(p)).toEqual([1, 2, 3])
    expect(tree.map((x: number) => x * 10, p)).toEqual(new Point(10, [20, 30], 'm'))
    expect(tree.leaves(new Map([[1, 2]]))).toHaveLength(1)
    expect(tree.structuresEqual(tree.structure(p), tree.structure(new Point(1, [2, 3], 's')))).toBe(
      false,
    )
  })

  it('keeps a key called __proto__', () => {
    const t: unknown = JSON.parse('{"__proto__": 1}')
    const { leaves, structure } = tree.flatten(t)
    expect(Object.keys(tree.unflatten(structure, leaves) as object)).toEqual(['__proto__'])
  })
})

describe('structure keys', () => {
  it('are equal exactly for equal structures', () => {
    fc.assert(
      fc.property(anyTree, anyTree, (a, b) => {
        const [x, y] = [tree.structure(a), tree.structure(b)]
        expect(tree.structureKey(x) === tree.structureKey(y)).toBe(tree.structuresEqual(x, y))
      }),
    )
  })
})

describe('errors', () => {
  it('name the path of the first difference', () => {
    const params = { layers: [{ weight: 1 }, { weight: 2 }] }
    const grads = { layers: [{ weight: 1 }, { bias: 2 }] }
    expect(() => tree.map((a: number, b: number) => a + b, params, grads))
      .toThrowErrorMatchingInlineSnapshot(`
      [TreeError: tree.map: the first tree and tree 2 have different tree structures: missing there
        at: .layers[1].weight
        rule: the first tree is {layers: [{weight: *}, {weight: *}]}, tree 2 is {layers: [{weight: *}, {bias: *}]}
        hint: give both trees the same keys and lengths]
    `)
  })

  it('validate reports all bad leaves', () => {
    const check = (x: unknown): E.Either<string, number> =>
      typeof x === 'number' ? E.right(x) : E.left(`is a ${typeof x}`)
    expect(tree.validate(tree.flatten({ a: 'x', b: [1, true] }), check, 'params')).toEqual(
      E.left([
        { path: 'params.a', problem: 'is a string' },
        { path: 'params.b[1]', problem: 'is a boolean' },
      ]),
    )
  })
})

describe('the fp-ts instances', () => {
  const flatTree = anyTree.map((t) => tree.flatten<number>(t))

  it('Functor: identity and composition', () => {
    fc.assert(
      fc.property(flatTree, (t) => {
        const f = (x: number): number => x + 1
        const g = (x: number): number => x * 2
        expect(tree.functor.map(t, (x) => x)).toEqual(t)
        expect(tree.functor.map(tree.functor.map(t, f), g)).toEqual(
          tree.functor.map(t, (x) => g(f(x))),
        )
      }),
    )
  })

  it('Traversable: traversing with Some is Some of the tree, and one None is None', () => {
    fc.assert(
      fc.property(flatTree, (t) => {
        const traverse = tree.traversable.traverse(O.Applicative)
        expect(traverse(t, O.some)).toEqual(O.some(t))
        if (t.leaves.length > 0) expect(traverse(t, () => O.none)).toEqual(O.none)
      }),
    )
  })

  it('transpose is its own inverse', () => {
    const outer = tree.structure([0, 0, 0])
    const inner = tree.structure({ a: 0, b: 0 })
    const t = [
      { a: 1, b: 2 },
      { a: 3, b: 4 },
      { a: 5, b: 6 },
    ]
    const turned = tree.transpose(outer, inner, t)
    expect(turned).toEqual({ a: [1, 3, 5], b: [2, 4, 6] })
    expect(tree.transpose(inner, outer, turned)).toEqual(t)
  })
})
