import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

/**
 * The exponential functions. Arguments are reduced as x = n ln 2 + r, |r| ≤ ½ ln 2, with ln 2 in
 * two parts of which the first has trailing zeros, so that n times it is exact (Cody and Waite,
 * Software Manual for the Elementary Functions, 1980, chapter 6).
 */
interface ExponentialTable {
  readonly ln2High: number
  readonly ln2Low: number
  /** (eʳ − 1 − r) / r² on |r| ≤ ½ ln 2. */
  readonly tail: readonly number[]
  /** eʳ on |r| ≤ ½ ln 2. */
  readonly whole: readonly number[]
  /** (2ʳ − 1) / r on |r| ≤ ½. */
  readonly binary: readonly number[]
  /** Beyond these the result is infinity, or zero, also where subnormal numbers exist. */
  readonly largest: number
  readonly smallest: number
  /** e^x − 1 rounds to −1 below this. */
  readonly minusOneBelow: number
}

const tables: { readonly f32: ExponentialTable; readonly f64: ExponentialTable } = {
  f32: {
    // Cephes, expf.c
    ln2High: 0.693359375,
    ln2Low: -2.1219444e-4,
    // Cephes, expf.c: relative error of eʳ below 2^-25
    tail: [
      5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3,
      1.98756915e-4,
    ],
    // Least maximum of the relative error, 2^-28.0, by Lawson's iteration in high precision
    whole: [
      1, 1, 0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.00836874544620514,
      0.0013814539415761828,
    ],
    // Chebyshev interpolation in high precision, relative error 2^-31.8
    binary: [
      0.6931471824645996, 0.24022650718688965, 0.05550410971045494, 0.009618056938052177,
      0.0013333501992747188, 0.00015461444854736328, 1.529732435301412e-5,
    ],
    largest: 89,
    smallest: -104,
    minusOneBelow: -20,
  },
  f64: {
    // fdlibm, e_exp.c
    ln2High: 6.9314718036912381649e-1,
    ln2Low: 1.90821492927058770002e-10,
    // Chebyshev interpolation in high precision, relative error 2^-58.2
    tail: [
      0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326084, 0.0013888888888883711,
      0.0001984126987500228, 2.480158732567746e-5, 2.755725517000089e-6, 2.755727347871858e-7,
      2.5105312729622103e-8, 2.09147553258932e-9,
    ],
    // 1 + r + r² tail
    whole: [
      1, 1, 0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326084,
      0.0013888888888883711, 0.0001984126987500228, 2.480158732567746e-5, 2.755725517000089e-6,
      2.755727347871858e-7, 2.5105312729622103e-8, 2.09147553258932e-9,
    ],
    // Chebyshev interpolation in high precision, relative error 2^-61.7
    binary: [
      0.6931471805599453, 0.24022650695910072, 0.055504108664821625, 0.00961812910762848,
      0.001333355814640647, 0.00015403530393370734, 1.5252733841556773e-5, 1.3215486808705563e-6,
      1.0178057087733941e-7, 7.0548973041554995e-9, 4.4558179083360645e-10, 2.5729324177362305e-11,
    ],
    largest: 710,
    smallest: -746,
    minusOneBelow: -40,
  },
}

interface Reduced {
  readonly r: Vec
  /** An integer value: e^x = e^r 2^n. */
  readonly n: Vec
  /** What `scaleByCount` takes for 2^n. */
  readonly count: Vec
}

/** `doublings` are added to n in the count alone, which costs nothing. */
function reduce(L: FloatLanes, x: Vec, doublings = 0): Reduced {
  const { ln2High, ln2Low } = tables[L.type]
  const rounder = L.constant(L.counter + doublings)
  const count = L.madd(x, L.constant(Math.LOG2E), rounder)
  const n = L.sub(count, rounder)
  const r = L.nmadd(n, L.constant(ln2Low), L.nmadd(n, L.constant(ln2High), x))
  return { r, n, count }
}

/** e^r − 1 − r */
const curvedOf = (L: FloatLanes, r: Vec): Vec =>
  L.mul(L.polynomial(r, tables[L.type].tail), L.mul(r, r))

/** e^r − 1 */
const fractionOf = (L: FloatLanes, r: Vec): Vec =>
  L.madd(L.polynomial(r, tables[L.type].tail), L.mul(r, r), r)

const wholeOf = (L: FloatLanes, r: Vec): Vec => L.polynomial(r, tables[L.type].whole)

/** Within these bounds a power of two is one factor; e^±700 is beyond every f32. */
const WIDENED_LIMIT = 700

function clamp(L: FloatLanes, x: Vec): Vec {
  const { largest, smallest } = L.widened
    ? { largest: WIDENED_LIMIT, smallest: -WIDENED_LIMIT }
    : tables[L.type]
  return L.atLeast(L.atMost(x, L.constant(largest)), L.constant(smallest))
}

