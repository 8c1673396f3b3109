/**
 * 16-bit floats as vectors: their bits in the low half of each 32-bit lane, or their value as an
 * f32. Rounding is to nearest, ties to even; subnormals, infinities and NaN are kept.
 */
import { v128 } from '../emit/index'
import type { Vec, VectorGraph } from '../math/index'

export type ShortFloat = 'float16' | 'bfloat16'

const i32 = (graph: VectorGraph, value: number): Vec => graph.constant(v128.i32x4(value))
const f32 = (graph: VectorGraph, value: number): Vec => graph.constant(v128.f32x4(value))

/**
 * Where values came from, so that writing one does not round it again: bits that were read, and
 * values before they were rounded. What nothing asks for any more is never written as code.
 */
const readFrom = new WeakMap<Vec, { readonly format: ShortFloat; readonly bits: Vec }>()
const roundedFrom = new WeakMap<Vec, { readonly format: ShortFloat; readonly value: Vec }>()

/** The f32 value of bits that stand in the low half of each lane, zero-extended. */
export function widenBits(graph: VectorGraph, format: ShortFloat, bits: Vec): Vec {
  const value = widened(graph, format, bits)
  readFrom.set(value, { format, bits })
  return value
}

function widened(graph: VectorGraph, format: ShortFloat, bits: Vec): Vec {
  if (format === 'bfloat16') return graph.shift('i32x4.shl', bits, 16)
  // The exponent field is moved into place and its bias corrected by a multiplication, which also
  // normalises subnormals; what lands at 2^16 or above was an infinity or NaN.
  const magnitude = graph.op('v128.and', bits, i32(graph, 0x7fff))
  const sign = graph.shift('i32x4.shl', graph.op('v128.xor', bits, magnitude), 16)
  const scaled = graph.op(
    'f32x4.mul',
    graph.shift('i32x4.shl', magnitude, 13),
    f32(graph, 2 ** 112),
  )
  const special = graph.op('f32x4.ge', scaled, f32(graph, 65536))
  const infinite = graph.op('v128.and', special, i32(graph, 0x7f800000))
  return graph.op('v128.or', graph.op('v128.or', scaled, infinite), sign)
}

/** The bits, in the low half of each lane, of f32 values rounded to the format. */
export function narrowToBits(graph: VectorGraph, format: ShortFloat, value: Vec): Vec {
  const read = readFrom.get(value)
  if (read?.format === format) return read.bits
  const rounded = roundedFrom.get(value)
  const x = rounded?.format === format ? rounded.value : value
  if (format === 'bfloat16') {
    return graph.shift('i32x4.shr_u', rounding(graph, format, x), 16)
  }
  const magnitude = graph.op('f32x4.abs', x)
  const sign = graph.shift('i32x4.shr_u', graph.op('v128.xor', x, magnitude), 16)
  const { normal, subnormal, tiny, notANumber } = roundedHalf(graph, magnitude)
  // The exponent is rebiased in place: 127 − 15 = 112.
  const normalBits = graph.shift(
    'i32x4.shr_u',
    graph.op('i32x4.sub', normal, i32(graph, 112 << 23)),
    13,
  )
  // 0.5 + x has x's subnormal bits at the bottom of its mantissa.
  const subnormalBits = graph.op('i32x4.sub', subnormal, f32(graph, 0.5))
  const finite = graph.op('v128.bitselect', subnormalBits, normalBits, tiny)
  const bits = graph.op('v128.bitselect', i32(graph, 0x7e00), finite, notANumber)
  return graph.op('v128.or', bits, sign)
}

/** f32 values rounded to the format, still as f32. */
export function roundShort(graph: VectorGraph, format: ShortFloat, x: Vec): Vec {
  if (readFrom.get(x)?.format === format) return x
  const value = rounding(graph, format, x)
  roundedFrom.set(value, { format, value: x })
  return value
}

function rounding(graph: VectorGraph, format: ShortFloat, x: Vec): Vec {
  const notANumber = graph.op('f32x4.ne', x, x)
  if (format === 'bfloat16') {
    const odd = graph.op('v128.and', graph.shift('i32x4.shr_u', x, 16), i32(graph, 1))
    const bumped = graph.op('i32x4.add', graph.op('i32x4.add', x, i32(graph, 0x7fff)), odd)
    const rounded = graph.op('v128.and', bumped, i32(graph, 0xffff0000 | 0))
    return graph.op('v128.bitselect', i32(graph, 0x7fc00000), rounded, notANumber)
  }
  const magnitude = graph.op('f32x4.abs', x)
  const sign = graph.op('v128.xor', x, magnitude)
  const { normal, subnormal, tiny } = roundedHalf(graph, magnitude)
  const masked = graph.op('v128.and', normal, i32(graph, ~0x1fff))
  // From 65520 up, half of the gap to the next value that does not exist, the result is infinite.
  const overflow = graph.op('f32x4.gt', masked, f32(graph, 65504))
  const large = graph.op('v128.bitselect', f32(graph, Infinity), masked, overflow)
  const small = graph.op('f32x4.sub', subnormal, f32(graph, 0.5))
  const value = graph.op('v128.bitselect', small, large, tiny)
  const result = graph.op('v128.bitselect', i32(graph, 0x7fc00000), value, notANumber)
  return graph.op('v128.or', result, sign)
}

/** The two ways to round a magnitude to float16, and when each applies. */
function roundedHalf(
  graph: VectorGraph,
  magnitude: Vec,
): {
  /** f32 bits rounded at bit 13, low bits not yet cleared. */
  readonly normal: Vec
  /** 0.5 + magnitude: 0.5 has an ulp of 2^-24, float16's smallest subnormal. */
  readonly subnormal: Vec
  readonly tiny: Vec
  readonly notANumber: Vec
} {
  const limited = graph.op('f32x4.pmin', magnitude, f32(graph, 65536))
  const odd = graph.op('v128.and', graph.shift('i32x4.shr_u', limited, 13), i32(graph, 1))
  const normal = graph.op('i32x4.add', graph.op('i32x4.add', limited, i32(graph, 0xfff)), odd)
  return {
    normal,
    subnormal: graph.op('f32x4.add', magnitude, f32(graph, 0.5)),
    tiny: graph.op('f32x4.lt', magnitude, f32(graph, 2 ** -14)),
    notANumber: graph.op('f32x4.ne', magnitude, magnitude),
  }
}
