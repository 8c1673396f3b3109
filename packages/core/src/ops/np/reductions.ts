/** Reductions: sums, products, extrema, their positions, and running versions. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { sizeOf } from '../../types/aval'
import { type DType, integerRange, isFloating, isUnsigned } from '../../types/dtype'
import { ArgumentError, DTypeError, ShapeError } from '../../types/errors'
import { withoutAxes } from '../../types/shape'
import { type Axes, axisOptions, canonicalAxes, canonicalAxis } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastAll,
  checkDType,
  choose,
  convert,
  filledLike,
  full,
  toBool,
} from '../promotion'

export interface ReductionOptions {
  /** The axis or axes to reduce; all of them if left out or null. */
  readonly axis?: Axes
  /** Keep reduced axes with size 1. */
  readonly keepdims?: boolean
  /** Include only elements where this (broadcast) mask is true. */
  readonly where?: ArrayLike
}
export interface SumOptions extends ReductionOptions {
  /** The dtype to compute and answer in; small integers widen to 32 bits if left out. */
  readonly dtype?: DType
  /** Where the reduction starts. */
  readonly initial?: ArrayLike
}
export interface ExtremumOptions extends ReductionOptions {
  readonly initial?: ArrayLike
}
export interface IndexReductionOptions {
  readonly axis?: number | null
  readonly keepdims?: boolean
}

const reductionKeys = ['axis', 'keepdims', 'where'] as const
const extremumKeys = [...reductionKeys, 'initial'] as const
const sumKeys = [...extremumKeys, 'dtype'] as const
const positionKeys = ['axis', 'keepdims'] as const

type Reduce = (x: NDArray, params: { readonly axes: readonly number[] }) => NDArray
type Combine = (x: NDArray, y: NDArray) => NDArray

/** JAX widens small integers and booleans to 32 bits before adding or multiplying. */
const accumulatorOf = (dtype: DType): DType => {
  if (isFloating(dtype)) return dtype
  return isUnsigned(dtype) ? 'uint32' : 'int32'
}

/** `keepdims` puts the reduced axes back with size 1. */
export function restoreAxes(
  reduced: NDArray,
  axes: readonly number[],
  keepdims?: boolean,
): NDArray {
  return keepdims ? prim.expandDims(reduced, axes) : reduced
}

/** `x` with the elements outside the mask replaced by the identity of the reduction. */
function masked(op: string, x: NDArray, where: ArrayLike | undefined, identity: number): NDArray {
  if (where === undefined) return x
  const mask = asArray(op, where)
  if (mask.dtype !== 'bool') {
    throw new DTypeError({
      op: `${op}(a, { where })`,
      problem: 'the mask is not boolean',
      operands: [
        { name: 'a', aval: x.aval },
        { name: 'where', aval: mask.aval },
      ],
      rule: 'where is a bool array that broadcasts with a',
      hint: 'compare to make one: where: mask.notEqual(0)',
    })
  }
  const [a, m] = broadcastAll(op, [x, mask])
  return choose(m, a, filledLike(a, identity))
}

function withInitial(
  op: string,
  reduced: NDArray,
  initial: ArrayLike | undefined,
  combine: Combine,
): NDArray {
  if (initial === undefined) return reduced
  const start = convert(asArray(op, initial), reduced.dtype, reduced.aval.weakType)
  if (start.ndim !== 0) {
    throw new ShapeError({
      op: `${op}(a, { initial })`,
      problem: 'initial is not a scalar',
      operands: [{ name: 'initial', aval: start.aval }],
      rule: 'one starting value serves every reduction',
    })
  }
  return combine(
    prim.broadcastInDim(start, { shape: reduced.shape, broadcastDimensions: [] }),
    reduced,
  )
}

const accumulation =
  (op: string, reduce: Reduce, combine: Combine, identity: number) =>
  (x: ArrayLike, axisOrOptions?: Axes | SumOptions, rest?: SumOptions): NDArray => {
    const options = axisOptions(op, sumKeys, axisOrOptions, rest) ?? {}
    const given = asArray(op, x)
    const axes = canonicalAxes(op, options.axis, given)
    const dtype =
      options.dtype === undefined ? accumulatorOf(given.dtype) : checkDType(op, options.dtype)
    const weak = options.dtype === undefined && given.aval.weakType
    if (dtype === 'bool') {
      // In truth values a sum is `or` and a product is `and`.
      const logicalReduce = identity === 0 ? any : all
      const { keepdims, where } = options
      const result = logicalReduce(given, { axis: axes, keepdims, where })
      return withInitial(op, result, options.initial, identity === 0 ? prim.or : prim.and)
    }
    // Half precision accumulates in single: sums of a few thousand terms would not grow any more.
    const wide: DType =
      options.dtype === undefined && (dtype === 'float16' || dtype === 'bfloat16')
        ? 'float32'
        : dtype
    const operand = masked(op, convert(given, wide, weak), options.where, identity)
    const reduced = withInitial(op, reduce(operand, { axes }), options.initial, combine)
    return convert(restoreAxes(reduced, axes, options.keepdims), dtype, weak)
  }

