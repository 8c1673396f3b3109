/** Updates divided by the root of a mean or a sum of squares. */
import { np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, minus, type Scalar, zeroCount } from './hyperparameters'
import {
  average,
  debiasing,
  keepDtypes,
  mean,
  meanSquare,
  precisionOf,
  zeroMoments,
} from './moments'
import {
  type GradientTransformation,
  mapLeaves,
  requireParams,
  transformation,
} from './transformation'

const filled = (params: unknown, value: Scalar): unknown =>
  mapLeaves((p) => np.multiply(np.onesLike(p), value).astype(p.dtype), params)

export interface RmsOptions {
  readonly decay?: Scalar
  readonly eps?: Scalar
  /** What the mean of squares starts at. */
  readonly initialScale?: Scalar
  /** Whether `eps` is added inside the root, or outside. */
  readonly epsInSqrt?: boolean
  readonly biasCorrection?: boolean
}

const reciprocalRoot = (x: NDArray, eps: Scalar, epsInSqrt: boolean): NDArray =>
  np.reciprocal(epsInSqrt ? np.sqrt(np.add(x, eps)) : np.add(np.sqrt(x), eps))

/**
 * Divides by the root of a running mean of squares. Hinton's lecture 6e (2012).
 *
 * @example
 * const t = scaleByRms({ decay: 0.99 })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([10., 10.], dtype=float32)
 */
export function scaleByRms(options: RmsOptions = {}): GradientTransformation {
  checkOptions('scaleByRms', options, [
    'decay',
    'eps',
    'initialScale',
    'epsInSqrt',
    'biasCorrection',
  ])
  const { decay = 0.9, eps = 1e-8, initialScale = 0, epsInSqrt = true } = options
  const { biasCorrection = false } = options
  return transformation<{ readonly count: NDArray | null; readonly nu: unknown }>({
    init: (params) => ({
      count: biasCorrection ? zeroCount() : null,
      nu: filled(params, initialScale),
    }),
    update: (grads, state) => {
      const nu = mapLeaves((g, v) => meanSquare(decay, v, g, eps), grads, state.nu)
      const count = state.count === null ? null : increment(state.count)
      const correction = count === null ? 1 : debiasing(decay, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, v) =>
          np
            .multiply(g, reciprocalRoot(np.multiply(v, correction), eps, epsInSqrt))
            .astype(g.dtype),
        grads,
        nu,
      )
      return [updates, { count, nu: keepDtypes(nu, state.nu) }]
    },
  })
}

/**
 * Divides by a running standard deviation. Graves, "Generating Sequences With Recurrent Neural
 * Networks" (2013), eqs. 38–40.
 *
 * @example
 * const optimiser = chain(scaleByStddev({ decay: 0.99 }), scaleByLearningRate(1e-3))
 */
export function scaleByStddev(options: RmsOptions = {}): GradientTransformation {
  checkOptions('scaleByStddev', options, [
    'decay',
    'eps',
    'initialScale',
    'epsInSqrt',
    'biasCorrection',
  ])
  const { decay = 0.9, eps = 1e-8, initialScale = 0, epsInSqrt = true } = options
  const { biasCorrection = false } = options
  interface State {
    readonly count: NDArray | null
    readonly mu: unknown
    readonly nu: unknown
  }
  return transformation<State>({
    init: (params) => ({
      count: biasCorrection ? zeroCount() : null,
      mu: zeroMoments(params),
      nu: filled(params, initialScale),
    }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(decay, m, g), grads, state.mu)
      const nu = mapLeaves((g, v) => meanSquare(decay, v, g, eps), grads, state.nu)
      const count = state.count === null ? null : increment(state.count)
      const correction = count === null ? 1 : debiasing(decay, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, m, v) => {
          const variance = np.subtract(
            np.multiply(v, correction),
            np.square(np.multiply(m, correction)),
          )
          return np.multiply(g, reciprocalRoot(variance, eps, epsInSqrt)).astype(g.dtype)
        },
        grads,
        mu,
        nu,
      )
      return [updates, { count, mu: keepDtypes(mu, state.mu), nu: keepDtypes(nu, state.nu) }]
    },
  })
}

/**
 * Divides by the root of the sum of all squares so far.
 * Duchi, Hazan & Singer, "Adaptive Subgradient Methods" (2011), figure 1, diagonal.
 *
 * @example
 * const t = scaleByRss({ initialAccumulatorValue: 0 })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([1., 1.], dtype=float32)
 */
