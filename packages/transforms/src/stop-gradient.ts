import { stopGradient as stop, tree, type ArrayLike } from '@adjoint/core/internal'
import { leafToArray } from './flat-function'
import type { GradientOf } from './function-types'

/**
 * The same values, through which no derivative passes.
 *
 * @param x a tree of arrays
 * @example
 * grad((x: NDArray) => x.mul(stopGradient(x)))(np.array(1.5))
 * // Array(1.5, dtype=float32, weak_type=True)
 */
export const stopGradient = <T>(x: T): GradientOf<T> =>
  tree.unflatten(
    tree.structure(x),
    tree.leaves<ArrayLike>(x).map((leaf) => stop(leafToArray('stopGradient', leaf, 'x'))),
  ) as GradientOf<T>
