/**
 * Matrices made orthogonal by Newton–Schulz steps, all matrices of a tree together.
 *
 * Those of one shape are one stack, so a network takes as many products as it has shapes, and not as
 * many as it has layers. Each step is written for all stacks at once, because products that stand
 * next to each other become one loop, and the steps are a loop around it.
 */
import { ArgumentError, np, ShapeError, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { scan } from '@adjoint/transforms'
import type { Scalar } from './hyperparameters'
import { precisionOf } from './moments'

type Triple<T> = readonly [a: T, b: T, c: T]

/** Coefficients of one Newton–Schulz step, or of each. */
export type NewtonSchulzCoefficients = Triple<number> | readonly Triple<number>[]

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

export interface NewtonSchulzOptions {
  readonly nsCoeffs?: NewtonSchulzCoefficients | keyof typeof PRESETS
  readonly nsSteps?: number
  readonly eps?: Scalar
}

/** The coefficients of each step. */
function stepsOf(
  nsCoeffs: NewtonSchulzCoefficients | keyof typeof PRESETS,
  nsSteps: number,
): readonly Triple<number>[] {
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

const isTriple = (given: NewtonSchulzCoefficients): given is Triple<number> =>
  typeof given[0] === 'number'

/**
 * Approximately the nearest matrix with orthonormal rows or columns: the polynomial
 * `a X + b (XXᵀ)X + c (XXᵀ)²X` again and again, which brings singular values near 1.
 * Jordan et al., "Muon" (2024), https://kellerjordan.github.io/posts/muon.
 *
 * @example
 * const q = orthogonalizeViaNewtonSchulz(np.array([[2, 1], [0, 3]]), { nsSteps: 8 })
 * np.allclose(np.matmul(q, q.T), np.eye(2), { atol: 0.5 }) // Array(True, dtype=bool)
 */
export const orthogonalizeViaNewtonSchulz = (
  x: NDArray,
  options: NewtonSchulzOptions = {},
): NDArray => {
  checkOptions('orthogonalizeViaNewtonSchulz', options, ['nsCoeffs', 'nsSteps', 'eps'])
  return orthogonalized([x], options)[0]
}

/** The same for several matrices. */
export function orthogonalized(
  matrices: readonly NDArray[],
  { nsCoeffs = STANDARD, nsSteps = 5, eps = 1e-8 }: NewtonSchulzOptions,
  largestRound = LARGEST_ROUND,
): readonly NDArray[] {
  matrices.forEach(requireMatrix)
  const steps = stepsOf(nsCoeffs, nsSteps)
  const results = [...matrices]
  for (const round of roundsOf(matrices, largestRound)) {
    const starts = round.map((places) =>
      np.stack(places.map((place) => normalized(matrices[place], eps))),
    )
    const stacks = newtonSchulz(starts, steps)
    round.forEach((places, i) => places.forEach((place, k) => (results[place] = stacks[i].get(k))))
  }
  return results
}

function requireMatrix(x: NDArray): void {
  if (x.ndim === 2) return
  throw new ShapeError({
    op: 'orthogonalizeViaNewtonSchulz',
    problem: `an array of ${x.ndim} axes is no matrix`,
    operands: [{ name: 'x', aval: x.aval }],
    rule: 'x.ndim === 2',
    hint: 'leave other parameters to another optimiser, as muon does, or reshape them',
  })
}

/**
 * Elements that are orthogonalised together, at most: a few times as many live at one time, which
 * would be too much for all matrices of a large network.
 */
const LARGEST_ROUND = 1 << 24

/** Places of the matrices: for each round its stacks, which are of one shape and dtype each. */
function roundsOf(
  matrices: readonly NDArray[],
  largest: number,
): readonly (readonly (readonly number[])[])[] {
  const alike = new Map<string, number[]>()
  matrices.forEach(({ shape, dtype }, place) => {
    const key = `${dtype} ${shape.join()}`
    const places = alike.get(key)
    if (places === undefined) alike.set(key, [place])
    else places.push(place)
  })
  const rounds: number[][][] = []
  let left = 0
  for (const places of alike.values()) {
    const { size } = matrices[places[0]]
    for (let from = 0; from < places.length;) {
      if (rounds.length === 0 || left < size) {
        rounds.push([])
        left = largest
      }
      const count = Math.max(
        1,
        Math.min(places.length - from, Math.floor(left / Math.max(1, size))),
      )
      rounds[rounds.length - 1].push(places.slice(from, from + count))
      left -= count * size
      from += count
    }
  }
  return rounds
}

/** By its Frobenius norm, which no singular value exceeds. */
const normalized = (x: NDArray, eps: Scalar): NDArray =>
  np.divide(x, np.add(np.sqrt(np.sum(np.square(x))), eps))

function newtonSchulz(
  starts: readonly NDArray[],
  steps: readonly Triple<number>[],
): readonly NDArray[] {
  const [first] = steps
  if (first === undefined) return starts
  const isUniform = steps.every((triple) => triple.every((c, i) => c === first[i]))
  if (isUniform) {
    const { length } = steps
    return scan((stacks, _) => [step(stacks, first), null], starts, null, { length })[0]
  }
  const coefficients = np.array(steps, { dtype: precisionOf(starts) })
  return scan(
    (stacks, triple) => [step(stacks, [triple.get(0), triple.get(1), triple.get(2)]), null],
    starts,
    coefficients,
  )[0]
}

/**
 * A Gram matrix is its own transpose, and of a product with that only half is computed. Smaller
 * matrices are read faster as they lie.
 */
const FEWEST_ROWS = 32

/**
 * One step of all stacks. The smaller Gram matrix is used: `(XXᵀ)X` is `X(XᵀX)`, so tall matrices need
 * not be transposed.
 */
function step(stacks: readonly NDArray[], [a, b, c]: Triple<Scalar>): readonly NDArray[] {
  const isTall = (x: NDArray): boolean => x.shape[1] > x.shape[2]
  const transposed = (x: NDArray): NDArray => np.swapaxes(x, -1, -2)
  const times = (c: Scalar, x: NDArray): NDArray =>
    np.multiply(typeof c === 'number' ? c : c.astype(x.dtype), x)
  const grams = stacks.map((x) =>
    isTall(x) ? np.matmul(transposed(x), x) : np.matmul(x, transposed(x)),
  )
  const squares = grams.map((gram) =>
    np.matmul(gram, gram.shape[1] < FEWEST_ROWS ? gram : transposed(gram)),
  )
  const polynomials = grams.map((gram, i) => np.add(times(b, gram), times(c, squares[i])))
  const products = stacks.map((x, i) =>
    isTall(x) ? np.matmul(x, polynomials[i]) : np.matmul(polynomials[i], x),
  )
  return stacks.map((x, i) => np.add(times(a, x), products[i]))
}
