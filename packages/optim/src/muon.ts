/** Momentum whose matrices are made orthogonal. */
import { type DType, np, tree, type NDArray } from '@adjoint/core'
import { adamw } from './optimisers'
import { increment, type Scalar, zeroCount } from './hyperparameters'
import { type MaskOrFn, partition } from './masking'
import { average, debiasing, keepDtypes, mean, precisionOf, zeroMoments } from './moments'
import { addDecayedWeights } from './momentum'
import { type NewtonSchulzOptions, orthogonalized } from './newton-schulz'
import { scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import {
  chain,
  type GradientTransformation,
  mapLeaves,
  stateless,
  transformation,
} from './transformation'

export interface MuonScalingOptions extends NewtonSchulzOptions {
  readonly beta?: Scalar
  readonly muDtype?: DType
  readonly nesterov?: boolean
  /** Whether the update is scaled by the dual norm of the momentum. Bernstein & Newhouse (2024). */
  readonly adaptive?: boolean
}

/** Momentum, made orthogonal: every parameter has to be a matrix. */
export function scaleByMuon(options: MuonScalingOptions = {}): GradientTransformation {
  const { beta = 0.95, muDtype, nesterov = true, adaptive = false } = options
  return transformation<{ readonly count: NDArray; readonly mu: unknown }>({
    init: (params) => ({ count: zeroCount(), mu: zeroMoments(params, muDtype) }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(beta, m, g), grads, state.mu)
      const count = increment(state.count)
      const now = debiasing(beta, count, precisionOf(grads))
      const ahead = debiasing(beta, increment(count), precisionOf(grads))
      const momenta = mapLeaves(
        (g, m) =>
          nesterov
            ? average(beta, np.multiply(m, ahead), np.multiply(g, now))
            : np.multiply(m, now),
        grads,
        mu,
      )
      const { leaves, structure } = tree.flatten<NDArray>(momenta)
      const orthogonal = tree.unflatten(structure, orthogonalized(leaves, options))
      const dual = (momentum: NDArray, o: NDArray): NDArray => np.sum(np.multiply(momentum, o))
      const updates = mapLeaves(
        (g, momentum, o) => (adaptive ? np.multiply(dual(momentum, o), o) : o).astype(g.dtype),
        grads,
        momenta,
        orthogonal,
      )
      return [updates, { count, mu: keepDtypes(mu, state.mu) }]
    },
  })
}

/**
 * Makes steps of matrices of different shapes comparable: `√max(1, out / in)`, or with
 * `consistentRms`, `√max(in, out)` times it, after Liu et al., "Muon is Scalable" (2025), section 2.2.
 */
export const scaleByShape = (
  options: { readonly consistentRms?: Scalar } = {},
): GradientTransformation =>
  stateless((grads) =>
    mapLeaves((g) => {
      const [fanIn, fanOut] = g.shape
      const factor =
        options.consistentRms === undefined
          ? Math.sqrt(Math.max(1, fanOut / fanIn))
          : np.multiply(Math.sqrt(Math.max(fanIn, fanOut)), options.consistentRms)
      return np.multiply(g, factor).astype(g.dtype)
    }, grads),
  )

/**
 * Orthogonal momentum for matrices, and AdamW for the other parameters.
 * Jordan et al., "Muon" (2024).
 *
 * @param options.matrices which parameters are matrices to Muon; by default those of two axes.
 *   Embeddings and the last layer are better left to AdamW.
 */
export function muon(
  learningRate: ScalarOrSchedule,
  options: MuonScalingOptions & {
    readonly weightDecay?: ScalarOrSchedule
    readonly weightDecayMask?: MaskOrFn
    readonly adamB1?: Scalar
    readonly adamB2?: Scalar
    readonly adamEpsRoot?: Scalar
    readonly adamWeightDecay?: ScalarOrSchedule
    readonly adamLearningRate?: ScalarOrSchedule
    readonly consistentRms?: Scalar
    readonly matrices?: (path: string, leaf: NDArray) => boolean
  } = {},
): GradientTransformation {
  const { weightDecay = 0, adamLearningRate = learningRate, matrices } = options
  const isMatrix = matrices ?? ((_path: string, leaf: NDArray) => leaf.ndim === 2)
  const { eps = 1e-8, nesterov = true, muDtype } = options
  return partition(
    {
      muon: chain(
        scaleByMuon(options),
        scaleByShape(options),
        addDecayedWeights(weightDecay, { mask: options.weightDecayMask }),
        scaleByLearningRate(learningRate),
      ),
      adam: adamw(adamLearningRate, {
        b1: options.adamB1 ?? 0.9,
        b2: options.adamB2 ?? 0.999,
        eps,
        epsRoot: options.adamEpsRoot ?? 0,
        weightDecay: options.adamWeightDecay ?? 0,
        nesterov,
        ...(muDtype === undefined ? {} : { muDtype }),
      }),
    },
    (params: unknown) =>
      tree.mapWithPath<unknown, string, NDArray>(
        (path, leaf) => (isMatrix(path, leaf) ? 'muon' : 'adam'),
        params,
      ),
  )
}
