/** Changes of representation: dtype conversion, bit casts, reduced precision. */
import type { NDArray } from '../array/ndarray'
import * as expr from '../compiler/expr'
import { Aval } from '../types/aval'
import { bytesOf, type DType, floatInfo, integerRange, isFloating } from '../types/dtype'
import { DTypeError } from '../types/errors'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
  roundToDType,
} from '../types/float-formats'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  discreteResult,
  isLinear,
  isZero,
  nonlinear,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { linearTranspose } from './linear'
import { operation, type Operation, type ParametricOperation } from './operation'
import { floating, pointwise, pointwiseBatch } from './pointwise'
import { allocateHost, hostArray } from './strided'

// --- convert_element_type -----------------------------------------------------------------------------

export type ConvertElementTypeParams = {
  readonly newDtype: DType
  readonly weakType: boolean
  readonly sharding: null
}

/**
 * XLA's conversion of one number: floats truncate towards zero and saturate, NaN becomes 0, integers
 * wrap, anything but 0 is true.
 */
export function convertNumber(x: number, from: DType, to: DType): number {
  if (to === 'bool') return x === 0 ? 0 : 1
  if (isFloating(to)) return to === from ? x : roundToDType(x, to)
  if (!isFloating(from)) return x
  if (Number.isNaN(x)) return 0
  const [min, max] = integerRange(to)
  return Math.min(Math.max(Math.trunc(x), min), max)
}

const bindConvert = (x: NDArray, params: ConvertElementTypeParams): NDArray =>
  bind1(convertPrimitive, [x], params)

const convertPrimitive: Primitive<ConvertElementTypeParams> =
  definePrimitive<ConvertElementTypeParams>({
    name: 'convert_element_type',
    abstractEval: ([x], { newDtype, weakType }) => {
      if (newDtype === 'float0' || x.dtype === 'float0') {
        throw new DTypeError({
          op: 'astype',
          problem: `${x.dtype} cannot be converted to ${newDtype}`,
          operands: [{ name: 'x', aval: x }],
          rule: 'float0 holds no values',
        })
      }
      return [new Aval(x.shape, newDtype, weakType)]
    },
    // Linear between floats; from or to integers nothing differentiable passes.
    jvp: ([x], [xDot], params) => {
      const y = bindConvert(x, params)
      const passes = isFloating(params.newDtype) && !isZero(xDot)
      return { primals: [y], tangents: [passes ? bindConvert(xDot, params) : zeroLike(y)] }
    },
    transpose: linearTranspose((yBar, x) =>
      convertElementType(yBar, { newDtype: x.dtype, weakType: x.weakType }),
    ),
    batch: pointwiseBatch(([x], params) => [bindConvert(x, params)]),
    evaluate: ([x], { newDtype }, [aval]) => {
      const data = allocateHost(newDtype, aval.size)
      for (let i = 0; i < data.length; i++) {
        data[i] = convertNumber(x.data[i], x.aval.dtype, newDtype)
      }
      return [hostArray(aval, data)]
    },
    lower: (context, [x], { newDtype }, [aval]) => [
      context.map(aval, (value) => expr.convert(newDtype, value), x),
    ],
    compose: (params, operand, producer) => {
      if (operand.dtype === params.newDtype) return 'identity'
      if (producer?.primitive !== convertPrimitive) return null
      const [source] = producer.inputs
      const saturates = isFloating(operand.dtype) && !isFloating(params.newDtype)
      return isExact(source.aval.dtype, operand.dtype) && (!saturates || params.newDtype === 'bool')
        ? { params }
        : null
    },
    splat: ([element], { newDtype }, [x]) => convertNumber(Number(element), x.dtype, newDtype),
  })

/** True if every value of `from` is a value of `to`, so that converting loses nothing. */
function isExact(from: DType, to: DType): boolean {
  if (from === 'bool' || from === to) return true
  if (to === 'bool') return false
  if (isFloating(from)) {
    if (!isFloating(to)) return false
    const [narrow, wide] = [floatInfo(from), floatInfo(to)]
    return (
      wide.eps <= narrow.eps &&
      wide.max >= narrow.max &&
      wide.smallestSubnormal <= narrow.smallestSubnormal
    )
  }
  const [min, max] = integerRange(from)
  if (isFloating(to)) return max <= 2 / floatInfo(to).eps
  const [lowest, highest] = integerRange(to)
  return lowest <= min && max <= highest
}