/** Sum over axes; the sum of nothing is 0. */
export const sum: (
  x: ArrayLike,
  axisOrOptions?: Axes | SumOptions,
  options?: SumOptions,
) => NDArray = accumulation('sum', prim.reduceSum, prim.add, 0)

/** Product over axes; the product of nothing is 1. */
export const prod: typeof sum = accumulation('prod', prim.reduceProd, prim.mul, 1)

/** The value that no element beats: what `max` starts from. */
export function lowest(dtype: DType): number {
  return isFloating(dtype) ? -Infinity : integerRange(dtype)[0]
}
export function highest(dtype: DType): number {
  return isFloating(dtype) ? Infinity : integerRange(dtype)[1]
}

const extremum =
  (op: string, reduce: Reduce, combine: Combine, identityOf: (dtype: DType) => number) =>
  (x: ArrayLike, axisOrOptions?: Axes | ExtremumOptions, rest?: ExtremumOptions): NDArray => {
    const options = axisOptions(op, extremumKeys, axisOrOptions, rest) ?? {}
    const a = asArray(op, x)
    const axes = canonicalAxes(op, options.axis, a)
    if (options.initial === undefined) {
      if (options.where !== undefined) {
        throw new ArgumentError({
          op: `${op}(a, { where })`,
          problem: 'has no identity, so a mask that excludes everything would leave nothing',
          operands: [{ name: 'a', aval: a.aval }],
          rule: 'where needs initial',
          hint: `for example { where, initial: ${op === 'max' ? '-Infinity' : 'Infinity'} }`,
        })
      }
      requireElements(op, a, axes)
    }
    if (a.dtype === 'bool') {
      const { keepdims, where } = options
      const result = (op === 'max' ? any : all)(a, { axis: axes, keepdims, where })
      return withInitial(op, result, options.initial, op === 'max' ? prim.or : prim.and)
    }
    const identity = identityOf(a.dtype)
    const reduced = reduce(masked(op, a, options.where, identity), { axes })
    return restoreAxes(withInitial(op, reduced, options.initial, combine), axes, options.keepdims)
  }

export function requireElements(op: string, x: NDArray, axes: readonly number[]): void {
  const empty = axes.find((axis) => x.shape[axis] === 0)
  if (empty === undefined) return
  throw new ShapeError({
    op: `${op}(a)`,
    problem: 'the extremum of no elements does not exist',
    operands: [{ name: 'a', aval: x.aval, note: `axis ${empty} is 0` }],
    axis: empty,
    rule: 'reduced axes are not empty',
    hint: op.startsWith('arg') ? undefined : 'give a starting value: { initial }',
  })
}

/** Largest element; NaN wins. */
export const max: (
  x: ArrayLike,
  axisOrOptions?: Axes | ExtremumOptions,
  options?: ExtremumOptions,
) => NDArray = extremum('max', prim.reduceMax, prim.max, lowest)
/** Smallest element; NaN wins. */
export const min: typeof max = extremum('min', prim.reduceMin, prim.min, highest)
export const amax: typeof max = max
export const amin: typeof max = min

/** Largest minus smallest element. */
export const ptp = (
  x: ArrayLike,
  axisOrOptions?: Axes | ReductionOptions,
  options?: ReductionOptions,
): NDArray => {
  const { axis, keepdims } = axisOptions('ptp', reductionKeys, axisOrOptions, options) ?? {}
  return prim.sub(max(x, { axis, keepdims }), min(x, { axis, keepdims }))
}

const logicalReduction =
  (op: string, reduce: Reduce, identity: boolean) =>
  (x: ArrayLike, axisOrOptions?: Axes | ReductionOptions, rest?: ReductionOptions): NDArray => {
    const options = axisOptions(op, reductionKeys, axisOrOptions, rest) ?? {}
    const a = toBool(asArray(op, x))
    const axes = canonicalAxes(op, options.axis, a)
    const operand =
      options.where === undefined ? a : maskedBool(op, a, asArray(op, options.where), identity)
    return restoreAxes(reduce(operand, { axes }), axes, options.keepdims)
  }

function maskedBool(op: string, x: NDArray, where: NDArray, identity: boolean): NDArray {
  const [a, mask] = broadcastAll(op, [x, toBool(where)])
  return identity ? prim.or(a, prim.not(mask)) : prim.and(a, mask)
}

/** Whether every element is true (nonzero); true for no elements. */
export const all: (
  x: ArrayLike,
  axisOrOptions?: Axes | ReductionOptions,
  options?: ReductionOptions,
) => NDArray = logicalReduction('all', prim.reduceAnd, true)
/** Whether any element is true (nonzero); false for no elements. */
export const any: typeof all = logicalReduction('any', prim.reduceOr, false)

