/** Means, spread and order statistics. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { sizeOf } from '../../types/aval'
import { type DType, isFloating } from '../../types/dtype'
import { DTypeError, ShapeError } from '../../types/errors'
import { type Axes, axisOptions, canonicalAxes } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  checkDType,
  choose,
  convert,
  filledLike,
  inexactTypeOf,
  operandReports,
  promoteDTypesInexact,
} from '../promotion'
import { nansum, reducedCount, type ReductionOptions, sum } from './reductions'
import { multiply, subtract } from './elementwise'

export interface MeanOptions extends ReductionOptions {
  readonly dtype?: DType
}
export interface VarianceOptions extends MeanOptions {
  /** Subtracted from the count: 1 makes the variance of a sample unbiased. */
  readonly ddof?: number
  /** The array API's name for `ddof`. */
  readonly correction?: number
  /** The mean, if it is known, with the reduced axes kept. */
  readonly mean?: ArrayLike
}

const meanKeys = ['axis', 'keepdims', 'where', 'dtype'] as const
const varianceKeys = [...meanKeys, 'ddof', 'correction', 'mean'] as const

const widened = (dtype: DType): DType =>
  dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype

/** The arithmetic mean; NaN of nothing. */
export function mean(
  x: ArrayLike,
  axisOrOptions?: Axes | MeanOptions,
  rest?: MeanOptions,
): NDArray {
  const options = axisOptions('mean', meanKeys, axisOrOptions, rest) ?? {}
  const a = asArray('mean', x)
  const type = inexactTypeOf(a.aval)
  const dtype = options.dtype === undefined ? type.dtype : checkDType('mean', options.dtype)
  const weak = options.dtype === undefined && type.weakType
  const working = isFloating(dtype) ? widened(dtype) : dtype
  const axes = canonicalAxes('mean', options.axis, a)
  const total = sum(a, { ...options, axis: axes, dtype: working })
  const count = convert(reducedCount('mean', a, axes, options, working), working)
  return convert(
    isFloating(working) ? prim.div(total, count) : integerMean(total, count),
    dtype,
    weak,
  )
}

const integerMean = (total: NDArray, count: NDArray): NDArray =>
  total.dtype === 'bool' ? total : prim.div(total, count)

/** The variance, in the name of what the user called. */
function varianceFor(op: string, x: ArrayLike, options: VarianceOptions): NDArray {
  const a = asArray(op, x)
  const type = inexactTypeOf(a.aval)
  const dtype = options.dtype === undefined ? type.dtype : checkDType(op, options.dtype)
  const working = widened(options.dtype === undefined ? type.dtype : dtype)
  if (!isFloating(working)) {
    throw new DTypeError({
      op: `${op}(a, { dtype })`,
      problem: `${dtype} cannot hold a variance`,
      operands: operandReports([a]),
      rule: 'dtype is a floating dtype',
    })
  }
  const axes = canonicalAxes(op, options.axis, a)
  const values = convert(a, working)
  const { where, keepdims } = options
  const center =
    options.mean === undefined
      ? mean(values, { axis: axes, keepdims: true, where })
      : convert(asArray(op, options.mean), working)
  const squares = prim.square(subtract(values, center))
  const total = sum(squares, { axis: axes, keepdims, where })
  const count = reducedCount(op, a, axes, options, working)
  const ddof = options.correction ?? options.ddof ?? 0
  const divisor = prim.sub(count, filledLike(count, ddof))
  const result = convert(prim.div(total, divisor), dtype)
  return choose(prim.gt(divisor, filledLike(divisor, 0)), result, filledLike(result, NaN))
}

/** The mean squared deviation from the mean, over `count − ddof`. */
export function variance(
  x: ArrayLike,
  axisOrOptions?: Axes | VarianceOptions,
  rest?: VarianceOptions,
): NDArray {
  return varianceFor('var', x, axisOptions('var', varianceKeys, axisOrOptions, rest) ?? {})
}
export { variance as var }

/** The square root of the variance. */
export const std: typeof variance = (x, axisOrOptions, rest) =>
  prim.sqrt(varianceFor('std', x, axisOptions('std', varianceKeys, axisOrOptions, rest) ?? {}))

