/**
 * The nearest points of simple sets: after each step, parameters that have to stay in one go back
 * there (projected gradient descent). A tree is taken as one vector of all its elements.
 */
import { type ArrayLike, lax, NDArray, np, tree } from '@adjoint/core'
import { mapLeaves, squaredNorm, vdot } from './transformation'

/** One number for all leaves, or a tree like the projected one. */
export type Bound<P> = ArrayLike | P

const sumOf = (value: unknown, f: (leaf: NDArray) => NDArray): NDArray =>
  tree
    .leaves<NDArray>(value)
    .map((leaf) => np.sum(f(leaf)))
    .reduce((sum, term) => np.add(sum, term), np.zeros([]))

/** A bound as a tree of the structure of `params`. */
function boundOf(bound: unknown, params: unknown): unknown {
  const isOne = typeof bound === 'number' || typeof bound === 'boolean' || bound instanceof NDArray
  return isOne && !(params instanceof NDArray) ? tree.map(() => bound, params) : bound
}

/**
 * Elements below 0 become 0.
 *
 * @param params a tree of arrays
 * @example
 * projectionNonNegative(np.array([-1, 2])) // Array([0, 2], dtype=int32)
 */
export const projectionNonNegative = <P>(params: P): P =>
  mapLeaves((x) => np.maximum(x, 0), params) as P

/**
 * Every element between two bounds.
 *
 * @param params a tree of arrays
 * @param lower one number, or a tree of them like the parameters
 * @param upper likewise
 * @example
 * projectionBox({ w: np.array([-2, 0.5, 3]) }, -1, 1).w // Array([-1. ,  0.5,  1. ], dtype=float32)
 */
export const projectionBox = <P>(params: P, lower: Bound<P>, upper: Bound<P>): P =>
  mapLeaves(
    (x, low, high) => np.minimum(np.maximum(x, low), high).astype(x.dtype),
    params,
    boundOf(lower, params),
    boundOf(upper, params),
  ) as P

/**
 * Every element between 0 and `scale`; see `projectionBox`.
 *
 * @example
 * const x = np.array([0.5, -2, 1])
 * projectionHypercube(x) // Array([0.5, 0. , 1. ], dtype=float32)
 */
export const projectionHypercube = <P>(params: P, scale: Bound<P> = 1): P =>
  projectionBox(params, 0, scale)

/**
 * Elements that are not negative and sum to `scale`: all are lowered by the same amount, down to 0.
 * Duchi et al., "Efficient Projections onto the ℓ1-Ball for Learning in High Dimensions" (2008),
 * figure 1.
 *
 * @param params a tree of arrays, all of which together are the vector
 * @param scale what they sum to, a positive number; 1 is the simplex of probabilities
 * @example
 * projectionSimplex(np.array([0.5, 0.75, -1])) // Array([0.375, 0.625, 0.   ], dtype=float32)
 */
export function projectionSimplex<P>(params: P, scale: ArrayLike = 1): P {
  const vector = np.concatenate(tree.leaves<NDArray>(params).map((leaf) => np.ravel(leaf)))
  const threshold = simplexThreshold(vector, scale)
  return mapLeaves(
    (x) => np.where(np.greater(x, threshold), np.subtract(x, threshold), 0).astype(x.dtype),
    params,
  ) as P
}

/**
 * What elements are lowered by along the last axis, `[..., n]` to `[...]`: with the elements sorted,
 * the largest of `(u₁ + … + uₖ − scale) / k` over k.
 */
export function simplexThreshold(x: NDArray, scale: ArrayLike): NDArray {
  const largestFirst = np.flip(np.sort(lax.stopGradient(x), { axis: -1 }), { axis: -1 })
  const counts = np.arange(1, (x.shape.at(-1) ?? 0) + 1)
  const level = np.subtract(np.cumsum(largestFirst, { axis: -1 }), lax.stopGradient(scaleOf(scale)))
  const known = np.max(np.divide(level, counts), { axis: -1, keepdims: true })
  // The same number as a function of the elements above it, which is all that its derivative is.
  const above = np.greater(x, known)
  const sum = np.sum(np.where(above, x, 0), { axis: -1 })
  return np.divide(np.subtract(sum, scale), np.sum(above.astype(x.dtype), { axis: -1 }))
}

const scaleOf = (scale: ArrayLike): NDArray => np.asarray(scale)

