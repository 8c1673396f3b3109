import { exp, expNormal } from './exponential'
import type { Vec } from './graph'
import type { FloatLanes } from './lanes'
import { logPositive } from './logarithm'

/** erf(x) / x at x² = z; Chebyshev interpolation in high precision. */
const erfSmall32 = [
  1.128379225730896, -0.37612634897232056, 0.11283691227436066, -0.02685915119946003,
  0.005200368817895651, -0.000813470920547843, 8.334718586411327e-5,
]
const erfSmall64 = [
  1.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792,
  0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-5,
  1.6461000484121368e-6, -1.6350312701054695e-7, 1.4659775274047436e-8, -1.1372848856791674e-9,
  5.957176147748911e-11,
]

/**
 * −log(erfc a) on [0.92, 4]; Chebyshev interpolation in high precision. erf a = 1 − e^−p is then
 * right to a quarter unit, since e^−p ≤ 0.2.
 */
const negativeLogErfc32 = [
  -0.00032044152612797916, 1.1302375793457031, 0.6318145394325256, 0.11009448021650314,
  -0.026431018486618996, 0.00476357527077198, -0.0005977434921078384, 4.6177912736311555e-5,
  -1.6435697034467012e-6,
]

/** erf in f32 lanes, without leaving them. */
export function erf32(L: FloatLanes, x: Vec): Vec {
  const a = L.abs(x)
  const [first = 0, ...others] = erfSmall32
  // x + x (P − 1) rounds once where it matters.
  const small = L.madd(x, L.polynomial(L.mul(x, x), [first - 1, ...others]), x)
  const bounded = L.atMost(a, L.constant(4))
  const p = L.polynomial(bounded, negativeLogErfc32)
  const large = L.sub(L.constant(1), expNormal(L, L.neg(p)))
  return L.select(L.lt(a, L.constant(0.92)), small, L.withSignOf(large, x))
}

/**
 * e^(a²) erfc(a) (1 + 2a) as a polynomial in t = (a − 4) / (a + 4), for ½ ≤ a ≤ 28: Shepherd and
 * Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x, Math. Comp. 36 (1981).
 * Chebyshev interpolation in high precision, relative error 2^-58.2.
 */
const scaledComplement = [
  1.2329951186255526, -0.13962111684056253, 0.015379652102619027, 0.0680970542546948,
  -0.10103906603625375, 0.09373283499828751, -0.06633036581360713, 0.03716751553818893,
  -0.01619773403826592, 0.0050319699756138135, -0.0007577734486762808, -0.00019925671345040716,
  0.00015062249512264785, -2.4398983809134553e-5, -1.12247322473501e-5, 5.7086428044048145e-6,
  2.9955790685567077e-7, -8.22559563206072e-7, 6.702452833728971e-8, 1.0568025135820959e-7,
  -1.2224048303152388e-8, -1.0476718674668371e-8,
]

/** erfc a for a ≥ ½ in f64 lanes. */
function complement(D: FloatLanes, a: Vec): Vec {
  const bounded = D.atMost(a, D.constant(28))
  const t = D.div(D.plus(bounded, -4), D.plus(bounded, 4))
  const scaled = D.div(D.polynomial(t, scaledComplement), D.plus(D.add(bounded, bounded), 1))
  // The rounding error of a² is a relative error of e^(−a²): (1 − low) makes up for it.
  const { high, low } = D.twoProduct(bounded, bounded)
  return D.mul(exp(D, D.neg(high)), D.nmadd(scaled, low, scaled))
}

const erfSmall = (D: FloatLanes, x: Vec): Vec => D.mul(x, D.polynomial(D.mul(x, x), erfSmall64))

export function erf(D: FloatLanes, x: Vec): Vec {
  const a = D.abs(x)
  const large = D.sub(D.constant(1), complement(D, a))
  return D.select(D.lt(a, D.constant(1)), erfSmall(D, x), D.withSignOf(large, x))
}

export function erfc(D: FloatLanes, x: Vec): Vec {
  const a = D.abs(x)
  const tail = complement(D, a)
  const mirrored = D.select(D.lt(x, D.constant(0)), D.sub(D.constant(2), tail), tail)
  return D.select(D.lt(a, D.constant(0.5)), D.sub(D.constant(1), erfSmall(D, x)), mirrored)
}

