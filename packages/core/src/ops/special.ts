/** The `special` namespace: special functions under SciPy's and JAX's names. */
import type { NDArray } from '../array/ndarray'
import * as prim from '../primitives'
import { type Axes, axisOptions, canonicalAxes } from './arguments'
import {
  type ArrayLike,
  broadcastAll,
  choose,
  filledLike,
  promoteDTypesInexact,
  promoteInexact,
} from './promotion'
import { add, multiply, where } from './np/elementwise'
import { restoreAxes } from './np/reductions'

export type Unary = (x: ArrayLike) => NDArray
export type Binary = (x: ArrayLike, y: ArrayLike) => NDArray

const unary =
  (op: string, f: (x: NDArray) => NDArray): Unary =>
  (x) =>
    f(promoteInexact(op, [x])[0])

const binary =
  (op: string, f: (x: NDArray, y: NDArray) => NDArray): Binary =>
  (x, y) => {
    const [a, b] = promoteInexact(op, [x, y])
    return f(a, b)
  }

export const erf: Unary = unary('erf', prim.erf)
export const erfc: Unary = unary('erfc', prim.erfc)
export const erfinv: Unary = unary('erfinv', prim.erfInv)
/** log Γ(|x|). */
export const gammaln: Unary = unary('gammaln', prim.lgamma)
export const digamma: Unary = unary('digamma', prim.digamma)
/** The logistic function 1 / (1 + e^−x). */
export const expit: Unary = unary('expit', prim.logistic)
/** log(x / (1 − x)). */
export const logit: Unary = unary('logit', (x) => prim.sub(prim.log(x), prim.log1p(prim.neg(x))))
export const log1p: Unary = unary('log1p', prim.log1p)
export const expm1: Unary = unary('expm1', prim.expm1)

/** Γ(x). DLMF 5.5.3 gives the sign left of zero; the poles there are NaN, and Γ(±0) is ±∞. */
export const gamma: Unary = unary('gamma', (x) => {
  const zero = filledLike(x, 0)
  const one = filledLike(x, 1)
  const whole = prim.floor(x)
  const half = prim.mul(whole, filledLike(x, 0.5))
  const isOdd = prim.ne(half, prim.floor(half))
  const negative = prim.lt(x, zero)
  const sign = choose(prim.and(negative, isOdd), prim.neg(one), one)
  const magnitude = prim.exp(prim.lgamma(x))
  const pole = prim.and(negative, prim.eq(x, whole))
  const value = choose(pole, filledLike(x, NaN), prim.mul(sign, magnitude))
  return choose(prim.eq(x, zero), prim.integerPow(x, { y: -1 }), value)
})

/** log |B(x, y)|. */
export const betaln: Binary = binary('betaln', (x, y) =>
  prim.sub(prim.add(prim.lgamma(x), prim.lgamma(y)), prim.lgamma(prim.add(x, y))),
)

/** x log y, 0 where x is 0. */
export const xlogy: Binary = binary('xlogy', prim.xlogy)
/** x log(1 + y), 0 where x is 0. */
export const xlog1py: Binary = binary('xlog1py', prim.xlog1py)

/** −x log x, 0 at 0, −∞ for negative x. */
export const entr: Unary = unary('entr', (x) => {
  const zero = filledLike(x, 0)
  const positive = prim.gt(x, zero)
  const safe = choose(positive, x, filledLike(x, 1))
  const value = prim.neg(prim.mul(safe, prim.log(safe)))
  const below = choose(
    prim.lt(x, zero),
    filledLike(x, -Infinity),
    choose(prim.eq(x, zero), zero, x),
  )
  return choose(positive, value, below)
})

/** x log(x / y): the terms of a relative entropy; 0 at x = 0. */
export const relEntr: Binary = binary('relEntr', (x, y) => {
  const zero = filledLike(x, 0)
  const both = prim.and(prim.gt(x, zero), prim.gt(y, zero))
  const vanishes = prim.and(prim.eq(x, zero), prim.ge(y, zero))
  const one = filledLike(x, 1)
  const [safeX, safeY] = [choose(both, x, one), choose(both, y, one)]
  const value = prim.mul(safeX, prim.log(prim.div(safeX, safeY)))
  const outside = choose(vanishes, zero, filledLike(x, Infinity))
  return choose(
    prim.or(prim.ne(x, x), prim.ne(y, y)),
    filledLike(x, NaN),
    choose(both, value, outside),
  )
})
/** x log(x / y) − x + y. */
export const klDiv: Binary = (x, y) => add(relEntr(x, y), add(multiply(x, -1), y))

