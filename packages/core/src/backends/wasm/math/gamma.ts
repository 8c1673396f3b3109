import type { Vec } from './graph'
import type { FloatLanes } from './lanes'
import { logPositive } from './logarithm'

/** log Γ(2 + y) / y on |y| ≤ ½; Chebyshev interpolation in high precision, relative error 2^-61.6. */
const lgammaNearTwo = [
  0.42278433509846713, 0.3224670334241132, -0.06735230105319814, 0.02058080842778457,
  -0.0073855510286681535, 0.002890510330738737, -0.0011927539120010226, 0.0005096695248853096,
  -0.00022315475074520367, 9.945750909889392e-5, -4.4926351103833334e-5, 2.050726741605779e-5,
  -9.438458716242811e-6, 4.374374916915131e-6, -2.0449201467015115e-6, 9.578663334114758e-7,
  -4.303558760359961e-7, 2.0304806751615227e-7, -1.3412819758517287e-7, 6.379047507619774e-8,
]

/** ψ(x) / (x − x₀) in x − 3/2 on [1, 2], x₀ the root; relative error 2^-55.9. */
const digammaNearRoot = [
  0.951055876031833, -0.4236274212814605, 0.2405424842407742, -0.14840492305390884,
  0.09498872445494122, -0.061922133273064534, 0.04076083381242074, -0.02697579675613825,
  0.0179072524394512, -0.011908218001568644, 0.007926944646403797, -0.005279964873257405,
  0.003519006401502276, -0.002345267632540769, 0.0015566317474486838, -0.0010376374098418604,
  0.0007233266279287554, -0.0004821990530566789, 0.0002272331660987376, -0.00015148586836773365,
  0.00025968482126430747, -0.00017312261802727394,
]
const DIGAMMA_ROOT = 1.4616321449683622
const DIGAMMA_ROOT_TAIL = 9.549995429965697e-17

/** B₂ₖ / (2k (2k − 1)), k = 1…: Stirling's series for log Γ (DLMF 5.11.1). */
const stirling = [
  1 / 12,
  -1 / 360,
  1 / 1260,
  -1 / 1680,
  1 / 1188,
  -691 / 360360,
  1 / 156,
  -3617 / 122400,
  43867 / 244188,
]

/** B₂ₖ / 2k: ψ(x) ~ log x − 1/2x − Σ B₂ₖ / (2k x^2k) (DLMF 5.11.2). */
const digammaSeries = [
  1 / 12,
  -1 / 120,
  1 / 252,
  -1 / 240,
  1 / 132,
  -691 / 32760,
  1 / 12,
  -3617 / 8160,
]

/** From here on the asymptotic series are exact to double precision. */
const ASYMPTOTIC = 10

/** log Γ(x) for 0 < x < ∞. */
function lgammaPositive(D: FloatLanes, x: Vec): Vec {
  const one = D.constant(1)
  const asymptotic = D.ge(x, D.constant(ASYMPTOTIC))
  // Elsewhere Γ(x) = Γ(2 + y) times or over a product, |y| ≤ ½ (DLMF 5.5.1).
  const low = D.lt(x, D.constant(1.5))
  const lower = D.lt(x, D.constant(0.5))
  // y by differences that are exact, since next to 1 and 2 the result is small.
  let y = D.select(lower, x, D.select(low, D.plus(x, -1), D.plus(x, -2)))
  let product = D.select(low, D.select(lower, D.madd(x, x, x), x), one)
  for (let step = 0; step < ASYMPTOTIC - 2; step++) {
    const above = D.ge(y, D.constant(0.5))
    product = D.select(above, D.mul(product, D.plus(y, 1)), product)
    y = D.select(above, D.plus(y, -1), y)
  }
  const logarithm = logPositive(D, D.select(asymptotic, x, product))
  const near = D.mul(y, D.polynomial(y, lgammaNearTwo))
  const inner = D.add(near, D.select(low, D.neg(logarithm), logarithm))
  // (x − ½)(log x − 1) + (½ log 2π − ½) + Σ
  const inverse = D.div(one, x)
  const series = D.mul(inverse, D.polynomial(D.mul(inverse, inverse), stirling))
  const outer = D.madd(
    D.plus(x, -0.5),
    D.plus(logarithm, -1),
    D.plus(series, 0.5 * Math.log(2 * Math.PI) - 0.5),
  )
  const value = D.select(asymptotic, outer, inner)
  return D.select(D.lt(x, D.constant(Infinity)), value, x)
}