export function scaleByRss(
  options: { readonly initialAccumulatorValue?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleByRss', options, ['initialAccumulatorValue', 'eps'])
  const { initialAccumulatorValue = 0.1, eps = 1e-7 } = options
  return transformation<{ readonly sumOfSquares: unknown }>({
    init: (params) => ({ sumOfSquares: filled(params, initialAccumulatorValue) }),
    update: (grads, state) => {
      const sums = mapLeaves((g, sum) => np.add(np.square(g), sum), grads, state.sumOfSquares)
      const updates = mapLeaves(
        (g, sum) =>
          np.where(np.greater(sum, 0), np.divide(g, np.sqrt(np.add(sum, eps))), 0).astype(g.dtype),
        grads,
        sums,
      )
      return [updates, { sumOfSquares: keepDtypes(sums, state.sumOfSquares) }]
    },
  })
}

/**
 * Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), algorithm 1.
 *
 * @example
 * const optimiser = chain(scaleByAdadelta({ rho: 0.95 }), scaleByLearningRate(1e-3))
 */
export function scaleByAdadelta(
  options: { readonly rho?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleByAdadelta', options, ['rho', 'eps'])
  const { rho = 0.9, eps = 1e-6 } = options
  return transformation<{ readonly eG: unknown; readonly eX: unknown }>({
    init: (params) => ({ eG: zeroMoments(params), eX: zeroMoments(params) }),
    update: (grads, state) => {
      const eG = mapLeaves((g, v) => meanSquare(rho, v, g, eps), grads, state.eG)
      const updates = mapLeaves(
        (g, v, x) => {
          const ratio = np.divide(np.sqrt(np.add(x, eps)), np.sqrt(np.add(v, eps)))
          return np.multiply(ratio, g).astype(g.dtype)
        },
        grads,
        eG,
        state.eX,
      )
      const eX = mapLeaves((u, x) => meanSquare(rho, x, u, eps), updates, state.eX)
      return [updates, { eG: keepDtypes(eG, state.eG), eX: keepDtypes(eX, state.eX) }]
    },
  })
}

export interface FactoredRmsOptions {
  readonly factored?: boolean
  readonly decayRate?: Scalar
  /** Steps of an earlier training, which the decay does not count. */
  readonly stepOffset?: Scalar
  readonly minDimSizeToFactor?: number
  readonly epsilon?: Scalar
}

/** The two largest axes of a shape, the larger last, when a second moment is worth factoring. */
function factoredAxes(
  shape: readonly number[],
  { factored = true, minDimSizeToFactor = 128 }: FactoredRmsOptions,
): readonly [smaller: number, larger: number] | null {
  if (!factored || shape.length < 2) return null
  const bySize = shape.map((_, axis) => axis).sort((a, b) => shape[a] - shape[b])
  const [smaller, larger] = bySize.slice(-2)
  return shape[smaller] < minDimSizeToFactor ? null : [smaller, larger]
}

/**
 * Divides by the root of a second moment that is kept as the means of its rows and columns.
 * Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018), algorithm 4.
 *
 * @example
 * const optimiser = chain(scaleByFactoredRms({ minDimSizeToFactor: 64 }), scaleByLearningRate(1e-3))
 */
export function scaleByFactoredRms(options: FactoredRmsOptions = {}): GradientTransformation {
  checkOptions('scaleByFactoredRms', options, [
    'factored',
    'decayRate',
    'stepOffset',
    'minDimSizeToFactor',
    'epsilon',
  ])
  const { decayRate = 0.8, stepOffset = 0, epsilon = 1e-30 } = options
  /** The places of rows, columns and whole second moments; those that a parameter does not need are null. */
  interface State {
    readonly count: NDArray
    readonly vRow: unknown
    readonly vCol: unknown
    readonly v: unknown
  }
  const withoutAxis = (p: NDArray, axis: number): NDArray =>
    np.zeros(
      p.shape.filter((_, i) => i !== axis),
      { dtype: p.dtype },
    )
  /** Zeros of the right shapes; scalars stand where there is nothing to keep. */
  const nothing = (p: NDArray): NDArray => np.zeros([], { dtype: p.dtype })
  return transformation<State>({
    init: (params) => ({
      count: zeroCount(),
      vRow: mapLeaves((p) => {
        const axes = factoredAxes(p.shape, options)
        return axes ? withoutAxis(p, axes[1]) : nothing(p)
      }, params),
      vCol: mapLeaves((p) => {
        const axes = factoredAxes(p.shape, options)
        return axes ? withoutAxis(p, axes[0]) : nothing(p)
      }, params),
      v: mapLeaves((p) => (factoredAxes(p.shape, options) ? nothing(p) : np.zerosLike(p)), params),
    }),
    update: (grads, state, params) => {
      requireParams('scaleByFactoredRms', params)
      const step = np.subtract(state.count, stepOffset).astype('float32')
      const decay = np.subtract(1, np.power(np.add(step, 1), minus(0, decayRate)))
      const square = (g: NDArray): NDArray => np.add(np.square(g), epsilon)
      /** The average along one of the two axes, which `choose` picks. */
      const along = (choose: 0 | 1) => (g: NDArray, old: NDArray) => {
        const axes = factoredAxes(g.shape, options)
        return axes ? average(decay, old, np.mean(square(g), { axis: axes[choose] })) : old
      }
      const vRow = mapLeaves(along(1), grads, state.vRow)
      const vCol = mapLeaves(along(0), grads, state.vCol)
      const v = mapLeaves(
        (g, old) => (factoredAxes(g.shape, options) ? old : average(decay, old, square(g))),
        grads,
        state.v,
      )
      const updates = mapLeaves(
        (g, row, column, whole) => {
          const axes = factoredAxes(g.shape, options)
          if (axes === null) return np.divide(g, np.sqrt(whole)).astype(g.dtype)
          const [smaller, larger] = axes
          const rowAxis = smaller > larger ? smaller - 1 : smaller
          const share = np.divide(row, np.mean(row, { axis: rowAxis, keepdims: true }))
          const rows = np.expandDims(np.reciprocal(np.sqrt(share)), larger)
          const columns = np.expandDims(np.reciprocal(np.sqrt(column)), smaller)
          return np.multiply(np.multiply(g, rows), columns).astype(g.dtype)
        },
        grads,
        vRow,
        vCol,
        v,
      )
      return [
        updates,
        {
          count: increment(state.count),
          vRow: keepDtypes(vRow, state.vRow),
          vCol: keepDtypes(vCol, state.vCol),
          v: keepDtypes(v, state.v),
        },
      ]
    },
  })
}
