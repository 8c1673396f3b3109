/** The error function and its relatives, the gamma function's, and the exact remainder. */
import { f32, polynomial, type Declarations } from './text'

/** erf(x) / x at x² = z, for |x| < 0.92; Chebyshev interpolation in high precision. */
const erfSmall = [
  1.128379225730896 - 1,
  -0.37612634897232056,
  0.11283691227436066,
  -0.02685915119946003,
  0.005200368817895651,
  -0.000813470920547843,
  8.334718586411327e-5,
]
/** −log(erfc a) on [0.92, 4]; erf a = 1 − e^−p is then right to a quarter unit, since e^−p ≤ 0.2. */
const negativeLogErfc = [
  -0.00032044152612797916, 1.1302375793457031, 0.6318145394325256, 0.11009448021650314,
  -0.026431018486618996, 0.00476357527077198, -0.0005977434921078384, 4.6177912736311555e-5,
  -1.6435697034467012e-6,
]
/**
 * e^(a²) erfc(a) (1 + 2a) in t = (a − 4) / (a + 4), for ½ ≤ a ≤ 10.2 (Shepherd and Laframboise,
 * Math. Comp. 36, 1981); Chebyshev interpolation in high precision, relative error 2^-28.9.
 */
const scaledComplement = [
  1.2329951186071748, -0.1396210792296345, 0.015379653594842974, 0.0680948414202402,
  -0.10104015733393987, 0.09376858322022653, -0.06629635540727388, 0.036951872252730965,
  -0.016500808906114273, 0.005434945907871333, 8.01244676851087e-5,
]
/** erfInv(x) / x in w − 2.5 for w = −log(1 − x²) < 5, else in √w − 3.1 (after Giles 2011). */
const erfInvCentre = [
  1.5014094114303589, 0.24664027988910675, -0.004177392926067114, -0.0012527264188975096,
  0.00021834939252585173, -4.972419901605463e-6, -3.4639851946849376e-6, 4.681313612309168e-7,
  2.333596782477798e-8, -8.931926309685423e-9,
]
const erfInvTail = [
  2.9332315921783447, 1.0033559799194336, 0.007461396977305412, -0.005694728344678879,
  0.004107976797968149, -0.0027248600963503122, 0.0013666674494743347, -0.0002796685148496181,
  -0.0002045504515990615, 0.00012570693797897547,
]
/** log Γ(1 + y) / y and log Γ(2 + y) / y on |y| ≤ ½; Chebyshev interpolation, relative error 2^-28. */
const lgammaNearOne = [
  -0.5772156660660149, 0.8224670345226528, -0.4006851789493021, 0.270580378787237,
  -0.20741435891538418, 0.16958435116024717, -0.14337446581434476, 0.1248726364485153,
  -0.11874458344532031, 0.10708670724892291, -0.05055401639838745, 0.045277978095051095,
  -0.17768288175299005, 0.16629278220160754,
]
const lgammaNearTwo = [
  0.4227843350004583, 0.3224670334689425, -0.0673522814721006, 0.020580799471518252,
  -0.007386174155633413, 0.002890795321559696, -0.0011858600344983208, 0.0005065171429518161,
  -0.0002538170956727826, 0.00011347281994554691,
]
/** ψ(x) / (x − x₀) in x − 1.75 on [1, 2.47], x₀ the root; relative error 2^-28. */
const digammaNearRoot = [
  0.8581832177898298, -0.32625458504873756, 0.1571199856598614, -0.0822877561922945,
  0.044803444712058584, -0.024858888209294796, 0.013945283864382086, -0.008099911976619304,
  0.004690284977695419, -0.002009778298837643, 0.000981145742640273, -0.0015454994646707217,
  0.0009931800502415743,
]
const digammaRoot = 1.4616321325302124
const digammaRootTail = 1.2438149938918909e-8
/** Stirling's series for log Γ (DLMF 5.11.1) and for ψ (DLMF 5.11.2), from 8 on exact to f32. */
const stirling = [1 / 12, -1 / 360, 1 / 1260]
const digammaSeries = [1 / 12, -1 / 120, 1 / 252]