/** log |Γ(x)|; infinite at the poles 0, −1, −2 … and at both infinities, as JAX has it. */
export function lgamma(D: FloatLanes, x: Vec): Vec {
  const { graph } = D
  const a = D.abs(x)
  const zero = D.constant(0)
  const negative = D.lt(x, zero)
  const positive = lgammaPositive(D, a)
  // log π − log |x sin πx| − log Γ(|x|) (DLMF 5.5.3)
  const reflected = graph.guarded(
    `lgamma ${D.widened}`,
    negative,
    positive,
    [x, negative],
    (usual, argument, mask) => {
      const absolute = D.abs(argument)
      const sine = D.abs(sinPi(D, absolute))
      const reciprocal = D.mul(absolute, D.scale(sine, 1 / Math.PI))
      const value = D.sub(D.neg(logPositive(D, reciprocal)), usual)
      const pole = D.eq(D.floor(absolute), absolute)
      // Next to 0, where the product would underflow, Γ(x) is 1/x.
      const reflectable = D.and(mask, D.ge(absolute, D.constant(2 ** -64)))
      return D.select(reflectable, D.select(pole, D.constant(Infinity), value), usual)
    },
  )
  const special = D.or(D.eq(a, zero), D.eq(a, D.constant(Infinity)))
  return D.select(special, D.constant(Infinity), reflected)
}

/** ψ(x); NaN at the poles 0, −1, −2 … as JAX has it. */
export function digamma(D: FloatLanes, x: Vec): Vec {
  const { graph } = D
  const one = D.constant(1)
  const negative = D.lt(x, D.constant(0))
  // ψ(x) = ψ(1 − x) − π / tan πx (DLMF 5.5.4)
  const argument = D.select(negative, D.sub(one, x), x)
  const positive = digammaPositive(D, argument)
  const reflected = graph.guarded(
    `digamma ${D.widened}`,
    negative,
    positive,
    [x, negative],
    (usual, point, mask) => {
      // tan has period 1; the distance to the nearest integer is exact.
      const r = D.sub(point, D.nearest(point))
      const cotangent = D.div(cosPi(D, r), sinPi(D, r))
      return D.select(mask, D.nmadd(cotangent, D.constant(Math.PI), usual), usual)
    },
  )
  const pole = D.and(D.le(x, D.constant(0)), D.eq(D.floor(x), x))
  return D.or(reflected, D.or(pole, D.eq(x, D.constant(-Infinity))))
}

function digammaPositive(D: FloatLanes, x: Vec): Vec {
  const one = D.constant(1)
  const asymptotic = D.ge(x, D.constant(ASYMPTOTIC))
  // ψ(x) = ψ(x + 1) − 1/x and ψ(x) = ψ(x − 1) + 1/(x − 1) lead to [1, 2] (DLMF 5.5.2).
  const low = D.lt(x, one)
  let y = D.select(low, D.plus(x, 1), x)
  // Σ 1/yᵢ as one fraction
  let numerator = D.and(low, D.constant(-1))
  let denominator = D.select(low, x, one)
  for (let step = 0; step < ASYMPTOTIC - 2; step++) {
    const above = D.gt(y, D.constant(2))
    const down = D.plus(y, -1)
    y = D.select(above, down, y)
    numerator = D.select(above, D.madd(numerator, down, denominator), numerator)
    denominator = D.select(above, D.mul(denominator, down), denominator)
  }
  const distance = D.sub(D.plus(y, -DIGAMMA_ROOT), D.constant(DIGAMMA_ROOT_TAIL))
  const near = D.mul(distance, D.polynomial(D.plus(y, -1.5), digammaNearRoot))
  const inner = D.add(near, D.div(numerator, denominator))
  const inverse = D.div(one, x)
  const square = D.mul(inverse, inverse)
  const series = D.madd(square, D.polynomial(square, digammaSeries), D.scale(inverse, 0.5))
  const outer = D.sub(logPositive(D, x), series)
  const value = D.select(asymptotic, outer, inner)
  return D.select(D.lt(x, D.constant(Infinity)), value, x)
}

/** sin πx and cos πx by Taylor's series after reduction to |r| ≤ ¼, exact in binary. */
const sinPiSeries = taylor(1)
const cosPiSeries = taylor(0)

function taylor(first: 0 | 1): readonly number[] {
  const coefficients: number[] = []
  let term = first === 1 ? Math.PI : 1
  for (let k = first; coefficients.length < 11; k += 2) {
    coefficients.push(term)
    term *= -(Math.PI * Math.PI) / ((k + 1) * (k + 2))
  }
  return coefficients
}

/** |sin πx| with the sign of x's distance to the nearest integer. */
function sinPi(D: FloatLanes, x: Vec): Vec {
  const r = D.sub(x, D.nearest(x))
  const a = D.abs(r)
  const direct = D.mul(a, D.polynomial(D.mul(a, a), sinPiSeries))
  const complement = D.sub(D.constant(0.5), a)
  const shifted = D.polynomial(D.mul(complement, complement), cosPiSeries)
  return D.withSignOf(D.select(D.gt(a, D.constant(0.25)), shifted, direct), r)
}

/** cos πr for |r| ≤ ½ */
function cosPi(D: FloatLanes, r: Vec): Vec {
  return sinPi(D, D.sub(D.constant(0.5), D.abs(r)))
}
