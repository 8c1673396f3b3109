import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

const HALF_PI = 1.570796326794896558
/** π/2 − HALF_PI */
const HALF_PI_TAIL = 6.12323399573676603587e-17

/** (asin s − s) / s³ at s² = z, for |s| ≤ ½ (fdlibm, e_asin.c). */
function asinTail(D: FloatLanes, z: Vec): Vec {
  const p = D.polynomial(
    z,
    [
      1.66666666666666657415e-1, -3.25565818622400915405e-1, 2.01212532134862925881e-1,
      -4.00555345006794114027e-2, 7.91534994289814532176e-4, 3.4793310759602116757e-5,
    ],
  )
  const q = D.polynomial(
    z,
    [
      1, -2.40339491173441421878, 2.02094576023350569471, -6.8828397160545329303e-1,
      7.70381505559019352791e-2,
    ],
  )
  return D.mul(z, D.div(p, q))
}

interface HalfAngle {
  /** √((1 − |x|) / 2) as a sum of two floats. */
  readonly high: Vec
  readonly low: Vec
  readonly small: Vec
  readonly tail: Vec
  readonly absolute: Vec
}

/** asin |x| = π/2 − 2 asin √((1 − |x|)/2) above ½; one series serves both halves. */
function halfAngle(D: FloatLanes, x: Vec): HalfAngle {
  const absolute = D.abs(x)
  const small = D.lt(absolute, D.constant(0.5))
  const z = D.scale(D.sub(D.constant(1), absolute), 0.5)
  const s = D.sqrt(z)
  // The square root with its 32 low bits cleared, so that its square is exact.
  const high = D.and(s, D.integer(-(1n << 32n)))
  const exact = D.sub(z, D.mul(high, high))
  const sum = D.add(s, high)
  const low = D.andNot(D.div(exact, sum), D.eq(sum, D.constant(0)))
  const tail = asinTail(D, D.select(small, D.mul(x, x), z))
  return { high, low, small, tail, absolute }
}

export function asin(D: FloatLanes, x: Vec): Vec {
  const { high, low, small, tail, absolute } = halfAngle(D, x)
  const direct = D.madd(absolute, tail, absolute)
  const s = D.add(high, low)
  // π/2 − 2 high − (2 s tail + 2 low − π/2's tail)
  const correction = D.add(D.scale(D.madd(s, tail, low), 2), D.constant(-HALF_PI_TAIL))
  const complement = D.sub(D.sub(D.constant(HALF_PI), D.scale(high, 2)), correction)
  return D.withSignOf(D.select(small, direct, complement), x)
}

export function acos(D: FloatLanes, x: Vec): Vec {
  const { high, low, small, tail } = halfAngle(D, x)
  const s = D.add(high, low)
  const series = D.madd(s, tail, low)
  const direct = D.sub(D.constant(HALF_PI), D.sub(x, D.nmadd(x, tail, D.constant(HALF_PI_TAIL))))
  const positive = D.scale(D.add(high, series), 2)
  const negative = D.scale(
    D.sub(D.constant(HALF_PI), D.add(high, D.sub(series, D.constant(HALF_PI_TAIL)))),
    2,
  )
  return D.select(small, direct, D.select(D.lt(x, D.constant(0)), negative, positive))
}

/**
 * atan(numerator / denominator) for a quotient q ≥ 0: q itself below 0.66, (q − 1) / (q + 1) and π/4
 * below tan(3π/8), −1 / q and π/2 above (Cephes, atan.c).
 */
function atanOfQuotient(D: FloatLanes, q: Vec): Vec {
  const one = D.constant(1)
  const upper = D.gt(q, D.constant(2.4142135623730950488))
  const middle = D.andNot(D.gt(q, D.constant(0.66)), upper)
  const numerator = D.select(upper, D.constant(-1), D.select(middle, D.plus(q, -1), q))
  const denominator = D.select(upper, q, D.select(middle, D.plus(q, 1), one))
  const t = D.div(numerator, denominator)
  const z = D.mul(t, t)
  const p = D.polynomial(
    z,
    [
      -6.485021904942025371773e1, -1.22886668449013617341e2, -7.50085579231470466734e1,
      -1.615753718733365076637e1, -8.750608600031904122785e-1,
    ],
  )
  const r = D.polynomial(
    z,
    [
      1.945506571482613964425e2, 4.853903996359136964868e2, 4.328810604912902668951e2,
      1.650270098316988542046e2, 2.485846490142306297962e1, 1,
    ],
  )
  const base = D.or(D.and(upper, D.constant(HALF_PI)), D.and(middle, D.constant(HALF_PI / 2)))
  const tail = D.or(
    D.and(upper, D.constant(HALF_PI_TAIL)),
    D.and(middle, D.constant(HALF_PI_TAIL / 2)),
  )
  const series = D.madd(D.mul(t, z), D.div(p, r), tail)
  return D.add(base, D.add(t, series))
}

export function atan(D: FloatLanes, x: Vec): Vec {
  return D.withSignOf(atanOfQuotient(D, D.abs(x)), x)
}

/** The angle of (x, y) with the sign of y; C's conventions at zeros and infinities. */
export function atan2(D: FloatLanes, y: Vec, x: Vec): Vec {
  const zero = D.constant(0)
  const ay = D.abs(y)
  const ax = D.abs(x)
  const quotient = D.div(ay, ax)
  // 0/0 is an angle of 0 and ∞/∞ one of π/4.
  const same = D.and(D.eq(ax, ay), D.or(D.eq(ay, zero), D.eq(ay, D.constant(Infinity))))
  const diagonal = D.and(D.eq(ay, D.constant(Infinity)), D.constant(1))
  const first = atanOfQuotient(D, D.select(same, diagonal, quotient))
  const left = D.graph.op('i64x2.lt_s', x, D.integer(0))
  const second = D.sub(D.constant(2 * HALF_PI), D.add(first, D.constant(-2 * HALF_PI_TAIL)))
  const invalid = D.or(D.isNaN(x), D.isNaN(y))
  return D.or(D.withSignOf(D.select(left, second, first), y), invalid)
}
