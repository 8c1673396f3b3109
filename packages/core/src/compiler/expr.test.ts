import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allDTypes, type DType, isFloating } from '../types/dtype'
import { binary, type BinaryOp, constant, convert, load, type Scalar, select, unary } from './expr'
import { applyBinary, applyUnary, converted, held } from './scalar-semantics'

const dtypes = allDTypes.filter((d) => d !== 'float0')
const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 2, 0.5, NaN, Infinity, -Infinity, 255, 256, 65504, 2 ** 31, 1e30),
  fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
)
const x = (dtype: DType): Scalar => load({ id: 0, dtype, size: 1 }, { offset: 0, strides: [] })

/** The expression's value when every load gives `input`. */
function run(e: Scalar, input: number): number {
  switch (e.kind) {
    case 'const':
      return held(e.dtype, Number(e.value))
    case 'load':
      return input
    case 'unary':
      return applyUnary(e.op, e.x.dtype, e.dtype, run(e.x, input))
    case 'binary':
      return applyBinary(e.op, e.x.dtype, e.dtype, run(e.x, input), run(e.y, input))
    case 'convert':
      return converted(e.x.dtype, e.dtype, run(e.x, input))
    case 'select':
      return run(e.condition, input) !== 0 ? run(e.onTrue, input) : run(e.onFalse, input)
    default:
      throw new Error(`${e.kind} in a test`)
  }
}

const valueIn = (dtype: DType, n: number): number =>
  isFloating(dtype) ? held(dtype, n) : converted('float64', dtype, n)

describe('constructors simplify without changing values', () => {
  test('binary operations with a constant', () => {
    const ops: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div', 'max', 'min', 'lt', 'eq']
    const constants = fc.oneof(fc.constantFrom(0, -0, 1, 2), numbers)
    fc.assert(
      fc.property(
        fc.constantFrom(...ops),
        fc.constantFrom(...dtypes),
        numbers,
        constants,
        fc.boolean(),
        (op, dtype, n, c, swap) => {
          if (dtype === 'bool' && !['eq', 'lt', 'max', 'min'].includes(op)) return
          const result = op === 'lt' || op === 'eq' ? 'bool' : dtype
          const value = valueIn(dtype, n)
          const literal = constant(dtype, valueIn(dtype, c))
          const [l, r] = swap ? [literal, x(dtype)] : [x(dtype), literal]
          const plain = applyBinary(op, dtype, result, run(l, value), run(r, value))
          expect(run(binary(op, result, l, r), value)).toEqual(plain)
          // Both operands constant: folded.
          const both = binary(op, result, constant(dtype, value), literal)
          expect(run(both, 0)).toEqual(applyBinary(op, dtype, result, value, run(literal, 0)))
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('conversions of conversions', () => {
    const some = fc.constantFrom(...dtypes)
    fc.assert(
      fc.property(some, some, some, numbers, (a, b, c, n) => {
        const value = valueIn(a, n)
        const plain = converted(b, c, converted(a, b, value))
        expect(run(convert(c, convert(b, x(a))), value)).toEqual(plain)
        expect(run(convert(c, convert(b, constant(a, value))), 0)).toEqual(plain)
      }),
      { numRuns: 4000 },
    )
  })
})

test('identities that hold for every float', () => {
  const e = x('float32')
  expect(binary('mul', 'float32', e, constant('float32', 1))).toBe(e)
  expect(binary('sub', 'float32', e, constant('float32', 0))).toBe(e)
  expect(unary('neg', 'float32', unary('neg', 'float32', e))).toBe(e)
  // −0 + 0 is 0 and NaN · 0 is NaN, so these stay.
  expect(binary('add', 'float32', e, constant('float32', 0))).toMatchObject({ kind: 'binary' })
  expect(binary('mul', 'float32', e, constant('float32', 0))).toMatchObject({ kind: 'binary' })
})

test('selections that are decided', () => {
  const e = x('float32')
  const zero = constant('float32', 0)
  expect(select(constant('bool', true), e, zero)).toBe(e)
  expect(select(x('bool'), zero, constant('float32', 0))).toEqual(zero)
  expect(select(unary('not', 'bool', x('bool')), e, zero)).toMatchObject({
    onTrue: zero,
    onFalse: e,
  })
})
