/** Transformations that bound updates. */
import { np, ShapeError, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Scalar } from './hyperparameters'
import { times } from './hyperparameters'
import {
  globalNorm,
  type GradientTransformation,
  mapLeaves,
  requireParams,
  stateless,
} from './transformation'

/**
 * Clips every element to `[-maxDelta, maxDelta]`.
 *
 * @example
 * const t = clip(1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1., 1.], dtype=float32)
 */
export const clip = (maxDelta: Scalar): GradientTransformation =>
  stateless((grads) =>
    mapLeaves((g) => np.clip(g, times(-1, maxDelta), maxDelta).astype(g.dtype), grads),
  )

/**
 * Scales all updates down together when their global norm exceeds `maxNorm`. Pascanu et al. 2013.
 *
 * @example
 * const t = clipByGlobalNorm(1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.59702235, 0.7960298 ], dtype=float32)
 */
export const clipByGlobalNorm = (maxNorm: Scalar): GradientTransformation =>
  stateless((grads) => {
    const norm = globalNorm(grads)
    const keep = np.less(norm, maxNorm)
    return mapLeaves(
      (g) => np.where(keep, g, np.multiply(np.divide(g, norm), maxNorm)).astype(g.dtype),
      grads,
    )
  })

/**
 * Scales each leaf down so that its root mean square is at most `threshold`.
 *
 * @example
 * const t = clipByBlockRms(1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.84852815, 1.1313709 ], dtype=float32)
 */
export const clipByBlockRms = (threshold: Scalar): GradientTransformation =>
  stateless((grads) =>
    mapLeaves((g) => {
      const excess = np.divide(np.sqrt(np.mean(np.square(g))), threshold)
      return np.divide(g, np.maximum(1, excess)).astype(g.dtype)
    }, grads),
  )

/**
 * The axes of one unit: all of a vector, all but the last of a matrix or a stack of matrices, and
 * all but the channels out of a convolution's kernel.
 */
function unitAxes(x: NDArray): readonly number[] {
  const axes = x.shape.map((_, axis) => axis)
  if (x.shape.filter((n) => n !== 1).length <= 1) return axes
  if (x.ndim <= 3) return [0]
  if (x.ndim <= 5) return axes.slice(0, -1)
  throw new ShapeError({
    op: 'adaptiveGradClip',
    problem: `a parameter of ${x.ndim} axes has no known units`,
    operands: [{ name: 'parameter', aval: x.aval }],
    rule: 'units are known for up to 5 axes',
    hint: 'give the axes of a unit: adaptiveGradClip(clipping, { axis: [0, 1] })',
  })
}

/**
 * Keeps the norm of each unit's update at `clipping` times the norm of its parameters or below.
 * Brock et al., "High-Performance Large-Scale Image Recognition Without Normalization" (2021), eq. 3.
 *
 * @example
 * const t = adaptiveGradClip(0.1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads), grads)[0].w // Array([0.3, 0.4], dtype=float32)
 */
export function adaptiveGradClip(
  clipping: Scalar,
  options: { readonly eps?: Scalar; readonly axis?: number | readonly number[] } = {},
): GradientTransformation {
  checkOptions('adaptiveGradClip', options, ['eps', 'axis'])
  const { eps = 1e-3, axis } = options
  const norm = (x: NDArray): NDArray =>
    np.sqrt(np.sum(np.square(x), { axis: axis ?? unitAxes(x), keepdims: true }))
  const clipped = (g: NDArray, p: NDArray): NDArray => {
    const largest = np.multiply(clipping, np.maximum(norm(p), eps))
    const actual = norm(g)
    const smaller = np.multiply(g, np.divide(largest, np.maximum(actual, 1e-6)))
    return np.where(np.less(actual, largest), g, smaller).astype(g.dtype)
  }
  return stateless((grads, params) =>
    mapLeaves(clipped, grads, requireParams('adaptiveGradClip', params)),
  )
}
