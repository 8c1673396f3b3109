/** Decaying averages of gradients: what the adaptive methods keep between steps. */
import { type DType, np, tree, type NDArray } from '@adjoint/core'
import { complement, type Scalar } from './hyperparameters'
import { mapLeaves } from './transformation'

/**
 * Zero where less than `LEAST_MEAN` is left of a decaying average.
 *
 * The averages of a weight that gets no gradient any more (of a dead unit, an unused word) shrink
 * until they are subnormal, and there they stay, because rounding does not let the last few units go.
 * Processors take a hundred times as long for subnormal numbers, so such weights alone can make a
 * step four times as slow. Engines with a flush-to-zero mode have it switched on; WebAssembly has
 * none. The bounds below are so small that no update changes in its last digit.
 */
export const settled = (x: NDArray): NDArray => np.where(np.less(np.abs(x), LEAST_MEAN), 0, x)

const LEAST_MEAN = 1e-30
const LEAST_MEAN_SQUARE = 1e-36
/** Its square times 0.001 is about the least mean square. */
const LEAST_SQUARED = 1e-17
/** With a smaller one, mean squares that small would count. */
const SAFE_EPS = 1e-9

/** `decay · old + (1 − decay) · value`. */
export const average = (decay: Scalar, old: NDArray, value: NDArray): NDArray =>
  np.add(np.multiply(decay, old), np.multiply(complement(decay), value))

/** The average of a gradient. */
export const mean = (decay: Scalar, old: NDArray, g: NDArray): NDArray =>
  settled(average(decay, old, g))

/** The average of a gradient's square, in which nothing tiny remains when `eps` would hide it. */
export function meanSquare(decay: Scalar, old: NDArray, g: NDArray, eps: Scalar): NDArray {
  if (typeof eps !== 'number' || eps < SAFE_EPS) return average(decay, old, np.square(g))
  const seen = np.where(np.less(np.abs(g), LEAST_SQUARED), 0, g)
  const updated = average(decay, old, np.square(seen))
  return np.where(np.less(updated, LEAST_MEAN_SQUARE), 0, updated)
}

/** The dtype in which numbers that all leaves share are exact enough for each. */
export const precisionOf = (leaves: unknown): 'float64' | 'float32' =>
  tree.leaves<NDArray>(leaves).some((leaf) => leaf.dtype === 'float64') ? 'float64' : 'float32'

/** `decay^count`, and 1 minus it, both to the last digit however close `decay` is to 1. */
export function powers(
  decay: Scalar,
  count: NDArray,
  dtype: 'float64' | 'float32' = 'float32',
): { power: NDArray; rest: NDArray } {
  const exponent = np.multiply(
    typeof decay === 'number' ? Math.log(decay) : np.log(decay),
    count.astype(dtype),
  )
  return { power: np.exp(exponent), rest: np.negative(np.expm1(exponent)) }
}

/** What an average that started at 0 has to be multiplied by after `count` steps. */
export const debiasing = (
  decay: Scalar,
  count: NDArray,
  dtype: 'float64' | 'float32' = 'float32',
): NDArray => np.reciprocal(powers(decay, count, dtype).rest)

/** Zeros like the parameters, of another dtype if one is given. */
export const zeroMoments = (params: unknown, dtype?: DType): unknown =>
  mapLeaves((p) => np.zerosLike(p, dtype === undefined ? {} : { dtype }), params)

/** A new state in the dtypes of the old one. */
export const keepDtypes = (next: unknown, old: unknown): unknown =>
  mapLeaves((x, like) => x.astype(like.dtype), next, old)
