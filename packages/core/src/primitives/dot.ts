/** `dot_general`: the product of two arrays over batch and contracting axes. */
import type { NDArray } from '../array/ndarray'
import type { LoweringContext, Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, type Shape } from '../types/aval'
import { type DType, isInteger } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import { inversePermutation, permuted, range } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  type BatchDim,
  definePrimitive,
  isLinear,
  isZero,
  nonlinear,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { addTangents } from './constants'
import { convertElementType } from './convert'
import { transpose } from './movement'
import { operation, type Operation } from './operation'
import { numeric } from './pointwise'
import { dimAfterReduction, shiftAxes } from './reduction'
import { allocateHost, hostArray, type HostArray, readStrided, rowMajorStrides } from './strided'

type Axes = readonly number[]
/** `[[lhsContracting, rhsContracting], [lhsBatch, rhsBatch]]`, as in JAX. */
export type DotDimensionNumbers = readonly [
  contracting: readonly [lhs: Axes, rhs: Axes],
  batch: readonly [lhs: Axes, rhs: Axes],
]
export type DotGeneralParams = {
  readonly dimensionNumbers: DotDimensionNumbers
  /** The dtype to accumulate in and to answer; null for the operands'. */
  readonly preferredElementType: DType | null
}

/** The axes that are neither contracted nor batched, in order: those that remain. */
const freeAxes = (ndim: number, contracting: Axes, batch: Axes): number[] =>
  range(ndim).filter((axis) => !contracting.includes(axis) && !batch.includes(axis))

const sizesOf = (shape: Shape, axes: Axes): number[] => axes.map((axis) => shape[axis])

function dotShape(
  x: Aval,
  y: Aval,
  [[xContracting, yContracting], [xBatch, yBatch]]: DotDimensionNumbers,
): Shape {
  const problem = (what: string): ShapeError =>
    new ShapeError({
      op: 'dotGeneral',
      problem: what,
      operands: [
        { name: 'lhs', aval: x, note: `contracts [${xContracting}], batches [${xBatch}]` },
        { name: 'rhs', aval: y, note: `contracts [${yContracting}], batches [${yBatch}]` },
      ],
      rule: 'paired axes have equal sizes, and no axis is used twice',
    })
  const distinct = (axes: Axes, ndim: number): boolean =>
    new Set(axes).size === axes.length && axes.every((a) => a >= 0 && a < ndim)
  if (
    xContracting.length !== yContracting.length ||
    xBatch.length !== yBatch.length ||
    !distinct([...xContracting, ...xBatch], x.ndim) ||
    !distinct([...yContracting, ...yBatch], y.ndim)
  ) {
    throw problem('the dimension numbers do not pair axes of the operands')
  }
  const agree = (left: Axes, right: Axes): boolean =>
    left.every((axis, i) => x.shape[axis] === y.shape[right[i]])
  if (!agree(xContracting, yContracting)) throw problem('contracting dimensions differ')
  if (!agree(xBatch, yBatch)) throw problem('batch dimensions differ')
  return [
    ...sizesOf(x.shape, xBatch),
    ...sizesOf(x.shape, freeAxes(x.ndim, xContracting, xBatch)),
    ...sizesOf(y.shape, freeAxes(y.ndim, yContracting, yBatch)),
  ]
}

const bindDot = (x: NDArray, y: NDArray, params: DotGeneralParams): NDArray =>
  bind1(dotPrimitive, [x, y], params)

/** The cotangent of `lhs`: contract z̄ with `rhs` over rhs's free axes, and put the axes in order. */
function lhsCotangent(
  zBar: NDArray,
  x: { readonly aval: Aval },
  y: NDArray,
  [[xContracting, yContracting], [xBatch, yBatch]]: DotDimensionNumbers,
  rhsIsFirst: boolean,
): NDArray {
  const xFree = freeAxes(x.aval.ndim, xContracting, xBatch)
  const yFree = freeAxes(y.ndim, yContracting, yBatch)
  const batchCount = xBatch.length
  // z has the axes [batch, free of first operand, free of second operand].
  const zOfY = rhsIsFirst
    ? range(batchCount, batchCount + yFree.length)
    : range(batchCount + xFree.length, zBar.ndim)
  const product = bindDot(zBar, y, {
    dimensionNumbers: [
      [zOfY, yFree],
      [range(batchCount), yBatch],
    ],
    preferredElementType: x.aval.dtype,
  })
  // The product has [batch, xFree, contracted axes in y's order].
  const byY = [...range(yContracting.length)].sort((a, b) => yContracting[a] - yContracting[b])
  const xAxes = [...xBatch, ...xFree, ...byY.map((i) => xContracting[i])]
  return converted(transpose(product, { permutation: inversePermutation(xAxes) }), x.aval)
}

