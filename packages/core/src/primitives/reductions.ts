/** Products, extrema and logic over axes, and the position of an extremum. */
import type { NDArray } from '../array/ndarray'
import type { Monoid } from '../compiler/context'
import { Aval } from '../types/aval'
import { type DType, isInteger } from '../types/dtype'
import { ArgumentError, DTypeError } from '../types/errors'
import { range } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  discreteResult,
  isZero,
  type JvpRule,
  nonlinear,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { div, mul } from './arithmetic'
import { eq } from './comparison'
import { addAny, full } from './constants'
import { convertElementType } from './convert'
import { broadcastInDim, reduceSum, reshape, squeeze, transpose } from './movement'
import { operation, type ParametricOperation } from './operation'
import { anyDType, bitwise, type DTypeSet, numeric } from './pointwise'
import {
  evaluateReduction,
  forEachFiber,
  lowerReduction,
  reducedAval,
  reductionBatch,
} from './reduction'
import { pad, slice } from './slicing'
import { allocateHost, hostArray } from './strided'

export type ReduceParams = { readonly axes: readonly number[] }

interface ReductionRules {
  readonly monoid: Monoid
  /** The same on bools, where it has another name. */
  readonly onBools?: Monoid
  readonly accepts: DTypeSet
  readonly jvp: JvpRule<ReduceParams>
}

function reduction(name: string, rules: ReductionRules): ParametricOperation<ReduceParams> {
  const apply = (x: NDArray, params: ReduceParams): NDArray =>
    params.axes.length === 0 ? x : bind1(primitive, [x], params)
  const primitive: Primitive<ReduceParams> = definePrimitive<ReduceParams>({
    name,
    abstractEval: ([x], { axes }) => {
      if (!rules.accepts.has(x.dtype)) {
        throw new DTypeError({
          op: name,
          problem: `does not take ${x.dtype}`,
          operands: [{ name: 'x', aval: x }],
          rule: `the operand is ${rules.accepts.name}`,
        })
      }
      return [reducedAval(name, x, axes)]
    },
    jvp: rules.jvp,
    transpose: nonlinear,
    batch: reductionBatch(apply),
    evaluate: evaluateReduction(rules.monoid),
    lower: lowerReduction(rules.monoid, rules.onBools),
  })
  return operation(primitive, apply)
}

/** `y` repeated along the reduced axes of `x`. */
const spreadBack = (y: NDArray, x: NDArray, axes: readonly number[]): NDArray =>
  broadcastInDim(y, {
    shape: x.shape,
    broadcastDimensions: range(x.ndim).filter((axis) => !axes.includes(axis)),
  })

// --- extrema -------------------------------------------------------------------------------------------

/** The elements equal to the extremum share its tangent evenly. */
const extremumJvp =
  (apply: (x: NDArray, params: ReduceParams) => NDArray): JvpRule<ReduceParams> =>
  ([x], [xDot], params) => {
    const y = apply(x, params)
    if (isZero(xDot)) return { primals: [y], tangents: [zeroLike(y)] }
    const chosen = convertElementType(eq(x, spreadBack(y, x, params.axes)), {
      newDtype: xDot.dtype,
      weakType: xDot.aval.weakType,
    })
    const count = reduceSum(chosen, params)
    return { primals: [y], tangents: [div(reduceSum(mul(xDot, chosen), params), count)] }
  }

/** The largest element over `axes`; NaN if there is one. */
export const reduceMax: ParametricOperation<ReduceParams> = reduction('reduce_max', {
  monoid: 'max',
  onBools: 'or',
  accepts: anyDType,
  jvp: extremumJvp((x, params) => reduceMax(x, params)),
})

/** The smallest element over `axes`; NaN if there is one. */
export const reduceMin: ParametricOperation<ReduceParams> = reduction('reduce_min', {
  monoid: 'min',
  onBools: 'and',
  accepts: anyDType,
  jvp: extremumJvp((x, params) => reduceMin(x, params)),
})

// --- product ---------------------------------------------------------------------------------------------

/** Rows `first, first + 2, …` of `[n, …]`. */
const everySecondRow = (x: NDArray, first: 0 | 1): NDArray =>
  slice(x, {
    startIndices: x.shape.map((_, axis) => (axis === 0 ? first : 0)),
    limitIndices: x.shape,
    strides: x.shape.map((_, axis) => (axis === 0 ? 2 : 1)),
  })

const appendRow = (x: NDArray, value: number): NDArray =>
  pad(x, full([], value, x.dtype, x.aval.weakType), {
    paddingConfig: x.shape.map((_, axis) => [0, axis === 0 ? 1 : 0, 0] as const),
  })

/**
 * The tangent of the product along axis 0 of `[n, …]`, without divisions, so that zeros are no special
 * case: neighbours are combined as in a tree, (p, ṗ)·(q, q̇) = (pq, ṗq + pq̇).
 */
