/** Logic on bools and on the bits of integers. Nothing here has a derivative. */
import * as expr from '../compiler/expr'
import { bytesOf, type DType, isUnsigned } from '../types/dtype'
import { nonlinear } from '../trace/primitive'
import { binary, unary, zeroDerivative } from './elementwise'
import type { BinaryOperation, UnaryOperation } from './operation'
import { bitwise, integral } from './pointwise'

const bitsOf = (dtype: DType): number => bytesOf(dtype) * 8

/** The bits of an integer as an unsigned number. */
const unsignedBits = (x: number, bits: number): number =>
  bits === 32 ? x >>> 0 : x & (2 ** bits - 1)

export const not: UnaryOperation = unary('not', {
  dtypes: bitwise,
  evaluate: (dtype) => (dtype === 'bool' ? (x) => 1 - x : (x) => ~x),
  tangent: zeroDerivative,
  lower: 'not',
})

export const populationCount: UnaryOperation = unary('population_count', {
  dtypes: integral,
  evaluate: (dtype) => (x) => {
    let count = 0
    for (let bits = unsignedBits(x, bitsOf(dtype)); bits > 0; bits = Math.floor(bits / 2)) {
      count += bits % 2
    }
    return count
  },
  tangent: zeroDerivative,
  lower: 'popcount',
})

/** Number of leading zero bits within the width of the dtype. */
export const clz: UnaryOperation = unary('clz', {
  dtypes: integral,
  evaluate: (dtype) => (x) => Math.clz32(unsignedBits(x, bitsOf(dtype))) - (32 - bitsOf(dtype)),
  tangent: zeroDerivative,
  lower: 'clz',
})

export const and: BinaryOperation = binary('and', {
  dtypes: bitwise,
  evaluate: () => (x, y) => x & y,
  tangents: zeroDerivative,
  transpose: nonlinear,
  lower: 'and',
})

export const or: BinaryOperation = binary('or', {
  dtypes: bitwise,
  evaluate: () => (x, y) => x | y,
  tangents: zeroDerivative,
  transpose: nonlinear,
  lower: 'or',
})

export const xor: BinaryOperation = binary('xor', {
  dtypes: bitwise,
  evaluate: () => (x, y) => x ^ y,
  tangents: zeroDerivative,
  transpose: nonlinear,
  lower: 'xor',
})

/**
 * Shifts by less than zero or by the width and more push every bit out (XLA's rule): machine shifts
 * would take the amount modulo the width instead, so amounts that are not constants are tested.
 */
const shift = (
  name: string,
  op: expr.BinaryOp,
  within: (bits: number) => (x: number, y: number) => number,
  beyond: (x: number, bits: number) => number,
  beyondExpression: (x: expr.Scalar, dtype: DType) => expr.Scalar,
): BinaryOperation =>
  binary(name, {
    dtypes: integral,
    evaluate: (dtype) => {
      const bits = bitsOf(dtype)
      const shifted = within(bits)
      return (x, y) => (y >= 0 && y < bits ? shifted(x, y) : beyond(x, bits))
    },
    tangents: zeroDerivative,
    transpose: nonlinear,
    lower: (x, y, dtype) => {
      const bits = bitsOf(dtype)
      const shifted = expr.binary(op, dtype, x, y)
      if (y.kind === 'const' && Number(y.value) >= 0 && Number(y.value) < bits) return shifted
      const belowWidth = expr.binary('lt', 'bool', y, expr.constant(dtype, bits))
      const inRange = isUnsigned(dtype)
        ? belowWidth
        : expr.binary(
            'and',
            'bool',
            belowWidth,
            expr.binary('ge', 'bool', y, expr.constant(dtype, 0)),
          )
      return expr.select(inRange, shifted, beyondExpression(x, dtype))
    },
  })

export const shiftLeft: BinaryOperation = shift(
  'shift_left',
  'shiftLeft',
  () => (x, y) => x << y,
  () => 0,
  (_x, dtype) => expr.constant(dtype, 0),
)

export const shiftRightLogical: BinaryOperation = shift(
  'shift_right_logical',
  'shiftRightLogical',
  (bits) => (x, y) => unsignedBits(x, bits) >>> y,
  () => 0,
  (_x, dtype) => expr.constant(dtype, 0),
)

/** Copies the sign bit into the vacated places, for unsigned dtypes too. */
export const shiftRightArithmetic: BinaryOperation = shift(
  'shift_right_arithmetic',
  'shiftRightArithmetic',
  (bits) => (x, y) => ((x << (32 - bits)) >> (32 - bits)) >> y,
  (x, bits) => (x << (32 - bits) < 0 ? -1 : 0),
  (x, dtype) =>
    expr.binary('shiftRightArithmetic', dtype, x, expr.constant(dtype, bitsOf(dtype) - 1)),
)