/**
 * erfInv(x) / x as polynomials in w = −log(1 − x²), or in √w further out: Giles, Approximating the
 * erfinv function, GPU Computing Gems (2011). Coefficients by Chebyshev interpolation in high
 * precision.
 */
interface InversePiece {
  /** The piece holds for w up to here. */
  readonly upTo: number
  readonly root: boolean
  readonly center: number
  readonly coefficients: readonly number[]
}

const inverseTables: Readonly<Record<'f32' | 'f64', readonly InversePiece[]>> = {
  f32: [
    {
      upTo: 5,
      root: false,
      center: 2.5,
      coefficients: [
        1.5014094114303589, 0.24664027988910675, -0.004177392926067114, -0.0012527264188975096,
        0.00021834939252585173, -4.972419901605463e-6, -3.4639851946849376e-6, 4.681313612309168e-7,
        2.333596782477798e-8, -8.931926309685423e-9,
      ],
    },
    {
      upTo: Infinity,
      root: true,
      center: 3.1,
      coefficients: [
        2.9332315921783447, 1.0033559799194336, 0.007461396977305412, -0.005694728344678879,
        0.004107976797968149, -0.0027248600963503122, 0.0013666674494743347, -0.0002796685148496181,
        -0.0002045504515990615, 0.00012570693797897547,
      ],
    },
  ],
  f64: [
    {
      upTo: 6.25,
      root: false,
      center: 3.125,
      coefficients: [
        1.6536545626831027, 0.2401581824255883, -0.00603367087142785, -0.000740702534154477,
        0.00018673420802464837, -1.3882523394405316e-5, -1.3654691850603575e-6,
        4.234788173782339e-7, -2.9070382262927266e-8, -4.11266082002324e-9, 1.0512181539804126e-9,
        -5.414287198084716e-11, -1.2976885526532075e-11, 2.6304834740560442e-12,
        -8.118399443074353e-14, -4.001237735091896e-14, 6.596407712420834e-15,
        -4.0282154327661744e-17, -1.3016928016796445e-16, 1.557432024623325e-17,
        1.150022252066253e-18, -3.4996044354754177e-19, -1.113483769832702e-21,
        3.240704459379902e-21,
      ],
    },
    {
      upTo: 16,
      root: true,
      center: 3.25,
      coefficients: [
        3.0838856104922208, 1.0052589676941652, 0.00537091455357168, -0.003751208508215561,
        0.0024914420969817607, -0.0016882755357337071, 0.0009532893637435638,
        -0.00035503780975963814, 2.4031257015092525e-5, 6.828708654753377e-5, -4.731898412011245e-5,
        1.2465167157087251e-5, 2.9257291901789823e-6, -3.986084395214756e-6, 1.4987130784186127e-6,
        -2.7004219280868947e-8, -2.713451105439456e-7, 1.3104351499972014e-7, 6.969241977629694e-10,
        -1.5102695423335065e-8,
      ],
    },
    {
      upTo: Infinity,
      root: true,
      center: 5,
      coefficients: [
        4.849906401408584, 1.0103004648645413, -0.00013871931835112341, -0.00021503011962944126,
        7.599527735160192e-5, -1.968177348376382e-5, 4.5260599477720725e-6, -9.930119183482954e-7,
        2.2901554497563463e-7, -6.761414811460412e-8, 2.9124399186491765e-8, -1.5146221782627176e-8,
        7.644335983557396e-9, -3.5875995609819957e-9, 1.4895546197648135e-9,
        -3.7171553416167447e-10, -2.2467591693364936e-11, 2.752083669120488e-11,
      ],
    },
  ],
}

export function erfInv(L: FloatLanes, x: Vec): Vec {
  const one = L.constant(1)
  const a = L.abs(x)
  const w = L.neg(logPositive(L, L.mul(L.sub(one, a), L.add(one, a))))
  const root = L.sqrt(w)
  let ratio = L.constant(NaN)
  for (const { upTo, root: inRoot, center, coefficients } of [...inverseTables[L.type]].reverse()) {
    const value = L.polynomial(L.plus(inRoot ? root : w, -center), coefficients)
    ratio = L.select(L.lt(w, L.constant(upTo)), value, ratio)
  }
  const value = L.select(L.eq(a, one), L.constant(Infinity), L.mul(ratio, a))
  return L.withSignOf(L.select(L.le(a, one), value, L.constant(NaN)), x)
}
