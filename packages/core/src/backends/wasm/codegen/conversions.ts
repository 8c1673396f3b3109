/** Numeric conversions and bit casts between the lane forms of dtypes, with XLA's semantics. */
import type { DType } from '../../../types/dtype'
import { integerRange, isFloating, isUnsigned } from '../../../types/dtype'
import { v128 } from '../emit/index'
import type { Vec, VectorGraph } from '../math/index'
import { wrapInteger } from './integers'
import type { VectorValue } from './memory-forms'
import { narrowToBits, roundShort, widenBits } from './short-floats'

const i32 = (graph: VectorGraph, value: number): Vec => graph.constant(v128.i32x4(value | 0))

/** How values of a dtype stand in lanes. */
export type LaneClass = 'mask' | 'integer' | 'single' | 'double'

export function laneClass(dtype: DType): LaneClass {
  if (dtype === 'bool') return 'mask'
  if (dtype === 'float64') return 'double'
  return isFloating(dtype) ? 'single' : 'integer'
}

/** Rounds an f32 result to the dtype it is meant to have. */
export const roundSingle = (graph: VectorGraph, dtype: DType, x: Vec): Vec =>
  dtype === 'float16' || dtype === 'bfloat16' ? roundShort(graph, dtype, x) : x

const highHalf = (graph: VectorGraph, x: Vec): Vec => graph.shuffle32(x, x, 2, 3, 2, 3)

/** One mask of 32-bit lanes from the masks of two f64 vectors. */
export const joinMasks = (graph: VectorGraph, low: Vec, high: Vec): Vec =>
  graph.shuffle32(low, high, 0, 2, 4, 6)

/** The masks of two f64 vectors from one of 32-bit lanes. */
export const splitMask = (graph: VectorGraph, mask: Vec): readonly [Vec, Vec] => [
  graph.shuffle32(mask, mask, 0, 0, 1, 1),
  graph.shuffle32(mask, mask, 2, 2, 3, 3),
]

const one = <T>(values: readonly T[]): T => {
  const [value] = values
  if (value === undefined) throw new Error('a value without vectors')
  return value
}

const pair = (x: VectorValue): readonly [Vec, Vec] => {
  const [low, high] = x
  if (!low || !high) throw new Error('a float64 value takes two vectors')
  return [low, high]
}

export function convertLanes(
  graph: VectorGraph,
  from: DType,
  to: DType,
  x: VectorValue,
): VectorValue {
  if (from === to) return x
  const target = laneClass(to)
  switch (laneClass(from)) {
    case 'mask':
      return fromMask(graph, target, one(x))
    case 'integer':
      return fromInteger(graph, from, to, one(x))
    case 'single':
      return fromSingle(graph, to, one(x))
    case 'double':
      return fromDouble(graph, to, pair(x))
  }
}

function fromMask(graph: VectorGraph, target: LaneClass, mask: Vec): VectorValue {
  switch (target) {
    case 'mask':
      return [mask]
    case 'integer':
      return [graph.op('v128.and', mask, i32(graph, 1))]
    case 'single':
      return [graph.op('v128.and', mask, graph.constant(v128.f32x4(1)))]
    case 'double':
      return splitMask(graph, mask).map((half) =>
        graph.op('v128.and', half, graph.constant(v128.f64x2(1))),
      )
  }
}

function fromInteger(graph: VectorGraph, from: DType, to: DType, x: Vec): VectorValue {
  const sign = isUnsigned(from) ? 'u' : 's'
  switch (laneClass(to)) {
    case 'mask':
      return [graph.op('i32x4.ne', x, i32(graph, 0))]
    case 'integer':
      return [wrapInteger(graph, to, x)]
    case 'single':
      if (to === 'float32') return [graph.op(`f32x4.convert_i32x4_${sign}`, x)]
      // A 32-bit integer must not be rounded twice on its way to 16 bits.
      return fromDouble(graph, to, pair(fromInteger(graph, from, 'float64', x)))
    case 'double':
      return [x, highHalf(graph, x)].map((half) =>
        graph.op(`f64x2.convert_low_i32x4_${sign}`, half),
      )
  }
}

