/**
 * The functions to any precision, in integers: the measure that compiled code is held to.
 *
 * A real number is an integer count of 2^-bits. Working precision is absolute, so differences
 * lose nothing; callers choose it from the size of the result. Used by tests and by the accuracy
 * table only.
 */
import type { FloatFunction, FloatFunction2 } from './formulas'

/** mantissa · 2^-bits */
export interface Real {
  readonly mantissa: bigint
  readonly bits: number
}

/** Bits of the result that are right, at least; its last place has 53. */
const SIGNIFICANT = 100
const GUARD = 48

const double = new Float64Array(1)
const doubleBits = new BigUint64Array(double.buffer)

/** ⌊log₂ |x|⌋ for a finite x that is not 0. */
export function exponentOf(x: number): number {
  double[0] = Math.abs(x)
  const [bits = 0n] = doubleBits
  const field = Number(bits >> 52n)
  if (field > 0) return field - 1023
  return bits.toString(2).length - 1075
}

/** A finite float as a count of 2^-bits, towards −∞ where it has smaller digits. */
export function fixed(x: number, bits: number): bigint {
  if (x === 0) return 0n
  double[0] = Math.abs(x)
  const [raw = 0n] = doubleBits
  const field = Number(raw >> 52n)
  const fraction = raw & ((1n << 52n) - 1n)
  const mantissa = field === 0 ? fraction : fraction | (1n << 52n)
  const magnitude = shift(mantissa, bits + Math.max(field, 1) - 1075)
  return x < 0 ? -magnitude : magnitude
}

const shift = (x: bigint, by: number): bigint => (by >= 0 ? x << BigInt(by) : x >> BigInt(-by))

const absolute = (x: bigint): bigint => (x < 0n ? -x : x)

function integerSqrt(x: bigint): bigint {
  if (x < 2n) return x
  let root = 1n << BigInt((x.toString(2).length >> 1) + 1)
  for (;;) {
    const next = (root + x / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

function integerCbrt(x: bigint): bigint {
  if (x < 2n) return x
  let root = 1n << BigInt(Math.ceil(x.toString(2).length / 3) + 1)
  for (;;) {
    const next = (2n * root + x / (root * root)) / 3n
    if (next >= root) return root
    root = next
  }
}

function memoized(compute: (bits: number) => bigint): (bits: number) => bigint {
  const known = new Map<number, bigint>()
  return (bits) => {
    // Few precisions, so that constants are seldom computed.
    const rounded = 256 * Math.ceil(bits / 256)
    const value = known.get(rounded) ?? compute(rounded)
    known.set(rounded, value)
    return shift(value, bits - rounded)
  }
}

/** atanh(1/n) or atan(1/n) in units of 2^-bits. */
function inverseOf(n: bigint, bits: number, alternating: boolean): bigint {
  let power = (1n << BigInt(bits + 16)) / n
  let sum = 0n
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k
    power /= alternating ? -n * n : n * n
  }
  return sum >> 16n
}

/** Machin (1706), and its hyperbolic counterpart. */
const pi = memoized((bits) => 16n * inverseOf(5n, bits, true) - 4n * inverseOf(239n, bits, true))
const ln2 = memoized(
  (bits) =>
    18n * inverseOf(26n, bits, false) -
    2n * inverseOf(4801n, bits, false) +
    8n * inverseOf(8749n, bits, false),
)

/** e^x; results beyond 2^2000 are not asked for. */
function exponential(x: bigint, bits: number): bigint {
  const n = Number((x + (1n << BigInt(bits - 1))) / (ln2(bits) || 1n))
  if (n < -(bits + 64)) return 0n
  const working = bits + GUARD + 16 + Math.max(n, 0)
  const r = shift(x, working - bits) - BigInt(n) * ln2(working)
  const halvings = 12
  const small = r >> BigInt(halvings)
  const one = 1n << BigInt(working)
  let sum = one
  let term = one
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    term = ((term * small) >> BigInt(working)) / k
    sum += term
  }
  for (let k = 0; k < halvings; k++) sum = (sum * sum) >> BigInt(working)
  return shift(sum, n - (working - bits))
}

/** log x for x > 0 */
function logarithm(x: bigint, bits: number): bigint {
  if (x <= 0n) throw new RangeError('the logarithm of what is not positive')
  const working = bits + GUARD
  // m in [1, 2), brought near 1 by two square roots
  const exponent = x.toString(2).length - 1 - bits
  const one = 1n << BigInt(working)
  const halvings = 6
  let m = shift(x, working - bits - exponent)
  for (let k = 0; k < halvings; k++) m = integerSqrt(m << BigInt(working))
  const s = ((m - one) << BigInt(working)) / (m + one)
  const square = (s * s) >> BigInt(working)
  let sum = 0n
  let power = s
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k
    power = (power * square) >> BigInt(working)
  }
  const value = (sum << BigInt(halvings + 1)) + BigInt(exponent) * ln2(working)
  return shift(value, bits - working)
}