export const special: Declarations = {
  erf_f32: `fn erf_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (a < ${f32(2 ** -30)}) {
    return x * ${f32(2 / Math.sqrt(Math.PI))};
  }
  if (a < 0.92) {
    let z = x * x;
    // x + x (P − 1) rounds once where it matters.
    return x + x * ${polynomial('z', erfSmall)};
  }
  let bounded = min(a, 4.0);
  let p = ${polynomial('bounded', negativeLogErfc)};
  return with_sign(1.0 - exp_number(-p), x);
}`,
  erfc_f32: `fn erfc_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (a < 0.5) {
    return 1.0 - erf_f32(x);
  }
  let bounded = min(a, 10.2);
  let t = (bounded - 4.0) / (bounded + 4.0);
  let scaled = ${polynomial('t', scaledComplement)} / (1.0 + 2.0 * bounded);
  // The rounding error of a² is a relative error of e^(−a²): (1 − low) makes up for it.
  let square = two_product(bounded, bounded);
  let tail = exp_number(-square.high) * (scaled - scaled * square.low);
  let kept = select(tail, 0.0, a > 10.2);
  return select(kept, 2.0 - kept, is_negative(x));
}`,
  erf_inv_f32: `fn erf_inv_f32(x: f32) -> f32 {
  let a = magnitude(x);
  if (is_nan(x) || a > 1.0) {
    return not_a_number();
  }
  if (a == 1.0) {
    return from_bits(bitcast<u32>(x) | 0x7f800000u);
  }
  let w = -log_positive((1.0 - a) * (1.0 + a));
  let centre = w - 2.5;
  let tail = sqrt(max(w, 0.0)) - 3.1;
  let ratio = select(
    ${polynomial('tail', erfInvTail)},
    ${polynomial('centre', erfInvCentre)},
    w < 5.0);
  return with_sign(ratio * a, x);
}`,

  // ---- gamma function -----------------------------------------------------------------------------

  /** log Γ(x) for 0 < x < ∞. */
  lgamma_positive: `fn lgamma_positive(x: f32) -> f32 {
  if (x >= 8.0) {
    // (x − ½)(log x − 1) + (½ log 2π − ½) + Σ
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * ${polynomial('square', stirling)};
    let logarithm = log_positive(x);
    return (x - 0.5) * (logarithm - 1.0) + (series + ${f32(0.5 * Math.log(2 * Math.PI) - 0.5)});
  }
  // Γ(x) = Γ(x + 1) / x (DLMF 5.5.1)
  if (x < 0.5) {
    return x * ${polynomial('x', lgammaNearOne)} - log_positive(x);
  }
  if (x < 1.5) {
    let y = x - 1.0;
    // Not −0 at 1.
    return select(y * ${polynomial('y', lgammaNearOne)}, 0.0, y == 0.0);
  }
  var y = x - 2.0;
  var product = 1.0;
  for (; y >= 0.5; y -= 1.0) {
    product *= y + 1.0;
  }
  let near = y * ${polynomial('y', lgammaNearTwo)};
  return log_positive(product) + near;
}`,
  /** |sin πx| for x ≥ 0, from the exact distance to the nearest whole number. */
  sin_pi: `fn sin_pi(x: f32) -> f32 {
  let r = magnitude(x - round(x));
  return select(sin_kernel(r * ${f32(Math.PI)}), cos_kernel((0.5 - r) * ${f32(Math.PI)}), r > 0.25);
}`,
  /** log |Γ(x)|; infinite at the poles 0, −1, −2 … and at both infinities, as JAX has it. */
  lgamma_f32: `fn lgamma_f32(x: f32) -> f32 {
  if (is_nan(x)) {
    return x;
  }
  let a = magnitude(x);
  if (is_zero(x) || !is_finite(x)) {
    return infinity();
  }
  // Next to 0, Γ(x) is 1/x.
  if (a < ${f32(2 ** -24)}) {
    return -log_positive(a);
  }
  let positive = lgamma_positive(a);
  if (!is_negative(x)) {
    return positive;
  }
  if (floor(a) == a) {
    return infinity();
  }
  // log π − log |x sin πx| − log Γ(|x|) (DLMF 5.5.3)
  return -log_positive(a * (sin_pi(a) * ${f32(1 / Math.PI)})) - positive;
}`,
  /** ψ(x) for x > 0. */
  digamma_positive: `fn digamma_positive(x: f32) -> f32 {
  if (x >= 8.0) {
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    return log_positive(x) - (0.5 * inverse + square * ${polynomial('square', digammaSeries)});
  }
  // ψ(x) = ψ(x + 1) − 1/x (DLMF 5.5.2)
  var y = select(x, x + 1.0, x < 1.0);
  var sum = select(0.0, -1.0 / x, x < 1.0);
  for (; y > 2.47;) {
    y -= 1.0;
    sum += 1.0 / y;
  }
  let at = y - 1.75;
  let near = (rounded(y - ${f32(digammaRoot)}) - ${f32(digammaRootTail)})
    * ${polynomial('at', digammaNearRoot)};
  return near + sum;
}`,
  /** ψ(x); NaN at the poles 0, −1, −2 … as JAX has it. */
  digamma_f32: `fn digamma_f32(x: f32) -> f32 {
  if (is_nan(x) || is_zero(x)) {
    return not_a_number();
  }
  if (!is_negative(x)) {
    if (!is_finite(x)) {
      return x;
    }
    return digamma_positive(x);
  }
  if (!is_finite(x) || floor(x) == x) {
    return not_a_number();
  }
  // ψ(x) = ψ(1 − x) − π / tan πx (DLMF 5.5.4); tan πx has period 1, and the distance is exact.
  let r = x - round(x);
  let quarter = magnitude(r) * ${f32(Math.PI)};
  let complement = (0.5 - magnitude(r)) * ${f32(Math.PI)};
  let is_far = magnitude(r) > 0.25;
  let sine = select(sin_kernel(quarter), cos_kernel(complement), is_far);
  let cosine = select(cos_kernel(quarter), sin_kernel(complement), is_far);
  let cotangent = with_sign(cosine / sine, r);
  return digamma_positive(1.0 - x) - ${f32(Math.PI)} * cotangent;
}`,

  // ---- remainder ----------------------------------------------------------------------------------

  /** A float's mantissa with its leading bit, and the exponent of that bit's unit, biased. */
  Parts: `struct Parts {
  mantissa: u32,
  exponent: i32,
}`,
  /** Of a positive finite number; subnormal ones have exponents below 1. */
  float_parts: `fn float_parts(raw: u32) -> Parts {
  if (raw < 0x00800000u) {
    let lift = countLeadingZeros(raw) - 8u;
    return Parts(raw << lift, 1 - i32(lift));
  }
  return Parts((raw & 0x007fffffu) | 0x00800000u, i32(raw >> 23u));
}`,
  /** x − trunc(x / y) y, exactly, with the sign of x (C's fmod): long division in lumps of 8 bits. */
  rem_f32: `fn rem_f32(x: f32, y: f32) -> f32 {
  let a = bitcast<u32>(x) & 0x7fffffffu;
  let b = bitcast<u32>(y) & 0x7fffffffu;
  if (a >= 0x7f800000u || b > 0x7f800000u || b == 0u) {
    return not_a_number();
  }
  if (a < b) {
    return x;
  }
  let dividend = float_parts(a);
  let divisor = float_parts(b);
  var rest = dividend.mantissa % divisor.mantissa;
  for (var left = dividend.exponent - divisor.exponent; left > 0 && rest != 0u; left -= 8) {
    rest = (rest << u32(min(left, 8))) % divisor.mantissa;
  }
  let sign = bitcast<u32>(x) & 0x80000000u;
  if (rest == 0u) {
    return from_bits(sign);
  }
  let lift = i32(countLeadingZeros(rest)) - 8;
  let exponent = divisor.exponent - lift;
  if (exponent > 0) {
    return from_bits(sign | (u32(exponent) << 23u) | ((rest << u32(lift)) & 0x007fffffu));
  }
  // Subnormal: the unit is that of exponent 1.
  let down = divisor.exponent - 1;
  return from_bits(sign | select(rest >> u32(-down), rest << u32(max(down, 0)), down >= 0));
}`,
}
