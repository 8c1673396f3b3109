/**
 * How far results are from the exact values, in units in the last place, over whole domains.
 * The tests assert the bounds, and `scripts/accuracy.ts` writes the table in the documentation.
 */
import type { WasmFeatures } from '../../emit'
import type { FloatFunction, FloatFunction2 } from './formulas'
import { floatFunctions2 } from './formulas'
import { floatKernel } from './kernel'
import { exponentOf, fixed, preciseValue, preciseValue2 } from './precise'
import type { Real } from './precise'

export type MeasuredFunction = FloatFunction | Exclude<FloatFunction2, 'nextafter'>

export interface Accuracy {
  readonly function: MeasuredFunction
  readonly type: 'f32' | 'f64'
  /** Largest error found, in units in the last place of the exact value. */
  readonly ulp: number
  readonly at: readonly number[]
  readonly samples: number
}

/** Where a function is measured. */
export interface Domain {
  /** The part with structure, sampled evenly. */
  readonly dense: readonly [number, number]
  /** All arguments, sampled evenly in their exponents; the whole line unless given. */
  readonly whole?: readonly [number, number]
  /** Arguments next to which the function is hard. */
  readonly hard?: readonly number[]
  /** Below 0 the error is counted in units of max(1, |f|): zeros there are no floats. */
  readonly negativeZeros?: boolean
}

const line: readonly [number, number] = [-Infinity, Infinity]
const multiplesOfHalfPi = [1, 2, 3, 4, 11, 100, 22801763489, 6381956970095103].map(
  (n) => (n * Math.PI) / 2,
)

export const domains: { readonly [F in MeasuredFunction]: readonly Domain[] } = {
  exp: [{ dense: [-20, 20], whole: [-745.1, 709.7], hard: [0.34657, -0.34657, 709.7, -708.3] }],
  exp2: [{ dense: [-20, 20], whole: [-1074, 1023.9], hard: [0.5, -0.5, 1023.9] }],
  expm1: [{ dense: [-3, 3], whole: [-50, 709.7], hard: [0.34657, -0.34657, 1.0397] }],
  log: [{ dense: [0, 4], whole: [0, Infinity], hard: [1, Math.SQRT1_2, Math.SQRT2] }],
  log1p: [{ dense: [-1, 3], whole: [-1, Infinity], hard: [-0.29289, 0.41421, -1] }],
  logistic: [{ dense: [-20, 20], whole: [-708, 100] }],
  sin: [{ dense: [-20, 20], hard: multiplesOfHalfPi }],
  cos: [{ dense: [-20, 20], hard: multiplesOfHalfPi }],
  tan: [{ dense: [-20, 20], hard: multiplesOfHalfPi }],
  asin: [{ dense: [-1, 1], whole: [-1, 1], hard: [0.5, 1, -1] }],
  acos: [{ dense: [-1, 1], whole: [-1, 1], hard: [0.5, 1, -1] }],
  atan: [{ dense: [-4, 4], hard: [0.66, 2.41421356] }],
  sinh: [{ dense: [-3, 3], whole: [-710.4, 710.4], hard: [22, 709.9] }],
  cosh: [{ dense: [-3, 3], whole: [-710.4, 710.4], hard: [709.9] }],
  tanh: [{ dense: [-3, 3], hard: [0.625, 1] }],
  asinh: [{ dense: [-3, 3], hard: [2 ** 28] }],
  acosh: [{ dense: [1, 4], whole: [1, Infinity], hard: [1, 2 ** 28] }],
  atanh: [{ dense: [-1, 1], whole: [-1, 1], hard: [0.5, 1] }],
  cbrt: [{ dense: [-4, 4], hard: [1, 8] }],
  erf: [{ dense: [-4, 4], hard: [0.92, 1] }],
  erfc: [{ dense: [-4, 10], whole: [-10, 26.5], hard: [0.5] }],
  erfInv: [{ dense: [-1, 1], whole: [-1, 1], hard: [1, -1, 0.9775] }],
  lgamma: [
    { dense: [0, 12], whole: [0, 1e300], hard: [1, 2, 0.5, 1.5, 2.5, 10] },
    { dense: [-20, 0], whole: [-1e6, 0], negativeZeros: true },
  ],
  digamma: [
    { dense: [0, 12], whole: [0, Infinity], hard: [1.4616321449683622, 1, 2, 10] },
    { dense: [-20, 0], whole: [-1e6, 0], negativeZeros: true },
  ],
  pow: [{ dense: [0, 4] }],
  rem: [{ dense: [-10, 10] }],
  atan2: [{ dense: [-4, 4] }],
}

/** Numbers between 0 and 1 that are the same in every run (Weyl's sequence). */
function* fractions(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    state = (state + 0.6180339887498949) % 1
    yield state
  }
}

