/**
 * Integer arithmetic on 32-bit lanes. Narrow integers are kept extended to 32 bits (by sign or by
 * zeros) and wrapped to their width after each operation; booleans are masks.
 */
import type { BinaryOp, UnaryOp } from '../../../compiler/expr'
import type { DType } from '../../../types/dtype'
import { bytesOf, isUnsigned } from '../../../types/dtype'
import { v128 } from '../emit/index'
import type { FunctionBuilder } from '../emit/index'
import type { Vec, VectorGraph } from '../math/index'

const i32 = (graph: VectorGraph, value: number): Vec => graph.constant(v128.i32x4(value | 0))

const signOf = (dtype: DType): 's' | 'u' => (isUnsigned(dtype) || dtype === 'bool' ? 'u' : 's')

/** Brings any 32 bits to the lane form of the dtype, keeping the low bits. */
export function wrapInteger(graph: VectorGraph, dtype: DType, x: Vec): Vec {
  switch (dtype) {
    case 'int8':
    case 'int16': {
      const unused = 32 - 8 * bytesOf(dtype)
      return graph.shift('i32x4.shr_s', graph.shift('i32x4.shl', x, unused), unused)
    }
    case 'uint8':
      return graph.op('v128.and', x, i32(graph, 0xff))
    case 'uint16':
      return graph.op('v128.and', x, i32(graph, 0xffff))
    default:
      return x
  }
}

/** The bits of the dtype's own width, zero-extended. */
const ownBits = (graph: VectorGraph, dtype: DType, x: Vec): Vec =>
  bytesOf(dtype) === 4
    ? x
    : graph.op('v128.and', x, i32(graph, bytesOf(dtype) === 1 ? 0xff : 0xffff))

export function maskUnary(graph: VectorGraph, op: UnaryOp, x: Vec): Vec | null {
  return op === 'not' ? graph.op('v128.not', x) : null
}

/** Null where the operation does not exist for integers. */
export function integerUnary(graph: VectorGraph, op: UnaryOp, dtype: DType, x: Vec): Vec | null {
  switch (op) {
    case 'neg':
      return wrapInteger(graph, dtype, graph.op('i32x4.neg', x))
    case 'not':
      return wrapInteger(graph, dtype, graph.op('v128.not', x))
    case 'abs':
      return isUnsigned(dtype) ? x : wrapInteger(graph, dtype, graph.op('i32x4.abs', x))
    case 'sign': {
      const zero = i32(graph, 0)
      if (isUnsigned(dtype)) {
        return graph.op('v128.and', graph.op('i32x4.ne', x, zero), i32(graph, 1))
      }
      // Masks are −1, so the difference of the comparisons is the sign.
      const below = graph.op('i32x4.lt_s', x, zero)
      return graph.op('i32x4.sub', below, graph.op('i32x4.gt_s', x, zero))
    }
    case 'floor':
    case 'ceil':
    case 'round':
    case 'roundEven':
    case 'trunc':
      return x
    case 'popcount': {
      const bytes = graph.op('i8x16.popcnt', ownBits(graph, dtype, x))
      const halves = graph.op('i16x8.extadd_pairwise_i8x16_u', bytes)
      return graph.op('i32x4.extadd_pairwise_i16x8_u', halves)
    }
    case 'clz': {
      const counted = eachLane(graph, 'clz', [ownBits(graph, dtype, x)], (f) => f.op('i32.clz'))
      const unused = 32 - 8 * bytesOf(dtype)
      return unused === 0 ? counted : graph.op('i32x4.sub', counted, i32(graph, unused))
    }
    default:
      return null
  }
}

export function maskBinary(graph: VectorGraph, op: BinaryOp, x: Vec, y: Vec): Vec | null {
  switch (op) {
    case 'and':
    case 'mul':
    case 'min':
      return graph.op('v128.and', x, y)
    case 'or':
    case 'add':
    case 'max':
      return graph.op('v128.or', x, y)
    case 'xor':
    case 'ne':
      return graph.op('v128.xor', x, y)
    case 'eq':
      return graph.op('v128.not', graph.op('v128.xor', x, y))
    case 'lt':
      return graph.op('v128.andnot', y, x)
    case 'gt':
      return graph.op('v128.andnot', x, y)
    case 'le':
      return graph.op('v128.or', y, graph.op('v128.not', x))
    case 'ge':
      return graph.op('v128.or', x, graph.op('v128.not', y))
    default:
      return null
  }
}

/** `dtype` is that of the operands; comparisons answer a mask. */
export function integerBinary(
  graph: VectorGraph,
  op: BinaryOp,
  dtype: DType,
  x: Vec,
  y: Vec,
): Vec | null {
  const wrap = (value: Vec): Vec => wrapInteger(graph, dtype, value)
  const sign = signOf(dtype)
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
      return wrap(graph.op(`i32x4.${op}`, x, y))
    case 'div':
      return wrap(quotient(graph, dtype, x, y))
    case 'rem': {
      const whole = graph.op('i32x4.mul', quotient(graph, dtype, x, y), y)
      return wrap(graph.op('i32x4.sub', x, whole))
    }
    case 'max':
    case 'min':
      return graph.op(`i32x4.${op}_${sign}`, x, y)
    case 'and':
    case 'or':
    case 'xor':
      return graph.op(`v128.${op}`, x, y)
    case 'eq':
    case 'ne':
      return graph.op(`i32x4.${op}`, x, y)
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return graph.op(`i32x4.${op}_${sign}`, x, y)
    case 'shiftLeft':
    case 'shiftRightLogical':
    case 'shiftRightArithmetic':
      return wrap(shifted(graph, op, dtype, x, y))
    case 'pow':
      return power(graph, dtype, x, y)
    default:
      return null
  }
}

