import { exp, expOfDouble } from './exponential'
import type { Vec } from './graph'
import type { Double, FloatLanes } from './lanes'
import { logPositive } from './logarithm'
import { narrow, widen } from './widening'

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

/** x^y in f64 lanes. */
export function pow(D: FloatLanes, x: Vec, y: Vec): Vec {
  return powWithEdges(D, x, y, (base) => {
    const logarithm = logDouble(D, base)
    // Beyond 2^64 the result is decided; the bound keeps products finite.
    const exponent = D.atLeast(D.atMost(y, D.constant(2 ** 64)), D.constant(-(2 ** 64)))
    const product = D.twoProduct(exponent, logarithm.high)
    return expOfDouble(D, product.high, D.madd(exponent, logarithm.low, product.low))
  })
}

/** x^y in f32 lanes: e^(y log x) in f64 lanes `D` has digits to spare. */
export function pow32(L: FloatLanes, D: FloatLanes, x: Vec, y: Vec): Vec {
  return powWithEdges(L, x, y, (base) => {
    const [baseLow, baseHigh] = widen(L.graph, base)
    const [yLow, yHigh] = widen(L.graph, y)
    return narrow(
      L.graph,
      exp(D, D.mul(yLow, logPositive(D, baseLow))),
      exp(D, D.mul(yHigh, logPositive(D, baseHigh))),
    )
  })
}

/** IEEE 754's special cases around |x|^y, which `power` computes for positive, finite bases. */
function powWithEdges(L: FloatLanes, x: Vec, y: Vec, power: (base: Vec) => Vec): Vec {
  const zero = L.constant(0)
  const one = L.constant(1)
  const infinity = L.constant(Infinity)
  const base = L.abs(x)
  const whole = L.eq(L.trunc(y), y)
  // An even number is whole when halved; so are all floats too large to have a last bit of 1.
  const half = L.scale(y, 0.5)
  const odd = L.andNot(whole, L.eq(L.trunc(half), half))

  const ordinary = L.and(L.gt(base, zero), L.lt(base, infinity))
  const magnitude = power(L.select(ordinary, base, one))
  // 0^y and ∞^y: zero or infinity by the sign of y
  const toInfinity = L.xor(L.eq(base, zero), L.gt(y, zero))
  const value = L.select(ordinary, magnitude, L.and(toInfinity, infinity))
  const signed = L.or(value, L.and(odd, L.signOf(x)))
  const invalid = L.andNot(L.and(L.lt(x, zero), L.lt(base, infinity)), whole)
  const defined = L.or(L.or(signed, invalid), L.or(L.isNaN(x), L.isNaN(y)))
  // 1^y and x^0 are 1 even where the other is NaN; so is (−1)^±∞.
  const unit = L.or(
    L.or(L.eq(x, one), L.eq(y, zero)),
    L.and(L.eq(base, one), L.eq(L.abs(y), infinity)),
  )
  return L.select(unit, one, defined)
}

/**
 * The cube root: a third of the exponent in integer arithmetic (5 bits), a polynomial (23 bits)
 * and one step of Newton's method on a rounded value (fdlibm, s_cbrt.c).
 */
export function cbrt(D: FloatLanes, x: Vec): Vec {
  const a = D.abs(x)
  const subnormal = D.lt(a, D.constant(D.format.smallestNormal))
  const scaled = D.widened ? a : D.select(subnormal, D.scale(a, 2 ** 54), a)
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
  const unscaled = D.widened ? root : D.select(subnormal, D.scale(root, 2 ** -18), root)
  const special = D.or(D.eq(a, D.constant(0)), D.not(D.lt(a, D.constant(Infinity))))
  return D.withSignOf(D.select(special, a, unscaled), x)
}
