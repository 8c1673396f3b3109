/**
 * Scalar expressions: what one element of a tensor is, as a function of the iteration index.
 *
 * An expression is an immutable DAG. Its leaves depend on the index only through affine functions,
 * so every view operation (transpose, broadcast, slice, reverse, window, most reshapes) is a
 * rewriting of leaves and moves no data. Data-dependent reads add a dynamic offset to a leaf.
 */
import { bytesOf, type DType, integerRange, isFloating, isInteger } from '../types/dtype'

/** `offset + Σ strides[a] * index[a]`, one stride per iteration axis. */
export interface Affine {
  readonly offset: number
  readonly strides: readonly number[]
}

/** A linear run of elements: a program's input, output, constant or temporary. */
export interface Buffer {
  readonly id: number
  readonly dtype: DType
  /** In elements. */
  readonly size: number
}

export type UnaryOp =
  | 'neg'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'roundEven'
  | 'trunc'
  | 'abs'
  | 'exp'
  | 'exp2'
  | 'log'
  | 'expm1'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'logistic'
  | 'sqrt'
  | 'rsqrt'
  | 'cbrt'
  | 'erf'
  | 'erfc'
  | 'erfInv'
  | 'lgamma'
  | 'digamma'
  | 'isFinite'
  | 'not'
  | 'popcount'
  | 'clz'

export type BinaryOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'rem'
  | 'max'
  | 'min'
  | 'pow'
  | 'atan2'
  | 'nextafter'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or'
  | 'xor'
  | 'shiftLeft'
  | 'shiftRightLogical'
  | 'shiftRightArithmetic'

export type Scalar =
  Const | Load | Index | Unary | Binary | Select | Convert | Bitcast | Accumulator

export interface Const {
  readonly kind: 'const'
  readonly dtype: DType
  readonly value: number | boolean
}

/** `source[at(index) + Σ offset.value * offset.stride]`; the address is in bounds by construction. */
export interface Load {
  readonly kind: 'load'
  readonly dtype: DType
  readonly source: Buffer
  readonly at: Affine
  readonly offsets: readonly DynamicOffset[]
}

/** A data-dependent part of an address, in elements: an int32 expression times a stride. */
export interface DynamicOffset {
  readonly value: Scalar
  readonly stride: number
}

/** The value of an affine function of the index, as an int32: iota and range tests are made of it. */
export interface Index {
  readonly kind: 'index'
  readonly dtype: 'int32'
  readonly at: Affine
}

export interface Unary {
  readonly kind: 'unary'
  readonly op: UnaryOp
  /** Of the result; the operand may differ (isFinite, comparisons). */
  readonly dtype: DType
  readonly x: Scalar
}

export interface Binary {
  readonly kind: 'binary'
  readonly op: BinaryOp
  readonly dtype: DType
  readonly x: Scalar
  readonly y: Scalar
}

export interface Select {
  readonly kind: 'select'
  readonly dtype: DType
  /** bool */
  readonly condition: Scalar
  readonly onTrue: Scalar
  readonly onFalse: Scalar
}

/** Numeric conversion with XLA's semantics (float → int saturates, NaN → 0, ints wrap). */
export interface Convert {
  readonly kind: 'convert'
  readonly dtype: DType
  readonly x: Scalar
}

/** The same bits read as another dtype of the same width. */
export interface Bitcast {
  readonly kind: 'bitcast'
  readonly dtype: DType
  readonly x: Scalar
}

/** In an epilogue: the finished value of the node's n-th accumulator at this output element. */
export interface Accumulator {
  readonly kind: 'accumulator'
  readonly dtype: DType
  readonly slot: number
}

// --- construction ---------------------------------------------------------------------------------
//
// The constructors simplify what they are given as far as IEEE 754 and wrapping integers allow, so
// that rules may be written plainly. `x + 0` is not among the identities of floats: −0 + 0 is 0.

export const constant = (dtype: DType, value: number | boolean): Const => ({
  kind: 'const',
  dtype,
  value,
})
export const index = (at: Affine): Index => ({ kind: 'index', dtype: 'int32', at })
export const accumulator = (dtype: DType, slot: number): Accumulator => ({
  kind: 'accumulator',
  dtype,
  slot,
})
export const load = (source: Buffer, at: Affine, offsets: readonly DynamicOffset[] = []): Load => ({
  kind: 'load',
  dtype: source.dtype,
  source,
  at,
  offsets,
})

