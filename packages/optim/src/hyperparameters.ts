/**
 * Hyperparameters as numbers or arrays: a number that is known goes into the program in double
 * precision, an array may be traced, so that whole populations can be trained in one call.
 */
import { ArgumentError, NDArray, np } from '@adjoint/core'

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

/**
 * Options of which one may also stand by itself in front: `adafactor(1e-3)` is
 * `adafactor({ learningRate: 1e-3 })`, because in Optax it has a default.
 */
export function withLeading<Options extends object>(
  name: keyof Options,
  first: unknown,
  rest: Options,
): Options {
  const isOptions =
    typeof first === 'object' && first !== null && Object.getPrototypeOf(first) === Object.prototype
  return isOptions ? (first as Options) : { ...rest, [name]: first }
}

/** Refuses what is no learning rate as soon as an optimiser is made of it. */
export function requireRate(rate: unknown): void {
  if (typeof rate === 'number' || typeof rate === 'function' || rate instanceof NDArray) return
  throw new ArgumentError({
    op: 'scaleByLearningRate(learningRate)',
    problem: `the learning rate is ${typeof rate === 'object' ? 'an object' : JSON.stringify(rate)}`,
    rule: 'it is a number, an array or a schedule',
    hint: 'it stands first: adam(1e-3, { b1: 0.95 }), or adam(cosineDecay(1e-3, 1000))',
  })
}
