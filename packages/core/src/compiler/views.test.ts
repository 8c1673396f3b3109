import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sizeOf } from '../types/aval'
import { type Affine, binary, constant, index, load } from './expr'
import {
  affineReshape,
  alongAxis,
  clampIndex,
  commonRefinement,
  compose,
  rangeOf,
  reindexScalar,
  reshapeScalar,
  rowMajor,
  splitCoordinate,
} from './views'

const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 })
const stride = fc.integer({ min: -6, max: 6 })
const affines = (rank: number): fc.Arbitrary<Affine> =>
  fc.record({ offset: stride, strides: fc.array(stride, { minLength: rank, maxLength: rank }) })

const value = (at: Affine, i: readonly number[]): number =>
  at.offset + at.strides.reduce((sum, s, axis) => sum + s * i[axis], 0)

function unravel(shape: readonly number[], position: number): readonly number[] {
  const index = shape.map(() => 0)
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = position % shape[axis]
    position = Math.floor(position / shape[axis])
  }
  return index
}

describe('affine functions', () => {
  test('compose as functions do', () => {
    const cases = fc
      .tuple(fc.nat(3), fc.nat(3))
      .chain(([outer, inner]) =>
        fc.tuple(
          affines(outer),
          fc.array(affines(inner), { minLength: outer, maxLength: outer }),
          fc.array(stride, { minLength: inner, maxLength: inner }),
        ),
      )
    fc.assert(
      fc.property(cases, ([at, source, i]) => {
        const coordinates = source.map((s) => value(s, i))
        expect(value(compose(at, source, i.length), i)).toBe(value(at, coordinates))
      }),
    )
  })

  test('keep every element in place when reshaped', () => {
    const cases = shapes.chain((from) => {
      const to = fc.constantFrom(
        [sizeOf(from)],
        [...from].reverse(),
        [...from, 1],
        [1, ...from],
        mergedPairs(from),
      )
      return fc.tuple(
        fc.constant(from),
        to,
        fc.oneof(affines(from.length), fc.constant(rowMajor(from))),
      )
    })
    fc.assert(
      fc.property(cases, ([from, to, at]) => {
        const reshaped = affineReshape(from, to)(at)
        if (reshaped === null) return
        for (let p = 0; p < sizeOf(from); p++) {
          expect(value(reshaped, unravel(to, p))).toBe(value(at, unravel(from, p)))
        }
      }),
    )
  })

  test('row-major order reshapes to anything of its size', () => {
    fc.assert(
      fc.property(shapes, (from) => {
        const to = [...from].reverse()
        expect(affineReshape(from, to)(rowMajor(from))).toEqual(rowMajor(to))
      }),
    )
  })
})

const mergedPairs = (shape: readonly number[]): number[] =>
  shape.length < 2 ? [...shape] : [shape[0] * shape[1], ...shape.slice(2)]

describe('expressions', () => {
  const buffer = { id: 0, dtype: 'float32', size: 24 } as const

  test('a transposed load cannot be flattened, a broadcast one only along its own axes', () => {
    const transposed = load(buffer, { offset: 0, strides: [1, 4] })
    expect(reshapeScalar(transposed, [4, 6], [24])).toBeNull()
    expect(reshapeScalar(transposed, [4, 6], [2, 2, 6])).not.toBeNull()
    const bias = load(buffer, { offset: 0, strides: [0, 1] })
    expect(reshapeScalar(bias, [4, 6], [24])).toBeNull()
    expect(reshapeScalar(bias, [4, 6], [4, 2, 3])).toMatchObject({ at: { strides: [0, 3, 1] } })
  })

  test('the identity view is the expression itself', () => {
    const e = binary(
      'add',
      'float32',
      load(buffer, rowMajor([4, 6])),
      load(buffer, rowMajor([4, 6])),
    )
    expect(reindexScalar(e, [alongAxis(2, 0), alongAxis(2, 1)], 2)).toBe(e)
  })

  test('views keep sharing, so chains of doublings stay linear', () => {
    let e = load(buffer, rowMajor([24])) as ReturnType<typeof binary>
    for (let i = 0; i < 60; i++) e = binary('add', 'float32', e, e)
    const reversed = reindexScalar(e, [alongAxis(1, 0, -1, 23)], 1)
    expect(reversed).toMatchObject({ kind: 'binary' })
    if (reversed.kind === 'binary') expect(reversed.x).toBe(reversed.y)
  })
})

test('the common refinement of two shapes', () => {
  expect(commonRefinement([6, 4], [24])).toEqual([6, 4])
  expect(commonRefinement([2, 12], [6, 4])).toEqual([2, 3, 4])
  expect(commonRefinement([6, 4], [4, 6])).toBeNull()
  expect(commonRefinement([], [1, 1])).toEqual([])
  expect(commonRefinement([2], [3])).toBeNull()
})

describe('coordinates', () => {
  const i = index(alongAxis(2, 0))
  const position = load({ id: 1, dtype: 'int32', size: 4 }, { offset: 0, strides: [1, 0] })

  test('split into what is affine and what depends on data', () => {
    const e = binary(
      'add',
      'int32',
      binary('mul', 'int32', i, constant('int32', 3)),
      binary('sub', 'int32', position, constant('int32', 2)),
    )
    expect(splitCoordinate(e, 2)).toEqual({
      at: { offset: -2, strides: [3, 0] },
      dynamic: [{ value: position, stride: 1 }],
    })
  })

  test('are clamped only where they might be out of range', () => {
    expect(rangeOf(i, [5, 2])).toEqual([0, 4])
    expect(clampIndex(i, 0, 4, [5, 2])).toBe(i)
    const clamped = clampIndex(position, 0, 9, [5, 2])
    expect(rangeOf(clamped, [5, 2])).toEqual([0, 9])
    expect(clampIndex(clamped, 0, 9, [5, 2])).toBe(clamped)
  })
})
