import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

/**
 * log(1 + f) + k ln 2 + extra for 1 + f in [√½, √2), small terms first.
 * f32: log(1 + f) = f − f²/2 + f³ P(f), Cephes logf.c.
 * f64: with s = f / (2 + f), log(1 + f) = f − (f²/2 − s (f²/2 + R(s²))), fdlibm e_log.c.
 */
function logOfReduced(L: FloatLanes, f: Vec, k: Vec, extra?: Vec): Vec {
  const halfSquare = L.mul(L.scale(f, 0.5), f)
  if (L.type === 'f32') {
    const cubic = L.polynomial(
      f,
      [
        3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
        -1.2420140846e-1, 1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
      ],
    )
    const low = L.scale(k, -2.1219444e-4)
    const tail = L.madd(L.mul(cubic, L.mul(f, f)), f, extra ? L.add(low, extra) : low)
    return L.madd(k, L.constant(0.693359375), L.add(f, L.sub(tail, halfSquare)))
  }
  const s = L.div(f, L.plus(f, 2))
  const z = L.mul(s, s)
  const series = L.mul(
    z,
    L.polynomial(
      z,
      [
        6.66666666666673513e-1, 3.999999999940941908e-1, 2.857142874366239149e-1,
        2.222219843214978396e-1, 1.818357216161805012e-1, 1.531383769920937332e-1,
        1.479819860511658591e-1,
      ],
    ),
  )
  const ln2Low = L.constant(1.90821492927058770002e-10)
  const low = extra ? L.madd(k, ln2Low, extra) : L.mul(k, ln2Low)
  const tail = L.sub(halfSquare, L.madd(s, L.add(halfSquare, series), low))
  return L.madd(k, L.constant(6.9314718036912381649e-1), L.sub(f, tail))
}

/** `value` where 0 < x < ∞; −∞ at 0, ∞ at ∞ and NaN below 0, as every logarithm. */
function withLogarithmicEdges(L: FloatLanes, x: Vec, value: Vec): Vec {
  const zero = L.constant(0)
  const inside = L.and(L.gt(x, zero), L.lt(x, L.constant(Infinity)))
  const below = L.select(L.lt(x, zero), L.constant(NaN), x)
  return L.select(inside, value, L.select(L.eq(x, zero), L.constant(-Infinity), below))
}

export function log(L: FloatLanes, x: Vec): Vec {
  const { m, k } = L.splitExponent(x)
  return withLogarithmicEdges(L, x, logOfReduced(L, L.plus(m, -1), k))
}

/** log x for a positive, finite x. */
export function logPositive(L: FloatLanes, x: Vec): Vec {
  const { m, k } = L.splitExponent(x)
  return logOfReduced(L, L.plus(m, -1), k)
}

/**
 * log(1 + x): the logarithm of the rounded u = 1 + x, corrected by the rounding error over u;
 * where u is in [√½, √2) x itself is the reduced argument (fdlibm s_log1p.c).
 */
export function log1p(L: FloatLanes, x: Vec): Vec {
  const one = L.constant(1)
  const { high: u, low: error } = L.twoSum(one, x)
  const { m, k } = L.splitExponent(u)
  const near = L.eq(k, L.constant(0))
  const f = L.select(near, x, L.plus(m, -1))
  const correction = L.andNot(L.div(error, u), near)
  const value = withLogarithmicEdges(L, u, logOfReduced(L, f, k, correction))
  // The sum keeps neither −0 nor the smallest numbers, where log(1 + x) = x.
  return L.select(L.lt(L.abs(x), L.constant(L.type === 'f32' ? 2 ** -26 : 2 ** -55)), x, value)
}