const converted = (x: NDArray, aval: Aval): NDArray =>
  x.dtype === aval.dtype
    ? x
    : convertElementType(x, { newDtype: aval.dtype, weakType: aval.weakType })

const swapped = ([[xc, yc], [xb, yb]]: DotDimensionNumbers): DotDimensionNumbers => [
  [yc, xc],
  [yb, xb],
]

const dotPrimitive: Primitive<DotGeneralParams> = definePrimitive<DotGeneralParams>({
  name: 'dot_general',
  abstractEval: ([x, y], { dimensionNumbers, preferredElementType }) => {
    if (x.dtype !== y.dtype || !numeric.has(x.dtype)) {
      throw new DTypeError({
        op: 'dotGeneral',
        problem: `cannot multiply ${x.dtype} and ${y.dtype}`,
        operands: [
          { name: 'lhs', aval: x },
          { name: 'rhs', aval: y },
        ],
        rule: 'both operands have one dtype, integer or floating',
        hint: 'np.matmul and np.dot promote for you',
      })
    }
    const shape = dotShape(x, y, dimensionNumbers)
    const weakType = preferredElementType === null && x.weakType && y.weakType
    return [new Aval(shape, preferredElementType ?? x.dtype, weakType)]
  },
  // Bilinear: ż = ẋ·y + x·ẏ.
  jvp: ([x, y], [xDot, yDot], params) => {
    const z = bindDot(x, y, params)
    const left: Tangent = isZero(xDot) ? zeroLike(z) : bindDot(xDot, y, params)
    const right: Tangent = isZero(yDot) ? zeroLike(z) : bindDot(x, yDot, params)
    return { primals: [z], tangents: [addTangents(left, right)] }
  },
  transpose: (cotangents, operands, params) => {
    const [zBar] = cotangents
    const [x, y] = operands
    if (isLinear(x) && !isLinear(y)) {
      if (isZero(zBar)) return [zeroLike(x), null]
      return [lhsCotangent(converted(zBar, y.aval), x, y, params.dimensionNumbers, false), null]
    }
    if (isLinear(y) && !isLinear(x)) {
      if (isZero(zBar)) return [null, zeroLike(y)]
      const numbers = swapped(params.dimensionNumbers)
      return [null, lhsCotangent(converted(zBar, x.aval), y, x, numbers, true)]
    }
    return nonlinear(cotangents, operands, params)
  },
  batch: (_axis, [x, y], [xDim, yDim], params) => batchDot(x, y, xDim, yDim, params),
  evaluate: ([x, y], params, [aval]) => [evaluateDot(x, y, params, aval)],
  lower: (context, [x, y], params, [aval]) => [lowerDot(context, x, y, params, aval)],
})

/** Both mapped: one more batch axis. One mapped: its axis is a free axis that then moves. */
function batchDot(
  x: NDArray,
  y: NDArray,
  xDim: BatchDim,
  yDim: BatchDim,
  params: DotGeneralParams,
): { outputs: NDArray[]; dims: BatchDim[] } {
  const [[xContracting, yContracting], [xBatch, yBatch]] = params.dimensionNumbers
  const shift = (axes: Axes, dim: BatchDim): number[] =>
    dim === null ? [...axes] : shiftAxes(axes, dim)
  const both = xDim !== null && yDim !== null
  const dimensionNumbers: DotDimensionNumbers = [
    [shift(xContracting, xDim), shift(yContracting, yDim)],
    [
      both ? [xDim, ...shift(xBatch, xDim)] : shift(xBatch, xDim),
      both ? [yDim, ...shift(yBatch, yDim)] : shift(yBatch, yDim),
    ],
  ]
  const z = bindDot(x, y, { ...params, dimensionNumbers })
  if (xDim === null && yDim === null) return { outputs: [z], dims: [null] }
  if (both) return { outputs: [z], dims: [0] }
  if (xDim !== null) {
    const place = dimAfterReduction(xDim, [...xContracting, ...xBatch])
    return { outputs: [z], dims: [xBatch.length + place] }
  }
  const place = dimAfterReduction(yDim ?? 0, [...yContracting, ...yBatch])
  const xFree = x.ndim - xContracting.length - xBatch.length
  return { outputs: [z], dims: [xBatch.length + xFree + place] }
}

