/** Exponential functions, logarithms, powers, and the hyperbolic functions that are made of them. */
import { f32, polynomial, type Declarations } from './text'

/** (eʳ − 1 − r) / r² on |r| ≤ ½ ln 2 (Cephes, expf.c). */
const exponentialTail = [
  5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3,
  1.98756915e-4,
]
/** (2ʳ − 1) / r on |r| ≤ ½: Chebyshev interpolation in high precision. */
const binaryExponential = [
  0.6931471824645996, 0.24022650718688965, 0.05550410971045494, 0.009618056938052177,
  0.0013333501992747188, 0.00015461444854736328, 1.529732435301412e-5,
]
/** (log(1 + f) − f + f²/2) / f³ for 1 + f in [√½, √2) (Cephes, logf.c). */
const logarithmTail = [
  3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
  -1.2420140846e-1, 1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
]

/** ln 2 = high + low; the first has 9 bits, so that its product with an exponent is exact. */
const ln2High = f32(0.693359375)
const ln2Low = f32(-2.1219444e-4)

export const exponential: Declarations = {
  Exponential: `struct Exponential {
  fraction: f32,
  n: i32,
}`,
  /** e^x = (1 + fraction) 2^n for |x| < 128 (Cody and Waite 1980, chapter 6). */
  reduced_exp: `fn reduced_exp(x: f32) -> Exponential {
  let n = round(x * ${f32(Math.LOG2E)});
  let r = rounded(x - n * ${ln2High}) - n * ${ln2Low};
  return Exponential(${polynomial('r', exponentialTail)} * (r * r) + r, i32(n));
}`,
  /** e^x for x that is a number; the result may be beyond the range. */
  exp_number: `fn exp_number(x: f32) -> f32 {
  let e = reduced_exp(clamp(x, -104.0, 90.0));
  return scale(1.0 + e.fraction, e.n);
}`,
  exp_f32: `fn exp_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  return select(exp_number(x), infinity(), x > 88.72283);
}`,
  exp2_f32: `fn exp2_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let bounded = clamp(x, -152.0, 129.0);
  let n = round(bounded);
  let r = bounded - n;
  let value = scale(1.0 + r * ${polynomial('r', binaryExponential)}, i32(n));
  return select(value, infinity(), x >= 128.0);
}`,
  /** e^x − 1 = 2^n ((e^r − 1) + (1 − 2^−n)): nothing cancels where n = 0. */
  expm1_f32: `fn expm1_f32(x: f32) -> f32 {
  if (is_nan(x) || magnitude(x) < ${f32(2 ** -26)}) {
    return x;
  }
  let e = reduced_exp(clamp(x, -20.0, 90.0));
  let inverse = power_of_two(-min(e.n, 46));
  let value = scale(e.fraction + (1.0 - inverse), e.n);
  return select(value, infinity(), x > 88.72283);
}`,
  /** ½ e^x for x ≥ 0: finite wherever it can be. */
  half_exp: `fn half_exp(x: f32) -> f32 {
  let e = reduced_exp(min(x, 91.0));
  return scale(1.0 + e.fraction, e.n - 1);
}`,

  // ---- logarithms -------------------------------------------------------------------------------

  /** log(1 + f) + k ln 2 + extra for 1 + f in [√½, √2), small terms first. */
  log_of_reduced: `fn log_of_reduced(f: f32, k: f32, extra: f32) -> f32 {
  let tail = ${polynomial('f', logarithmTail)} * (f * f) * f + (k * ${ln2Low} + extra);
  return k * ${ln2High} + rounded(f + (tail - 0.5 * f * f));
}`,
  /** log x for positive, finite x. */
  log_positive: `fn log_positive(x: f32) -> f32 {
  let parts = split_exponent(x);
  return log_of_reduced(parts.m - 1.0, parts.k, 0.0);
}`,
  /** The logarithm of 0, of infinity and of what has none. */
  log_edge: `fn log_edge(x: f32) -> f32 {
  if (is_zero(x)) {
    return -infinity();
  }
  return select(x, not_a_number(), is_negative(x));
}`,
  log_f32: `fn log_f32(x: f32) -> f32 {
  if (is_zero(x) || is_negative(x) || !is_finite(x)) {
    return log_edge(x);
  }
  return log_positive(x);
}`,
  /**
   * log(1 + x): the logarithm of the rounded u = 1 + x, corrected by the rounding error over u; where
   * u is in [√½, √2) x itself is the reduced argument (fdlibm, s_log1p.c).
   */
  log1p_f32: `fn log1p_f32(x: f32) -> f32 {
  if (is_nan(x) || magnitude(x) < ${f32(2 ** -26)}) {
    return x;
  }
  if (!is_finite(x) || x <= -1.0) {
    return log_edge(select(x + 1.0, x, !is_finite(x)));
  }
  let u = two_sum(1.0, x);
  let parts = split_exponent(u.high);
  if (parts.k == 0.0) {
    return log_of_reduced(x, 0.0, 0.0);
  }
  return log_of_reduced(parts.m - 1.0, parts.k, u.low / u.high);
}`,

  // ---- powers -----------------------------------------------------------------------------------

  /**
   * log x for positive, finite x as a sum of two: with s = (m − 1) / (m + 1), log m = 2s + s³ (2/3 +
   * 2/5 s² + …), the first two terms in doubled precision (after Shibata and Petrogalli, SLEEF, 2020).
   */
  log_double: `fn log_double(x: f32) -> Double {
  let parts = split_exponent(x);
  let numerator = parts.m - 1.0;
  let denominator = two_sum(parts.m, 1.0);
  let s = numerator / denominator.high;
  let back = two_product(s, denominator.high);
  let rest = rounded(rounded(numerator - back.high) - back.low) - s * denominator.low;
  let s_low = rest / denominator.high;
  let z = s * s;
  let series = ${polynomial(
    'z',
    [2, 2, 2, 2, 2].map((two, i) => two / (2 * i + 5)),
  )};
  let square = two_product(s, s);
  let square_low = 2.0 * s * s_low + square.low;
  let cube = two_product(square.high, s);
  let cube_low = cube.low + (square_low * s + square.high * s_low);
  // 2/3 is no float: its own rounding error goes with the rest of the series.
  let factor = fast_two_sum(${f32(2 / 3)}, z * series + ${f32(-1.9868214925130207e-8)});
  let tail = two_product(cube.high, factor.high);
  let tail_low = tail.low + (cube.high * factor.low + cube_low * factor.high);
  let a = two_sum(parts.k * ${ln2High}, 2.0 * s);
  let b = two_sum(a.high, tail.high);
  let c = two_sum(b.high, parts.k * ${ln2Low});
  let low = (a.low + b.low) + (c.low + (2.0 * s_low + tail_low));
  return fast_two_sum(c.high, low);
}`,
  /** e^(high + low). */
  exp_of_double: `fn exp_of_double(x: Double) -> f32 {
  let high = clamp(x.high, -110.0, 90.0);
  let rest = select(0.0, x.low, high == x.high);
  let n = round(high * ${f32(Math.LOG2E)});
  let r = two_sum(rounded(high - n * ${ln2High}), rest - n * ${ln2Low});
  let fraction = ${polynomial('r.high', exponentialTail)} * (r.high * r.high) + (r.low * r.high + r.low);
  return scale(1.0 + (fraction + r.high), i32(n));
}`,
  /** IEEE 754's power (section 9.2.1). */
  pow_f32: `fn pow_f32(x: f32, y: f32) -> f32 {
  if (bitcast<u32>(x) == 0x3f800000u || is_zero(y)) {
    return 1.0;
  }
  if (is_nan(x) || is_nan(y)) {
    return not_a_number();
  }
  let base = magnitude(x);
  let is_unit = bitcast<u32>(base) == 0x3f800000u;
  if (!is_finite(y)) {
    if (is_unit) {
      return 1.0;
    }
    return select(0.0, infinity(), (base > 1.0) != is_negative(y));
  }
  // From 2^24 on all floats are even.
  let size = magnitude(y);
  let is_whole = size >= 16777216.0 || (size >= 1.0 && trunc(size) == size);
  let is_odd = size < 16777216.0 && is_whole && (u32(min(size, 16777215.0)) & 1u) == 1u;
  let sign = select(0u, bitcast<u32>(x) & 0x80000000u, is_odd);
  if (is_zero(base) || !is_finite(base)) {
    let grows = is_zero(base) == is_negative(y);
    return from_bits(select(0u, 0x7f800000u, grows) | sign);
  }
  if (is_negative(x) && !is_whole) {
    return not_a_number();
  }
  if (is_unit) {
    return from_bits(0x3f800000u | sign);
  }
  let logarithm = log_double(base);
  // Beyond 2^40 the result is decided; the bound keeps products finite.
  let exponent = clamp(y, ${f32(-(2 ** 40))}, ${f32(2 ** 40)});
  let product = two_product(exponent, logarithm.high);
  let value = exp_of_double(fast_two_sum(product.high, product.low + exponent * logarithm.low));
  return from_bits(bitcast<u32>(value) | sign);
}`,
  /**
   * The cube root: a third of the exponent in integers (FreeBSD, s_cbrtf.c), then Newton's method,
   * the last step with the exact residual.
   */
  cbrt_f32: `fn cbrt_f32(x: f32) -> f32 {
  if (is_zero(x) || !is_finite(x)) {
    return x;
  }
  var raw = bitcast<u32>(x) & 0x7fffffffu;
  var exponent = 0;
  if (raw < 0x00800000u) {
    // x 2^24 as a normal number
    let lift = countLeadingZeros(raw) - 8u;
    raw = (raw << lift) + ((24u - lift) << 23u);
    exponent = -8;
  }
  // x = a 2^3n with a in [½, 4), where nothing overflows.
  let third = i32(raw >> 23u) / 3 - 42;
  let a = bitcast<f32>(raw - (bitcast<u32>(3 * third) << 23u));
  var t = bitcast<f32>(bitcast<u32>(a) / 3u + 709958130u);
  t = t - (t * t * t - a) / (3.0 * t * t);
  t = t - (t * t * t - a) / (3.0 * t * t);
  let square = two_product(t, t);
  let cube = two_product(square.high, t);
  let residual = rounded(cube.high - a) + (cube.low + square.low * t);
  t = t - residual / (3.0 * t * t);
  return with_sign(t * power_of_two(third + exponent), x);
}`,

  // ---- hyperbolic functions -----------------------------------------------------------------------

  /** x + x³ P(x²) below 0.625 and 1 − 2 / (e^2x + 1) above (Cephes, tanhf.c). */
  tanh_f32: `fn tanh_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (a < 0.625) {
    let z = a * a;
    let odd = ${polynomial(
      'z',
      [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3],
    )};
    return with_sign(a + odd * z * a, x);
  }
  return with_sign(1.0 - 2.0 / (exp_number(2.0 * min(a, 20.0)) + 1.0), x);
}`,
  /** 1 / (1 + e^−x), from e^−|x| so that small results keep their digits. */
  logistic_f32: `fn logistic_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let e = exp_number(-magnitude(x));
  let sum = fast_two_sum(1.0, e);
  let quotient = select(1.0, e, is_negative(x)) / sum.high;
  return quotient - quotient * sum.low;
}`,
  /** x + x³ P(x²) below 1 (Cephes, sinhf.c), h − ¼ / h with h = ½ e^|x| above. */
  sinh_f32: `fn sinh_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (a < 1.0) {
    let z = a * a;
    return with_sign(
      a + ${polynomial('z', [1.66667160211e-1, 8.33028376239e-3, 2.03721912945e-4])} * z * a, x);
  }
  let half = half_exp(a);
  return with_sign(half - 0.25 / half, x);
}`,
  cosh_f32: `fn cosh_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let half = half_exp(magnitude(x));
  return half + 0.25 / half;
}`,
  /**
   * x + x³ P(x²) below ½ (Cephes, asinhf.c), log1p(|x| + x² / (1 + √(1 + x²))) (fdlibm, s_asinh.c),
   * and log |x| + ln 2 where that is the same.
   */
  asinh_f32: `fn asinh_f32(x: f32) -> f32 {
  if (!is_finite(x)) {
    return x;
  }
  let a = magnitude(x);
  let z = a * a;
  if (a < 0.5) {
    let odd = ${polynomial('z', [-1.6666288134e-1, 7.4847586088e-2, -4.2699340972e-2, 2.0122003309e-2])};
    return with_sign(a + odd * z * a, x);
  }
  if (a > 16384.0) {
    return with_sign(log_positive(a) + ${f32(Math.LN2)}, x);
  }
  return with_sign(log1p_f32(a + z / (1.0 + sqrt(1.0 + z))), x);
}`,
  /** log1p(t + √(2t + t²)) with t = x − 1 (fdlibm, e_acosh.c), and log x + ln 2 for large x. */
  acosh_f32: `fn acosh_f32(x: f32) -> f32 {
  if (is_nan(x) || x < 1.0) {
    return not_a_number();
  }
  if (x > 16384.0) {
    return select(log_positive(x) + ${f32(Math.LN2)}, x, !is_finite(x));
  }
  let t = x - 1.0;
  return log1p_f32(t + sqrt(t * t + 2.0 * t));
}`,
  /** x + x³ P(x²) below ½ (Cephes, atanhf.c), ½ log1p(2x / (1 − x)) above. */
  atanh_f32: `fn atanh_f32(x: f32) -> f32 {
  let a = magnitude(x);
  if (is_nan(x) || a > 1.0) {
    return not_a_number();
  }
  if (a < 0.5) {
    let z = a * a;
    let odd = ${polynomial(
      'z',
      [3.33337300303e-1, 1.997821645e-1, 1.4669143173e-1, 8.24370301058e-2, 1.81740078349e-1],
    )};
    return with_sign(a + odd * z * a, x);
  }
  if (a == 1.0) {
    return from_bits(bitcast<u32>(x) | 0x7f800000u);
  }
  return with_sign(0.5 * log1p_f32(2.0 * a / (1.0 - a)), x);
}`,
}
