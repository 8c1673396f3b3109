/** Comparing arrays and trees, and saying where they differ. */
import type { NDArray } from '@adjoint/core'
import { tree } from '@adjoint/core/internal'
import { CheckError } from './culprit'
import { exact, type Tolerance, toleranceOf } from './tolerance'

/** One element that is not as expected. */
export interface Difference {
  /** Path of the leaf and index of the element: `.weight[3]`. */
  readonly where: string
  readonly actual: number
  readonly expected: number
  /** Distance divided by what is allowed: more than 1 is a failure. */
  readonly excess: number
}

/** Distance over allowance; NaN and infinities must be equal, and so must the signs of exact zeros never. */
function excessOf(actual: number, expected: number, { relative, absolute }: Tolerance): number {
  if (Number.isNaN(expected) || Number.isNaN(actual)) {
    return Number.isNaN(expected) && Number.isNaN(actual) ? 0 : Infinity
  }
  if (actual === expected) return 0
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return Infinity
  const allowed = absolute + relative * Math.max(Math.abs(actual), Math.abs(expected))
  return allowed === 0 ? Infinity : Math.abs(actual - expected) / allowed
}

/** The largest difference between two lists of numbers, or null when they are equal. */
export function largestDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
  root = '',
): Difference | null {
  let worst: Difference | null = null
  for (let i = 0; i < Math.max(actual.length, expected.length); i++) {
    const [a, e] = [actual[i] ?? NaN, expected[i] ?? NaN]
    const excess = actual.length === expected.length ? excessOf(a, e, tolerance) : Infinity
    if (excess > (worst?.excess ?? 0))
      worst = { where: `${root}[${i}]`, actual: a, expected: e, excess }
  }
  return worst
}

/** A concrete array's elements as numbers. */
export const numbersOf = (x: NDArray): ArrayLike<number> => {
  const flat = (nested: unknown): number[] =>
    Array.isArray(nested) ? nested.flatMap(flat) : [Number(nested)]
  return flat(x.toArray())
}

export interface CompareOptions {
  /** For floating leaves; by dtype unless given. Integers and booleans must be equal. */
  readonly tolerance?: Tolerance
}

/**
 * The largest difference between two trees of arrays, or null when they are equal.
 *
 * NaN equals NaN, and infinities must be the same.
 *
 * @throws TreeError when the structures differ, CheckError when shapes or dtypes do
 * @example
 * compareTrees({ w: np.array([1, 2]) }, { w: np.array([1, 3]) })?.where // .w[1]
 */
export function compareTrees(
  actual: unknown,
  expected: unknown,
  options: CompareOptions = {},
): Difference | null {
  const [a, e] = [tree.flatten<NDArray>(actual), tree.flatten<NDArray>(expected)]
  tree.requireSameStructure('compare', e.structure, a.structure, {
    expected: 'the expected tree',
    actual: 'the actual one',
  })
  const paths = tree.structurePaths(e.structure)
  let worst: Difference | null = null
  for (const [i, x] of a.leaves.entries()) {
    const y = e.leaves[i]
    if (x.dtype !== y.dtype || x.shape.join() !== y.shape.join()) {
      throw new CheckError(`${paths[i] || 'the result'} is ${x.aval}, expected ${y.aval}`)
    }
    const isFloat = toleranceOf(x.dtype) !== exact
    const tolerance = isFloat ? (options.tolerance ?? toleranceOf(x.dtype)) : exact
    const difference = largestDifference(numbersOf(x), numbersOf(y), tolerance, paths[i])
    if (difference && difference.excess > (worst?.excess ?? 0)) worst = difference
  }
  return worst
}

/**
 * Throws unless two trees of arrays agree.
 *
 * @param what names the result in the message
 * @throws CheckError with the place and the size of the largest difference
 * @example
 * requireClose('sum', np.sum(np.array([0.1, 0.2])), np.array(0.3))
 */
export function requireClose(
  what: string,
  actual: unknown,
  expected: unknown,
  options: CompareOptions = {},
): void {
  const difference = compareTrees(actual, expected, options)
  if (difference && difference.excess > 1) {
    throw new CheckError(
      `${what}: ${difference.where} is ${difference.actual}, expected ${difference.expected} ` +
        `(${difference.excess.toPrecision(3)} times what is allowed)`,
    )
  }
}
