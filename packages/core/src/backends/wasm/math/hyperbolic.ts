import { expCareful, expm1, expNormal, halfExp } from './exponential'
import type { Vec } from './graph'
import type { FloatLanes } from './lanes'
import { log1p } from './logarithm'

/**
 * f32: x + x³ P(x²) below 0.625 and 1 − 2 / (e^2x + 1) above (Cephes, tanhf.c).
 * f64: with t = e^2|x| − 1, t / (t + 2) below 1 and 1 − 2 / (t + 2) above (after fdlibm, s_tanh.c).
 */
export function tanh(L: FloatLanes, x: Vec): Vec {
  const a = L.abs(x)
  const one = L.constant(1)
  const two = L.constant(2)
  if (L.type === 'f64') {
    const small = L.lt(a, one)
    const t = expm1(L, L.atMost(L.add(a, a), L.constant(44)))
    const quotient = L.div(L.select(small, t, two), L.plus(t, 2))
    return L.withSignOf(L.select(small, quotient, L.sub(one, quotient)), x)
  }
  const z = L.mul(x, x)
  const odd = L.polynomial(
    z,
    [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3],
  )
  const small = L.madd(L.mul(odd, z), a, a)
  const e = expNormal(L, L.atMost(L.add(a, a), L.constant(40)))
  const large = L.sub(one, L.div(two, L.plus(e, 1)))
  return L.withSignOf(L.select(L.lt(a, L.constant(0.625)), small, large), x)
}

/**
 * 1 / (1 + e^−x), from e^−|x| so that small results keep their digits. What the sum loses is a
 * relative error of the quotient, made up for where it is largest, at a sum near 1.
 */
export function logistic(L: FloatLanes, x: Vec): Vec {
  const e = expCareful(L, L.neg(L.abs(x)))
  const { high: sum, low } = L.fastTwoSum(L.constant(1), e)
  const numerator = L.select(L.lt(x, L.constant(0)), e, L.constant(1))
  const quotient = L.div(numerator, sum)
  return L.nmadd(quotient, low, quotient)
}

/** ½ (t + t / (t + 1)) with t = e^|x| − 1, and ½ e^|x| where that is the same (fdlibm, e_sinh.c). */
export function sinh(L: FloatLanes, x: Vec): Vec {
  const a = L.abs(x)
  const limit = L.constant(22)
  const t = expm1(L, L.atMost(a, limit))
  const small = L.scale(L.add(t, L.div(t, L.plus(t, 1))), 0.5)
  return L.withSignOf(L.select(L.gt(a, limit), halfExp(L, a), small), x)
}

/** h + ¼ / h with h = ½ e^|x| */
export function cosh(L: FloatLanes, x: Vec): Vec {
  const half = halfExp(L, L.abs(x))
  return L.add(half, L.div(L.constant(0.25), half))
}

/**
 * log1p(|x| + x² / (1 + √(1 + x²))) (fdlibm, s_asinh.c); for large |x| it is log |x| + ln 2, and
 * log1p(|x| − 1) is log |x|.
 */
export function asinh(L: FloatLanes, x: Vec): Vec {
  const a = L.abs(x)
  const large = L.gt(a, L.constant(2 ** 28))
  const square = L.mul(a, a)
  const moderate = L.add(a, L.div(square, L.plus(L.sqrt(L.plus(square, 1)), 1)))
  const value = log1p(L, L.select(large, L.plus(a, -1), moderate))
  return L.withSignOf(L.add(value, L.and(large, L.constant(Math.LN2))), x)
}

/** log1p(t + √(2t + t²)) with t = x − 1 (fdlibm, e_acosh.c), and log x + ln 2 for large x. */
export function acosh(L: FloatLanes, x: Vec): Vec {
  const large = L.gt(x, L.constant(2 ** 28))
  const t = L.plus(x, -1)
  const moderate = L.add(t, L.sqrt(L.madd(t, t, L.add(t, t))))
  const value = log1p(L, L.select(large, t, moderate))
  const inside = L.ge(x, L.constant(1))
  return L.select(inside, L.add(value, L.and(large, L.constant(Math.LN2))), L.constant(NaN))
}

/** ½ log1p(2t + 2t² / (1 − t)) with t = |x| (fdlibm, e_atanh.c) */
export function atanh(L: FloatLanes, x: Vec): Vec {
  const a = L.abs(x)
  const twice = L.add(a, a)
  const rest = L.sub(L.constant(1), a)
  const small = L.add(twice, L.div(L.mul(twice, a), rest))
  const argument = L.select(L.lt(a, L.constant(0.5)), small, L.div(twice, rest))
  return L.withSignOf(L.scale(log1p(L, argument), 0.5), x)
}