export function unary(op: UnaryOp, dtype: DType, x: Scalar): Scalar {
  if (x.kind === 'unary' && x.op === op && (op === 'neg' || op === 'not') && x.x.dtype === dtype)
    return x.x
  if (x.kind === 'const' && x.dtype === dtype) {
    const value = Number(x.value)
    if (op === 'not' && dtype === 'bool') return constant('bool', value === 0)
    const f = exactFunctions[op]
    const folded = f === undefined || dtype === 'bool' ? null : rounded(dtype, f(value))
    if (folded !== null) return constant(dtype, folded)
  }
  return { kind: 'unary', op, dtype, x }
}

/** Functions whose rounded value is the same wherever it is computed. */
const exactFunctions: { readonly [Op in UnaryOp]?: (x: number) => number } = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  sqrt: Math.sqrt,
}

export function binary(op: BinaryOp, dtype: DType, x: Scalar, y: Scalar): Scalar {
  if (x.kind === 'const' && y.kind === 'const') {
    const folded = foldBinary(op, dtype, x, y)
    if (folded !== null) return folded
  }
  if (y.kind === 'const' && x.dtype === dtype) {
    const simpler = rightIdentity(op, dtype, x, y)
    if (simpler !== null) return simpler
  }
  if (x.kind === 'const' && y.dtype === dtype && isCommutative(op)) {
    const simpler = rightIdentity(op, dtype, y, x)
    if (simpler !== null) return simpler
  }
  return { kind: 'binary', op, dtype, x, y }
}

export function select(condition: Scalar, onTrue: Scalar, onFalse: Scalar): Scalar {
  if (condition.kind === 'const') return Number(condition.value) === 0 ? onFalse : onTrue
  if (onTrue === onFalse || equalConstants(onTrue, onFalse)) return onTrue
  if (condition.kind === 'unary' && condition.op === 'not')
    return select(condition.x, onFalse, onTrue)
  return { kind: 'select', dtype: onTrue.dtype, condition, onTrue, onFalse }
}

export function convert(dtype: DType, x: Scalar): Scalar {
  if (x.dtype === dtype) return x
  if (x.kind === 'const') {
    const folded = convertConstant(x, dtype)
    if (folded !== null) return folded
  }
  if (x.kind === 'convert' && skippable(x.x.dtype, x.dtype, dtype)) return convert(dtype, x.x)
  return { kind: 'convert', dtype, x }
}

export function bitcast(dtype: DType, x: Scalar): Scalar {
  if (x.dtype === dtype) return x
  if (x.kind === 'bitcast') return bitcast(dtype, x.x)
  return { kind: 'bitcast', dtype, x }
}

const isCommutative = (op: BinaryOp): boolean =>
  op === 'add' || op === 'mul' || op === 'and' || op === 'or' || op === 'xor'

const equalConstants = (x: Scalar, y: Scalar): boolean =>
  x.kind === 'const' &&
  y.kind === 'const' &&
  x.dtype === y.dtype &&
  Object.is(Number(x.value), Number(y.value))

/** `x op c` where that is `x` itself, or something cheaper, whatever `x` is. */
function rightIdentity(op: BinaryOp, dtype: DType, x: Scalar, c: Const): Scalar | null {
  const value = Number(c.value)
  const floating = isFloating(dtype)
  switch (op) {
    case 'add':
      return value === 0 && (!floating || Object.is(value, -0)) ? x : null
    case 'sub':
      return value === 0 && (!floating || Object.is(value, 0)) ? x : null
    case 'mul':
      if (value === 1 && dtype !== 'bool') return x
      return value === 0 && isInteger(dtype) ? constant(dtype, 0) : null
    case 'div':
      return value === 1 ? x : null
    case 'pow':
      if (value === 1) return x
      return value === 2 ? binary('mul', dtype, x, x) : null
    case 'and':
      if (dtype === 'bool') return value === 0 ? constant('bool', false) : x
      return value === 0 ? constant(dtype, 0) : null
    case 'or':
      if (dtype === 'bool') return value === 0 ? x : constant('bool', true)
      return value === 0 ? x : null
    case 'xor':
    case 'shiftLeft':
    case 'shiftRightLogical':
    case 'shiftRightArithmetic':
      return value === 0 ? x : null
    default:
      return null
  }
}

