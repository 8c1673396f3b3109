/** The error function, its complement and its inverse, in double precision. */

/** e^(−x²) without the rounding of x², which would cost x² ulps. */
function expOfMinusSquare(x: number): number {
  const high = Math.fround(x)
  return Math.exp(-high * high) * Math.exp(-(x - high) * (x + high))
}

/** 2/√π x e^(−x²) Σ (2x²)ⁿ/(2n+1)!!, all terms positive (DLMF 7.6.2). */
function erfSeries(x: number): number {
  const doubled = 2 * x * x
  let term = 1
  let sum = 1
  for (let n = 1; term > sum * 1e-18; n++) {
    term *= doubled / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * x * expOfMinusSquare(x) * sum
}

/** √π e^(x²) erfc x as a continued fraction, for x ≥ 1 (DLMF 7.9.2). */
function erfcFraction(x: number): number {
  const doubled = 2 * x * x
  const depth = x < 2 ? 120 : 40
  let tail = 0
  for (let n = depth; n >= 1; n--) tail = ((2 * n - 1) * 2 * n) / (doubled + 4 * n + 1 - tail)
  return (expOfMinusSquare(x) / Math.sqrt(Math.PI)) * ((2 * x) / (doubled + 1 - tail))
}

export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN
  const magnitude = Math.abs(x)
  if (magnitude > 6) return Math.sign(x)
  return magnitude < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(magnitude))
}

export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN
  if (x > 28) return 0
  if (x < -6) return 2
  return x < 1 ? 1 - erf(x) : erfcFraction(x)
}

/** Coefficients of M. Giles, "Approximating the erfinv function" (2012), single precision. */
const central = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3,
  -4.17768164e-3, 0.246640727, 1.50140941,
]
const tails = [
  -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3,
  9.43887047e-3, 1.00167406, 2.83297682,
]
const horner = (coefficients: readonly number[], x: number): number =>
  coefficients.reduce((sum, c) => sum * x + c, 0)

/** Giles' approximation, then Halley's iteration on erf x = y, or on erfc x = 1 − y in the tails. */
export function erfInv(y: number): number {
  const magnitude = Math.abs(y)
  if (!(magnitude < 1)) return magnitude === 1 ? y * Infinity : NaN
  if (y === 0) return y
  const w = -Math.log((1 - magnitude) * (1 + magnitude))
  let x = magnitude * (w < 5 ? horner(central, w - 2.5) : horner(tails, Math.sqrt(w) - 3))
  for (let step = 0; step < 3; step++) {
    // 1 − |y| is exact where |y| ≥ ½.
    const excess = magnitude < 0.5 ? erf(x) - magnitude : 1 - magnitude - erfc(x)
    const newton = (excess / expOfMinusSquare(x)) * (Math.sqrt(Math.PI) / 2)
    x -= newton / (1 + x * newton)
  }
  return Math.sign(y) * x
}