/** How many elements are not zero. */
export const countNonzero = (
  x: ArrayLike,
  axisOrOptions?: Axes | ReductionOptions,
  options?: ReductionOptions,
): NDArray =>
  sum(
    toBool(asArray('countNonzero', x)),
    axisOptions('countNonzero', reductionKeys, axisOrOptions, options),
  )

// --- positions ------------------------------------------------------------------------------------

const position =
  (
    op: string,
    reduce: (x: NDArray, p: { axes: readonly number[]; indexDtype: DType }) => NDArray,
  ) =>
  (
    x: ArrayLike,
    axisOrOptions?: number | null | IndexReductionOptions,
    rest?: IndexReductionOptions,
  ): NDArray => {
    const { axis = null, keepdims } = axisOptions(op, positionKeys, axisOrOptions, rest) ?? {}
    const a = asArray(op, x)
    const operand = axis === null ? prim.reshape(a, { newSizes: [a.size] }) : a
    const along = axis === null ? 0 : canonicalAxis(op, axis, a)
    requireElements(op, operand, [along])
    const result = reduce(operand, { axes: [along], indexDtype: 'int32' })
    if (!keepdims) return result
    return axis === null
      ? prim.reshape(result, { newSizes: a.shape.map(() => 1) })
      : prim.expandDims(result, [along])
  }

/** Position of the first largest element; NaN wins. */
export const argmax: (
  x: ArrayLike,
  axisOrOptions?: number | null | IndexReductionOptions,
  options?: IndexReductionOptions,
) => NDArray = position('argmax', prim.argmax)
/** Position of the first smallest element; NaN wins. */
export const argmin: typeof argmax = position('argmin', prim.argmin)

const nanPosition =
  (op: string, locate: typeof argmax, identity: number) =>
  (
    x: ArrayLike,
    axisOrOptions?: number | null | IndexReductionOptions,
    rest?: IndexReductionOptions,
  ): NDArray => {
    const options = axisOptions(op, positionKeys, axisOrOptions, rest)
    const a = asArray(op, x)
    if (!isFloating(a.dtype)) return locate(a, options)
    const nan = prim.ne(a, a)
    const found = locate(choose(nan, filledLike(a, identity), a), options)
    const nothing = all(nan, { axis: options?.axis, keepdims: options?.keepdims })
    return choose(nothing, filledLike(found, -1), found)
  }
/** `argmax` without NaNs; −1 where everything is NaN. */
export const nanargmax: typeof argmax = nanPosition('nanargmax', argmax, -Infinity)
export const nanargmin: typeof argmax = nanPosition('nanargmin', argmin, Infinity)

// --- without NaN ----------------------------------------------------------------------------------

const withoutNaN = (op: string, x: ArrayLike, identity: number): NDArray => {
  const a = asArray(op, x)
  if (!isFloating(a.dtype)) return a
  return choose(prim.ne(a, a), filledLike(a, identity), a)
}

/** `sum` with NaN as 0. */
export const nansum: typeof sum = (x, axisOrOptions, options) =>
  sum(withoutNaN('nansum', x, 0), axisOptions('nansum', sumKeys, axisOrOptions, options))
/** `prod` with NaN as 1. */
export const nanprod: typeof sum = (x, axisOrOptions, options) =>
  prod(withoutNaN('nanprod', x, 1), axisOptions('nanprod', sumKeys, axisOrOptions, options))

const nanExtremum =
  (op: string, reduce: typeof max, identity: number): typeof max =>
  (x, axisOrOptions, rest) => {
    const options = axisOptions(op, extremumKeys, axisOrOptions, rest) ?? {}
    const a = asArray(op, x)
    if (!isFloating(a.dtype)) return reduce(a, options)
    const found = reduce(withoutNaN(op, a, identity), options)
    if (options.initial !== undefined) return found
    const nothing = all(prim.ne(a, a), { axis: options.axis, keepdims: options.keepdims })
    return choose(nothing, filledLike(found, NaN), found)
  }
/** `max` that ignores NaN, unless there is nothing else. */
export const nanmax: typeof max = nanExtremum('nanmax', max, -Infinity)
export const nanmin: typeof max = nanExtremum('nanmin', min, Infinity)

/** How many elements one reduction covers: a count per result when masked, else a number. */
export function reducedCount(
  op: string,
  x: NDArray,
  axes: readonly number[],
  options: ReductionOptions,
  dtype: DType,
): NDArray {
  const shape = options.keepdims
    ? x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
    : withoutAxes(x.shape, axes)
  if (options.where === undefined) {
    return full(shape, sizeOf(axes.map((axis) => x.shape[axis])), dtype)
  }
  const [mask] = broadcastAll(op, [toBool(asArray(op, options.where)), x])
  return sum(mask, { axis: axes, keepdims: options.keepdims, dtype })
}