/**
 * Elements whose magnitudes sum to `scale`. Duchi et al. (2008), section 4.
 *
 * @example
 * const x = np.array([0.5, -2, 1])
 * projectionL1Sphere(x, 2) // Array([ 0. , -1.5, 0.5], dtype=float32)
 */
export function projectionL1Sphere<P>(params: P, scale: ArrayLike = 1): P {
  const magnitudes = mapLeaves((x) => np.abs(x), params)
  return mapLeaves(
    (x, size) => np.multiply(np.sign(x), size).astype(x.dtype),
    params,
    projectionSimplex(magnitudes, scale),
  ) as P
}

/**
 * Elements whose magnitudes sum to at most `scale`.
 *
 * @example
 * const x = np.array([0.5, -2, 1])
 * projectionL1Ball(x) // Array([ 0., -1., 0.], dtype=float32)
 */
export function projectionL1Ball<P>(params: P, scale: ArrayLike = 1): P {
  const inside = np.lessEqual(sumOf(params, np.abs), scale)
  return mapLeaves(
    (x, onSphere) => np.where(inside, x, onSphere).astype(x.dtype),
    params,
    projectionL1Sphere(params, scale),
  ) as P
}

/**
 * The vector of norm `scale` in the same direction.
 *
 * @example
 * const x = np.array([0.5, -2, 1])
 * projectionL2Sphere(x) // Array([ 0.21821788, -0.8728715 , 0.43643576], dtype=float32)
 */
export function projectionL2Sphere<P>(params: P, scale: ArrayLike = 1): P {
  const factor = np.divide(scale, np.sqrt(squaredNorm(params)))
  return mapLeaves((x) => np.multiply(x, factor).astype(x.dtype), params) as P
}

/**
 * The vector itself where its norm is at most `scale`, and that of norm `scale` in the same direction
 * elsewhere.
 *
 * @param params a tree of arrays, all of which together are the vector
 * @example
 * projectionL2Ball({ w: np.array([3, 4]), b: np.array(0) }).w // Array([0.6, 0.8], dtype=float32)
 */
export function projectionL2Ball<P>(params: P, scale: ArrayLike = 1): P {
  const square = squaredNorm(params)
  const inside = np.lessEqual(square, np.square(scale))
  // Of 0, which lies inside, the root has no derivative.
  const norm = np.sqrt(np.where(inside, 1, square))
  const factor = np.where(inside, 1, np.divide(scale, norm))
  return mapLeaves((x) => np.multiply(x, factor), params) as P
}

/**
 * Elements of magnitude `scale` or less.
 *
 * @example
 * const x = np.array([0.5, -2, 1])
 * projectionLinfBall(x) // Array([ 0.5, -1. , 1. ], dtype=float32)
 */
export const projectionLinfBall = <P>(params: P, scale: ArrayLike = 1): P =>
  projectionBox(params, np.negative(scale), scale)

/**
 * ⟨x, a⟩ / ⟨a, a⟩ · a: the part of `params` along `a`, a tree like it.
 *
 * @example
 * projectionVector(np.array([3, 1]), np.array([1, 1])) // Array([2., 2.], dtype=float32)
 */
export function projectionVector<P>(params: P, a: P): P {
  const share = np.divide(vdot(params, a), squaredNorm(a))
  return mapLeaves((direction) => np.multiply(share, direction), a) as P
}

/**
 * The nearest vector with ⟨a, y⟩ = b.
 *
 * @example
 * projectionHyperplane(np.array([3, 1]), np.array([1, 0]), 2) // Array([2, 1], dtype=int32)
 */
export const projectionHyperplane = <P>(params: P, a: P, b: ArrayLike): P =>
  shifted(params, a, np.divide(np.subtract(b, vdot(params, a)), squaredNorm(a)))

/**
 * The nearest vector with ⟨a, y⟩ ≤ b.
 *
 * @example
 * projectionHalfspace(np.array([3, 1]), np.array([1, 0]), 2) // Array([2, 1], dtype=int32)
 */
export const projectionHalfspace = <P>(params: P, a: P, b: ArrayLike): P =>
  shifted(params, a, np.minimum(np.divide(np.subtract(b, vdot(params, a)), squaredNorm(a)), 0))

const shifted = <P>(params: P, a: P, by: NDArray): P =>
  mapLeaves((x, direction) => np.add(x, np.multiply(by, direction)).astype(x.dtype), params, a) as P
