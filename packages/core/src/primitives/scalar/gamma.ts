/** ln|Γ|, its derivatives, and the Hurwitz zeta function they are made of, in double precision. */

/** Bernoulli numbers B₂, B₄, …, B₂₀ (DLMF table 24.2.1). */
export const bernoulli = [
  1 / 6,
  -1 / 30,
  1 / 42,
  -1 / 30,
  5 / 66,
  -691 / 2730,
  7 / 6,
  -3617 / 510,
  43867 / 798,
  -174611 / 330,
]
/** Euler's constant (DLMF 5.2.3). */
const gamma = 0.57721566490153286

/** ζ(k) − 1 for k = 2, 3, …, by Euler–Maclaurin summation from 10 (DLMF 25.2.9). */
const zetaMinusOne: readonly number[] = Array.from({ length: 34 }, (_, i) => {
  const k = i + 2
  let sum = hurwitzTail(k, 10)
  for (let n = 9; n >= 2; n--) sum += n ** -k
  return sum
})

/** Σ_{n ≥ 0} (q + n)^(−s) for q ≥ 10: q^(1−s)/(s−1) + q^(−s)/2 + Σ B₂ₖ/(2k)! s(s+1)…(s+2k−2) q^(−s−2k+1). */
function hurwitzTail(s: number, q: number): number {
  const power = q ** -s
  let sum = (power * q) / (s - 1) + power / 2
  let factor = (s * power) / q / 2
  bernoulli.forEach((b, i) => {
    sum += b * factor
    const k = 2 * i + 1
    factor *= ((s + k) * (s + k + 1)) / ((k + 2) * (k + 3)) / (q * q)
  })
  return sum
}

/** sin πx, exact at integers and half integers. */
function sinPi(x: number): number {
  // Odd, so that tiny negative arguments are not lost in a difference with 2.
  if (x < 0) return -sinPi(-x)
  const rest = x - 2 * Math.floor(x / 2)
  const folded = rest > 1.5 ? rest - 2 : rest > 0.5 ? 1 - rest : rest
  return Math.sin(Math.PI * folded)
}

/** ln Γ(2 + z) for |z| ≤ ½: z(1 − γ) + Σ (−1)ᵏ (ζ(k) − 1) zᵏ/k (DLMF 5.7.3). */
function lgammaNearTwo(z: number): number {
  let sum = 0
  for (let i = zetaMinusOne.length - 1; i >= 0; i--) {
    const k = i + 2
    sum = z * (sum + ((k % 2 === 0 ? 1 : -1) * zetaMinusOne[i]) / k)
  }
  return z * (1 - gamma + sum)
}

/** ln Γ(x) for x ≥ 10 by Stirling's series (DLMF 5.11.1). */
function lgammaStirling(x: number): number {
  let correction = 0
  for (let i = 7; i >= 0; i--) {
    const k = 2 * (i + 1)
    correction = correction / (x * x) + bernoulli[i] / (k * (k - 1))
  }
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + correction / x
}

/** ln|Γ(x)|. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return NaN
  if (!Number.isFinite(x)) return Infinity
  if (x <= 0) {
    if (Number.isInteger(x)) return Infinity
    // Γ(x) = 1/x − γ + O(x) (DLMF 5.7.1); below, π / sin πx overflows where its logarithm does not.
    if (x > -1e-17) return -Math.log(-x)
    // Reflection: Γ(x) Γ(1 − x) = π / sin πx (DLMF 5.5.3).
    return Math.log(Math.PI / Math.abs(sinPi(x))) - lgamma(1 - x)
  }
  if (x >= 10) return lgammaStirling(x)
  // Γ(x) = Γ(x + 2) / (x (x + 1)).
  if (x < 0.5) return lgammaNearTwo(x) - Math.log1p(x) - Math.log(x)
  if (x < 1.5) return lgammaNearTwo(x - 1) - Math.log1p(x - 1)
  // Γ(x) = (x − 1)(x − 2)… Γ(x − m), down to where the series holds.
  let product = 1
  let reduced = x
  while (reduced > 2.5) product *= --reduced
  return Math.log(product) + lgammaNearTwo(reduced - 2)
}

/** ψ(x) = d ln Γ(x)/dx. */
export function digamma(x: number): number {
  if (x === Infinity) return Infinity
  if (!Number.isFinite(x)) return NaN
  if (x <= 0) {
    if (Number.isInteger(x)) return NaN
    // ψ(1 − x) − ψ(x) = π cot πx (DLMF 5.5.4).
    return digamma(1 - x) - (Math.PI * sinPi(x + 0.5)) / sinPi(x)
  }
  let result = 0
  let z = x
  for (; z < 10; z++) result -= 1 / z
  // ln z − 1/(2z) − Σ B₂ₖ/(2k z²ᵏ) (DLMF 5.11.2).
  let series = 0
  for (let i = 8; i >= 0; i--) series = (series + bernoulli[i] / (2 * (i + 1))) / (z * z)
  return result + Math.log(z) - 0.5 / z - series
}

/** More terms than this are not summed: negative arguments so large give NaN. */
const longestSum = 1e6

/** ψ⁽ᵐ⁾(x) = (−1)ᵐ⁺¹ m! ζ(m + 1, x) (DLMF 25.11.12), for m = 0, 1, 2, … */
export function polygamma(m: number, x: number): number {
  if (m === 0) return digamma(x)
  if (!(m > 0 && Number.isInteger(m)) || Number.isNaN(x) || x < -longestSum) return NaN
  const s = m + 1
  let sum = 0
  let q = x
  for (; q < 10; q++) sum += q ** -s
  sum += hurwitzTail(s, q)
  let factorial = 1
  for (let i = 2; i <= m; i++) factorial *= i
  return (m % 2 === 0 ? -1 : 1) * factorial * sum
}