/** The value as the dtype holds it, or null where that is left to the device. */
function rounded(dtype: DType, value: number): number | null {
  switch (dtype) {
    case 'float64':
      return value
    case 'float32':
      return Math.fround(value)
    case 'int32':
      return value | 0
    case 'uint32':
      return value >>> 0
    case 'int16':
      return (value << 16) >> 16
    case 'uint16':
      return value & 0xffff
    case 'int8':
      return (value << 24) >> 24
    case 'uint8':
      return value & 0xff
    default:
      return null
  }
}

function foldBinary(op: BinaryOp, dtype: DType, x: Const, y: Const): Const | null {
  const a = x.dtype === 'bool' ? Number(x.value) : rounded(x.dtype, Number(x.value))
  const b = y.dtype === 'bool' ? Number(y.value) : rounded(y.dtype, Number(y.value))
  if (a === null || b === null) return null
  const number = (value: number): Const | null => {
    const result = rounded(dtype, value)
    return result === null ? null : constant(dtype, result)
  }
  switch (op) {
    case 'eq':
      return constant('bool', a === b)
    case 'ne':
      return constant('bool', a !== b)
    case 'lt':
      return constant('bool', a < b)
    case 'le':
      return constant('bool', a <= b)
    case 'gt':
      return constant('bool', a > b)
    case 'ge':
      return constant('bool', a >= b)
    case 'add':
      return number(a + b)
    case 'sub':
      return number(a - b)
    case 'mul':
      return number(isInteger(dtype) ? Math.imul(a, b) : a * b)
    case 'div':
      return isFloating(dtype) ? number(a / b) : null
    case 'max':
      return number(Math.max(a, b))
    case 'min':
      return number(Math.min(a, b))
    default:
      return null
  }
}

function convertConstant(x: Const, dtype: DType): Const | null {
  const value =
    typeof x.value === 'boolean'
      ? Number(x.value)
      : x.dtype === 'bool'
        ? x.value
        : rounded(x.dtype, x.value)
  if (dtype === 'float0') return null
  // Small whole numbers are exact in every dtype; they are most constants of the 16-bit floats.
  const small = Number.isInteger(Number(x.value)) && Math.abs(Number(x.value)) <= 127
  if (dtype === 'float16' || dtype === 'bfloat16')
    return small ? constant(dtype, Number(x.value)) : null
  if (value === null)
    return small ? convertConstant(constant('float64', Number(x.value)), dtype) : null
  if (dtype === 'bool') return constant('bool', value !== 0)
  if (!isInteger(dtype)) {
    const result = rounded(dtype, value)
    return result === null ? null : constant(dtype, result)
  }
  if (!isFloating(x.dtype)) {
    const wrapped = rounded(dtype, value)
    return wrapped === null ? null : constant(dtype, wrapped)
  }
  const [min, max] = integerRange(dtype)
  const whole = Number.isNaN(value) ? 0 : Math.trunc(Math.min(max, Math.max(min, value)))
  return constant(dtype, whole + 0)
}

/** Whether `from → through → to` is `from → to`: every value of `from` must survive in `through`. */
function skippable(from: DType, through: DType, to: DType): boolean {
  if (from === 'float0' || through === 'float0' || through === 'bool') return false
  if (from === 'bool') return true
  const fractionBits: { readonly [D in DType]?: number } = {
    float16: 11,
    bfloat16: 8,
    float32: 24,
    float64: 53,
  }
  if (isFloating(from)) {
    if (!isFloating(through)) return false
    return through === 'float64' || (through === 'float32' && from !== 'float64')
  }
  const [min, max] = integerRange(from)
  if (isFloating(through)) {
    // Integers beyond a target's range wrap when they come from an integer and saturate from a float.
    if (2 ** (fractionBits[through] ?? 0) < max) return false
    if (!isInteger(to)) return true
    const [targetMin, targetMax] = integerRange(to)
    return targetMin <= min && max <= targetMax
  }
  const [throughMin, throughMax] = integerRange(through)
  if (throughMin <= min && max <= throughMax) return true
  // Wrapping twice among integers is wrapping once, while the middle one is no narrower than the last.
  return isInteger(to) && bytesOf(through) >= bytesOf(to)
}
