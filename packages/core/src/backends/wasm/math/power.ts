import { exp, expOfDouble } from './exponential'
import type { Vec } from './graph'
import type { Double, FloatLanes } from './lanes'
import { log } from './logarithm'

/**
 * log x for positive, finite x as a sum of two floats, right to about 2^-68: with m in [√½, √2)
 * and s = (m − 1) / (m + 1), log m = 2s + s³ (2/3 + 2/5 s² + …). The first two terms are taken in
 * double-double arithmetic (after Shibata and Petrogalli, SLEEF, IEEE TPDS 2020).
 */
function logDouble(D: FloatLanes, x: Vec): Double {
  const { m, k } = D.splitExponent(x)
  const one = D.constant(1)
  const numerator = D.sub(m, one)
  const denominator = D.twoSum(m, one)
  // s = numerator / denominator, and what is missing to it
  const high = D.div(numerator, denominator.high)
  const back = D.twoProduct(high, denominator.high)
  const rest = D.sub(D.sub(D.sub(numerator, back.high), back.low), D.mul(high, denominator.low))
  const s: Double = { high, low: D.div(rest, denominator.high) }

  const z = D.mul(high, high)
  const series = D.polynomial(
    z,
    Array.from({ length: 12 }, (_, index) => 2 / (2 * index + 5)),
  )
  // s² and s³ as sums of two
  const square = D.twoProduct(high, high)
  const squareLow = D.madd(D.add(high, high), s.low, square.low)
  const cube = D.twoProduct(square.high, high)
  const cubeLow = D.add(cube.low, D.madd(squareLow, high, D.mul(square.high, s.low)))
  // 2/3 + s² (2/5 + …), the first of which is no float
  const third = D.fastTwoSum(D.constant(2 / 3), D.mul(z, series))
  const factorLow = D.plus(third.low, 3.700743415417188e-17)
  const tail = D.twoProduct(cube.high, third.high)
  const tailLow = D.add(tail.low, D.madd(cube.high, factorLow, D.mul(cubeLow, third.high)))

  const exponentHigh = D.scale(k, 6.9314718036912381649e-1)
  const exponentLow = D.scale(k, 1.90821492927058770002e-10)
  const a = D.twoSum(exponentHigh, D.add(high, high))
  const b = D.twoSum(a.high, tail.high)
  const c = D.twoSum(b.high, exponentLow)
  const low = D.add(D.add(a.low, b.low), D.add(c.low, D.add(D.add(s.low, s.low), tailLow)))
  return D.fastTwoSum(c.high, low)
}

/** x^y with IEEE 754's special cases. `precise` is for f64 results; f32 needs no double-double. */
export function pow(D: FloatLanes, x: Vec, y: Vec, precise: boolean): Vec {
  const zero = D.constant(0)
  const one = D.constant(1)
  const infinity = D.constant(Infinity)
  const base = D.abs(x)
  const whole = D.eq(D.trunc(y), y)
  // An even number is whole when halved; all floats beyond 2^53 are even.
  const half = D.scale(y, 0.5)
  const odd = D.andNot(whole, D.eq(D.trunc(half), half))
  const negative = D.lt(x, zero)

  const ordinary = D.and(D.gt(base, zero), D.lt(base, infinity))
  let magnitude: Vec
  if (precise) {
    const logarithm = logDouble(D, D.select(ordinary, base, one))
    // Beyond 2^64 the result is decided; the bound keeps products finite.
    const exponent = D.atLeast(D.atMost(y, D.constant(2 ** 64)), D.constant(-(2 ** 64)))
    const product = D.twoProduct(exponent, logarithm.high)
    magnitude = expOfDouble(D, product.high, D.madd(exponent, logarithm.low, product.low))
  } else {
    magnitude = exp(D, D.mul(y, log(D, base)))
  }
  // 0^y and ∞^y: zero or infinity by the sign of y
  const toInfinity = D.xor(D.eq(base, zero), D.gt(y, zero))
  const extreme = D.and(toInfinity, infinity)
  const value = D.select(D.or(ordinary, D.isNaN(x)), magnitude, extreme)
  const signed = D.or(value, D.and(odd, D.signOf(x)))
  const invalid = D.andNot(
    D.and(negative, D.lt(base, infinity)),
    D.or(whole, D.eq(D.abs(y), infinity)),
  )
  const defined = D.or(D.or(signed, invalid), D.or(D.isNaN(x), D.isNaN(y)))
  // 1^y and x^0 are 1 even where the other is NaN; so is (−1)^±∞.
  const unit = D.or(
    D.or(D.eq(x, one), D.eq(y, zero)),
    D.and(D.eq(base, one), D.eq(D.abs(y), infinity)),
  )
  return D.select(unit, one, defined)
}

/**
 * The cube root: a third of the exponent in integer arithmetic (5 bits), a polynomial (23 bits)
 * and one step of Newton's method on a rounded value (fdlibm, s_cbrt.c).
 */
export function cbrt(D: FloatLanes, x: Vec): Vec {
  const a = D.abs(x)
  const subnormal = D.lt(a, D.constant(D.format.smallestNormal))
  const scaled = D.select(subnormal, D.scale(a, 2 ** 54), a)
  // The upper word as a number, over 3, plus (1023 − 1023/3 − 0.03306235651) · 2^20
  const word = D.shiftRight(scaled, 32)
  const bottom = 2 ** 52
  const number = D.sub(D.or(word, D.constant(bottom)), D.constant(bottom))
  const third = D.madd(number, D.constant(1 / 3), D.constant(715094163 + bottom))
  const guess = D.shiftLeft(third, 32)
  const rough = D.mul(D.mul(guess, guess), D.div(guess, scaled))
  const factor = D.polynomial(
    rough,
    [
      1.87595182427177009643, -1.88497979543377169875, 1.62142972010535446614,
      -0.758397934778766047437, 0.145996192886612446982,
    ],
  )
  // To 23 bits, so that the square is exact.
  const t = D.and(D.addBits(D.mul(guess, factor), D.integer(0x80000000n)), D.integer(-(1n << 30n)))
  const error = D.sub(D.div(scaled, D.mul(t, t)), t)
  const root = D.madd(t, D.div(error, D.add(D.add(t, t), D.add(error, t))), t)
  const unscaled = D.select(subnormal, D.scale(root, 2 ** -18), root)
  const special = D.or(D.eq(a, D.constant(0)), D.not(D.lt(a, D.constant(Infinity))))
  return D.withSignOf(D.select(special, a, unscaled), x)
}
