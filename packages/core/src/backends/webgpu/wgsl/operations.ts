/** One operation of a scalar expression as a WGSL expression of its operands' registers. */
import type { Binary, BinaryOp, Scalar, Unary, UnaryOp } from '../../../compiler/expr'
import { bytesOf, type DType, integerRange, isFloating, isUnsigned } from '../../../types/dtype'
import { DTypeError } from '../../../types/errors'
import { registerType } from '../words'

export function operationText(x: Scalar, operands: readonly string[]): string {
  const [a, b, c] = operands
  switch (x.kind) {
    case 'unary':
      return unaryText(x, a)
    case 'binary':
      return binaryText(x, a, b)
    case 'select':
      return `select(${c}, ${b}, ${a})`
    case 'convert':
      return convertText(x.x.dtype, x.dtype, a)
    case 'bitcast':
      return bitcastText(x.x.dtype, x.dtype, a)
    default:
      throw new Error(`a ${x.kind} is read, not computed`)
  }
}

function unsupported(x: Unary | Binary): never {
  throw new DTypeError({
    op: x.op,
    problem: `is not defined for ${x.x.dtype}`,
    operands: [{ name: 'x', aval: x.x.dtype }],
    rule: 'the operand has a dtype that the operation takes',
    hint: 'convert the operand with astype first',
  })
}

/** Rounds an f32 to the float dtype it is meant to have. */
export function roundedTo(dtype: DType, text: string): string {
  if (dtype === 'float16') return `round_f16(${text})`
  return dtype === 'bfloat16' ? `round_bf16(${text})` : text
}

/** Brings 32 bits to the register form of an integer dtype, keeping the low ones. */
function wrap(dtype: DType, text: string): string {
  switch (dtype) {
    case 'int8':
      return `((${text}) << 24u) >> 24u`
    case 'int16':
      return `((${text}) << 16u) >> 16u`
    case 'uint8':
      return `(${text}) & 0xffu`
    case 'uint16':
      return `(${text}) & 0xffffu`
    default:
      return text
  }
}

/** Operations whose code is long: many calls of one are better made in a loop. */
export const isLong = (x: Scalar): boolean =>
  (x.kind === 'unary' || x.kind === 'binary') &&
  registerType(x.x.dtype) === 'f32' &&
  longOperations.has(x.op)

const longOperations: ReadonlySet<UnaryOp | BinaryOp> = new Set([
  'expm1',
  'log1p',
  'sin',
  'cos',
  'tan',
  'asinh',
  'acosh',
  'atanh',
  'cbrt',
  'erfc',
  'erfInv',
  'lgamma',
  'digamma',
  'pow',
  'rem',
  'atan2',
] as const)

// --- one operand ------------------------------------------------------------------------------------

/** Functions of floats in the library of `math/`. */
const floatFunctions: { readonly [Op in UnaryOp]?: string } = {
  sign: 'sign_f32',
  floor: 'floor_f32',
  ceil: 'ceil_f32',
  round: 'round_f32',
  roundEven: 'round_even_f32',
  trunc: 'trunc_f32',
  exp: 'exp_f32',
  exp2: 'exp2_f32',
  log: 'log_f32',
  expm1: 'expm1_f32',
  log1p: 'log1p_f32',
  sin: 'sin_f32',
  cos: 'cos_f32',
  tan: 'tan_f32',
  asin: 'asin_f32',
  acos: 'acos_f32',
  atan: 'atan_f32',
  sinh: 'sinh_f32',
  cosh: 'cosh_f32',
  tanh: 'tanh_f32',
  asinh: 'asinh_f32',
  acosh: 'acosh_f32',
  atanh: 'atanh_f32',
  logistic: 'logistic_f32',
  sqrt: 'sqrt_f32',
  rsqrt: 'rsqrt_f32',
  cbrt: 'cbrt_f32',
  erf: 'erf_f32',
  erfc: 'erfc_f32',
  erfInv: 'erf_inv_f32',
  lgamma: 'lgamma_f32',
  digamma: 'digamma_f32',
}

/** Their results need no rounding to a narrower format than the operand's. */
const exact: ReadonlySet<UnaryOp> = new Set([
  'sign',
  'floor',
  'ceil',
  'round',
  'roundEven',
  'trunc',
] as const)

function unaryText(x: Unary, a: string): string {
  const from = x.x.dtype
  switch (registerType(from)) {
    case 'bool':
      return x.op === 'not' ? `!${a}` : unsupported(x)
    case 'f32':
      return floatUnary(x, a)
    default:
      return integerUnary(x, from, a)
  }
}

