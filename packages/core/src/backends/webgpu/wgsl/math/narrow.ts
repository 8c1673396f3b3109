/**
 * The 16-bit formats. Their values are held as f32 and rounded to nearest, ties to even, in
 * integers: WGSL leaves the direction of `quantizeToF16` open.
 */
import type { Declarations } from './text'

export const narrow: Declarations = {
  /** Drops `count` low bits of a magnitude, to nearest, ties to even. */
  drop_bits: `fn drop_bits(size: u32, count: u32) -> u32 {
  let tie = (1u << (count - 1u)) - 1u;
  return ((size + tie + ((size >> count) & 1u)) >> count) << count;
}`,
  round_f16: `fn round_f16(x: f32) -> f32 {
  let raw = bitcast<u32>(x);
  let sign = raw & 0x80000000u;
  let size = raw & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return x;
  }
  // Below 2^−14 the unit is 2^−24 throughout.
  if (size < 0x38800000u) {
    let units = round(bitcast<f32>(size) * 16777216.0);
    return bitcast<f32>(bitcast<u32>(units / 16777216.0) | sign);
  }
  let cut = drop_bits(size, 13u);
  return from_bits(select(cut, 0x7f800000u, cut >= 0x47800000u) | sign);
}`,
  round_bf16: `fn round_bf16(x: f32) -> f32 {
  let raw = bitcast<u32>(x);
  let size = raw & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return x;
  }
  return from_bits(drop_bits(size, 16u) | (raw & 0x80000000u));
}`,
  /** The 16 bits of a value of the format. */
  f16_to_bits: `fn f16_to_bits(x: f32) -> u32 {
  let raw = bitcast<u32>(x);
  let sign = (raw >> 16u) & 0x8000u;
  let size = raw & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return 0x7e00u;
  }
  if (size < 0x38800000u) {
    return sign | u32(bitcast<f32>(size) * 16777216.0);
  }
  return sign | min((size - 0x38000000u) >> 13u, 0x7c00u);
}`,
  f16_from_bits: `fn f16_from_bits(half: u32) -> f32 {
  let sign = (half & 0x8000u) << 16u;
  let size = half & 0x7fffu;
  if (size >= 0x7c00u) {
    return from_bits(sign | 0x7f800000u | ((size & 0x03ffu) << 13u));
  }
  if (size < 0x0400u) {
    return bitcast<f32>(bitcast<u32>(f32(size) / 16777216.0) | sign);
  }
  return bitcast<f32>(((size << 13u) + 0x38000000u) | sign);
}`,
  bf16_to_bits: `fn bf16_to_bits(x: f32) -> u32 {
  return select(bitcast<u32>(x) >> 16u, 0x7fc0u, is_nan(x));
}`,
  bf16_from_bits: `fn bf16_from_bits(half: u32) -> f32 {
  return from_bits(half << 16u);
}`,
  /**
   * An integer as an f32 whose last bit is set where bits were lost: rounding that to fewer bits is
   * the same as rounding the integer (Boldo and Melquiond 2008).
   */
  u32_to_odd: `fn u32_to_odd(x: u32) -> f32 {
  if (x < 0x01000000u) {
    return f32(x);
  }
  return 256.0 * f32((x >> 8u) | select(0u, 1u, (x & 0xffu) != 0u));
}`,
  i32_to_odd: `fn i32_to_odd(x: i32) -> f32 {
  let size = u32_to_odd(bitcast<u32>(abs(x)));
  return select(size, -size, x < 0);
}`,
  nextafter_f16: `fn nextafter_f16(x: f32, y: f32) -> f32 {
  if (is_nan(x) || is_nan(y)) {
    return not_a_number();
  }
  if (equal_f32(x, y)) {
    return y;
  }
  if (is_zero(x)) {
    return f16_from_bits((f16_to_bits(y) & 0x8000u) | 1u);
  }
  let outwards = (order_f32(x) < order_f32(y)) != is_negative(x);
  return f16_from_bits(select(f16_to_bits(x) - 1u, f16_to_bits(x) + 1u, outwards));
}`,
  nextafter_bf16: `fn nextafter_bf16(x: f32, y: f32) -> f32 {
  if (is_nan(x) || is_nan(y)) {
    return not_a_number();
  }
  if (equal_f32(x, y)) {
    return y;
  }
  if (is_zero(x)) {
    return bf16_from_bits((bf16_to_bits(y) & 0x8000u) | 1u);
  }
  let outwards = (order_f32(x) < order_f32(y)) != is_negative(x);
  return bf16_from_bits(select(bf16_to_bits(x) - 1u, bf16_to_bits(x) + 1u, outwards));
}`,
}