function productTangent(x: NDArray, xDot: NDArray): NDArray {
  let [p, pDot] = [x, xDot]
  while (p.shape[0] !== 1) {
    if (p.shape[0] % 2 === 1 || p.shape[0] === 0) {
      p = appendRow(p, 1)
      pDot = appendRow(pDot, 0)
      continue
    }
    const [pEven, pOdd] = [everySecondRow(p, 0), everySecondRow(p, 1)]
    const [dotEven, dotOdd] = [everySecondRow(pDot, 0), everySecondRow(pDot, 1)]
    pDot = addAny(mul(dotEven, pOdd), mul(pEven, dotOdd))
    p = mul(pEven, pOdd)
  }
  return squeeze(pDot, { dimensions: [0] })
}

/** The reduced axes merged into one in front. */
function mergeInFront(x: NDArray, axes: readonly number[]): NDArray {
  const kept = range(x.ndim).filter((axis) => !axes.includes(axis))
  const merged = axes.reduce((product, axis) => product * x.shape[axis], 1)
  return reshape(transpose(x, { permutation: [...axes, ...kept] }), {
    newSizes: [merged, ...kept.map((axis) => x.shape[axis])],
  })
}

/** The product over `axes`. */
export const reduceProd: ParametricOperation<ReduceParams> = reduction('reduce_prod', {
  monoid: 'prod',
  accepts: numeric,
  jvp: ([x], [xDot], params) => {
    const y = reduceProd(x, params)
    if (isZero(xDot)) return { primals: [y], tangents: [zeroLike(y)] }
    const yDot = productTangent(mergeInFront(x, params.axes), mergeInFront(xDot, params.axes))
    return { primals: [y], tangents: [yDot] }
  },
})

// --- logic -----------------------------------------------------------------------------------------------

const logical = (name: string, monoid: 'and' | 'or'): ParametricOperation<ReduceParams> => {
  const op: ParametricOperation<ReduceParams> = reduction(name, {
    monoid,
    accepts: bitwise,
    jvp: discreteResult(([x], params) => [op(x, params)]),
  })
  return op
}

/** Whether all elements over `axes` are true; of integers, the bits they share. */
export const reduceAnd: ParametricOperation<ReduceParams> = logical('reduce_and', 'and')

/** Whether any element over `axes` is true; of integers, all bits that occur. */
export const reduceOr: ParametricOperation<ReduceParams> = logical('reduce_or', 'or')

// --- position of an extremum -------------------------------------------------------------------------------

export type ArgExtremumParams = { readonly axes: readonly number[]; readonly indexDtype: DType }

function argExtremum(
  name: 'argmax' | 'argmin',
  better: (x: number, best: number) => boolean,
): ParametricOperation<ArgExtremumParams> {
  const apply = (x: NDArray, params: ArgExtremumParams): NDArray => bind1(primitive, [x], params)
  const primitive: Primitive<ArgExtremumParams> = definePrimitive<ArgExtremumParams>({
    name,
    abstractEval: ([x], { axes, indexDtype }) => {
      if (axes.length !== 1 || !isInteger(indexDtype) || x.shape[axes[0]] === 0) {
        throw new ArgumentError({
          op: name,
          problem: `cannot give the ${indexDtype} position along axes [${axes.join(',')}]`,
          operands: [{ name: 'x', aval: x }],
          rule: 'one axis with at least one element, and an integer dtype for the result',
        })
      }
      return [new Aval(reducedAval(name, x, axes).shape, indexDtype)]
    },
    jvp: discreteResult(([x], params) => [apply(x, params)]),
    transpose: nonlinear,
    batch: reductionBatch(apply),
    evaluate: ([x], { axes }, [aval]) => {
      const data = allocateHost(aval.dtype, aval.size)
      forEachFiber(x, axes, (base, relative, flat) => {
        let best = 0
        // The first extremum wins, and the first NaN over everything.
        for (let i = 1; i < relative.length; i++) {
          const champion = x.data[base + relative[best]]
          const value = x.data[base + relative[i]]
          if (Number.isNaN(champion)) break
          if (Number.isNaN(value) || better(value, champion)) best = i
        }
        data[flat] = best
      })
      return [hostArray(aval, data)]
    },
    lower: (context, [x], { axes }, [aval]) => [
      context.argReduce(name === 'argmax' ? 'max' : 'min', x, axes[0], aval),
    ],
  })
  return operation(primitive, apply)
}

/** Position of the largest element along one axis: the first one, or the first NaN. */
export const argmax: ParametricOperation<ArgExtremumParams> = argExtremum('argmax', (x, y) => x > y)
/** Position of the smallest element along one axis: the first one, or the first NaN. */
export const argmin: ParametricOperation<ArgExtremumParams> = argExtremum('argmin', (x, y) => x < y)