function floatUnary(x: Unary, a: string): string {
  switch (x.op) {
    case 'neg':
      return `-${a}`
    case 'abs':
      return `magnitude(${a})`
    case 'isFinite':
      return `is_finite(${a})`
    default: {
      const f = floatFunctions[x.op]
      if (f === undefined) return unsupported(x)
      return exact.has(x.op) ? `${f}(${a})` : roundedTo(x.dtype, `${f}(${a})`)
    }
  }
}

function integerUnary(x: Unary, dtype: DType, a: string): string {
  const unsigned = isUnsigned(dtype)
  switch (x.op) {
    case 'neg':
      return wrap(dtype, unsigned ? `0u - ${a}` : `-${a}`)
    case 'not':
      return wrap(dtype, `~${a}`)
    case 'abs':
      return unsigned ? a : wrap(dtype, `abs(${a})`)
    case 'sign':
      return unsigned ? `min(${a}, 1u)` : `sign(${a})`
    case 'floor':
    case 'ceil':
    case 'round':
    case 'roundEven':
    case 'trunc':
      return a
    case 'isFinite':
      return 'true'
    case 'popcount':
      return toSign(x.dtype, `countOneBits(${ownBits(dtype, a)})`)
    case 'clz': {
      const unused = 32 - 8 * bytesOf(dtype)
      const count = `countLeadingZeros(${ownBits(dtype, a)})`
      return toSign(x.dtype, unused === 0 ? count : `${count} - ${unused}u`)
    }
    default:
      return unsupported(x)
  }
}

/** The bits of the dtype's own width as u32. */
function ownBits(dtype: DType, a: string): string {
  if (isUnsigned(dtype)) return a
  const bytes = bytesOf(dtype)
  const raw = `bitcast<u32>(${a})`
  return bytes === 4 ? raw : `(${raw} & ${bytes === 1 ? '0xffu' : '0xffffu'})`
}

/** A u32 in the register form of an integer dtype. */
const toSign = (dtype: DType, text: string): string =>
  isUnsigned(dtype) ? text : `bitcast<i32>(${text})`

// --- two operands -----------------------------------------------------------------------------------

function binaryText(x: Binary, a: string, b: string): string {
  const dtype = x.x.dtype
  switch (registerType(dtype)) {
    case 'bool':
      return boolBinary(x.op, a, b) ?? unsupported(x)
    case 'f32':
      return floatBinary(x, dtype, a, b)
    default:
      return integerBinary(x.op, dtype, a, b) ?? unsupported(x)
  }
}

function boolBinary(op: BinaryOp, a: string, b: string): string | null {
  switch (op) {
    case 'and':
    case 'mul':
    case 'min':
      return `${a} & ${b}`
    case 'or':
    case 'add':
    case 'max':
      return `${a} | ${b}`
    case 'xor':
    case 'ne':
      return `${a} != ${b}`
    case 'eq':
      return `${a} == ${b}`
    case 'lt':
      return `!${a} & ${b}`
    case 'gt':
      return `${a} & !${b}`
    case 'le':
      return `!${a} | ${b}`
    case 'ge':
      return `${a} | !${b}`
    default:
      return null
  }
}

const symbols: { readonly [Op in BinaryOp]?: string } = {
  add: '+',
  sub: '-',
  mul: '*',
  and: '&',
  or: '|',
  xor: '^',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
}

function floatBinary(x: Binary, dtype: DType, a: string, b: string): string {
  switch (x.op) {
    case 'add':
    case 'sub':
    case 'mul':
      return roundedTo(dtype, `${a} ${symbols[x.op]} ${b}`)
    case 'div':
      return roundedTo(dtype, `div_f32(${a}, ${b})`)
    case 'max':
      return `max_f32(${a}, ${b})`
    case 'min':
      return `min_f32(${a}, ${b})`
    case 'rem':
      return `rem_f32(${a}, ${b})`
    case 'pow':
      return roundedTo(dtype, `pow_f32(${a}, ${b})`)
    case 'atan2':
      return roundedTo(dtype, `atan2_f32(${a}, ${b})`)
    case 'nextafter':
      return dtype === 'float16'
        ? `nextafter_f16(${a}, ${b})`
        : dtype === 'bfloat16'
          ? `nextafter_bf16(${a}, ${b})`
          : `nextafter_f32(${a}, ${b})`
    case 'eq':
      return `equal_f32(${a}, ${b})`
    case 'ne':
      return `!equal_f32(${a}, ${b})`
    case 'lt':
      return `less_f32(${a}, ${b})`
    case 'gt':
      return `less_f32(${b}, ${a})`
    case 'le':
      return `less_equal_f32(${a}, ${b})`
    case 'ge':
      return `less_equal_f32(${b}, ${a})`
    default:
      return unsupported(x)
  }
}

