/** Momentum whose matrices are made orthogonal. */
import { type DType, np, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { adamw } from './adam-family'
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

const scalingNames = [
  'nsCoeffs',
  'nsSteps',
  'eps',
  'beta',
  'muDtype',
  'nesterov',
  'adaptive',
] as const

/**
 * Momentum, made orthogonal: every parameter has to be a matrix.
 *
 * @example
 * const optimiser = chain(scaleByMuon({ beta: 0.9 }), scaleByLearningRate(1e-3))
 */
export function scaleByMuon(options: MuonScalingOptions = {}): GradientTransformation {
  checkOptions('scaleByMuon', options, scalingNames)
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
 *
 * @example
 * const t = scaleByShape()
 * t.update(np.ones([2, 8]), t.init(np.ones([2, 8])))[0].get(0, 0) // Array(2., dtype=float32)
 */
export function scaleByShape(
  options: { readonly consistentRms?: Scalar | undefined } = {},
): GradientTransformation {
  const { consistentRms } = checkOptions('scaleByShape', options, ['consistentRms'])
  return stateless((grads) =>
    mapLeaves((g) => {
      const [fanIn, fanOut] = g.shape
      const factor =
        consistentRms === undefined
          ? Math.sqrt(Math.max(1, fanOut / fanIn))
          : np.multiply(Math.sqrt(Math.max(fanIn, fanOut)), consistentRms)
      return np.multiply(g, factor).astype(g.dtype)
    }, grads),
  )
}

/**
 * Orthogonal momentum for matrices, and AdamW for the other parameters.
 * Jordan et al., "Muon" (2024).
 *
 * @param options.matrices which parameters are matrices to Muon; by default those of two axes.
 *   Embeddings and the last layer are better left to AdamW.
 * @example
 * const optimiser = muon(0.02, { adamLearningRate: 3e-4, weightDecay: 0.1 })
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
  checkOptions('muon', options, [
    ...scalingNames,
    'weightDecay',
    'weightDecayMask',
    'adamB1',
    'adamB2',
    'adamEpsRoot',
    'adamWeightDecay',
    'adamLearningRate',
    'consistentRms',
    'matrices',
  ])
  const { weightDecay = 0, weightDecayMask: mask, consistentRms, matrices, ...others } = options
  const { adamB1: b1 = 0.9, adamB2: b2 = 0.999, adamEpsRoot: epsRoot = 0, ...rest } = others
  const { adamWeightDecay = 0, adamLearningRate = learningRate, ...scaling } = rest
  const isMatrix = matrices ?? ((_path: string, leaf: NDArray) => leaf.ndim === 2)
  const { eps = 1e-8, nesterov = true, muDtype } = scaling
  return partition(
    {
      muon: chain(
        scaleByMuon(scaling),
        scaleByShape({ consistentRms }),
        addDecayedWeights(weightDecay, { mask }),
        scaleByLearningRate(learningRate),
      ),
      adam: adamw(adamLearningRate, {
        b1,
        b2,
        eps,
        epsRoot,
        weightDecay: adamWeightDecay,
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
