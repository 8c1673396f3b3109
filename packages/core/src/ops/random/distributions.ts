/** Continuous and discrete distributions, each by JAX's own formula from uniform numbers. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { Shape } from '../../types/aval'
import { type DType, floatInfo, isFloating } from '../../types/dtype'
import { ArgumentError, DTypeError } from '../../types/errors'
import { range } from '../../types/shape'
import { canonicalAxis, canonicalShape, checkOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  checkDType,
  choose,
  convert,
  filledLike,
  inexactTypeOf,
  promoteDTypesInexact,
} from '../promotion'
import { add, clip, divide, floor, log, log1p, multiply, negative, power } from '../np/elementwise'
import { argmax } from '../np/reductions'
import { einsum } from '../np/einsum'
import { moveaxis } from '../np/shape'
import {
  floatDType,
  type SampleOptions,
  sampleShape,
  shapeAndOptions,
  uniform,
  uniformBetween,
} from './uniform'
import type { Key } from './keys'

/** A distribution without parameters: shape and dtype only. */
type Standard = (k: Key, shape?: Shape, options?: SampleOptions) => NDArray

/** The number below 1, and the number above −1, in a dtype. */
const belowOne = (dtype: DType): number => 1 - floatInfo(dtype).eps / 2

const standard =
  (op: string, sample: (k: Key, shape: Shape, dtype: DType) => NDArray): Standard =>
  (k, shape = [], options = {}) =>
    sample(k, canonicalShape(op, shape), floatDType(op, options))

/** Standard normal numbers: √2·erf⁻¹(u) for u uniform in (−1, 1). */
export const normal: Standard = standard('normal', (k, shape, dtype) => {
  const u = uniformBetween('normal', k, shape, dtype, -belowOne(dtype), 1)
  return prim.mul(filledLike(u, Math.SQRT2), prim.erfInv(u))
})

/** Exponential numbers with rate 1. */
export const exponential: Standard = standard('exponential', (k, shape, dtype) =>
  prim.neg(prim.log1p(prim.neg(uniform(k, shape, { dtype })))),
)

/** Standard Gumbel numbers: −log(−log u). */
export const gumbel: Standard = standard('gumbel', (k, shape, dtype) => {
  const u = uniformBetween('gumbel', k, shape, dtype, floatInfo(dtype).smallestNormal, 1)
  return prim.neg(prim.log(prim.neg(prim.log(u))))
})

/** Standard Laplace numbers. */
export const laplace: Standard = standard('laplace', (k, shape, dtype) => {
  const u = uniformBetween('laplace', k, shape, dtype, -belowOne(dtype), 1)
  return prim.mul(prim.sign(u), prim.log1p(prim.neg(prim.abs(u))))
})

/** Standard logistic numbers: log(u / (1 − u)). */
export const logistic: Standard = standard('logistic', (k, shape, dtype) => {
  const u = uniformBetween('logistic', k, shape, dtype, floatInfo(dtype).smallestNormal, 1)
  return prim.sub(prim.log(u), prim.log1p(prim.neg(u)))
})

/** Standard Cauchy numbers: tan(π(u − ½)). */
export const cauchy: Standard = standard('cauchy', (k, shape, dtype) => {
  const u = uniformBetween('cauchy', k, shape, dtype, floatInfo(dtype).eps, 1)
  return prim.tan(prim.mul(filledLike(u, Math.PI), prim.sub(u, filledLike(u, 0.5))))
})

/** Lengths of standard normal vectors in three dimensions. */
export const maxwell: Standard = standard('maxwell', (k, shape, dtype) => {
  const squares = prim.square(normal(k, [...shape, 3], { dtype }))
  return prim.sqrt(prim.reduceSum(squares, { axes: [shape.length] }))
})

/** −1 or 1 with equal probability, int32 unless another dtype is given. */
export function rademacher(k: Key, shape: Shape = [], options: SampleOptions = {}): NDArray {
  const { dtype = 'int32' } = checkOptions('rademacher', options, ['dtype'])
  const heads = convert(bernoulli(k, 0.5, shape), checkDType('rademacher', dtype))
  return prim.sub(prim.mul(heads, filledLike(heads, 2)), filledLike(heads, 1))
}

