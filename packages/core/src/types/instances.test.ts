import fc from 'fast-check'
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Ord } from 'fp-ts/lib/Ord.js'
import { describe, expect, it } from 'vitest'
import { jaxprEq, jaxprOrd } from '../jaxpr/key'
import { Jaxpr, Var } from '../jaxpr/ir'
import { jaxprShow } from '../jaxpr/print'
import { Aval, avalEq, avalOrd, avalShow } from './aval'
import { type DType, integerRange, isFloating } from './dtype'
import { elementData } from './element'
import { type MonoidName, reductionMonoid } from './monoid'
import { type TreeStructure, structure, structureEq, structureOrd, structureShow } from './tree'

const names = ['bool', 'int8', 'uint8', 'int32', 'uint32', 'float32', 'float64'] as const
const dtype = fc.constantFrom<DType>(...names)
const aval = fc
  .tuple(fc.array(fc.nat(2), { maxLength: 2 }), dtype, fc.boolean())
  .map(([shape, d, weak]) => new Aval(shape, d, weak))
const structures = fc
  .letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom(1, null),
      fc.array(tie('tree'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b'), tie('tree')),
    ),
  }))
  .tree.map(structure)
const jaxpr = aval.map((a) => {
  const x = new Var(a)
  return new Jaxpr([x], [], [x])
})

/** Eq is an equivalence, Ord a total order that agrees with it. */
function expectLaws<A>(values: fc.Arbitrary<A>, eq: Eq<A>, ord: Ord<A>): void {
  fc.assert(
    fc.property(values, values, values, (x, y, z) => {
      expect(eq.equals(x, x)).toBe(true)
      expect(eq.equals(x, y)).toBe(eq.equals(y, x))
      expect(ord.compare(x, y) === 0).toBe(eq.equals(x, y))
      expect(ord.compare(x, y) + ord.compare(y, x)).toBe(0)
      if (ord.compare(x, y) <= 0 && ord.compare(y, z) <= 0) {
        expect(ord.compare(x, z)).toBeLessThanOrEqual(0)
      }
    }),
  )
}

describe('Eq, Ord and Show', () => {
  it('of avals', () => {
    expectLaws(aval, avalEq, avalOrd)
    expect(avalShow.show(new Aval([2, 3], 'float32'))).toBe('f32[2,3]')
  })
  it('of tree structures', () => {
    expectLaws<TreeStructure>(structures, structureEq, structureOrd)
    expect(structureShow.show(structure({ a: [1, 2], b: null }))).toBe('{a: [*, *], b: null}')
  })
  it('of jaxprs, whatever their variables are', () => {
    expectLaws(jaxpr, jaxprEq, jaxprOrd)
    const x = new Var(new Aval([], 'float32'))
    expect(jaxprShow.show(new Jaxpr([x], [], [x]))).toBe('{ lambda ; a:f32[]. let  in (a,) }')
  })
})

describe('reductions', () => {
  const values = (d: DType): fc.Arbitrary<number> => {
    // Small enough for sums of floats to be exact, so that they associate.
    if (isFloating(d))
      return fc.oneof(fc.integer({ min: -99, max: 99 }), fc.constantFrom(-0, Infinity))
    const [min, max] = integerRange(d)
    return fc.integer({ min, max })
  }
  const allowed = (name: MonoidName, d: DType): boolean =>
    name === 'max' || name === 'min'
      ? true
      : name === 'sum' || name === 'prod'
        ? d !== 'bool'
        : !isFloating(d)

  it.each(['sum', 'prod', 'max', 'min', 'and', 'or'] as const)(
    '%s is a monoid on every dtype',
    (name) => {
      for (const d of names.filter((n) => allowed(name, n))) {
        const { concat, empty } = reductionMonoid(name, d)
        const stored = (x: number): number => elementData(d, 1).fill(x)[0]
        const combine = (x: number, y: number): number => stored(concat(x, y))
        fc.assert(
          fc.property(values(d), values(d), values(d), (x, y, z) => {
            expect(combine(combine(x, y), z)).toBe(combine(x, combine(y, z)))
            // 0 is the identity of sums for −0 too, up to its sign.
            expect(combine(empty, x) + 0).toBe(stored(x) + 0)
            expect(combine(x, empty) + 0).toBe(stored(x) + 0)
          }),
        )
      }
    },
  )
})
