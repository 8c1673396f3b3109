/** Tests of numbers, comparisons, and logic on truth values and on bits. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { bytesOf, type DType, isFloating, isUnsigned } from '../../types/dtype'
import {
  asArray,
  broadcastAll,
  convert,
  filledLike,
  full,
  promote,
  promoteNumeric,
  toBool,
} from '../promotion'
import {
  type Binary,
  binary,
  type BinaryPrimitive,
  differsFromItself,
  integersOnly,
  type Unary,
  type UnaryPrimitive,
} from './families'

// --- tests ----------------------------------------------------------------------------------------

const allOf = (x: NDArray, value: boolean): NDArray => full(x.shape, value, 'bool')

const testOfFloats =
  (op: string, test: UnaryPrimitive, otherwise: boolean): Unary =>
  (x) => {
    const a = asArray(op, x)
    return isFloating(a.dtype) ? test(a) : allOf(a, otherwise)
  }
export const isnan: Unary = testOfFloats('isnan', differsFromItself, false)
export const isfinite: Unary = testOfFloats('isfinite', prim.isFinite, true)
export const isinf: Unary = testOfFloats(
  'isinf',
  (x) => prim.eq(prim.abs(x), filledLike(x, Infinity)),
  false,
)
export const isposinf: Unary = testOfFloats(
  'isposinf',
  (x) => prim.eq(x, filledLike(x, Infinity)),
  false,
)
export const isneginf: Unary = testOfFloats(
  'isneginf',
  (x) => prim.eq(x, filledLike(x, -Infinity)),
  false,
)

/** True where the sign bit is set: also for −0. */
export const signbit: Unary = (x) => {
  const a = asArray('signbit', x)
  if (!isFloating(a.dtype)) {
    return isUnsigned(a.dtype) || a.dtype === 'bool'
      ? allOf(a, false)
      : prim.lt(a, filledLike(a, 0))
  }
  // No 64-bit integers: a double keeps its sign when narrowed.
  const narrow = a.dtype === 'float64' ? convert(a, 'float32') : a
  const bits: DType = bytesOf(narrow.dtype) === 2 ? 'int16' : 'int32'
  const word = prim.bitcastConvertType(narrow, { newDtype: bits })
  return prim.lt(word, filledLike(word, 0))
}

// --- comparisons and logic ------------------------------------------------------------------------

export const equal: Binary = binary('equal', promote, prim.eq)
export const notEqual: Binary = binary('notEqual', promote, prim.ne)
export const less: Binary = binary('less', promote, prim.lt)
export const lessEqual: Binary = binary('lessEqual', promote, prim.le)
export const greater: Binary = binary('greater', promote, prim.gt)
export const greaterEqual: Binary = binary('greaterEqual', promote, prim.ge)

const logical =
  (op: string, primitive: BinaryPrimitive): Binary =>
  (x, y) => {
    const [a, b] = broadcastAll(
      op,
      [x, y].map((v) => toBool(asArray(op, v))),
    )
    return primitive(a, b)
  }
export const logicalAnd: Binary = logical('logicalAnd', prim.and)
export const logicalOr: Binary = logical('logicalOr', prim.or)
export const logicalXor: Binary = logical('logicalXor', prim.xor)
export const logicalNot: Unary = (x) => prim.not(toBool(asArray('logicalNot', x)))

const bitwise =
  (op: string, primitive: BinaryPrimitive): Binary =>
  (x, y) => {
    const args = promote(op, [x, y])
    integersOnly(op, args, true)
    return primitive(args[0], args[1])
  }
export const bitwiseAnd: Binary = bitwise('bitwiseAnd', prim.and)
export const bitwiseOr: Binary = bitwise('bitwiseOr', prim.or)
export const bitwiseXor: Binary = bitwise('bitwiseXor', prim.xor)
export const bitwiseNot: Unary = (x) => {
  const a = asArray('bitwiseNot', x)
  integersOnly('bitwiseNot', [a], true)
  return prim.not(a)
}
export const invert: Unary = bitwiseNot
export const bitwiseInvert: Unary = bitwiseNot

const shift =
  (op: string, primitive: BinaryPrimitive): Binary =>
  (x, y) => {
    const args = promoteNumeric(op, [x, y])
    integersOnly(op, args, false)
    return primitive(args[0], args[1])
  }
export const leftShift: Binary = shift('leftShift', prim.shiftLeft)
export const bitwiseLeftShift: Binary = leftShift
/** Arithmetic for signed integers, logical for unsigned ones. */
export const rightShift: Binary = shift('rightShift', (x, y) =>
  isUnsigned(x.dtype) ? prim.shiftRightLogical(x, y) : prim.shiftRightArithmetic(x, y),
)
export const bitwiseRightShift: Binary = rightShift