/** The operand with its axes in the order [batch, free, contracting], as one reads it. */
const axesInOrder = (ndim: number, contracting: Axes, batch: Axes): number[] => [
  ...batch,
  ...freeAxes(ndim, contracting, batch),
  ...contracting,
]

function rearranged(x: HostArray, axes: Axes): HostArray {
  const aval = new Aval(permuted(x.aval.shape, axes), x.aval.dtype)
  return readStrided(x, aval, 0, permuted(rowMajorStrides(x.aval.shape), axes))
}

function evaluateDot(
  x: HostArray,
  y: HostArray,
  { dimensionNumbers: [[xContracting, yContracting], [xBatch, yBatch]] }: DotGeneralParams,
  aval: Aval,
): HostArray {
  const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)
  const xFree = freeAxes(x.aval.ndim, xContracting, xBatch)
  const yFree = freeAxes(y.aval.ndim, yContracting, yBatch)
  const batch = product(sizesOf(x.aval.shape, xBatch))
  const m = product(sizesOf(x.aval.shape, xFree))
  const n = product(sizesOf(y.aval.shape, yFree))
  const k = product(sizesOf(x.aval.shape, xContracting))
  const a = rearranged(x, [...xBatch, ...xFree, ...xContracting]).data
  const b = rearranged(y, [...yBatch, ...yFree, ...yContracting]).data
  const data = allocateHost(aval.dtype, aval.size)
  const wraps = isInteger(aval.dtype)
  for (let group = 0; group < batch; group++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const [row, column] = [(group * m + i) * k, (group * n + j) * k]
        let sum = 0
        for (let p = 0; p < k; p++) {
          sum = wraps
            ? (sum + Math.imul(a[row + p], b[column + p])) | 0
            : sum + a[row + p] * b[column + p]
        }
        data[(group * m + i) * n + j] = sum
      }
    }
  }
  return hostArray(aval, data)
}

function lowerDot(
  context: LoweringContext,
  x: Tensor,
  y: Tensor,
  { dimensionNumbers: [[xContracting, yContracting], [xBatch, yBatch]] }: DotGeneralParams,
  aval: Aval,
): Tensor {
  /** Axes in the order [batch, free, contracting], and converted to the result's dtype. */
  const prepared = (operand: Tensor, contracting: Axes, batch: Axes): Tensor => {
    const { shape, dtype, ndim } = operand.aval
    const order = axesInOrder(ndim, contracting, batch)
    const place = inversePermutation(order)
    const view = context.reindex(
      operand,
      new Aval(permuted(shape, order), dtype),
      place.map((axis) => ({
        offset: 0,
        strides: range(ndim).map((iteration) => (iteration === axis ? 1 : 0)),
      })),
    )
    return dtype === aval.dtype
      ? view
      : context.map(new Aval(view.aval.shape, aval.dtype), (v) => expr.convert(aval.dtype, v), view)
  }
  return context.contract({
    batch: sizesOf(x.aval.shape, xBatch),
    m: sizesOf(x.aval.shape, freeAxes(x.aval.ndim, xContracting, xBatch)),
    n: sizesOf(y.aval.shape, freeAxes(y.aval.ndim, yContracting, yBatch)),
    k: sizesOf(x.aval.shape, xContracting),
    lhs: prepared(x, xContracting, xBatch),
    rhs: prepared(y, yContracting, yBatch),
    aval,
  })
}

/** Sums products over the contracting axes, for every index of the batch and free axes. */
export const dotGeneral: Operation<
  [
    x: NDArray,
    y: NDArray,
    params: {
      readonly dimensionNumbers: DotDimensionNumbers
      readonly preferredElementType?: DType | null
    },
  ],
  DotGeneralParams
> = operation(
  dotPrimitive,
  (
    x: NDArray,
    y: NDArray,
    {
      dimensionNumbers,
      preferredElementType = null,
    }: { dimensionNumbers: DotDimensionNumbers; preferredElementType?: DType | null },
  ) => bindDot(x, y, { dimensionNumbers, preferredElementType }),
)