function sineAndCosine(x: bigint, bits: number): readonly [bigint, bigint] {
  const size = Math.max(0, x.toString(2).length - bits)
  const half = pi(bits + size + GUARD) >> 1n
  const wide = x << BigInt(size + GUARD)
  const n = (2n * wide + half) / (2n * half) - (wide < 0n ? 1n : 0n)
  const working = bits + GUARD
  const r = (wide - n * half) >> BigInt(size)
  const series = (first: bigint, k0: bigint): bigint => {
    let term = first
    let sum = first
    for (let k = k0; term !== 0n && term !== -1n; k += 2n) {
      term = (((((-term * r) >> BigInt(working)) * r) >> BigInt(working)) / (k * (k + 1n))) | 0n
      sum += term
    }
    return sum >> BigInt(GUARD)
  }
  const sin = series(r, 2n)
  const cos = series(1n << BigInt(working), 1n)
  switch (((n % 4n) + 4n) % 4n) {
    case 0n:
      return [sin, cos]
    case 1n:
      return [cos, -sin]
    case 2n:
      return [-sin, -cos]
    default:
      return [-cos, sin]
  }
}

function arctangent(x: bigint, bits: number): bigint {
  if (x < 0n) return -arctangent(-x, bits)
  const working = bits + GUARD
  const one = 1n << BigInt(working)
  const wide = x << BigInt(GUARD)
  if (wide > one) {
    // Of a large number only the reciprocal's digits matter.
    return ((pi(working) >> 1n) >> BigInt(GUARD)) - arctangent((one << BigInt(bits)) / wide, bits)
  }
  let t = wide
  const halvings = 5
  for (let k = 0; k < halvings; k++)
    t = (t << BigInt(working)) / (one + integerSqrt(one * one + t * t))
  const square = (t * t) >> BigInt(working)
  let sum = 0n
  let power = t
  for (let k = 1n; power !== 0n && power !== -1n; k += 2n) {
    sum += power / k
    power = -((power * square) >> BigInt(working))
  }
  return shift(sum << BigInt(halvings), -GUARD)
}

/** erf x = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!! (DLMF 7.6.2), all terms of one sign. */
function errorFunction(x: bigint, bits: number): bigint {
  // Far out the complement is below 2^-bits.
  const limit = BigInt(Math.ceil(Math.sqrt(bits)))
  if (absolute(x) >> BigInt(bits) > limit) return (x < 0n ? -1n : 1n) << BigInt(bits)
  const working = bits + GUARD
  const wide = x << BigInt(GUARD)
  const square = (wide * wide) >> BigInt(working)
  let term = wide
  let sum = wide
  for (let k = 3n; term !== 0n && term !== -1n; k += 2n) {
    term = (2n * ((term * square) >> BigInt(working))) / k
    sum += term
  }
  // e^(x²) is large; the product is at most 1, so the exponential needs as many digits below.
  const extra = Math.ceil(Number(square >> BigInt(working)) * 1.5) + 8
  const decay = exponential(-shift(square, extra), working + extra)
  const rootPi = integerSqrt(pi(working) << BigInt(working))
  return (
    ((((2n * sum * decay) >> BigInt(working + extra)) << BigInt(working)) / rootPi) >> BigInt(GUARD)
  )
}

/** Bernoulli numbers B₂ₖ as fractions (numerator, denominator), k = 0…; by the tangent triangle. */
const bernoulli: readonly (readonly [bigint, bigint])[] = (() => {
  const count = 70
  const tangent = [0n, 1n]
  for (let k = 2; k <= count; k++) tangent[k] = BigInt(k - 1) * (tangent[k - 1] ?? 0n)
  for (let k = 2; k <= count; k++) {
    for (let j = k; j <= count; j++) {
      tangent[j] = BigInt(j - k) * (tangent[j - 1] ?? 0n) + BigInt(j - k + 2) * (tangent[j] ?? 0n)
    }
  }
  return tangent.map((t, k) => {
    if (k === 0) return [1n, 1n]
    const four = 4n ** BigInt(k)
    return [(k % 2 === 1 ? 1n : -1n) * 2n * BigInt(k) * t, four * (four - 1n)]
  })
})()