/** `mean` of the elements that are not NaN. */
export function nanmean(
  x: ArrayLike,
  axisOrOptions?: Axes | MeanOptions,
  rest?: MeanOptions,
): NDArray {
  const options = axisOptions('nanmean', meanKeys, axisOrOptions, rest) ?? {}
  const a = asArray('nanmean', x)
  if (!isFloating(a.dtype)) return mean(a, options)
  const dtype = options.dtype === undefined ? a.dtype : checkDType('nanmean', options.dtype)
  const present = sum(prim.eq(a, a), { ...options, dtype })
  return prim.div(nansum(a, { ...options, dtype }), present)
}

/** `var` of the elements that are not NaN. */
export function nanvar(
  x: ArrayLike,
  axisOrOptions?: Axes | VarianceOptions,
  rest?: VarianceOptions,
): NDArray {
  const options = axisOptions('nanvar', varianceKeys, axisOrOptions, rest) ?? {}
  const a = asArray('nanvar', x)
  if (!isFloating(a.dtype)) return variance(a, options)
  const present = prim.eq(a, a)
  const where =
    options.where === undefined ? present : multiply(present, convertMask('nanvar', options.where))
  return variance(a, { ...options, where })
}
const convertMask = (op: string, where: ArrayLike): NDArray => convert(asArray(op, where), 'bool')

export const nanstd: typeof nanvar = (x, axisOrOptions, rest) =>
  prim.sqrt(nanvar(x, axisOptions('nanstd', varianceKeys, axisOrOptions, rest)))

export interface AverageOptions {
  readonly axis?: Axes
  /** One weight per element, or per element along `axis`. */
  readonly weights?: ArrayLike
  readonly keepdims?: boolean
}

/** The weighted mean; with `returned: true` it is `[average, sum of weights]`. */
export function average(
  x: ArrayLike,
  axisOrOptions: Axes | (AverageOptions & { readonly returned: true }) | undefined,
  options: AverageOptions & { readonly returned: true },
): [NDArray, NDArray]
export function average(
  x: ArrayLike,
  options: AverageOptions & { readonly returned: true },
): [NDArray, NDArray]
export function average(
  x: ArrayLike,
  axisOrOptions?: Axes | (AverageOptions & { readonly returned?: false }),
  options?: AverageOptions & { readonly returned?: false },
): NDArray
export function average(
  x: ArrayLike,
  axisOrOptions?: Axes | (AverageOptions & { readonly returned?: boolean }),
  rest?: AverageOptions & { readonly returned?: boolean },
): NDArray | [NDArray, NDArray] {
  const options =
    axisOptions('average', ['axis', 'weights', 'keepdims', 'returned'], axisOrOptions, rest) ?? {}
  const { keepdims, returned = false } = options
  if (options.weights === undefined) {
    const [a] = promoteDTypesInexact('average', [x])
    const axes = canonicalAxes('average', options.axis, a)
    const result = mean(a, { axis: axes, keepdims })
    return returned
      ? [result, filledLike(result, sizeOf(axes.map((axis) => a.shape[axis])))]
      : result
  }
  const [a, given] = promoteDTypesInexact('average', [x, options.weights])
  const axes = canonicalAxes('average', options.axis, a)
  const weights = weightsAlong(a, given, axes, options.axis)
  const total = sum(weights, { axis: axes, keepdims })
  const result = prim.div(sum(multiply(a, weights), { axis: axes, keepdims }), total)
  return returned ? [result, broadcastTo(total, result.shape)] : result
}

function weightsAlong(
  x: NDArray,
  weights: NDArray,
  axes: readonly number[],
  axis: Axes | undefined,
): NDArray {
  if (weights.ndim === x.ndim && weights.shape.every((n, i) => n === x.shape[i])) return weights
  const fits =
    axis != null &&
    weights.ndim === axes.length &&
    weights.shape.every((n, i) => n === x.shape[axes[i]])
  if (!fits) {
    throw new ShapeError({
      op: 'average(a, { axis, weights })',
      problem: 'the weights fit neither the array nor its reduced axes',
      operands: [
        { name: 'a', aval: x.aval },
        { name: 'weights', aval: weights.aval },
      ],
      rule: 'weights have the shape of a, or one size per axis in axis',
    })
  }
  return prim.broadcastInDim(weights, { shape: x.shape, broadcastDimensions: axes })
}
