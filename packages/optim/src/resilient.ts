/** Steps by the sign of the gradient, each parameter with a size of its own. */
import { np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Scalar } from './hyperparameters'
import { type GradientTransformation, mapLeaves, transformation, zerosLike } from './transformation'

export interface RpropOptions {
  /** What a step is multiplied by where the sign has changed. */
  readonly etaMinus?: Scalar
  /** What it is multiplied by where the sign is the same. */
  readonly etaPlus?: Scalar
  readonly minStepSize?: Scalar
  readonly maxStepSize?: Scalar
}

/**
 * `sign(g)` times a step size that grows while the sign stays and shrinks when it changes; after a
 * change the parameter rests for one step. Igel & Hüsken, "Improving the Rprop Learning Algorithm"
 * (2000), iRprop⁻, as PyTorch has it. (Optax 0.2.8 gives each update out one call late.)
 *
 * @param learningRate the first step size
 * @example
 * const t = scaleByRprop(0.1)
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.1, 0.1], dtype=float32)
 */
export function scaleByRprop(
  learningRate: Scalar,
  options: RpropOptions = {},
): GradientTransformation {
  checkOptions('scaleByRprop', options, ['etaMinus', 'etaPlus', 'minStepSize', 'maxStepSize'])
  const { etaMinus = 0.5, etaPlus = 1.2, minStepSize = 1e-6, maxStepSize = 50 } = options
  interface State {
    readonly stepSizes: unknown
    /** The last gradients; 0 where the sign had changed. */
    readonly previous: unknown
  }
  return transformation<State>({
    init: (params) => ({
      stepSizes: mapLeaves(
        (p) => np.multiply(np.onesLike(p), learningRate).astype(p.dtype),
        params,
      ),
      previous: zerosLike(params),
    }),
    update: (grads, state) => {
      // Products of gradients may underflow; those of signs do not.
      const agreement = mapLeaves(
        (g, before) => np.multiply(np.sign(g), np.sign(before)),
        grads,
        state.previous,
      )
      const stepSizes = mapLeaves(
        (same, size) => {
          const factor = np.where(np.greater(same, 0), etaPlus, etaMinus)
          const changed = np.clip(np.multiply(size, factor), minStepSize, maxStepSize)
          return np.where(np.equal(same, 0), size, changed).astype(size.dtype)
        },
        agreement,
        state.stepSizes,
      )
      const previous = mapLeaves(
        (same, g): NDArray => np.where(np.less(same, 0), 0, g).astype(g.dtype),
        agreement,
        grads,
      )
      const updates = mapLeaves(
        (g, size) => np.multiply(np.sign(g), size).astype(g.dtype),
        previous,
        stepSizes,
      )
      return [updates, { stepSizes, previous }]
    },
  })
}
