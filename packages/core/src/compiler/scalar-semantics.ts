/** What scalar operations compute, in plain numbers: used to run programs of loops without a backend. */
import {
  bytesOf,
  type DType,
  integerRange,
  isFloating,
  isInteger,
  isUnsigned,
} from '../types/dtype'
import { ArgumentError } from '../types/errors'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
  roundToDType,
} from '../types/float-formats'
import { combination } from '../types/monoid'
import { roundAway, roundEven } from '../types/rounding'
import type { Monoid } from './context'
import type { BinaryOp, UnaryOp } from './expr'

/** A number as `dtype` holds it: floats round, integers wrap, booleans are 0 and 1. */
export function held(dtype: DType, x: number): number {
  if (isFloating(dtype)) return roundToDType(x, dtype)
  if (dtype === 'bool') return x !== 0 ? 1 : 0
  const bits = bytesOf(dtype) * 8
  if (isUnsigned(dtype)) return bits === 32 ? x >>> 0 : x & (2 ** bits - 1)
  return bits === 32 ? x | 0 : (x << (32 - bits)) >> (32 - bits)
}

export function converted(from: DType, to: DType, x: number): number {
  if (isInteger(to) && isFloating(from)) {
    if (Number.isNaN(x)) return 0
    const [min, max] = integerRange(to)
    return Math.trunc(Math.min(max, Math.max(min, x))) + 0
  }
  if (to === 'bool') return x !== 0 ? 1 : 0
  return held(to, x)
}

const scratch = new DataView(new ArrayBuffer(8))

/** The same bits under another dtype of the same width. */
export function reinterpreted(from: DType, to: DType, x: number): number {
  writeBits(from, x)
  return readBits(to)
}

function writeBits(dtype: DType, x: number): void {
  switch (dtype) {
    case 'float64':
      return scratch.setFloat64(0, x, true)
    case 'float32':
      return scratch.setFloat32(0, x, true)
    case 'float16':
      return scratch.setUint16(0, float16ToBits(x), true)
    case 'bfloat16':
      return scratch.setUint16(0, bfloat16ToBits(x), true)
    default:
      return scratch.setInt32(0, x, true)
  }
}

function readBits(dtype: DType): number {
  switch (dtype) {
    case 'float64':
      return scratch.getFloat64(0, true)
    case 'float32':
      return scratch.getFloat32(0, true)
    case 'float16':
      return bitsToFloat16(scratch.getUint16(0, true))
    case 'bfloat16':
      return bitsToBfloat16(scratch.getUint16(0, true))
    default:
      return held(dtype, scratch.getInt32(0, true))
  }
}

const unaryFunctions: { readonly [Op in UnaryOp]?: (x: number) => number } = {
  neg: (x) => -x,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundAway,
  roundEven,
  trunc: Math.trunc,
  abs: Math.abs,
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  log: Math.log,
  expm1: Math.expm1,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  logistic: (x) => 1 / (1 + Math.exp(-x)),
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  cbrt: Math.cbrt,
  isFinite: (x) => (Number.isFinite(x) ? 1 : 0),
}

export function applyUnary(op: UnaryOp, operand: DType, result: DType, x: number): number {
  if (op === 'not') return operand === 'bool' ? 1 - x : held(result, ~x)
  if (op === 'popcount' || op === 'clz') {
    const bits = bytesOf(operand) * 8
    const raw = (bits === 32 ? x : x & (2 ** bits - 1)) >>> 0
    return op === 'clz' ? Math.clz32(raw) - (32 - bits) : raw.toString(2).replaceAll('0', '').length
  }
  const f = unaryFunctions[op]
  if (f === undefined) {
    throw new ArgumentError({
      op,
      problem: 'loops cannot be run without a backend when they use this function',
      hint: 'compile the program for a device, or evaluate its jaxpr on the reference backend',
    })
  }
  return held(result, f(x))
}

export function applyBinary(
  op: BinaryOp,
  operand: DType,
  result: DType,
  x: number,
  y: number,
): number {
  const bits = bytesOf(operand) * 8
  switch (op) {
    case 'add':
      return held(result, x + y)
    case 'sub':
      return held(result, x - y)
    case 'mul':
      return isInteger(result) ? held(result, Math.imul(x, y)) : held(result, x * y)
    case 'div':
      // Integer division by zero is −1, as XLA defines it.
      if (isInteger(result)) return held(result, y === 0 ? -1 : Math.trunc(x / y))
      return held(result, x / y)
    case 'rem':
      if (isInteger(result)) return held(result, y === 0 ? x : x % y)
      return held(result, x % y)
    case 'max':
      return held(result, Math.max(x, y))
    case 'min':
      return held(result, Math.min(x, y))
    case 'pow':
      // C's power; JavaScript's has NaN in these places.
      return held(result, x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y)
    case 'atan2':
      return held(result, Math.atan2(x, y))
    case 'eq':
      return x === y ? 1 : 0
    case 'ne':
      return x !== y ? 1 : 0
    case 'lt':
      return x < y ? 1 : 0
    case 'le':
      return x <= y ? 1 : 0
    case 'gt':
      return x > y ? 1 : 0
    case 'ge':
      return x >= y ? 1 : 0
    case 'and':
      return held(result, x & y)
    case 'or':
      return held(result, x | y)
    case 'xor':
      return held(result, x ^ y)
    // Shifts by the width or more leave nothing (or copies of the sign).
    case 'shiftLeft':
      return y >>> 0 >= bits ? 0 : held(result, x << y)
    case 'shiftRightLogical':
      return y >>> 0 >= bits
        ? 0
        : held(result, ((bits === 32 ? x : x & (2 ** bits - 1)) >>> 0) >>> y)
    case 'shiftRightArithmetic':
      // Unsigned integers are shifted by their own top bit.
      return held(result, ((x << (32 - bits)) >> (32 - bits)) >> Math.min(y >>> 0, bits - 1))
    case 'nextafter':
      throw new ArgumentError({
        op,
        problem: 'loops cannot be run without a backend when they use this function',
        hint: 'compile the program for a device, or evaluate its jaxpr on the reference backend',
      })
  }
}

export function combine(monoid: Monoid, dtype: DType, x: number, y: number): number {
  return held(dtype, combination(monoid, dtype)(x, y))
}