/** Normal numbers conditioned to lie between `lower` and `upper`. */
export function truncatedNormal(
  k: Key,
  lower: ArrayLike,
  upper: ArrayLike,
  shapeOrOptions?: Shape | SampleOptions,
  rest?: SampleOptions,
): NDArray {
  const [shape, options] = shapeAndOptions(shapeOrOptions, rest)
  const dtype = floatDType('truncatedNormal', options ?? {})
  const [low, high] = [lower, upper].map((v) => convert(asArray('truncatedNormal', v), dtype))
  const sizes = sampleShape('truncatedNormal', shape, low, high)
  const probability = (v: NDArray): NDArray => prim.erf(prim.div(v, filledLike(v, Math.SQRT2)))
  const u = uniformBetween('truncatedNormal', k, sizes, dtype, probability(low), probability(high))
  const sample = prim.mul(filledLike(u, Math.SQRT2), prim.erfInv(u))
  const towards = (v: NDArray, target: number): NDArray => {
    const bound = prim.stopGradient(v)
    return prim.nextafter(bound, filledLike(bound, target))
  }
  return clip(sample, { min: towards(low, Infinity), max: towards(high, -Infinity) })
}

/** True with probability `p` (½). */
export function bernoulli(k: Key, p: ArrayLike = 0.5, shape?: Shape): NDArray {
  const given = asArray('bernoulli', p)
  const probability = typeof p === 'number' ? convert(given, 'float32') : given
  if (!isFloating(probability.dtype)) {
    throw new DTypeError({
      op: 'bernoulli(key, p)',
      problem: 'the probability is not a float',
      operands: [{ name: 'p', aval: probability.aval }],
    })
  }
  const sizes = sampleShape('bernoulli', shape, probability)
  const u = uniform(k, sizes, { dtype: probability.dtype })
  return prim.lt(u, broadcastTo(convert(probability, probability.dtype), sizes))
}

export interface CategoricalOptions {
  /** The axis of the categories. */
  readonly axis?: number
  /** The shape of the result: leading axes, then those of `logits` without its category axis. */
  readonly shape?: Shape
  /** Whether a category may be drawn more than once along the leading axes of `shape`. */
  readonly replace?: boolean
}

/** Categories drawn with probabilities proportional to exp(logits): the Gumbel-max trick. */
export function categorical(
  k: Key,
  logits: ArrayLike,
  axisOrOptions: number | CategoricalOptions = {},
): NDArray {
  const options: CategoricalOptions =
    typeof axisOrOptions === 'number' ? { axis: axisOrOptions } : axisOrOptions
  checkOptions('categorical', options, ['axis', 'shape', 'replace'])
  const a = asArray('categorical', logits)
  const axis = canonicalAxis('categorical', options.axis ?? -1, a)
  const batch = a.shape.filter((_, i) => i !== axis)
  const shape = options.shape === undefined ? batch : canonicalShape('categorical', options.shape)
  const prefix = shape.slice(0, shape.length - batch.length)
  const dtype = inexactTypeOf(a.aval).dtype
  if (options.replace ?? true) {
    const own = shape.slice(prefix.length)
    const sizes = [...prefix, ...own.slice(0, axis), a.shape[axis], ...own.slice(axis)]
    return argmax(add(gumbel(k, sizes, { dtype }), a), axis + prefix.length)
  }
  const count = prefix.reduce((product, n) => product * n, 1)
  if (count > a.shape[axis]) {
    throw new ArgumentError({
      op: 'categorical(key, logits, { replace: false })',
      problem: `${count} draws from ${a.shape[axis]} categories`,
      rule: 'without replacement there are at most as many draws as categories',
    })
  }
  const scores = moveaxis(add(gumbel(k, a.shape, { dtype }), a), axis, -1)
  const [, indices] = prim.topK(scores, { k: count, axis: scores.ndim - 1 })
  return prim.reshape(moveaxis(indices, -1, 0), { newSizes: shape })
}