/** Σ over the asymptotic series is exact to 2^-300 from here on. */
const STIRLING_FROM = 44

interface Shifted {
  readonly z: bigint
  /** z is x plus this. */
  readonly steps: number
}

function shiftUp(x: bigint, bits: number): Shifted {
  const one = 1n << BigInt(bits)
  const steps = Math.max(0, STIRLING_FROM - Number(x >> BigInt(bits)))
  return { z: x + BigInt(steps) * one, steps }
}

/** log Γ(x) for x > 0 (DLMF 5.11.1) */
function logGamma(x: bigint, bits: number): bigint {
  const unit = BigInt(bits)
  const one = 1n << unit
  const { z, steps } = shiftUp(x, bits)
  let product = one
  for (let k = 0; k < steps; k++) product = (product * (x + BigInt(k) * one)) >> unit
  const size = Math.max(0, z.toString(2).length - bits)
  const logZ = logarithm(z << BigInt(size), bits + size)
  let sum = (((z - (one >> 1n)) * logZ) >> BigInt(bits + size)) - z
  sum += logarithm(2n * pi(bits), bits) >> 1n
  const inverse = (one << unit) / z
  const square = (inverse * inverse) >> unit
  let power = inverse
  for (let k = 1; k < bernoulli.length && power !== 0n; k++) {
    const [numerator, denominator] = bernoulli[k] ?? [0n, 1n]
    sum += (power * numerator) / (denominator * BigInt(2 * k * (2 * k - 1)))
    power = (power * square) >> unit
  }
  return steps > 0 ? sum - logarithm(product, bits) : sum
}

/** ψ(x) for x > 0 (DLMF 5.11.2) */
function psi(x: bigint, bits: number): bigint {
  const unit = BigInt(bits)
  const one = 1n << unit
  const { z, steps } = shiftUp(x, bits)
  const inverse = (one << unit) / z
  const square = (inverse * inverse) >> unit
  let sum = logarithm(z, bits) - (inverse >> 1n)
  let power = square
  for (let k = 1; k < bernoulli.length && power !== 0n; k++) {
    const [numerator, denominator] = bernoulli[k] ?? [0n, 1n]
    sum -= (power * numerator) / (denominator * BigInt(2 * k))
    power = (power * square) >> unit
  }
  for (let k = 0; k < steps; k++) sum -= (one << unit) / (x + BigInt(k) * one)
  return sum
}