/**
 * Truncated division, exact in double precision because a quotient of 32-bit integers that is not
 * whole differs from the next whole number by more than 2^-32 of itself. XLA: x / 0 is all ones,
 * and the smallest integer divided by −1 is itself.
 */
function quotient(graph: VectorGraph, dtype: DType, x: Vec, y: Vec): Vec {
  const sign = signOf(dtype)
  const high = (v: Vec): Vec => graph.shuffle32(v, v, 2, 3, 2, 3)
  const half = (a: Vec, b: Vec): Vec =>
    graph.op(
      `i32x4.trunc_sat_f64x2_${sign}_zero`,
      graph.op(
        'f64x2.div',
        graph.op(`f64x2.convert_low_i32x4_${sign}`, a),
        graph.op(`f64x2.convert_low_i32x4_${sign}`, b),
      ),
    )
  const whole = graph.shuffle32(half(x, y), half(high(x), high(y)), 0, 1, 4, 5)
  const minusOne = i32(graph, -1)
  const byZero = graph.op('i32x4.eq', y, i32(graph, 0))
  const signed =
    sign === 'u'
      ? whole
      : graph.op(
          'v128.bitselect',
          graph.op('i32x4.neg', x),
          whole,
          graph.op('i32x4.eq', y, minusOne),
        )
  return graph.op('v128.bitselect', minusOne, signed, byZero)
}

/** Shifts by the width or more give what shifting bit by bit gives: zeros, or copies of the sign. */
function shifted(graph: VectorGraph, op: BinaryOp, dtype: DType, x: Vec, y: Vec): Vec {
  const width = 8 * bytesOf(dtype)
  const amount = ownBits(graph, dtype, y)
  if (op === 'shiftRightArithmetic') {
    // Unsigned integers are taken by their own top bit.
    const spare = 32 - width
    const signed = graph.shift('i32x4.shr_s', graph.shift('i32x4.shl', x, spare), spare)
    const limited = graph.op('i32x4.min_u', amount, i32(graph, width - 1))
    return shiftLanes(graph, 'i32.shr_s', 'i32x4.shr_s', signed, limited)
  }
  const inRange = graph.op('i32x4.lt_u', amount, i32(graph, width))
  const result =
    op === 'shiftLeft'
      ? shiftLanes(graph, 'i32.shl', 'i32x4.shl', x, amount)
      : shiftLanes(graph, 'i32.shr_u', 'i32x4.shr_u', ownBits(graph, dtype, x), amount)
  return graph.op('v128.and', result, inRange)
}

function shiftLanes(
  graph: VectorGraph,
  scalar: 'i32.shl' | 'i32.shr_s' | 'i32.shr_u',
  vector: 'i32x4.shl' | 'i32x4.shr_s' | 'i32x4.shr_u',
  x: Vec,
  amount: Vec,
): Vec {
  const known = sameInEveryLane(amount)
  if (known !== null) return graph.shift(vector, x, known & 31)
  return eachLane(graph, scalar, [x, amount], (f) => f.op(scalar))
}

function sameInEveryLane({ bits }: Vec): number | null {
  if (!bits) return null
  const lanes = new Int32Array(bits.buffer, bits.byteOffset, 4)
  const [first] = lanes
  return first !== undefined && lanes.every((lane) => lane === first) ? first : null
}

/** By repeated squaring; a negative exponent leaves only the powers of ±1. */
function power(graph: VectorGraph, dtype: DType, x: Vec, y: Vec): Vec {
  const one = i32(graph, 1)
  const bits = 8 * bytesOf(dtype)
  let result = one
  let square = x
  for (let bit = 0; bit < bits; bit++) {
    const isSet = graph.op(
      'i32x4.eq',
      graph.op('v128.and', graph.shift('i32x4.shr_u', y, bit), one),
      one,
    )
    const taken = graph.op('v128.bitselect', square, one, isSet)
    result = graph.op('i32x4.mul', result, taken)
    square = graph.op('i32x4.mul', square, square)
  }
  const positive = wrapInteger(graph, dtype, result)
  if (isUnsigned(dtype)) return positive
  const isUnit = graph.op('i32x4.eq', graph.op('i32x4.abs', x), one)
  const negative = graph.op('i32x4.lt_s', y, i32(graph, 0))
  return graph.op('v128.andnot', positive, graph.op('v128.andnot', negative, isUnit))
}

/** An i32 instruction on each lane in turn, for what SIMD lacks. */
function eachLane(
  graph: VectorGraph,
  key: string,
  args: readonly Vec[],
  instruction: (f: FunctionBuilder) => unknown,
): Vec {
  return graph.special(`each ${key}`, args, (emission) => {
    const { f } = emission
    const sources = args.map((arg) => emission.toLocal(arg))
    const result = f.scratch('v128')
    for (let lane = 0; lane < 4; lane++) {
      if (lane > 0) f.get(result)
      for (const { local } of sources) f.get(local).lane('i32x4.extract_lane', lane)
      instruction(f)
      if (lane === 0) f.op('i32x4.splat')
      else f.lane('i32x4.replace_lane', lane)
      f.set(result)
    }
    f.get(result)
    f.release(result)
    for (const { release } of sources) release()
  })
}
