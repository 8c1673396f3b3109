/**
 * Floats by their bits.
 *
 * WGSL lets an implementation assume that there are no NaNs and infinities, rewrite sums as real
 * numbers may be rewritten, and refuses literals of what is not finite. So NaN is recognised in
 * integers, and `opaque_zero`, which no compiler can know to be zero, stands between a rounding that
 * matters and whoever would simplify it away.
 */
import { type Declarations, f32 } from './text'

export const bits: Declarations = {
  /** Set at the start of `main` from the length of a buffer, which has fewer than 2^31 words. */
  opaque_zero: 'var<private> opaque_zero: u32;',

  from_bits: `fn from_bits(bits: u32) -> f32 {
  return bitcast<f32>(bits ^ opaque_zero);
}`,
  /** A sum, difference or product as it was rounded. */
  rounded: `fn rounded(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ opaque_zero);
}`,
  infinity: `fn infinity() -> f32 {
  return from_bits(0x7f800000u);
}`,
  not_a_number: `fn not_a_number() -> f32 {
  return from_bits(0x7fc00000u);
}`,
  is_nan: `fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}`,
  is_finite: `fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u;
}`,
  is_zero: `fn is_zero(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) == 0u;
}`,
  is_negative: `fn is_negative(x: f32) -> bool {
  return bitcast<u32>(x) > 0x7fffffffu;
}`,
  magnitude: `fn magnitude(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) & 0x7fffffffu);
}`,
  /** The size of the one with the sign of the other. */
  with_sign: `fn with_sign(size: f32, sign: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(size) & 0x7fffffffu) | (bitcast<u32>(sign) & 0x80000000u));
}`,

  // ---- comparisons and extrema ------------------------------------------------------------------

  equal_f32: `fn equal_f32(x: f32, y: f32) -> bool {
  let a = bitcast<u32>(x);
  let b = bitcast<u32>(y);
  return (a == b && (a & 0x7fffffffu) <= 0x7f800000u) || ((a | b) & 0x7fffffffu) == 0u;
}`,
  /** Order as integers, NaN apart: negative floats count down, and both zeros are 0. */
  order_f32: `fn order_f32(x: f32) -> i32 {
  let raw = bitcast<i32>(x);
  return select(raw, -(raw & 0x7fffffff), raw < 0);
}`,
  less_f32: `fn less_f32(x: f32, y: f32) -> bool {
  return order_f32(x) < order_f32(y) && !is_nan(x) && !is_nan(y);
}`,
  less_equal_f32: `fn less_equal_f32(x: f32, y: f32) -> bool {
  return order_f32(x) <= order_f32(y) && !is_nan(x) && !is_nan(y);
}`,
  /** NaN where either is; −0 is below 0. */
  max_f32: `fn max_f32(x: f32, y: f32) -> f32 {
  let a = bitcast<i32>(x);
  let b = bitcast<i32>(y);
  // The bits of negative floats count down.
  let larger = select(y, x, (a ^ ((a >> 31u) & 0x7fffffff)) > (b ^ ((b >> 31u) & 0x7fffffff)));
  return select(select(larger, y, is_nan(y)), x, is_nan(x));
}`,
  min_f32: `fn min_f32(x: f32, y: f32) -> f32 {
  let a = bitcast<i32>(x);
  let b = bitcast<i32>(y);
  let smaller = select(y, x, (a ^ ((a >> 31u) & 0x7fffffff)) < (b ^ ((b >> 31u) & 0x7fffffff)));
  return select(select(smaller, y, is_nan(y)), x, is_nan(x));
}`,

  // ---- rounding to whole numbers ----------------------------------------------------------------

  // From 2^23 on floats are whole; infinities and NaNs are their own rounding.
  // Below 1 the sign decides, also where a device takes small numbers for zero.
  floor_f32: `fn floor_f32(x: f32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  if (size < 0x3f800000u) {
    return select(with_sign(0.0, x), -1.0, bitcast<u32>(x) > 0x80000000u);
  }
  return select(x, floor(x), size < 0x4b000000u);
}`,
  ceil_f32: `fn ceil_f32(x: f32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  if (size < 0x3f800000u) {
    return select(with_sign(0.0, x), 1.0, size != 0u && !is_negative(x));
  }
  return select(x, ceil(x), size < 0x4b000000u);
}`,
  trunc_f32: `fn trunc_f32(x: f32) -> f32 {
  return select(x, with_sign(trunc(x), x), (bitcast<u32>(x) & 0x7fffffffu) < 0x4b000000u);
}`,
  round_even_f32: `fn round_even_f32(x: f32) -> f32 {
  return select(x, with_sign(round(x), x), (bitcast<u32>(x) & 0x7fffffffu) < 0x4b000000u);
}`,
  /** Half away from zero. x − trunc(x) is exact, so the comparison is. */
  round_f32: `fn round_f32(x: f32) -> f32 {
  let size = magnitude(x);
  let whole = trunc(size);
  let up = select(whole, whole + 1.0, size - whole >= 0.5);
  return select(x, with_sign(up, x), bitcast<u32>(size) < 0x4b000000u);
}`,
  /** ±0 and NaN are their own sign. */
  sign_f32: `fn sign_f32(x: f32) -> f32 {
  return select(with_sign(1.0, x), x, is_zero(x) || is_nan(x));
}`,
  /**
   * WGSL's division may err by 2.5 units, but a quotient that is whole is that number: floors of
   * quotients rely on it.
   */
  div_f32: `fn div_f32(x: f32, y: f32) -> f32 {
  let quotient = x / y;
  let whole = round(quotient);
  return select(quotient, whole, whole * y == x && !is_zero(whole));
}`,
  sqrt_f32: `fn sqrt_f32(x: f32) -> f32 {
  let raw = bitcast<u32>(x);
  // ±0, infinity and NaN stay; less than zero is NaN.
  if (raw == 0u || raw >= 0x7f800000u) {
    return select(not_a_number(), x, raw <= 0x80000000u || is_nan(x));
  }
  // Numbers that a device may take for zero are whole multiples of 2^−149.
  if (raw < 0x00800000u) {
    return sqrt(2.0 * f32(raw)) * ${f32(2 ** -75)};
  }
  return sqrt(x);
}`,
  rsqrt_f32: `fn rsqrt_f32(x: f32) -> f32 {
  let raw = bitcast<u32>(x);
  if (is_zero(x)) {
    return from_bits(raw | 0x7f800000u);
  }
  if (raw >= 0x7f800000u) {
    return select(not_a_number(), 0.0, raw == 0x7f800000u);
  }
  if (raw < 0x00800000u) {
    return ${f32(2 ** 75)} / sqrt(2.0 * f32(raw));
  }
  return 1.0 / sqrt(x);
}`,
  /** C's nextafter: one more or less in the bits of the magnitude. */
  nextafter_f32: `fn nextafter_f32(x: f32, y: f32) -> f32 {
  if (is_nan(x) || is_nan(y)) {
    return not_a_number();
  }
  if (equal_f32(x, y)) {
    return y;
  }
  let raw = bitcast<u32>(x);
  if (is_zero(x)) {
    return from_bits((bitcast<u32>(y) & 0x80000000u) | 1u);
  }
  let outwards = (order_f32(x) < order_f32(y)) != is_negative(x);
  return bitcast<f32>(select(raw - 1u, raw + 1u, outwards));
}`,

  // ---- powers of two ------------------------------------------------------------------------------

  power_of_two: `fn power_of_two(n: i32) -> f32 {
  return bitcast<f32>(u32(n + 127) << 23u);
}`,
  /** x 2^n in two steps, so that it may overflow or vanish. */
  scale: `fn scale(x: f32, n: i32) -> f32 {
  let half = n >> 1u;
  return rounded(x * power_of_two(half)) * power_of_two(n - half);
}`,
  Split: `struct Split {
  m: f32,
  k: f32,
}`,
  /** x = m 2^k with m in [√½, √2), for positive finite x, subnormal ones too. */
  split_exponent: `fn split_exponent(x: f32) -> Split {
  var raw = bitcast<u32>(x);
  var k = -127;
  if (raw < 0x00800000u) {
    let lift = countLeadingZeros(raw | 1u) - 8u;
    raw <<= lift;
    k -= i32(lift);
  }
  // Counting from √½ in the bits moves the upper half of each binade to the next exponent.
  let shifted = raw - 0x3f3504f3u + 0x3f800000u;
  k += i32(shifted >> 23u);
  return Split(bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u), f32(k));
}`,

  // ---- error-free transformations -----------------------------------------------------------------

  /** An unevaluated sum, the second below half a unit in the last place of the first. */
  Double: `struct Double {
  high: f32,
  low: f32,
}`,
  /** x + y exactly, for |x| ≥ |y| or x = 0 (Dekker 1971). */
  fast_two_sum: `fn fast_two_sum(x: f32, y: f32) -> Double {
  let high = rounded(x + y);
  return Double(high, y - rounded(high - x));
}`,
  /** x + y exactly (Knuth, TAOCP 4.2.2). */
  two_sum: `fn two_sum(x: f32, y: f32) -> Double {
  let high = rounded(x + y);
  let part = rounded(high - x);
  return Double(high, rounded(x - rounded(high - part)) + rounded(y - part));
}`,
  /** x y exactly: the factors are cut to 12 bits, whose products are exact (Dekker 1971). */
  two_product: `fn two_product(x: f32, y: f32) -> Double {
  let high = rounded(x * y);
  let x_high = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
  let y_high = bitcast<f32>(bitcast<u32>(y) & 0xfffff000u);
  let x_low = rounded(x - x_high);
  let y_low = rounded(y - y_high);
  let first = rounded(rounded(x_high * y_high) - high);
  let cross = rounded(rounded(first + rounded(x_high * y_low)) + rounded(x_low * y_high));
  return Double(high, cross + x_low * y_low);
}`,
}