/** At a working precision of `bits`, for finite x where the result is finite and not 0. */
const functions: {
  readonly [F in Exclude<FloatFunction, 'erfInv'>]: (x: bigint, bits: number) => bigint
} = {
  exp: exponential,
  exp2: (x, bits) => exponential((x * ln2(bits + GUARD)) >> BigInt(bits + GUARD), bits),
  expm1: (x, bits) => exponential(x, bits) - (1n << BigInt(bits)),
  log: logarithm,
  log1p: (x, bits) => logarithm(x + (1n << BigInt(bits)), bits),
  logistic: (x, bits) => {
    const one = 1n << BigInt(bits)
    const e = exponential(-absolute(x), bits)
    return ((x < 0n ? e : one) << BigInt(bits)) / (one + e)
  },
  sin: (x, bits) => sineAndCosine(x, bits)[0],
  cos: (x, bits) => sineAndCosine(x, bits)[1],
  tan: (x, bits) => {
    const [sin, cos] = sineAndCosine(x, bits)
    return (sin << BigInt(bits)) / cos
  },
  asin: (x, bits) => {
    const one = 1n << BigInt(bits)
    const cosine = integerSqrt((one - x) * (one + x))
    if (cosine === 0n) return x < 0n ? -(pi(bits) >> 1n) : pi(bits) >> 1n
    return arctangent((x << BigInt(bits)) / cosine, bits)
  },
  acos: (x, bits) => {
    const one = 1n << BigInt(bits)
    if (x === -one) return pi(bits)
    return 2n * arctangent(integerSqrt(((one - x) << BigInt(2 * bits)) / (one + x)), bits)
  },
  atan: arctangent,
  sinh: (x, bits) => (exponential(x, bits) - exponential(-x, bits)) >> 1n,
  cosh: (x, bits) => (exponential(x, bits) + exponential(-x, bits)) >> 1n,
  tanh: (x, bits) => {
    const one = 1n << BigInt(bits)
    const e = exponential(-2n * absolute(x), bits)
    const magnitude = ((one - e) << BigInt(bits)) / (one + e)
    return x < 0n ? -magnitude : magnitude
  },
  asinh: (x, bits) => {
    const a = absolute(x)
    const root = integerSqrt(a * a + (1n << BigInt(2 * bits)))
    const magnitude = logarithm(a + root, bits)
    return x < 0n ? -magnitude : magnitude
  },
  acosh: (x, bits) => logarithm(x + integerSqrt(x * x - (1n << BigInt(2 * bits))), bits),
  atanh: (x, bits) => {
    const one = 1n << BigInt(bits)
    return logarithm(((one + x) << BigInt(bits)) / (one - x), bits) >> 1n
  },
  cbrt: (x, bits) => {
    const magnitude = integerCbrt(absolute(x) << BigInt(2 * bits))
    return x < 0n ? -magnitude : magnitude
  },
  erf: errorFunction,
  erfc: (x, bits) => (1n << BigInt(bits)) - errorFunction(x, bits),
  lgamma: (x, bits) => {
    if (x > 0n) return logGamma(x, bits)
    // log π − log |x sin πx| − log Γ(−x) (DLMF 5.5.3)
    const circle = pi(bits + GUARD)
    const [sin] = sineAndCosine((x * circle) >> BigInt(bits + GUARD), bits)
    const factors = logarithm(absolute(x), bits) + logarithm(absolute(sin), bits)
    return logarithm(circle >> BigInt(GUARD), bits) - factors - logGamma(-x, bits)
  },
  digamma: (x, bits) => {
    if (x > 0n) return psi(x, bits)
    // ψ(1 − x) − π cot πx (DLMF 5.5.4)
    const circle = pi(bits + GUARD)
    const [sin, cos] = sineAndCosine((x * circle) >> BigInt(bits + GUARD), bits)
    const cotangent = ((circle >> BigInt(GUARD)) * cos) / sin
    return psi((1n << BigInt(bits)) - x, bits) - cotangent
  },
}

/** Bits after the point that `result` needs, and `x` to be exact where that matters. */
const workingBits = (result: number, ...args: readonly number[]): number =>
  Math.max(
    SIGNIFICANT + GUARD - (result === 0 ? -1100 : exponentOf(result)),
    SIGNIFICANT + GUARD,
    ...args.map((x) => (x === 0 ? 0 : 54 - exponentOf(x))),
  )

/** f(x) precisely, given a double near it, which is finite. */
export function preciseValue(f: FloatFunction, x: number, near: number): Real {
  const bits = workingBits(near, x)
  if (f !== 'erfInv') return { mantissa: functions[f](fixed(x, bits), bits), bits }
  // Newton's step from the value nearby: (erf y − x) / (2/√π e^(−y²)); y itself is right to
  // many digits, so the step's square does not matter.
  const deep = bits + 128
  const y = fixed(near, deep)
  const slope =
    (2n * exponential(-((y * y) >> BigInt(deep)), deep) * (1n << BigInt(deep))) /
    integerSqrt(pi(deep) << BigInt(deep))
  const step = ((errorFunction(y, deep) - fixed(x, deep)) << BigInt(deep)) / slope
  return { mantissa: y - step, bits: deep }
}

/** As `preciseValue` for two arguments, finite and, for pow, a positive x. */
export function preciseValue2(
  f: Exclude<FloatFunction2, 'nextafter'>,
  x: number,
  y: number,
  near: number,
): Real {
  const bits = workingBits(near, x, y) + 64
  const [a, b] = [fixed(x, bits), fixed(y, bits)]
  switch (f) {
    case 'pow':
      return { mantissa: exponential((b * logarithm(a, bits)) >> BigInt(bits), bits), bits }
    case 'rem':
      return { mantissa: a % b, bits }
    case 'atan2': {
      const angle = a === 0n ? 0n : arctangent(absolute((a << BigInt(bits)) / (b || 1n)), bits)
      const first = b === 0n ? pi(bits) >> 1n : angle
      const turned = b < 0n ? pi(bits) - first : first
      return { mantissa: a < 0n ? -turned : turned, bits }
    }
  }
}
