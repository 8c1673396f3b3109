/** WGSL text for the mathematical functions: numbers and polynomials as they are written there. */

/** Declarations at module scope by the name that they declare. What they use is found by name. */
export type Declarations = Readonly<Record<string, string>>

/** An f32 literal: the shortest decimal of the f32 nearest to the number. */
export function f32(value: number): string {
  const rounded = Math.fround(value)
  if (!Number.isFinite(rounded)) throw new RangeError(`${value} is not written as a literal`)
  const text = String(rounded)
  const literal = /[.e]/.test(text) ? `${text}f` : `${text}.0f`
  return Object.is(rounded, -0) ? '-0.0f' : literal
}

/** Σ cᵢ xⁱ by Horner's rule. A product and sum that become one operation only round less. */
export function polynomial(x: string, coefficients: readonly number[]): string {
  const [last = 0, ...others] = coefficients.toReversed()
  return others.reduce((inner, c) => `(${f32(c)} + ${x} * ${inner})`, f32(last))
}