/** `x` in another dtype, or with another weakness. */
export const convertElementType: Operation<
  [x: NDArray, params: { readonly newDtype: DType; readonly weakType?: boolean }],
  ConvertElementTypeParams
> = operation(
  convertPrimitive,
  (x: NDArray, { newDtype, weakType = false }: { newDtype: DType; weakType?: boolean }) =>
    x.dtype === newDtype && x.aval.weakType === weakType
      ? x
      : bindConvert(x, { newDtype, weakType, sharding: null }),
)

// --- bitcast_convert_type ---------------------------------------------------------------------------------

export type BitcastParams = { readonly newDtype: DType }

const scratch = new DataView(new ArrayBuffer(8))

/** Writes the bytes of one element. */
function writeBits(at: number, value: number, dtype: DType): void {
  switch (dtype) {
    case 'float64':
      return scratch.setFloat64(at, value, true)
    case 'float32':
      return scratch.setFloat32(at, value, true)
    case 'float16':
      return scratch.setUint16(at, float16ToBits(value), true)
    case 'bfloat16':
      return scratch.setUint16(at, bfloat16ToBits(value), true)
    default:
      if (bytesOf(dtype) === 1) scratch.setUint8(at, value)
      else if (bytesOf(dtype) === 2) scratch.setUint16(at, value, true)
      else scratch.setUint32(at, value, true)
  }
}

function readBits(at: number, dtype: DType): number {
  switch (dtype) {
    case 'float64':
      return scratch.getFloat64(at, true)
    case 'float32':
      return scratch.getFloat32(at, true)
    case 'float16':
      return bitsToFloat16(scratch.getUint16(at, true))
    case 'bfloat16':
      return bitsToBfloat16(scratch.getUint16(at, true))
    case 'int8':
      return scratch.getInt8(at)
    case 'int16':
      return scratch.getInt16(at, true)
    case 'int32':
      return scratch.getInt32(at, true)
    case 'uint16':
      return scratch.getUint16(at, true)
    case 'uint32':
      return scratch.getUint32(at, true)
    default:
      return scratch.getUint8(at)
  }
}

const bindBitcast = (x: NDArray, params: BitcastParams): NDArray =>
  bind1(bitcastPrimitive, [x], params)

const bitcastPrimitive: Primitive<BitcastParams> = definePrimitive<BitcastParams>({
  name: 'bitcast_convert_type',
  abstractEval: ([x], { newDtype }) => {
    const sameWidth = bytesOf(x.dtype) === bytesOf(newDtype)
    const logical = (d: DType): boolean => d === 'bool' || d === 'float0'
    if (!sameWidth || (x.dtype !== newDtype && (logical(x.dtype) || logical(newDtype)))) {
      throw new DTypeError({
        op: 'bitcastConvertType',
        problem: `the bits of ${x.dtype} cannot be read as ${newDtype}`,
        operands: [{ name: 'x', aval: x }],
        rule: 'both are numeric dtypes of the same width',
        hint: 'convert the value with astype',
      })
    }
    return [new Aval(x.shape, newDtype)]
  },
  jvp: discreteResult(([x], params) => [bindBitcast(x, params)]),
  transpose: nonlinear,
  batch: pointwiseBatch(([x], params) => [bindBitcast(x, params)]),
  evaluate: ([x], { newDtype }, [aval]) => {
    const data = allocateHost(newDtype, aval.size)
    for (let i = 0; i < data.length; i++) {
      writeBits(0, x.data[i], x.aval.dtype)
      data[i] = readBits(0, newDtype)
    }
    return [hostArray(aval, data)]
  },
  lower: (context, [x], { newDtype }, [aval]) => [
    context.map(aval, (value) => expr.bitcast(newDtype, value), x),
  ],
})

/** The same bits read as another dtype of the same width. */
export const bitcastConvertType: ParametricOperation<BitcastParams> = operation(
  bitcastPrimitive,
  bindBitcast,
)

// --- reduce_precision ---------------------------------------------------------------------------------------

export type ReducePrecisionParams = {
  readonly exponentBits: number
  readonly mantissaBits: number
}

