/** Running sums, products, extrema and log-sum-exps along an axis. */
import type { NDArray } from '../array/ndarray'
import type { CumulativeMonoid } from '../compiler/context'
import { type DType, isInteger } from '../types/dtype'
import { DTypeError } from '../types/errors'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isZero,
  type JvpRule,
  nonlinear,
  type Primitive,
  type TransposeRule,
  zeroLike,
} from '../trace/primitive'
import { abs, add, max as maximum, min as minimum, mul, neg, sub } from './arithmetic'
import { eq } from './comparison'
import { addAny, fullLike, full, onesLike, zerosLike } from './constants'
import { exp, log1p } from './exponential'
import { linearJvp, linearTranspose } from './linear'
import { operation, type ParametricOperation } from './operation'
import { type DTypeSet, anyDType, floating, numeric } from './pointwise'
import { checkAxes } from './reduction'
import { select } from './select'
import { concatenate, pad, rev, sliceInAxis, slice } from './slicing'
import { allocateHost, forEachIndex, hostArray, rowMajorStrides } from './strided'

export type CumulativeParams = { readonly axis: number; readonly reverse: boolean }

interface CumulativeRules {
  readonly monoid: CumulativeMonoid
  readonly accepts: DTypeSet
  readonly combine: (x: number, y: number, dtype: DType) => number
  readonly jvp: JvpRule<CumulativeParams>
  readonly transpose: TransposeRule<CumulativeParams>
}

function cumulative(name: string, rules: CumulativeRules): ParametricOperation<CumulativeParams> {
  const apply = (x: NDArray, params: CumulativeParams): NDArray => bind1(primitive, [x], params)
  const primitive: Primitive<CumulativeParams> = definePrimitive<CumulativeParams>({
    name,
    abstractEval: ([x], { axis }) => {
      checkAxes(name, x, [axis])
      if (!rules.accepts.has(x.dtype)) {
        throw new DTypeError({
          op: name,
          problem: `does not take ${x.dtype}`,
          operands: [{ name: 'x', aval: x }],
          rule: `the operand is ${rules.accepts.name}`,
        })
      }
      return [x]
    },
    jvp: rules.jvp,
    transpose: rules.transpose,
    batch: (_axis, [x], [dim], params) => {
      if (dim === null) return { outputs: [apply(x, params)], dims: [null] }
      const axis = params.axis >= dim ? params.axis + 1 : params.axis
      return { outputs: [apply(x, { ...params, axis })], dims: [dim] }
    },
    evaluate: ([x], { axis, reverse }, [aval]) => {
      const data = allocateHost(aval.dtype, aval.size)
      const length = aval.shape[axis]
      const strides = rowMajorStrides(aval.shape)
      const step = reverse ? -strides[axis] : strides[axis]
      const lines = aval.shape.map((size, a) => (a === axis ? Math.min(1, size) : size))
      forEachIndex(lines, (index) => {
        let at = reverse ? (length - 1) * strides[axis] : 0
        for (let a = 0; a < index.length; a++) at += index[a] * strides[a]
        data[at] = x.data[at]
        for (let i = 1; i < length; i++, at += step) {
          data[at + step] = rules.combine(data[at], x.data[at + step], aval.dtype)
        }
      })
      return [hostArray(aval, data)]
    },
    lower: (context, [x], { axis, reverse }) => [
      context.cumulative(rules.monoid, x, axis, reverse),
    ],
  })
  return operation(primitive, apply)
}

// --- the tangent of a running operation ------------------------------------------------------------------------

/** A value and its tangent, and how two of them combine; associative. */
type Dual = readonly [value: NDArray, tangent: NDArray]
type CombineDuals = (x: Dual, y: Dual) => Dual

const every2nd = (x: NDArray, axis: number, first: number): NDArray =>
  slice(x, {
    startIndices: x.shape.map((_, a) => (a === axis ? first : 0)),
    limitIndices: x.shape,
    strides: x.shape.map((_, a) => (a === axis ? 2 : 1)),
  })

/** `even[0], odd[0], even[1], odd[1], …`; there are as many evens as odds, or one more. */
function interleave(even: NDArray, odd: NDArray, axis: number): NDArray {
  const total = even.shape[axis] + odd.shape[axis]
  const spread = (x: NDArray, first: number): NDArray =>
    pad(x, full([], 0, x.dtype, x.aval.weakType), {
      paddingConfig: x.shape.map((size, a): readonly [number, number, number] =>
        a === axis ? [first, total - first - (2 * size - 1), 1] : [0, 0, 0],
      ),
    })
  // Padding with zeros and adding would turn −0 into 0 and is the same otherwise.
  return add(spread(even, 0), spread(odd, 1))
}

/**
 * Inclusive scan with ⌈log₂ n⌉ levels of work n/2, n/4, … (Blelloch 1990, "Prefix sums and their
 * applications"): combine neighbours, scan the pairs, fill in the places between.
 */