function integerBinary(op: BinaryOp, dtype: DType, a: string, b: string): string | null {
  const type = isUnsigned(dtype) ? 'u32' : 'i32'
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
      return wrap(dtype, `${a} ${symbols[op]} ${b}`)
    case 'and':
    case 'or':
    case 'xor':
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return `${a} ${symbols[op]} ${b}`
    case 'max':
    case 'min':
      return `${op}(${a}, ${b})`
    case 'div':
    case 'rem':
    case 'pow':
      return wrap(dtype, `${op}_${type}(${a}, ${b})`)
    case 'shiftLeft':
      return shiftText(dtype, 'shift_left', a, b)
    case 'shiftRightLogical':
      return shiftText(dtype, 'shift_right', a, b)
    case 'shiftRightArithmetic': {
      // Unsigned integers are shifted by their own top bit.
      const unused = 32 - 8 * bytesOf(dtype)
      const raw = isUnsigned(dtype) ? `bitcast<i32>(${a})` : a
      const signed = unused === 0 ? raw : `((${raw}) << ${unused}u) >> ${unused}u`
      const shifted = `shift_right_signed(${signed}, ${ownBits(dtype, b)}, ${32 - unused}u)`
      return wrap(dtype, isUnsigned(dtype) ? `bitcast<u32>(${shifted})` : shifted)
    }
    default:
      return null
  }
}

const plainAmount = /^\(?([0-9]+)[iu]\)?$/

function shiftText(dtype: DType, f: 'shift_left' | 'shift_right', a: string, b: string): string {
  const width = 8 * bytesOf(dtype)
  const amount = plainAmount.exec(b)
  const bits = ownBits(dtype, a)
  const shifted =
    amount !== null && Number(amount[1]) < width
      ? `${bits} ${f === 'shift_left' ? '<<' : '>>'} ${amount[1]}u`
      : `${f}(${bits}, ${ownBits(dtype, b)}, ${width}u)`
  return wrap(dtype, toSign(dtype, shifted))
}

// --- conversions ------------------------------------------------------------------------------------

/** Numeric conversion with XLA's semantics: floats saturate and NaN is 0, integers wrap. */
export function convertText(from: DType, to: DType, a: string): string {
  if (from === to) return a
  const source = registerType(from)
  const target = registerType(to)
  if (source === 'bool') {
    if (target === 'bool') return a
    const [zero, one] =
      target === 'f32' ? ['0.0f', '1.0f'] : target === 'u32' ? ['0u', '1u'] : ['0i', '1i']
    return `select(${zero}, ${one}, ${a})`
  }
  if (target === 'bool') {
    if (source === 'f32') return `!is_zero(${a})`
    return `${a} != ${source === 'u32' ? '0u' : '0i'}`
  }
  if (source === 'f32') {
    if (target === 'f32') return isWider(from, to) ? a : roundedTo(to, a)
    return saturated(to, `f32_to_${target}(${a})`)
  }
  if (target === 'f32') {
    if (bytesOf(from) < 4) return roundedTo(to, `f32(${a})`)
    if (to === 'float32') return `${source}_to_f32(${a})`
    // A 32-bit integer must not be rounded twice on its way to 16 bits.
    return roundedTo(to, `${source}_to_odd(${a})`)
  }
  const bits = source === target ? a : `bitcast<${target}>(${a})`
  return wrap(to, bits)
}

const isWider = (from: DType, to: DType): boolean => isFloating(from) && to === 'float32'

/** Limits a 32-bit result to the range of a narrower integer. */
function saturated(dtype: DType, text: string): string {
  if (bytesOf(dtype) === 4) return text
  const [least, greatest] = integerRange(dtype)
  return isUnsigned(dtype)
    ? `min(${text}, ${greatest}u)`
    : `clamp(${text}, ${least}i, ${greatest}i)`
}

/** The same bits as another dtype of the same width. */
function bitcastText(from: DType, to: DType, a: string): string {
  if (from === to) return a
  const source = registerType(from)
  const bits =
    from === 'float16'
      ? `f16_to_bits(${a})`
      : from === 'bfloat16'
        ? `bf16_to_bits(${a})`
        : source === 'bool'
          ? `select(0u, 1u, ${a})`
          : source === 'u32'
            ? a
            : `bitcast<u32>(${a})`
  if (to === 'float16') return `f16_from_bits(${bits} & 0xffffu)`
  if (to === 'bfloat16') return `bf16_from_bits(${bits} & 0xffffu)`
  const target = registerType(to)
  if (target === 'bool') return `${bits} != 0u`
  if (target === 'f32') return `bitcast<f32>(${bits})`
  return wrap(to, target === 'u32' ? bits : `bitcast<i32>(${bits})`)
}