export function sampleDomain(
  { dense: [low, high], whole: [least, greatest] = line, hard = [] }: Domain,
  type: 'f32' | 'f64',
  count: number,
): number[] {
  const numbers = fractions(0.5)
  const next = (): number => numbers.next().value
  const round = type === 'f32' ? Math.fround : (x: number): number => x
  const [smallest, largest] = type === 'f32' ? [-149, 128] : [-1074, 1024]
  const result: number[] = []
  const add = (x: number): void => {
    const value = round(x)
    if (value >= least && value <= greatest && Number.isFinite(value)) result.push(value)
  }
  while (result.length < count) {
    add(low + (high - low) * next())
    const sign = least < 0 && (greatest <= 0 || next() < 0.5) ? -1 : 1
    add(sign * 2 ** (smallest + (largest - smallest) * next()))
    // Most of the range of exponents is dull; the middle of it is not.
    add(sign * 2 ** (-30 + 50 * next()))
    for (const point of hard) {
      const distance = 2 ** (-(type === 'f32' ? 24 : 53) * next())
      add(point * (1 + distance))
      add(point * (1 - distance))
    }
  }
  return result
}

export function samplePairs(
  f: MeasuredFunction,
  type: 'f32' | 'f64',
  count: number,
): readonly [number[], number[]] {
  const round = type === 'f32' ? Math.fround : (x: number): number => x
  const numbers = fractions(0.25)
  const next = (): number => numbers.next().value
  const sign = (): number => (next() < 0.5 ? -1 : 1)
  const limit = type === 'f32' ? 126 : 1020
  const pairs = Array.from({ length: count }, (_, index): readonly [number, number] => {
    if (f !== 'pow') {
      const x = sign() * 2 ** (index % 2 ? limit * (2 * next() - 1) : 8 * next() - 4)
      return [
        round(x),
        round(
          sign() * 2 ** (index % 3 ? Math.log2(Math.abs(x)) + 8 * next() - 4 : 60 * next() - 30),
        ),
      ]
    }
    // An exponent that leads to any representable result.
    const x = round(index % 2 ? 2 ** (limit * (2 * next() - 1)) : 0.5 + 1.5 * next())
    const y = round((limit * (2 * next() - 1)) / Math.log2(x))
    return [x, Number.isFinite(y) ? y : 1]
  })
  return [pairs.map(([x]) => x), pairs.map(([, y]) => y)]
}

/** The distance of a result from the exact value in units in the exact value's last place. */
function errorInUlp(
  got: number,
  exact: Real,
  type: 'f32' | 'f64',
  near: number,
  floor: number,
): number {
  if (!Number.isFinite(got)) return Number.isFinite(near) ? Infinity : 0
  const [digits, lowest, top] = type === 'f32' ? [23, -149, 128] : [52, -1074, 1024]
  // A result may be the zero below the smallest number, whose unit is that number.
  const size = Math.max(Math.abs(near), floor)
  const exponent = size === 0 ? lowest : Math.min(exponentOf(size), top - 1)
  const unit = Math.max(exponent - digits, lowest)
  const bits = Math.max(exact.bits, 0)
  const difference = fixed(got, bits) - exact.mantissa
  // 2^-10 of a unit is enough to show.
  const scaled = shiftBy(difference < 0n ? -difference : difference, 10 - unit - bits)
  return Number(scaled) / 1024
}

const shiftBy = (x: bigint, by: number): bigint => (by >= 0 ? x << BigInt(by) : x >> BigInt(-by))

export function measureAccuracy(
  f: MeasuredFunction,
  type: 'f32' | 'f64',
  features: WasmFeatures,
  samples: number,
): Accuracy {
  let worst: Accuracy = { function: f, type, ulp: 0, at: [], samples: 0 }
  let measured = 0
  const isBinary = (floatFunctions2 as readonly string[]).includes(f)
  const kernel = floatKernel(f, isBinary ? 2 : 1, { type, features })
  // f64 code, itself measured against the exact values, is the measure of f32.
  const wide = floatKernel(f, isBinary ? 2 : 1, { type: 'f64', features })
  for (const domain of domains[f]) {
    const args = isBinary ? samplePairs(f, type, samples) : [sampleDomain(domain, type, samples)]
    const [xs = [], ys = []] = args
    const results = kernel(...args)
    const nears = wide(...args)
    xs.forEach((x, index) => {
      const got = results[index] ?? NaN
      const near = nears[index] ?? NaN
      const y = ys[index] ?? NaN
      const overflows = Math.abs(near) >= (type === 'f32' ? 2 ** 128 * (1 - 2 ** -25) : Infinity)
      measured++
      if (overflows || Number.isNaN(near)) {
        const same = Number.isNaN(near) ? Number.isNaN(got) : Math.abs(got) === Infinity
        if (!same) worst = { ...worst, ulp: Infinity, at: isBinary ? [x, y] : [x] }
        return
      }
      const exact =
        type === 'f32'
          ? { bits: 300, mantissa: fixed(near, 300) }
          : isBinary
            ? preciseValue2(f as Exclude<FloatFunction2, 'nextafter'>, x, y, near)
            : preciseValue(f as FloatFunction, x, near)
      const ulp = errorInUlp(got, exact, type, near, domain.negativeZeros ? 1 : 0)
      if (ulp > worst.ulp) worst = { ...worst, ulp, at: isBinary ? [x, y] : [x] }
    })
  }
  return { ...worst, samples: measured }
}

export const measuredFunctions = Object.keys(domains) as readonly MeasuredFunction[]