function scanDuals(combine: CombineDuals, dual: Dual, axis: number): Dual {
  const size = dual[0].shape[axis]
  if (size < 2) return dual
  const part = ([value, tangent]: Dual, f: (x: NDArray) => NDArray): Dual => [f(value), f(tangent)]
  const leftOfPairs = part(dual, (x) => every2nd(sliceInAxis(x, axis, 0, size - 1), axis, 0))
  const rightOfPairs = part(dual, (x) => every2nd(x, axis, 1))
  const odd = scanDuals(combine, combine(leftOfPairs, rightOfPairs), axis)
  const first = part(dual, (x) => sliceInAxis(x, axis, 0, 1))
  let even = first
  if (size > 2) {
    const before = part(odd, (x) => sliceInAxis(x, axis, 0, Math.ceil(size / 2) - 1))
    const rest = combine(
      before,
      part(dual, (x) => every2nd(x, axis, 2)),
    )
    even = [
      concatenate([first[0], rest[0]], { dimension: axis }),
      concatenate([first[1], rest[1]], { dimension: axis }),
    ]
  }
  return [interleave(even[0], odd[0], axis), interleave(even[1], odd[1], axis)]
}

const scanJvp =
  (
    apply: (x: NDArray, params: CumulativeParams) => NDArray,
    combine: CombineDuals,
  ): JvpRule<CumulativeParams> =>
  ([x], [xDot], params) => {
    const y = apply(x, params)
    if (isZero(xDot)) return { primals: [y], tangents: [zeroLike(y)] }
    const flip = (a: NDArray): NDArray =>
      params.reverse ? rev(a, { dimensions: [params.axis] }) : a
    const [, yDot] = scanDuals(combine, [flip(x), flip(xDot)], params.axis)
    return { primals: [y], tangents: [flip(yDot)] }
  }

// --- the operations ----------------------------------------------------------------------------------------------

/** Running sum; its transpose runs the other way. */
export const cumsum: ParametricOperation<CumulativeParams> = cumulative('cumsum', {
  monoid: 'sum',
  accepts: numeric,
  combine: (x, y) => x + y,
  jvp: linearJvp((x, params) => cumsum(x, params)),
  transpose: linearTranspose((yBar, _x, { axis, reverse }) =>
    cumsum(yBar, { axis, reverse: !reverse }),
  ),
})

/** Running product; (p, ṗ)·(q, q̇) = (pq, ṗq + pq̇), so zeros are no special case. */
export const cumprod: ParametricOperation<CumulativeParams> = cumulative('cumprod', {
  monoid: 'prod',
  accepts: numeric,
  combine: (x, y, dtype) => (isInteger(dtype) ? Math.imul(x, y) : x * y),
  jvp: scanJvp(
    (x, params) => cumprod(x, params),
    ([p, pDot], [q, qDot]) => [mul(p, q), addAny(mul(pDot, q), mul(p, qDot))],
  ),
  transpose: nonlinear,
})

/** Two equal candidates share the tangent evenly. */
const combineExtrema =
  (extremum: (x: NDArray, y: NDArray) => NDArray): CombineDuals =>
  ([p, pDot], [q, qDot]) => {
    const best = extremum(p, q)
    const [one, half, zero] = [onesLike(pDot), fullLike(pDot, 0.5), zerosLike(pDot)]
    const won = select(eq(p, q), half, one)
    const weight = (x: NDArray): NDArray => select(eq(x, best), won, zero)
    return [best, addAny(mul(pDot, weight(p)), mul(qDot, weight(q)))]
  }

/** Running maximum. */
export const cummax: ParametricOperation<CumulativeParams> = cumulative('cummax', {
  monoid: 'max',
  accepts: anyDType,
  combine: (x, y) => Math.max(x, y),
  jvp: scanJvp(
    (x, params) => cummax(x, params),
    combineExtrema((x, y) => maximum(x, y)),
  ),
  transpose: nonlinear,
})

/** Running minimum. */
export const cummin: ParametricOperation<CumulativeParams> = cumulative('cummin', {
  monoid: 'min',
  accepts: anyDType,
  combine: (x, y) => Math.min(x, y),
  jvp: scanJvp(
    (x, params) => cummin(x, params),
    combineExtrema((x, y) => minimum(x, y)),
  ),
  transpose: nonlinear,
})

const logAddExp = (x: number, y: number): number => {
  if (x === y) return x + Math.LN2
  const largest = Math.max(x, y)
  return largest + Math.log1p(Math.exp(-Math.abs(x - y)))
}

/** x − y where they differ, 0 where they are equal, infinities included. */
const difference = (x: NDArray, y: NDArray): NDArray => select(eq(x, y), zerosLike(x), sub(x, y))

/** d ln(eˣ + eʸ) = e^(x−z) ẋ + e^(y−z) ẏ. */
const combineLogSums: CombineDuals = ([p, pDot], [q, qDot]) => {
  const z = add(maximum(p, q), log1p(exp(neg(abs(difference(p, q))))))
  const weight = (x: NDArray): NDArray => exp(difference(x, z))
  return [z, addAny(mul(pDot, weight(p)), mul(qDot, weight(q)))]
}

/** Running ln Σ eˣ, without overflow. */
export const cumlogsumexp: ParametricOperation<CumulativeParams> = cumulative('cumlogsumexp', {
  monoid: 'logsumexp',
  accepts: floating,
  combine: logAddExp,
  jvp: scanJvp((x, params) => cumlogsumexp(x, params), combineLogSums),
  transpose: nonlinear,
})