/** Φ(x): the standard normal distribution function, accurate in both tails. */
export const ndtr: Unary = unary('ndtr', (x) => {
  const scaled = prim.mul(x, filledLike(x, Math.SQRT1_2))
  return prim.mul(filledLike(x, 0.5), prim.erfc(prim.neg(scaled)))
})
export interface LogsumexpOptions {
  readonly axis?: Axes
  /** Weights of the exponentials. */
  readonly b?: ArrayLike
  readonly keepdims?: boolean
  /** Include only elements where this mask is true. */
  readonly where?: ArrayLike
}

const logsumexpKeys = ['axis', 'b', 'keepdims', 'where', 'returnSign'] as const

/**
 * log Σ b·exp(x), shifted by the largest element so that nothing overflows. With
 * `returnSign: true` it is `[log |Σ|, sign]`.
 */
export function logsumexp(
  x: ArrayLike,
  axisOrOptions: Axes | undefined | (LogsumexpOptions & { readonly returnSign: true }),
  options: LogsumexpOptions & { readonly returnSign: true },
): [NDArray, NDArray]
export function logsumexp(
  x: ArrayLike,
  options: LogsumexpOptions & { readonly returnSign: true },
): [NDArray, NDArray]
export function logsumexp(
  x: ArrayLike,
  axisOrOptions?: Axes | (LogsumexpOptions & { readonly returnSign?: false }),
  options?: LogsumexpOptions & { readonly returnSign?: false },
): NDArray
export function logsumexp(
  x: ArrayLike,
  axisOrOptions?: Axes | (LogsumexpOptions & { readonly returnSign?: boolean }),
  rest?: LogsumexpOptions & { readonly returnSign?: boolean },
): NDArray | [NDArray, NDArray] {
  const options = axisOptions('logsumexp', logsumexpKeys, axisOrOptions, rest) ?? {}
  const { b, keepdims, returnSign = false } = options
  const operands = promoteDTypesInexact('logsumexp', b === undefined ? [x] : [x, b])
  const [given] = b === undefined ? operands : broadcastAll('logsumexp', operands)
  const weights = b === undefined ? null : broadcastAll('logsumexp', operands)[1]
  const mask = options.where
  const a = mask === undefined ? given : where(mask, given, filledLike(given, -Infinity))
  const axes = canonicalAxes('logsumexp', options.axis, a)
  const relevant =
    weights === null
      ? a
      : choose(prim.eq(weights, filledLike(weights, 0)), filledLike(a, -Infinity), a)
  const shift = maximumOrZero(relevant, axes)
  const shifted = prim.sub(relevant, spread(shift, a, axes))
  const exponentials = prim.exp(shifted)
  const terms = weights === null ? exponentials : prim.mul(exponentials, weights)
  const total = prim.reduceSum(terms, { axes })
  const signed = prim.sign(total)
  const magnitude = weights === null ? total : prim.abs(total)
  const value = prim.add(prim.log(magnitude), shift)
  // A negative sum has no logarithm, unless its sign is reported.
  const checked =
    weights === null || returnSign
      ? value
      : choose(prim.lt(signed, filledLike(signed, 0)), filledLike(value, NaN), value)
  const result = restoreAxes(checked, axes, keepdims)
  return returnSign ? [result, restoreAxes(signed, axes, keepdims)] : result
}

/** The largest element, as a constant; 0 where it is infinite or there is none. */
function maximumOrZero(x: NDArray, axes: readonly number[]): NDArray {
  const largest = prim.stopGradient(prim.reduceMax(x, { axes }))
  return choose(prim.isFinite(largest), largest, filledLike(largest, 0))
}

const spread = (reduced: NDArray, like: NDArray, axes: readonly number[]): NDArray =>
  prim.broadcastInDim(reduced, {
    shape: like.shape,
    broadcastDimensions: like.shape.map((_, i) => i).filter((i) => !axes.includes(i)),
  })