/** Rounds to a format with these field widths; too large becomes infinite, too small becomes zero. */
export function reduceNumber(
  x: number,
  { exponentBits, mantissaBits }: ReducePrecisionParams,
): number {
  if (x === 0 || !Number.isFinite(x)) return x
  const bias = 2 ** (exponentBits - 1) - 1
  const magnitude = Math.abs(x)
  let exponent = Math.floor(Math.log2(magnitude))
  if (2 ** exponent > magnitude) exponent--
  else if (2 ** (exponent + 1) <= magnitude) exponent++
  const unit = 2 ** (exponent - mantissaBits)
  const scaled = magnitude / unit
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const rounded = (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor) * unit
  // XLA flushes what is below the smallest normal number of the format.
  if (rounded < 2 ** (1 - bias)) return Math.sign(x) * 0
  return Math.sign(x) * (rounded >= 2 ** (bias + 1) ? Infinity : rounded)
}

/**
 * The same on the bits of a float32, as XLA's CPU compiler expands it: add half a unit (less one if the
 * kept part is even), mask the rest away, then handle overflow and underflow of the exponent.
 */
function reduceExpression(
  x: expr.Scalar,
  { exponentBits, mantissaBits }: ReducePrecisionParams,
): expr.Scalar {
  const u32 = (value: number): expr.Scalar => expr.constant('uint32', value)
  const op = (name: expr.BinaryOp, a: expr.Scalar, b: expr.Scalar): expr.Scalar =>
    expr.binary(name, 'uint32', a, b)
  const original = expr.bitcast('uint32', x)
  const magnitude = op('and', original, u32(0x7fffffff))
  const sign = op('and', original, u32(0x80000000))
  const dropped = 23 - mantissaBits
  let kept = magnitude
  if (dropped > 0) {
    const even = op('and', op('shiftRightLogical', magnitude, u32(dropped)), u32(1))
    const bias = op('add', even, u32(2 ** (dropped - 1) - 1))
    kept = op('and', op('add', magnitude, bias), u32((0xffffffff << dropped) >>> 0))
  }
  const bias = 2 ** (exponentBits - 1) - 1
  const largestExponent = u32((bias + 127) * 2 ** 23 + 0x7fffff)
  const smallestNormal = u32((1 - bias + 127) * 2 ** 23)
  if (exponentBits < 8) {
    const over = expr.binary('gt', 'bool', kept, largestExponent)
    const under = expr.binary('lt', 'bool', kept, smallestNormal)
    kept = expr.select(over, u32(0x7f800000), expr.select(under, u32(0), kept))
  }
  const isNaN = expr.binary('gt', 'bool', magnitude, u32(0x7f800000))
  return expr.select(isNaN, x, expr.bitcast('float32', op('or', kept, sign)))
}

const bindReducePrecision = (x: NDArray, params: ReducePrecisionParams): NDArray =>
  bind1(reducePrecisionPrimitive, [x], params)

const reducePrecisionPrimitive: Primitive<ReducePrecisionParams> =
  definePrimitive<ReducePrecisionParams>({
    ...pointwise<ReducePrecisionParams>(
      'reduce_precision',
      {
        accepts: floating,
        result: 'same',
        kernel: (_dtype, params) => (x) => reduceNumber(x, params),
        expression: ([x], dtype, params) => {
          const wide = isWide(dtype, params)
          if (wide) return x
          if (dtype !== 'float64') {
            return expr.convert(dtype, reduceExpression(expr.convert('float32', x), params))
          }
          throw new DTypeError({
            op: 'reducePrecision',
            problem: 'float64 can only be reduced on the reference device',
            operands: [{ name: 'x', aval: dtype }],
            hint: 'convert to float32 first',
          })
        },
      },
      ([x], params) => [bindReducePrecision(x, params)],
    ),
    // The rounding is taken to be the identity by JAX, applied to the tangent too.
    jvp: ([x], [xDot], params) => {
      const y = bindReducePrecision(x, params)
      return {
        primals: [y],
        tangents: [isZero(xDot) ? zeroLike(y) : bindReducePrecision(xDot, params)],
      }
    },
    transpose: ([yBar], [x], params) => {
      if (!isLinear(x)) return [null]
      return [isZero(yBar) ? yBar : bindReducePrecision(yBar, params)]
    },
  })

/** True if the format holds every value of the dtype. */
function isWide(dtype: DType, { exponentBits, mantissaBits }: ReducePrecisionParams): boolean {
  const { eps, max } = floatInfo(dtype)
  return 2 ** -mantissaBits <= eps && Math.log2(max) <= 2 ** (exponentBits - 1)
}

/** `x` rounded to a format with fewer exponent and mantissa bits, in its own dtype. */
export const reducePrecision: ParametricOperation<ReducePrecisionParams> = operation(
  reducePrecisionPrimitive,
  bindReducePrecision,
)