/** Vectors with a normal distribution of this mean and covariance (by its Cholesky factor). */
export function multivariateNormal(
  k: Key,
  mean: ArrayLike,
  cov: ArrayLike,
  shapeOrOptions?: Shape | SampleOptions,
  rest?: SampleOptions,
): NDArray {
  const [shape, options] = shapeAndOptions(shapeOrOptions, rest)
  checkOptions('multivariateNormal', options ?? {}, ['dtype'])
  const [mu, covariance] = promoteDTypesInexact('multivariateNormal', [mean, cov])
  const dtype = floatDType('multivariateNormal', { dtype: options?.dtype ?? mu.dtype })
  const n = mu.shape[mu.ndim - 1]
  if (mu.ndim < 1 || covariance.ndim < 2 || covariance.shape.slice(-2).some((size) => size !== n)) {
    throw new ArgumentError({
      op: 'multivariateNormal(key, mean, cov)',
      problem: 'mean and covariance do not fit',
      operands: [
        { name: 'mean', aval: mu.aval },
        { name: 'cov', aval: covariance.aval },
      ],
      rule: 'mean is [..., n] and cov is [..., n, n]',
    })
  }
  const lead = (x: NDArray, axes: number): NDArray =>
    prim.reduceSum(x, { axes: range(x.ndim - axes, x.ndim) })
  const sizes = sampleShape('multivariateNormal', shape, lead(mu, 1), lead(covariance, 2))
  const samples = normal(k, [...sizes, n], { dtype })
  return add(mu, einsum('...ij,...j->...i', prim.cholesky(covariance), samples))
}

// --- with parameters --------------------------------------------------------------------------------

/** A parameter as an array of the samples' dtype. */
const parameter = (op: string, v: ArrayLike, dtype: DType): NDArray =>
  convert(asArray(op, v), dtype)

/** Pareto numbers with shape parameter `b`: exp(e / b). */
export function pareto(k: Key, b: ArrayLike, shape?: Shape, options: SampleOptions = {}): NDArray {
  const dtype = floatDType('pareto', options)
  const exponent = parameter('pareto', b, dtype)
  const e = exponential(k, sampleShape('pareto', shape, exponent), { dtype })
  return prim.exp(divide(e, exponent))
}

/** Weibull numbers. */
export function weibullMin(
  k: Key,
  scale: ArrayLike,
  concentration: ArrayLike,
  shape: Shape = [],
  options: SampleOptions = {},
): NDArray {
  const dtype = floatDType('weibullMin', options)
  const u = uniform(k, shape, { dtype })
  const base = negative(log1p(negative(u)))
  const exponent = divide(1, parameter('weibullMin', concentration, dtype))
  return multiply(power(base, exponent), parameter('weibullMin', scale, dtype))
}

/** Rayleigh numbers: scale·√(−2 log u). */
export function rayleigh(
  k: Key,
  scale: ArrayLike,
  shape?: Shape,
  options: SampleOptions = {},
): NDArray {
  const dtype = floatDType('rayleigh', options)
  const sigma = parameter('rayleigh', scale, dtype)
  const sizes = sampleShape('rayleigh', shape, sigma)
  const logarithm = log(uniform(k, sizes, { dtype }))
  return multiply(sigma, prim.sqrt(prim.mul(logarithm, filledLike(logarithm, -2))))
}

/** The number of trials up to the first success. */
export function geometric(
  k: Key,
  p: ArrayLike,
  shape?: Shape,
  options: SampleOptions = {},
): NDArray {
  const { dtype = 'int32' } = checkOptions('geometric', options, ['dtype'])
  const [probability] = promoteDTypesInexact('geometric', [p])
  const sizes = sampleShape('geometric', shape, probability)
  const u = uniform(k, sizes, { dtype: probability.dtype })
  const positive = choose(prim.eq(u, filledLike(u, 0)), filledLike(u, 1), u)
  const trials = floor(divide(log(positive), log1p(negative(probability))))
  return convert(add(trials, 1), checkDType('geometric', dtype))
}

/** Numbers with a triangular density between `left` and `right` and its peak at `mode`. */
export function triangular(
  k: Key,
  left: ArrayLike,
  mode: ArrayLike,
  right: ArrayLike,
  shape?: Shape,
  options: SampleOptions = {},
): NDArray {
  const dtype = floatDType('triangular', options)
  const parameters = [left, mode, right].map((v) => parameter('triangular', v, dtype))
  const sizes = sampleShape('triangular', shape, ...parameters)
  const [a, c, b] = parameters.map((v) => broadcastTo(v, sizes))
  const [width, toPeak, fromPeak] = [prim.sub(b, a), prim.sub(c, a), prim.sub(b, c)]
  const u = uniform(k, sizes, { dtype })
  const rising = prim.add(a, prim.sqrt(prim.mul(prim.mul(u, width), toPeak)))
  const rest = prim.sub(filledLike(u, 1), u)
  const falling = prim.sub(b, prim.sqrt(prim.mul(prim.mul(rest, width), fromPeak)))
  return choose(prim.lt(u, prim.div(toPeak, width)), rising, falling)
}
