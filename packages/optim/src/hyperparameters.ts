/**
 * Hyperparameters as numbers or arrays: a number that is known goes into the program in double
 * precision, an array may be traced, so that whole populations can be trained in one call.
 */
import { np, type NDArray } from '@adjoint/core'

export type Scalar = number | NDArray

export const minus = (a: Scalar, b: Scalar): Scalar =>
  typeof a === 'number' && typeof b === 'number' ? a - b : np.subtract(a, b)

export const times = (a: Scalar, b: Scalar): Scalar =>
  typeof a === 'number' && typeof b === 'number' ? a * b : np.multiply(a, b)

export const over = (a: Scalar, b: Scalar): Scalar =>
  typeof a === 'number' && typeof b === 'number' ? a / b : np.divide(a, b)

export const complement = (a: Scalar): Scalar => minus(1, a)

const LARGEST_COUNT = 2 ** 31 - 1

export const zeroCount = (): NDArray => np.zeros([], { dtype: 'int32' })

/** One more, and the largest integer for ever after it. */
export const increment = (count: NDArray): NDArray =>
  np.add(np.minimum(count, LARGEST_COUNT - 1), 1)