function fromSingle(graph: VectorGraph, to: DType, x: Vec): VectorValue {
  switch (laneClass(to)) {
    case 'mask':
      return [graph.op('f32x4.ne', x, graph.constant(v128.f32x4(0)))]
    case 'integer':
      return [
        saturate(graph, to, graph.op(`i32x4.trunc_sat_f32x4_${isUnsigned(to) ? 'u' : 's'}`, x)),
      ]
    case 'single':
      return [roundSingle(graph, to, x)]
    case 'double':
      return [x, highHalf(graph, x)].map((half) => graph.op('f64x2.promote_low_f32x4', half))
  }
}

function fromDouble(graph: VectorGraph, to: DType, x: readonly [Vec, Vec]): VectorValue {
  switch (laneClass(to)) {
    case 'mask': {
      const zero = graph.constant(v128.f64x2(0))
      const [low, high] = [graph.op('f64x2.ne', x[0], zero), graph.op('f64x2.ne', x[1], zero)]
      return [joinMasks(graph, low, high)]
    }
    case 'integer': {
      const sign = isUnsigned(to) ? 'u' : 's'
      const [low, high] = [
        graph.op(`i32x4.trunc_sat_f64x2_${sign}_zero`, x[0]),
        graph.op(`i32x4.trunc_sat_f64x2_${sign}_zero`, x[1]),
      ]
      return [saturate(graph, to, graph.shuffle32(low, high, 0, 1, 4, 5))]
    }
    case 'single': {
      const rounded = demote(graph, x)
      if (to === 'float32') return [rounded]
      return [roundSingle(graph, to, roundToOdd(graph, x, rounded))]
    }
    case 'double':
      return x
  }
}

const demote = (graph: VectorGraph, [low, high]: readonly [Vec, Vec]): Vec =>
  graph.shuffle32(
    graph.op('f32x4.demote_f64x2_zero', low),
    graph.op('f32x4.demote_f64x2_zero', high),
    0,
    1,
    4,
    5,
  )

/**
 * From the nearest f32 to the one of the two neighbours whose last bit is odd, where the value lies
 * between. Rounding that to fewer bits is the same as rounding the double (Boldo and Melquiond 2008,
 * "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd").
 */
function roundToOdd(graph: VectorGraph, x: readonly [Vec, Vec], nearest: Vec): Vec {
  const back = [nearest, highHalf(graph, nearest)].map((half) =>
    graph.op('f64x2.promote_low_f32x4', half),
  )
  const [low, high] = pair(back)
  const compare = (op: 'lt' | 'gt'): Vec => {
    const magnitude = (v: Vec): Vec => graph.op('f64x2.abs', v)
    return joinMasks(
      graph,
      graph.op(`f64x2.${op}`, magnitude(low), magnitude(x[0])),
      graph.op(`f64x2.${op}`, magnitude(high), magnitude(x[1])),
    )
  }
  const tooLarge = compare('gt')
  const inexact = graph.op('v128.or', compare('lt'), tooLarge)
  // A mask is −1: adding it steps one representable value towards zero.
  const below = graph.op('i32x4.add', nearest, tooLarge)
  return graph.op('v128.or', below, graph.op('v128.and', inexact, i32(graph, 1)))
}

/** Limits a 32-bit result to the range of a narrower integer. */
function saturate(graph: VectorGraph, dtype: DType, x: Vec): Vec {
  if (dtype === 'int32' || dtype === 'uint32') return x
  const [least, greatest] = integerRange(dtype)
  if (isUnsigned(dtype)) return graph.op('i32x4.min_u', x, i32(graph, greatest))
  const capped = graph.op('i32x4.min_s', x, i32(graph, greatest))
  return graph.op('i32x4.max_s', capped, i32(graph, least))
}

/** The same bits as another dtype of the same width. */
export function bitcastLanes(
  graph: VectorGraph,
  from: DType,
  to: DType,
  x: VectorValue,
): VectorValue {
  if (from === to || laneClass(from) === 'double') return x
  const bits =
    from === 'float16' || from === 'bfloat16'
      ? narrowToBits(graph, from, one(x))
      : from === 'bool'
        ? graph.op('v128.and', one(x), i32(graph, 1))
        : one(x)
  if (to === 'float16' || to === 'bfloat16') {
    return [widenBits(graph, to, wrapInteger(graph, 'uint16', bits))]
  }
  if (to === 'bool') return [graph.op('i32x4.ne', bits, i32(graph, 0))]
  return [wrapInteger(graph, to, bits)]
}
