/** How far results may be apart, in one table with its reasons. */
import type { DType } from '@adjoint/core'

/** What is allowed: `absolute + relative · max(|actual|, |expected|)`. */
export interface Tolerance {
  /** Relative to the larger magnitude. */
  readonly relative: number
  /** Absolute, for results near zero. */
  readonly absolute: number
}

/**
 * Per dtype: a device against the reference, which computes in double precision.
 *
 * Each figure is a few dozen units in the last place, because programs of some ten operations on
 * elements of size 1 are compared, and each operation may add one or two (4 for `pow` and its kin).
 *
 * WebGPU needs no figures of its own. Its functions are as exact (docs/accuracy.md); where WGSL lets a
 * device take numbers below 2^−126 for zero the absolute part covers them, and functions of which that
 * would change the value (`log`, `sqrt`, comparisons, signs) look at their bits. Its division may err
 * by 2.5 units and its square root by about two, a tenth of what is allowed.
 *
 * @example
 * deviceTolerance.float32 // { relative: 0.000005, absolute: 0.000005 }
 */
export const deviceTolerance: { readonly [D in DType]?: Tolerance } = {
  float64: { relative: 1e-13, absolute: 1e-13 },
  float32: { relative: 5e-6, absolute: 5e-6 },
  float16: { relative: 1e-2, absolute: 1e-2 },
  bfloat16: { relative: 6e-2, absolute: 6e-2 },
}

/** Integers and booleans must agree exactly. */
export const exact: Tolerance = { relative: 0, absolute: 0 }

/**
 * What a dtype allows; nothing at all for integers and booleans.
 *
 * @example
 * toleranceOf('int32') // { relative: 0, absolute: 0 }
 */
export const toleranceOf = (dtype: DType): Tolerance => deviceTolerance[dtype] ?? exact

/**
 * Central differences in double precision with step h have an error of h²·|f'''| / 6 + ε·|f| / h,
 * about 1e-10 for h = 1e-5 and functions of size 1; four digits are spared for curvature.
 *
 * @example
 * differenceTolerance.relative // 0.00001
 */
export const differenceTolerance: Tolerance = { relative: 1e-5, absolute: 1e-6 }

/** Bits of the significand, the hidden one included. */
const precision: { readonly [D in DType]?: number } = {
  float64: 53,
  float32: 24,
  float16: 11,
  bfloat16: 8,
}

/**
 * The distance of two numbers in units in the last place of the expected one; whole numbers for
 * integers.
 *
 * @example
 * ulpsBetween(1 + 2 ** -22, 1, 'float32') // 2
 */
export function ulpsBetween(actual: number, expected: number, dtype: DType): number {
  if (Object.is(actual, expected) || actual === expected) return 0
  const bits = precision[dtype]
  if (bits === undefined) return Math.abs(actual - expected)
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return Infinity
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(expected), 2 ** -126)))
  return Math.abs(actual - expected) / 2 ** (exponent - bits + 1)
}
