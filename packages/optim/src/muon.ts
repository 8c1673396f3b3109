/** Momentum whose matrices are made orthogonal. */
import { ArgumentError, type DType, np, ShapeError, tree, type NDArray } from '@adjoint/core'
import { adamw } from './optimisers'
import { increment, type Scalar, zeroCount } from './hyperparameters'
import { type MaskOrFn, partition } from './masking'
import { average, debiasing, keepDtypes, mean, precisionOf, zeroMoments } from './moments'
import { addDecayedWeights } from './momentum'
import { scaleByLearningRate } from './scaling'
import type { ScalarOrSchedule } from './schedules'
import {
  chain,
  type GradientTransformation,
  mapLeaves,
  stateless,
  transformation,
} from './transformation'

/** Coefficients of one Newton–Schulz step, or of each. */
export type NewtonSchulzCoefficients =
  readonly [number, number, number] | readonly (readonly [number, number, number])[]

const STANDARD = [3.4445, -4.775, 2.0315] as const
const PRESETS = {
  standard: STANDARD,
  /** Ahn et al., "Dion: Distributed Orthonormalized Updates" (2025). */
  dion: [
    [4.0848, -6.8946, 2.927],
    [3.9505, -6.3029, 2.6377],
    [3.7418, -5.5913, 2.3037],
    [2.8769, -3.1427, 1.2046],
    [2.8366, -3.0525, 1.2012],
  ],
} as const satisfies Record<string, NewtonSchulzCoefficients>

export interface MuonScalingOptions {
  readonly nsCoeffs?: NewtonSchulzCoefficients | keyof typeof PRESETS
  readonly nsSteps?: number
  readonly beta?: Scalar
  readonly eps?: Scalar
  readonly muDtype?: DType
  readonly nesterov?: boolean
  /** Whether the update is scaled by the dual norm of the momentum. Bernstein & Newhouse (2024). */
  readonly adaptive?: boolean
}

/** The coefficients of each step. */
function stepsOf(
  nsCoeffs: NewtonSchulzCoefficients | keyof typeof PRESETS,
  nsSteps: number,
): readonly (readonly [number, number, number])[] {
  const given: NewtonSchulzCoefficients =
    typeof nsCoeffs === 'string' ? PRESETS[nsCoeffs] : nsCoeffs
  if (isTriple(given)) return Array.from({ length: nsSteps }, () => given)
  if (given.length > nsSteps) {
    throw new ArgumentError({
      op: 'muon',
      problem: `${given.length} triples of coefficients for ${nsSteps} steps`,
      rule: 'there is one triple for all steps, or one for each',
    })
  }
  return given
}

const isTriple = (given: NewtonSchulzCoefficients): given is readonly [number, number, number] =>
  typeof given[0] === 'number'

/**
 * Approximately the nearest matrix with orthonormal rows or columns: the polynomial
 * `a X + b (XXᵀ)X + c (XXᵀ)²X` again and again, which brings singular values near 1.
 * Jordan et al., "Muon" (2024), https://kellerjordan.github.io/posts/muon.
 */
export function orthogonalizeViaNewtonSchulz(
  x: NDArray,
  options: Pick<MuonScalingOptions, 'nsCoeffs' | 'nsSteps' | 'eps'> = {},
): NDArray {
  const { nsCoeffs = STANDARD, nsSteps = 5, eps = 1e-8 } = options
  if (x.ndim !== 2) {
    throw new ShapeError({
      op: 'orthogonalizeViaNewtonSchulz',
      problem: `an array of ${x.ndim} axes is no matrix`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'x.ndim === 2',
      hint: 'leave other parameters to another optimiser, as muon does, or reshape them',
    })
  }
  const tall = x.shape[0] > x.shape[1]
  const wide = tall ? x.T : x
  const start = np.divide(wide, np.add(np.sqrt(np.sum(np.square(wide))), eps))
  const result = stepsOf(nsCoeffs, nsSteps).reduce((y, [a, b, c]) => {
    const gram = np.matmul(y, y.T)
    const polynomial = np.add(np.multiply(b, gram), np.multiply(c, np.matmul(gram, gram)))
    return np.add(np.multiply(a, y), np.matmul(polynomial, y))
  }, start)
  return tall ? result.T : result
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
      const updates = mapLeaves(
        (g, m) => {
          const momentum = nesterov
            ? average(beta, np.multiply(m, ahead), np.multiply(g, now))
            : np.multiply(m, now)
          const orthogonal = orthogonalizeViaNewtonSchulz(momentum, options)
          const scaled = adaptive
            ? np.multiply(np.sum(np.multiply(momentum, orthogonal)), orthogonal)
            : orthogonal
          return scaled.astype(g.dtype)
        },
        grads,
        mu,
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