/** Up to this magnitude e^x is a normal number, in f32. */
const NORMAL_UP_TO = 87

/** Whether lanes of f32 are of a larger magnitude or NaN: as integers, magnitudes have their order. */
function isBeyondNormal(L: FloatLanes, x: Vec): Vec {
  const magnitude = L.and(x, L.integer(0x7fffffff))
  return L.graph.op('i32x4.gt_s', magnitude, L.constant(NORMAL_UP_TO))
}

export function exp(L: FloatLanes, x: Vec): Vec {
  if (L.type === 'f64') return expAnywhere(L, x)
  const { graph } = L
  return graph.guarded('exp', isBeyondNormal(L, x), expNormal(L, x), [x], (usual, argument) => {
    // Masks of attention are made of arguments that vanish.
    const vanishes = L.lt(argument, L.constant(tables[L.type].smallest))
    const others = L.andNot(isBeyondNormal(L, argument), vanishes)
    return graph.guarded('exp anywhere', others, L.andNot(usual, vanishes), [argument], (_, any) =>
      expAnywhere(L, any),
    )
  })
}

/** e^x with overflow, underflow and NaN. */
function expAnywhere(L: FloatLanes, x: Vec): Vec {
  const { r, count } = reduce(L, clamp(L, x))
  const whole = wholeOf(L, r)
  if (L.widened) return L.scaleByCount(whole, count)
  // A product that underflows costs a hundred others.
  const vanishes = L.lt(x, L.constant(tables[L.type].smallest))
  return L.scaleByCount(L.andNot(whole, vanishes), count)
}

/** e^x with the rounding of 1 + r made up for: below 0.8 units, where the result is used further. */
export function expCareful(L: FloatLanes, x: Vec): Vec {
  const { r, count } = reduce(L, clamp(L, x))
  const { high, low } = L.fastTwoSum(L.constant(1), r)
  return L.scaleByCount(L.add(high, L.add(low, curvedOf(L, r))), count)
}

/** e^x where the result is known to be a normal number: n is added to the exponent as it stands. */
export function expNormal(L: FloatLanes, x: Vec): Vec {
  const doublings = L.widened ? -L.format.bias : -2 * L.format.bias
  const { r, count } = reduce(L, x, doublings)
  return L.addBits(wholeOf(L, r), L.shiftLeft(count, L.format.mantissaBits))
}

/** ½ e^x, finite wherever it is representable. */
export function halfExp(L: FloatLanes, x: Vec): Vec {
  const limit = L.widened ? WIDENED_LIMIT : tables[L.type].largest + 1
  const { r, count } = reduce(L, L.atMost(x, L.constant(limit)), -1)
  return L.scaleByCount(wholeOf(L, r), count)
}

/** e^(high + low) for a small low part, whose first-order effect is 1 + low. */
export function expOfDouble(L: FloatLanes, high: Vec, low: Vec): Vec {
  const { ln2High, ln2Low, tail } = tables[L.type]
  const x = clamp(L, high)
  const rest = L.and(low, L.eq(x, high))
  const rounder = L.constant(L.counter)
  const count = L.madd(x, L.constant(Math.LOG2E), rounder)
  const n = L.sub(count, rounder)
  const coarse = L.nmadd(n, L.constant(ln2High), x)
  const fine = L.nmadd(n, L.constant(ln2Low), rest)
  const { high: r, low: tiny } = L.twoSum(coarse, fine)
  const fraction = L.add(L.madd(L.polynomial(r, tail), L.mul(r, r), L.madd(tiny, r, tiny)), r)
  return L.scaleByCount(L.plus(fraction, 1), count)
}

export function exp2(L: FloatLanes, x: Vec): Vec {
  const { mantissaBits, bias } = L.format
  const bounded = L.atLeast(
    L.atMost(x, L.constant(bias + 2)),
    L.constant(-(bias + mantissaBits + 2)),
  )
  const n = L.nearest(bounded)
  const r = L.sub(bounded, n)
  const value = L.madd(L.polynomial(r, tables[L.type].binary), r, L.constant(1))
  return L.scaleByPowerOfTwo(value, n)
}

/** e^x − 1 = 2^n ((e^r − 1) + (1 − 2^−n)): nothing cancels where n = 0. */
export function expm1(L: FloatLanes, x: Vec): Vec {
  const { largest, minusOneBelow } = tables[L.type]
  const limit = L.widened ? WIDENED_LIMIT : largest
  const bounded = L.atLeast(L.atMost(x, L.constant(limit)), L.constant(minusOneBelow))
  const { r, n, count } = reduce(L, bounded)
  // Where n is large 2^−n does not matter, but it must not leave the range of exponents.
  const inverse = L.powerOfTwo(L.neg(L.atMost(n, L.constant(2 * L.format.mantissaBits))))
  const value = L.add(fractionOf(L, r), L.sub(L.constant(1), inverse))
  return L.withSignOf(L.scaleByCount(value, count), x)
}
