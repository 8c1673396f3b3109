/** Second moments that are kept by axis: memory for n + m numbers instead of n · m. */
import { np, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { complement, minus, type Scalar } from './hyperparameters'
import { keepDtypes, mean, zeroMoments } from './moments'
import { type GradientTransformation, mapLeaves, transformation } from './transformation'

/**
 * AdaGrad whose sums of squares are bounded by one number for each row, column and further axis.
 * Anil et al., "Memory-Efficient Adaptive Optimization" (2019), algorithm SM3-II.
 *
 * @param options.b1 the decay of the momentum
 * @param options.b2 1 sums the squares; less averages them
 * @example
 * const t = scaleBySm3()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0.1, 0.1], dtype=float32)
 */
export function scaleBySm3(
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleBySm3', options, ['b1', 'b2', 'eps'])
  const { b1 = 0.9, b2 = 1, eps = 1e-8 } = options
  interface State {
    /** For each parameter the list of its axes' accumulators. */
    readonly mu: readonly (readonly NDArray[])[]
    readonly nu: unknown
  }
  const share = b2 === 1 ? 1 : complement(b2)
  /** One number as an axis of its own, so that scalars have one too. */
  const axesOf = (x: NDArray): readonly number[] => (x.ndim === 0 ? [1] : x.shape)
  return transformation<State>({
    init: (params) => ({
      mu: tree
        .leaves<NDArray>(params)
        .map((p) => axesOf(p).map((size) => np.zeros([size], { dtype: p.dtype }))),
      nu: zeroMoments(params),
    }),
    update: (grads, state) => {
      const { leaves, structure } = tree.flatten<NDArray>(grads)
      const results = leaves.map((g, i) => {
        const shaped = g.ndim === 0 ? g.reshape([1]) : g
        const bounds = state.mu[i].map((m, axis) =>
          m.reshape(shaped.shape.map((size, other) => (other === axis ? size : 1))),
        )
        const least = bounds.reduce((a, b) => np.minimum(a, b))
        const accumulated = np.add(
          np.multiply(share, np.square(shaped)),
          np.multiply(minus(b2, 0), least),
        )
        const root = np.sqrt(np.add(accumulated, eps))
        const scaled = np.where(np.greater(accumulated, 0), np.divide(shaped, root), 0)
        const mu = state.mu[i].map((m, axis) => {
          const others = shaped.shape.map((_, other) => other).filter((other) => other !== axis)
          return np.max(accumulated, { axis: others, initial: 0 }).astype(m.dtype)
        })
        return { scaled: scaled.reshape(g.shape).astype(g.dtype), mu }
      })
      const scaled = tree.unflatten(
        structure,
        results.map((result) => result.scaled),
      )
      const nu = keepDtypes(
        mapLeaves((g, m) => mean(b1, m, g), scaled, state.nu),
        state.nu,
      )
      return [nu, { mu: results.map(({ mu }) => mu), nu }]
    },
  })
}
