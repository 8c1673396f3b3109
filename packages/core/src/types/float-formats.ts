/**
 * The narrow floating formats, as numbers and as bits: IEEE 754 binary32 and binary16, and bfloat16.
 * All roundings are to nearest, ties to even.
 */
import type { DType } from './dtype'

const floatView = new Float32Array(1)
const bitsView = new Uint32Array(floatView.buffer)

/** Rounds a double to a binary format with `fractionBits` bits and the given exponent range. */
function roundTo(x: number, fractionBits: number, minExponent: number, max: number): number {
  if (x === 0 || !Number.isFinite(x)) return x
  const magnitude = Math.abs(x)
  const exponent = Math.max(exponentOf(magnitude), minExponent)
  const unit = 2 ** (exponent - fractionBits)
  const scaled = magnitude / unit
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
  const result = rounded * unit
  return Math.sign(x) * (result > max ? Infinity : result)
}

/** The exponent e with 2^e ≤ x < 2^(e+1), for positive finite x that is not a double subnormal. */
function exponentOf(x: number): number {
  const guess = Math.floor(Math.log2(x))
  if (2 ** guess > x) return guess - 1
  return 2 ** (guess + 1) <= x ? guess + 1 : guess
}

export const roundToFloat16 = (x: number): number => signed(x, roundTo(x, 10, -14, 65504))
export const roundToBfloat16 = (x: number): number =>
  signed(x, roundTo(x, 7, -126, (2 - 2 ** -7) * 2 ** 127))

/** Results that round to zero keep the sign of what they came from. */
const signed = (x: number, rounded: number): number =>
  rounded === 0 ? (x < 0 || Object.is(x, -0) ? -0 : 0) : rounded

/** Rounds a double to the values a floating dtype has; other dtypes are returned unchanged. */
export function roundToDType(x: number, dtype: DType): number {
  switch (dtype) {
    case 'float32':
      return Math.fround(x)
    case 'float16':
      return roundToFloat16(x)
    case 'bfloat16':
      return roundToBfloat16(x)
    default:
      return x
  }
}

/** The 16 bits of the nearest binary16. */
export function float16ToBits(x: number): number {
  if (Number.isNaN(x)) return 0x7e00
  const value = roundToFloat16(x)
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude === Infinity) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24)
  const exponent = exponentOf(magnitude)
  return sign | ((exponent + 15) << 10) | ((magnitude / 2 ** exponent - 1) * 1024)
}

export function bitsToFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The 16 bits of the nearest bfloat16: the upper half of a binary32. */
export function bfloat16ToBits(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0
  floatView[0] = roundToBfloat16(x)
  return (bitsView[0] ?? 0) >>> 16
}

export function bitsToBfloat16(bits: number): number {
  bitsView[0] = bits << 16
  return floatView[0] ?? 0
}
