/** Adam and what was made of it: updates scaled by averages of gradients and of their squares. */
import { type DType, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { complement, increment, minus, over, type Scalar, zeroCount } from './hyperparameters'
import {
  average,
  debiasing,
  keepDtypes,
  mean,
  meanSquare,
  powers,
  settled,
  precisionOf,
  zeroMoments,
} from './moments'
import {
  type GradientTransformation,
  mapLeaves,
  requireParams,
  transformation,
} from './transformation'

/** How many steps were done, the average of the gradients, and that of their squares. */
interface Moments {
  readonly count: NDArray
  readonly mu: unknown
  readonly nu: unknown
}

const start = (params: unknown, muDtype?: DType): Moments => ({
  count: zeroCount(),
  mu: zeroMoments(params, muDtype),
  nu: zeroMoments(params),
})

export interface AdamOptions {
  readonly b1?: Scalar
  readonly b2?: Scalar
  /** Added outside the root. */
  readonly eps?: Scalar
  /** Added inside the root, so that the update has a derivative where the second moment is 0. */
  readonly epsRoot?: Scalar
  /** The dtype of the first moment; by default the parameter's. */
  readonly muDtype?: DType
  readonly nesterov?: boolean
}

/** The first moment without its bias, one step ahead for Nesterov's. Dozat 2016, algorithm 2. */
function firstMoment(
  b1: Scalar,
  count: NDArray,
  nesterov: boolean,
  dtype: 'float64' | 'float32',
): (m: NDArray, g: NDArray) => NDArray {
  const now = debiasing(b1, count, dtype)
  if (!nesterov) return (m) => np.multiply(m, now)
  const ahead = debiasing(b1, increment(count), dtype)
  return (m, g) => average(b1, np.multiply(m, ahead), np.multiply(g, now))
}

/**
 * Kingma & Ba, "Adam" (2015), algorithm 1, without the learning rate; Nesterov as Dozat (2016).
 *
 * @example
 * const optimiser = chain(scaleByAdam({ b1: 0.95 }), scaleByLearningRate(1e-3))
 */
export function scaleByAdam(options: AdamOptions = {}): GradientTransformation {
  checkOptions('scaleByAdam', options, ['b1', 'b2', 'eps', 'epsRoot', 'muDtype', 'nesterov'])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, muDtype, nesterov = false } = options
  return transformation<Moments>({
    init: (params) => start(params, muDtype),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves((g, v) => meanSquare(b2, v, g, eps), grads, state.nu)
      const count = increment(state.count)
      const first = firstMoment(b1, count, nesterov, precisionOf(grads))
      const c2 = debiasing(b2, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, m, v) => {
          const root = np.sqrt(np.add(np.multiply(v, c2), epsRoot))
          return np.divide(first(m, g), np.add(root, eps)).astype(g.dtype)
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
 * Adam that divides by the root of the largest second moment so far.
 * Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2.
 *
 * @example
 * const optimiser = chain(scaleByAmsgrad({ b2: 0.99 }), scaleByLearningRate(1e-3))
 */
export function scaleByAmsgrad(
  options: Omit<AdamOptions, 'nesterov'> & {
    readonly biasCorrectionMu?: boolean
    readonly biasCorrectionNu?: boolean
  } = {},
): GradientTransformation {
  checkOptions('scaleByAmsgrad', options, [
    'b1',
    'b2',
    'eps',
    'epsRoot',
    'muDtype',
    'biasCorrectionMu',
    'biasCorrectionNu',
  ])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, muDtype } = options
  const { biasCorrectionMu = true, biasCorrectionNu = true } = options
  return transformation<Moments & { readonly nuMax: unknown }>({
    init: (params) => ({ ...start(params, muDtype), nuMax: zeroMoments(params) }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves((g, v) => meanSquare(b2, v, g, eps), grads, state.nu)
      const count = increment(state.count)
      const c1 = biasCorrectionMu ? debiasing(b1, count, precisionOf(grads)) : 1
      const c2 = biasCorrectionNu ? debiasing(b2, count, precisionOf(grads)) : 1
      const nuMax = mapLeaves((v, most) => np.maximum(most, np.multiply(v, c2)), nu, state.nuMax)
      const updates = mapLeaves(
        (g, m, v) => {
          const root = np.sqrt(np.add(v, epsRoot))
          return np.divide(np.multiply(m, c1), np.add(root, eps)).astype(g.dtype)
        },
        grads,
        mu,
        nuMax,
      )
      return [
        updates,
        {
          count,
          mu: keepDtypes(mu, state.mu),
          nu: keepDtypes(nu, state.nu),
          nuMax: keepDtypes(nuMax, state.nuMax),
        },
      ]
    },
  })
}

/**
 * Adam with the largest decayed gradient in place of the second moment. Kingma & Ba, algorithm 2.
 *
 * @example
 * const optimiser = chain(scaleByAdamax({ b2: 0.99 }), scaleByLearningRate(1e-3))
 */
export function scaleByAdamax(
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly eps?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleByAdamax', options, ['b1', 'b2', 'eps'])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-8 } = options
  return transformation<Moments>({
    init: (params) => start(params),
    update: (grads, state) => {
      const count = increment(state.count)
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves(
        (g, v) => np.maximum(np.add(np.abs(g), eps), np.multiply(b2, v)),
        grads,
        state.nu,
      )
      const c1 = debiasing(b1, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, m, v) => np.divide(np.multiply(m, c1), v).astype(g.dtype),
        grads,
        mu,
        nu,
      )
      return [updates, { count, mu: keepDtypes(mu, state.mu), nu: keepDtypes(nu, state.nu) }]
    },
  })
}

/**
 * Adam whose first steps, while the variance of the second moment is unknown, are momentum alone.
 * Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2.
 *
 * @example
 * const optimiser = chain(scaleByRadam({ b2: 0.99 }), scaleByLearningRate(1e-3))
 */
export function scaleByRadam(
  options: Omit<AdamOptions, 'muDtype'> & { readonly threshold?: Scalar } = {},
): GradientTransformation {
  checkOptions('scaleByRadam', options, ['nesterov', 'b1', 'b2', 'eps', 'epsRoot', 'threshold'])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-8, epsRoot = 0, threshold = 5 } = options
  const { nesterov = false } = options
  /** ρ∞: the longest length of the average. */
  const longest = minus(over(2, complement(b2)), 1)
  return transformation<Moments>({
    init: (params) => start(params),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves((g, v) => meanSquare(b2, v, g, eps), grads, state.nu)
      const count = increment(state.count)
      const { power, rest } = powers(b2, count, precisionOf(grads))
      const length = np.subtract(
        longest,
        np.divide(np.multiply(np.multiply(2, count.astype(power.dtype)), power), rest),
      )
      const product = (x: Scalar): NDArray => np.multiply(np.subtract(x, 4), np.subtract(x, 2))
      const rectification = np.sqrt(
        np.divide(np.multiply(product(length), longest), np.multiply(product(longest), length)),
      )
      const first = firstMoment(b1, count, nesterov, precisionOf(grads))
      const known = np.greaterEqual(length, threshold)
      const updates = mapLeaves(
        (g, m, v) => {
          const unscaled = first(m, g)
          const root = np.sqrt(np.add(np.divide(v, rest), epsRoot))
          const scaled = np.divide(np.multiply(rectification, unscaled), np.add(root, eps))
          return np.where(known, scaled, unscaled).astype(g.dtype)
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
 * Adam with the variance around the average in place of the second moment.
 * Zhuang et al., "AdaBelief Optimizer" (2020), algorithm 2.
 *
 * @example
 * const optimiser = chain(scaleByBelief({ eps: 1e-12 }), scaleByLearningRate(1e-3))
 */
export function scaleByBelief(options: Omit<AdamOptions, 'muDtype'> = {}): GradientTransformation {
  checkOptions('scaleByBelief', options, ['nesterov', 'b1', 'b2', 'eps', 'epsRoot'])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-16, epsRoot = 1e-16, nesterov = false } = options
  return transformation<Moments>({
    init: (params) => start(params),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves(
        (g, m, v) => np.add(average(b2, v, np.square(np.subtract(g, m))), epsRoot),
        grads,
        mu,
        state.nu,
      )
      const count = increment(state.count)
      const first = firstMoment(b1, count, nesterov, precisionOf(grads))
      const c2 = debiasing(b2, count, precisionOf(grads))
      const updates = mapLeaves(
        (g, m, v) =>
          np.divide(first(m, g), np.add(np.sqrt(np.multiply(v, c2)), eps)).astype(g.dtype),
        grads,
        mu,
        nu,
      )
      return [updates, { count, mu: keepDtypes(mu, state.mu), nu: keepDtypes(nu, state.nu) }]
    },
  })
}

/**
 * Adam whose second moment moves towards the square at a speed that does not depend on the distance.
 * Zaheer et al., "Adaptive Methods for Nonconvex Optimization" (2018), algorithm 2.
 *
 * @example
 * const optimiser = chain(scaleByYogi({ eps: 1e-2 }), scaleByLearningRate(1e-3))
 */
export function scaleByYogi(
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
    readonly initialAccumulatorValue?: Scalar
  } = {},
): GradientTransformation {
  checkOptions('scaleByYogi', options, ['b1', 'b2', 'eps', 'epsRoot', 'initialAccumulatorValue'])
  const { b1 = 0.9, b2 = 0.999, eps = 1e-3, epsRoot = 0 } = options
  const { initialAccumulatorValue = 1e-6 } = options
  const filled = (params: unknown): unknown =>
    mapLeaves((p) => np.multiply(np.onesLike(p), initialAccumulatorValue).astype(p.dtype), params)
  return transformation<Moments>({
    init: (params) => ({ count: zeroCount(), mu: filled(params), nu: filled(params) }),
    update: (grads, state) => {
      const mu = mapLeaves((g, m) => mean(b1, m, g), grads, state.mu)
      const nu = mapLeaves(
        (g, v) => {
          const square = np.square(g)
          const towards = np.multiply(np.sign(np.subtract(v, square)), square)
          return np.subtract(v, np.multiply(complement(b2), towards))
        },
        grads,
        state.nu,
      )
      const count = increment(state.count)
      const [c1, c2] = [
        debiasing(b1, count, precisionOf(grads)),
        debiasing(b2, count, precisionOf(grads)),
      ]
      const updates = mapLeaves(
        (g, m, v) => {
          const root = np.sqrt(np.add(np.multiply(v, c2), epsRoot))
          return np.divide(np.multiply(m, c1), np.add(root, eps)).astype(g.dtype)
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
 * Averages of gradients, of their differences, and of the squares of both.
 * Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm" (2022), algorithm 1.
 *
 * @example
 * const optimiser = chain(scaleByAdan({ b3: 0.999 }), scaleByLearningRate(1e-3))
 */
export function scaleByAdan(
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly b3?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
  } = {},
): GradientTransformation {
  checkOptions('scaleByAdan', options, ['b1', 'b2', 'b3', 'eps', 'epsRoot'])
  const { b1 = 0.98, b2 = 0.92, b3 = 0.99, eps = 1e-8, epsRoot = 0 } = options
  interface State {
    readonly m: unknown
    readonly v: unknown
    readonly n: unknown
    readonly g: unknown
    readonly t: NDArray
  }
  return transformation<State>({
    init: (params) => ({
      m: zeroMoments(params),
      v: zeroMoments(params),
      n: zeroMoments(params),
      g: zeroMoments(params),
      t: zeroCount(),
    }),
    update: (grads, state) => {
      const isFirst = np.equal(state.t, 0)
      const differences = mapLeaves(
        (g, before) => np.where(isFirst, 0, np.subtract(g, before)).astype(g.dtype),
        grads,
        state.g,
      )
      const m = mapLeaves((g, old) => mean(b1, old, g), grads, state.m)
      const v = mapLeaves((d, old) => mean(b2, old, d), differences, state.v)
      const n = mapLeaves(
        (g, d, old) => meanSquare(b3, old, np.add(g, np.multiply(complement(b2), d)), eps),
        grads,
        differences,
        state.n,
      )
      const t = increment(state.t)
      const [c1, c2, c3] = [
        debiasing(b1, t, precisionOf(grads)),
        debiasing(b2, t, precisionOf(grads)),
        debiasing(b3, t, precisionOf(grads)),
      ]
      const updates = mapLeaves(
        (g, mLeaf, vLeaf, nLeaf) => {
          const ahead = np.multiply(complement(b2), np.multiply(vLeaf, c2))
          const root = np.sqrt(np.add(np.multiply(nLeaf, c3), epsRoot))
          return np.divide(np.add(np.multiply(mLeaf, c1), ahead), np.add(root, eps)).astype(g.dtype)
        },
        grads,
        m,
        v,
        n,
      )
      return [
        updates,
        {
          m: keepDtypes(m, state.m),
          v: keepDtypes(v, state.v),
          n: keepDtypes(n, state.n),
          g: grads,
          t,
        },
      ]
    },
  })
}

/**
 * The sign of one average, while another is kept. Chen et al., "Symbolic Discovery of Optimization
 * Algorithms" (2023), program 1.
 *
 * @example
 * const optimiser = chain(scaleByLion({ b2: 0.98 }), scaleByLearningRate(1e-3))
 */
export function scaleByLion(
  options: { readonly b1?: Scalar; readonly b2?: Scalar; readonly muDtype?: DType } = {},
): GradientTransformation {
  checkOptions('scaleByLion', options, ['b1', 'b2', 'muDtype'])
  const { b1 = 0.9, b2 = 0.99, muDtype } = options
  return transformation<{ readonly count: NDArray; readonly mu: unknown }>({
    init: (params) => ({ count: zeroCount(), mu: zeroMoments(params, muDtype) }),
    update: (grads, state) => [
      mapLeaves((g, m) => np.sign(average(b1, m, g)).astype(g.dtype), grads, state.mu),
      {
        count: increment(state.count),
        mu: keepDtypes(
          mapLeaves((g, m) => mean(b2, m, g), grads, state.mu),
          state.mu,
        ),
      },
    ],
  })
}

/**
 * Momentum of gradients that are divided by an average of their layer's norm.
 * Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments" (2020), algorithm 1.
 *
 * @example
 * const optimiser = chain(scaleByNovograd({ weightDecay: 0.01 }), scaleByLearningRate(1e-3))
 */
export function scaleByNovograd(
  options: {
    readonly b1?: Scalar
    readonly b2?: Scalar
    readonly eps?: Scalar
    readonly epsRoot?: Scalar
    readonly weightDecay?: Scalar
    readonly muDtype?: DType
  } = {},
): GradientTransformation {
  checkOptions('scaleByNovograd', options, ['b1', 'b2', 'eps', 'epsRoot', 'weightDecay', 'muDtype'])
  const { b1 = 0.9, b2 = 0.25, eps = 1e-8, epsRoot = 0, weightDecay = 0, muDtype } = options
  return transformation<Moments>({
    init: (params) => ({
      count: zeroCount(),
      mu: zeroMoments(params, muDtype),
      nu: mapLeaves((p) => np.zeros([], { dtype: p.dtype }), params),
    }),
    update: (grads, state, params) => {
      const count = increment(state.count)
      const isFirst = np.equal(count, 1)
      const nu = mapLeaves(
        (g, v) => {
          const square = np.sum(np.square(g))
          return np.where(isFirst, square, average(b2, v, square))
        },
        grads,
        state.nu,
      )
      const normalized = mapLeaves(
        (g, v) => np.divide(g, np.add(np.sqrt(np.add(v, epsRoot)), eps)),
        grads,
        nu,
      )
      const decayed =
        weightDecay === 0
          ? normalized
          : mapLeaves(
              (u, p) => np.add(u, np.multiply(weightDecay, p)),
              normalized,
              requireParams('scaleByNovograd', params),
            )
      const mu = mapLeaves(
        (u, m) => settled(np.add(u, np.multiply(np.where(isFirst, 0, b1), m))),
        decayed,
        state.mu,
      )
      return [
        keepDtypes(mu, grads),
        { count, mu: keepDtypes(mu, state.mu), nu: keepDtypes(nu, state.nu) },
      ]
    },
  })
}
