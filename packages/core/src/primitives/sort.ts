/** Sorting, and the largest elements. */
import type { NDArray } from '../array/ndarray'
import type { LoweringContext, Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, shapesEqual, withShape } from '../types/aval'
import { bytesOf, type DType, isFloating } from '../types/dtype'
import { ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { bind } from '../trace/interpreter'
import {
  definePrimitive,
  isZero,
  nonlinear,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { gather } from './gather'
import { moveAxis, reshape, withMappedAxis } from './movement'
import { operation, type Operation } from './operation'
import { iota } from './slicing'
import { allocateHost, forEachIndex, hostArray, rowMajorStrides } from './strided'

/** `x` read along `axis` at the positions in `indices`, which has the other sizes of `x`. */
export function takeAlongAxis(x: NDArray, indices: NDArray, axis: number): NDArray {
  const others = range(x.ndim).filter((a) => a !== axis)
  return gather(x, reshape(indices, { newSizes: [...indices.shape, 1] }), {
    dimensionNumbers: {
      offsetDims: [],
      collapsedSliceDims: [axis],
      startIndexMap: [axis],
      operandBatchingDims: others,
      startIndicesBatchingDims: others,
    },
    sliceSizes: x.shape.map((size) => Math.min(1, size)),
    mode: 'promiseInBounds',
  })
}

/** Calls `visit` with the start of every line along `axis`. */
function forEachLine(
  shape: readonly number[],
  axis: number,
  visit: (base: number, stride: number) => void,
): void {
  const strides = rowMajorStrides(shape)
  const lines = shape.map((size, a) => (a === axis ? Math.min(1, size) : size))
  forEachIndex(lines, (index) => {
    let base = 0
    for (let a = 0; a < index.length; a++) base += index[a] * strides[a]
    visit(base, strides[axis])
  })
}

// --- sort -----------------------------------------------------------------------------------------------------

export type SortParams = {
  readonly dimension: number
  readonly isStable: boolean
  readonly numKeys: number
}

const bindSort = (operands: readonly NDArray[], params: SortParams): readonly NDArray[] =>
  bind(sortPrimitive, operands, params)

/** Ascending; NaN comes last, and −0 equals 0. */
const compareNumbers = (x: number, y: number): number => {
  if (x < y) return -1
  if (x > y) return 1
  return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
}

const sortPrimitive: Primitive<SortParams> = definePrimitive<SortParams>({
  name: 'sort',
  abstractEval: (operands, { dimension, numKeys }) => {
    const [first] = operands
    const fits =
      first !== undefined &&
      dimension >= 0 &&
      dimension < first.ndim &&
      numKeys >= 1 &&
      numKeys <= operands.length &&
      operands.every((o) => shapesEqual(o.shape, first.shape))
    if (!fits) {
      throw new ShapeError({
        op: 'sort',
        problem: `cannot sort along axis ${dimension} by ${numKeys} keys`,
        operands: operands.map((aval, i) => ({ name: `operand ${i}`, aval })),
        axis: dimension,
        rule: 'operands have one shape with that axis, and there are at least as many as keys',
      })
    }
    return operands
  },
  // The permutation is locally constant: tangents are permuted like values.
  jvp: (operands, dots, params) => {
    const [{ shape }] = operands
    const places = iota({ dtype: 'int32', shape, dimension: params.dimension })
    const sorted = bindSort([...operands, places], params)
    const permutation = sorted[operands.length]
    const primals = sorted.slice(0, operands.length)
    const tangents = dots.map((dot, i): Tangent =>
      isZero(dot) ? zeroLike(primals[i]) : takeAlongAxis(dot, permutation, params.dimension),
    )
    return { primals, tangents }
  },
  transpose: nonlinear,
  batch: ({ size }, operands, dims, params) => {
    const outputs = bindSort(
      operands.map((x, i) => withMappedAxis(x, dims[i], size, 0)),
      { ...params, dimension: params.dimension + 1 },
    )
    return { outputs, dims: outputs.map(() => 0) }
  },
  evaluate: (operands, { dimension, numKeys }, avals) => {
    const [{ shape }] = avals
    const results = avals.map((aval) => allocateHost(aval.dtype, aval.size))
    const keys = operands.slice(0, numKeys)
    forEachLine(shape, dimension, (base, stride) => {
      const order = range(shape[dimension]).sort((i, j) => {
        for (const key of keys) {
          const order = compareNumbers(key.data[base + i * stride], key.data[base + j * stride])
          if (order !== 0) return order
        }
        return i - j
      })
      operands.forEach((operand, n) => {
        order.forEach((from, to) => {
          results[n][base + to * stride] = operand.data[base + from * stride]
        })
      })
    })
    return avals.map((aval, n) => hostArray(aval, results[n]))
  },
  lower: (context, operands, { dimension, numKeys }) => context.sort(operands, dimension, numKeys),
})

/** Sorts along one axis by the first `numKeys` operands; the others follow. Always stable. */
export const sort: Operation<
  [
    operands: readonly NDArray[],
    params: { readonly dimension: number; readonly isStable?: boolean; readonly numKeys?: number },
  ],
  SortParams,
  readonly NDArray[]
> = operation(
  sortPrimitive,
  (
    operands: readonly NDArray[],
    {
      dimension,
      isStable = true,
      numKeys = 1,
    }: { dimension: number; isStable?: boolean; numKeys?: number },
  ) => bindSort(operands, { dimension, isStable, numKeys }),
)

// --- top_k ----------------------------------------------------------------------------------------------------

export type TopKParams = { readonly axis: number; readonly k: number }

const bindTopK = (x: NDArray, params: TopKParams): readonly NDArray[] =>
  bind(topKPrimitive, [x], params)

/** Descending in XLA's total order: NaN first, 0 before −0. */
const compareDescending = (x: number, y: number): number => {
  const order = compareNumbers(y, x)
  if (order !== 0 || x !== 0) return order
  return Number(Object.is(x, -0)) - Number(Object.is(y, -0))
}

/**
 * Keys whose ascending order is the descending order of `x`. The bits of a float, read as an integer
 * and with the magnitude bits of negative numbers flipped, are ordered as the float; complementing
 * an integer reverses it. There is no integer as wide as a float64: it is ordered by "is not NaN", −x,
 * and among zeros by the sign of 1/x.
 */
function descendingKeys(context: LoweringContext, x: Tensor): readonly Tensor[] {
  const { shape, dtype } = x.aval
  const map = (to: DType, f: (value: expr.Scalar) => expr.Scalar): Tensor =>
    context.map(new Aval(shape, to), f, x)
  if (dtype === 'float64') {
    return [
      map('bool', (v) => expr.binary('eq', 'bool', v, v)),
      map('float64', (v) => expr.unary('neg', 'float64', v)),
      map('bool', (v) => {
        const reciprocal = expr.binary('div', 'float64', expr.constant('float64', 1), v)
        return expr.binary('lt', 'bool', reciprocal, expr.constant('float64', 0))
      }),
    ]
  }
  if (!isFloating(dtype)) return [map(dtype, (v) => expr.unary('not', dtype, v))]
  const int: DType = bytesOf(dtype) === 4 ? 'int32' : 'int16'
  const magnitude = expr.constant(int, int === 'int32' ? 0x7fffffff : 0x7fff)
  return [
    map(int, (v) => {
      const bits = expr.bitcast(int, v)
      const isNegative = expr.binary('lt', 'bool', bits, expr.constant(int, 0))
      const ordered = expr.select(isNegative, expr.binary('xor', int, bits, magnitude), bits)
      const isNumber = expr.binary('eq', 'bool', v, v)
      const least = expr.constant(int, int === 'int32' ? -(2 ** 31) : -(2 ** 15))
      return expr.select(isNumber, expr.unary('not', int, ordered), least)
    }),
  ]
}

const topKPrimitive: Primitive<TopKParams> = definePrimitive<TopKParams>({
  name: 'top_k',
  abstractEval: ([x], { axis, k }) => {
    if (!(axis >= 0 && axis < x.ndim && k >= 0 && k <= x.shape[axis])) {
      throw new ShapeError({
        op: 'topK',
        problem: `there are no ${k} elements along axis ${axis}`,
        operands: [{ name: 'x', aval: x }],
        axis,
        rule: '0 <= k <= size of the axis',
      })
    }
    const shape = x.shape.map((size, a) => (a === axis ? k : size))
    return [withShape(x, shape), new Aval(shape, 'int32')]
  },
  jvp: ([x], [xDot], params) => {
    const [values, indices] = bindTopK(x, params)
    const dot = isZero(xDot) ? zeroLike(values) : takeAlongAxis(xDot, indices, params.axis)
    return { primals: [values, indices], tangents: [dot, zeroLike(indices)] }
  },
  transpose: nonlinear,
  batch: (_axis, [x], [dim], { axis, k }) => {
    const mapped = dim === null ? x : moveAxis(x, dim, 0)
    const outputs = bindTopK(mapped, { axis: dim === null ? axis : axis + 1, k })
    return { outputs, dims: outputs.map(() => (dim === null ? null : 0)) }
  },
  evaluate: ([x], { axis, k }, [valuesAval, indicesAval]) => {
    const length = x.aval.shape[axis]
    const values = allocateHost(valuesAval.dtype, valuesAval.size)
    const indices = allocateHost('int32', indicesAval.size)
    const sortedLines: { base: number; order: number[] }[] = []
    forEachLine(x.aval.shape, axis, (base, stride) => {
      const order = range(length).sort(
        (i, j) => compareDescending(x.data[base + i * stride], x.data[base + j * stride]) || i - j,
      )
      sortedLines.push({ base, order })
    })
    let line = 0
    const sourceStride = rowMajorStrides(x.aval.shape)[axis]
    forEachLine(valuesAval.shape, axis, (base, stride) => {
      const { base: source, order } = sortedLines[line++]
      for (let i = 0; i < k; i++) {
        values[base + i * stride] = x.data[source + order[i] * sourceStride]
        indices[base + i * stride] = order[i]
      }
    })
    return [hostArray(valuesAval, values), hostArray(indicesAval, indices)]
  },
  lower: (context, [x], { axis }, outputs) => {
    const keys = descendingKeys(context, x)
    const places = context.iota(new Aval(x.aval.shape, 'int32'), axis)
    const sorted = context.sort([...keys, x, places], axis, keys.length)
    return outputs.map((aval, i) =>
      context.reindex(
        sorted[keys.length + i],
        aval,
        aval.shape.map((_, a) => ({
          offset: 0,
          strides: aval.shape.map((_, b) => Number(a === b)),
        })),
      ),
    )
  },
})

/** The `k` largest elements along an axis, descending, and where they stand. */
export const topK: Operation<[x: NDArray, params: TopKParams], TopKParams, readonly NDArray[]> =
  operation(topKPrimitive, bindTopK)
