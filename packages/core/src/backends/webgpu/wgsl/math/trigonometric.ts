/** Circular functions and their inverses. */
import { f32, polynomial, type Declarations } from './text'

/** π/2 in parts of 16 bits, whose products with numbers of 8 bits are exact, and what remains. */
const halfPiParts = [1.570770263671875, 2.6063062250614166e-5, 6.07710062827671e-11].map(f32)
/** π/2 and π as f32, and what is missing to them. */
const halfPi = f32(Math.PI / 2)
const halfPiTail = f32(-4.3711390001862426e-8)
const pi = f32(Math.PI)
const piTail = f32(-8.742278000372485e-8)

/** (asin s − s) / s³ at s² = z, for s ≤ ½ (Cephes, asinf.c). */
const arcSineTail = polynomial(
  'z',
  [1.6666752422e-1, 7.4953002686e-2, 4.5470025998e-2, 2.4181311049e-2, 4.2163199048e-2],
)
/** (atan t − t) / t³ at t² = z, for t ≤ tan π/8 (Cephes, atanf.c). */
const arcTangentTail = polynomial(
  'z',
  [-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2],
)

export const trigonometric: Declarations = {
  /** x = n π/2 + r with |r| ≤ π/4; `quadrant` is n modulo 4. */
  Reduced: `struct Reduced {
  r: f32,
  quadrant: u32,
}`,
  /** Cody and Waite's reduction, while the multiple of π/2 has 8 bits. */
  reduce_small: `fn reduce_small(x: f32) -> Reduced {
  let n = round(x * ${f32(2 / Math.PI)});
  let coarse = rounded(rounded(x - n * ${halfPiParts[0]}) - n * ${halfPiParts[1]});
  return Reduced(coarse - n * ${halfPiParts[2]}, bitcast<u32>(i32(n)) & 3u);
}`,
  /** The binary digits of 2/π, a word of zeros standing before. */
  two_over_pi: `const two_over_pi = array<u32, 7>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u);`,
  multiply_high: `fn multiply_high(x: u32, y: u32) -> u32 {
  let low = (x & 0xffffu) * (y & 0xffffu);
  let middle = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
  let cross = (x & 0xffffu) * (y >> 16u) + (middle & 0xffffu);
  return (x >> 16u) * (y >> 16u) + (middle >> 16u) + (cross >> 16u);
}`,
  /** The upper word of (high, low) moved left by 0 to 31 bits. */
  funnel: `fn funnel(high: u32, low: u32, by: u32) -> u32 {
  return (high << by) | ((low >> 1u) >> (31u - by));
}`,
  /**
   * Payne and Hanek, Radian reduction for trigonometric functions (SIGNUM 1983): x is an integer of
   * 24 bits times a power of two, which selects 96 bits of 2/π; more significant ones only add
   * multiples of 4 to x 2/π.
   */
  reduce_large: `fn reduce_large(x: f32) -> Reduced {
  let raw = bitcast<u32>(x);
  let mantissa = (raw << 8u) | 0x80000000u;
  let position = ((raw >> 23u) & 0xffu) - 128u;
  let word = position >> 5u;
  let by = position & 31u;
  var digits = two_over_pi;
  let v2 = funnel(digits[word], digits[word + 1u], by);
  let v1 = funnel(digits[word + 1u], digits[word + 2u], by);
  let v0 = funnel(digits[word + 2u], digits[word + 3u], by);
  // mantissa · (v2, v1, v0) modulo 2^96, in units of 2^−94
  let w0 = mantissa * v0;
  let low1 = mantissa * v1;
  let w1 = low1 + multiply_high(mantissa, v0);
  let carry = select(0u, 1u, w1 < low1);
  let w2 = mantissa * v2 + multiply_high(mantissa, v1) + carry;
  // The fraction of a quadrant, to the nearer side.
  var top = (w2 << 2u) | (w1 >> 30u);
  var next = (w1 << 2u) | (w0 >> 30u);
  let beyond = top >> 31u;
  let quadrant = (w2 >> 30u) + beyond;
  if (beyond == 1u) {
    top = ~top;
    next = ~next;
  }
  let zeros = min(countLeadingZeros(top), 31u);
  // Times π/2 in units of 2^−31: one rounding, when it becomes a float.
  let angle = multiply_high(funnel(top, next, zeros), 0xc90fdaa2u);
  let r = f32(angle) * power_of_two(-31 - i32(zeros));
  let is_minus = raw >> 31u;
  return Reduced(
    from_bits(bitcast<u32>(r) ^ ((is_minus ^ beyond) << 31u)),
    select(quadrant, 0u - quadrant, is_minus == 1u) & 3u);
}`,
  reduce_angle: `fn reduce_angle(x: f32) -> Reduced {
  if (magnitude(x) < 200.0) {
    return reduce_small(x);
  }
  return reduce_large(x);
}`,
  /** Cephes, sinf.c, for |r| ≤ π/4. */
  sin_kernel: `fn sin_kernel(r: f32) -> f32 {
  let z = r * r;
  return r + z * r * ${polynomial('z', [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4])};
}`,
  cos_kernel: `fn cos_kernel(r: f32) -> f32 {
  let z = r * r;
  let even = ${polynomial('z', [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5])};
  return 1.0 + (z * z * even - 0.5 * z);
}`,
  from_quadrant: `fn from_quadrant(r: f32, quadrant: u32) -> f32 {
  let value = select(sin_kernel(r), cos_kernel(r), (quadrant & 1u) == 1u);
  return from_bits(bitcast<u32>(value) ^ ((quadrant & 2u) << 30u));
}`,
  sin_f32: `fn sin_f32(x: f32) -> f32 {
  if (!is_finite(x)) {
    return not_a_number();
  }
  if (magnitude(x) < ${f32(2 ** -13)}) {
    return x;
  }
  let angle = reduce_angle(x);
  return from_quadrant(angle.r, angle.quadrant);
}`,
  cos_f32: `fn cos_f32(x: f32) -> f32 {
  if (!is_finite(x)) {
    return not_a_number();
  }
  let angle = reduce_angle(magnitude(x));
  return from_quadrant(angle.r, angle.quadrant + 1u);
}`,
  /** r + r³ P(r²) (Cephes, tanf.c), in odd quadrants −1 over it. */
  tan_f32: `fn tan_f32(x: f32) -> f32 {
  if (!is_finite(x)) {
    return not_a_number();
  }
  if (magnitude(x) < ${f32(2 ** -13)}) {
    return x;
  }
  let angle = reduce_angle(x);
  let r = angle.r;
  let z = r * r;
  let odd = ${polynomial(
    'z',
    [
      3.33331568548e-1, 1.33387994085e-1, 5.34112807005e-2, 2.44301354525e-2, 3.11992232697e-3,
      9.38540185543e-3,
    ],
  )};
  let tangent = r + odd * z * r;
  return select(tangent, -1.0 / tangent, (angle.quadrant & 1u) == 1u);
}`,

  // ---- inverses -----------------------------------------------------------------------------------

  /** asin s for 0 ≤ s ≤ ½. */
  asin_kernel: `fn asin_kernel(s: f32) -> f32 {
  let z = s * s;
  return s + s * z * ${arcSineTail};
}`,
  /** asin √z for 0 ≤ z ≤ ¼. */
  asin_root: `fn asin_root(z: f32) -> f32 {
  let s = sqrt_f32(z);
  return s + s * z * ${arcSineTail};
}`,
  /** Above ½, π/2 − 2 asin √((1 − |x|) / 2). */
  asin_f32: `fn asin_f32(x: f32) -> f32 {
  let a = magnitude(x);
  if (is_nan(x) || a > 1.0) {
    return not_a_number();
  }
  if (a <= 0.5) {
    return with_sign(asin_kernel(a), x);
  }
  let rest = 2.0 * asin_root(0.5 * (1.0 - a));
  return with_sign(${halfPi} - (rest - ${halfPiTail}), x);
}`,
  acos_f32: `fn acos_f32(x: f32) -> f32 {
  let a = magnitude(x);
  if (is_nan(x) || a > 1.0) {
    return not_a_number();
  }
  if (a <= 0.5) {
    let value = with_sign(asin_kernel(a), x);
    return ${halfPi} - (value - ${halfPiTail});
  }
  let twice = 2.0 * asin_root(0.5 * (1.0 - a));
  return select(twice, ${pi} - (twice - ${piTail}), is_negative(x));
}`,
  /** atan t for 0 ≤ t ≤ 1: by the difference with π/4 above tan π/8. */
  atan_unit: `fn atan_unit(t: f32) -> f32 {
  let is_upper = t > ${f32(Math.SQRT2 - 1)};
  let u = select(t, (t - 1.0) / (t + 1.0), is_upper);
  let z = u * u;
  let value = u + u * z * ${arcTangentTail};
  return select(value, ${f32(Math.PI / 4)} + (value + ${f32(-4.3711390001862426e-8 / 2)}), is_upper);
}`,
  atan_f32: `fn atan_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (a <= 1.0) {
    return with_sign(atan_unit(a), x);
  }
  let inverse = select(1.0 / min(a, ${f32(2 ** 100)}), 0.0, a > ${f32(2 ** 100)});
  return with_sign(${halfPi} - (atan_unit(inverse) - ${halfPiTail}), x);
}`,
  /** The angle of (x, y) with the sign of y; C's conventions at zeros and infinities. */
  atan2_f32: `fn atan2_f32(y: f32, x: f32) -> f32 {
  if (is_nan(x) || is_nan(y)) {
    return not_a_number();
  }
  var ay = magnitude(y);
  var ax = magnitude(x);
  // Infinities count as equal numbers against which all others are nothing.
  if (!is_finite(ax) || !is_finite(ay)) {
    ax = select(1.0, 0.0, is_finite(ax));
    ay = select(1.0, 0.0, is_finite(ay));
  }
  let is_steep = ay > ax;
  // Where division is no longer accurate both are brought nearer to 1.
  let largest = max(ax, ay);
  let factor = select(select(1.0, ${f32(2 ** 64)}, largest < ${f32(2 ** -40)}), ${f32(2 ** -64)}, largest > ${f32(2 ** 64)});
  let below = factor * largest;
  let ratio = factor * min(ax, ay) / select(below, 1.0, is_zero(below));
  let angle = atan_unit(ratio);
  let first = select(angle, ${halfPi} - (angle - ${halfPiTail}), is_steep);
  let whole = select(first, ${pi} - (first - ${piTail}), is_negative(x));
  return with_sign(whole, y);
}`,
}
