/**
 * Axes rearranged, repeated and merged, and the sum that undoes repetition. These five are closed
 * under transposition, which is why `reduce_sum` stands here and not with the other reductions.
 */
import type { NDArray } from '../array/ndarray'
import { bind1 } from '../trace/interpreter'
import type { Equation } from '../jaxpr/ir'
import { definePrimitive, type Params, type Primitive } from '../trace/primitive'
import { shapesEqual, type Shape, sizeOf, withShape } from '../types/aval'
import { ShapeError } from '../types/errors'
import {
  inversePermutation,
  isIdentityPermutation,
  isPermutation,
  permuted,
  range,
  withAxis,
} from '../types/shape'
import { linear, linearJvp, linearTranspose } from './linear'
import { operation, type Operation, type ParametricOperation } from './operation'
import {
  evaluateReduction,
  lowerReduction,
  reducedAval,
  reductionBatch,
  shiftAxes,
} from './reduction'
import { readStrided, retyped, rowMajorStrides } from './strided'

// --- transpose -------------------------------------------------------------------------------------

export type TransposeParams = { readonly permutation: readonly number[] }

const transposeLinear: ParametricOperation<TransposeParams> = linear('transpose', {
  shape: (x, { permutation }) => {
    if (!isPermutation(permutation, x.ndim)) {
      throw new ShapeError({
        op: 'transpose',
        problem: `[${permutation.join(',')}] is not a permutation of the axes`,
        operands: [{ name: 'x', aval: x }],
        rule: `permutation holds each of the ${x.ndim} axes once`,
      })
    }
    return withShape(x, permuted(x.shape, permutation))
  },
  transpose: (yBar, _x, { permutation }) =>
    transpose(yBar, { permutation: inversePermutation(permutation) }),
  batch: (x, dim, { permutation }) => [
    transpose(x, { permutation: [dim, ...shiftAxes(permutation, dim)] }),
    0,
  ],
  evaluate: (x, { permutation }, y) =>
    readStrided(x, y, 0, permuted(rowMajorStrides(x.aval.shape), permutation)),
  lower: (context, x, { permutation }, y) => {
    const inverse = inversePermutation(permutation)
    return context.reindex(
      x,
      y,
      inverse.map((axis) => axisOf(axis, y.ndim)),
    )
  },
  compose: ({ permutation }, _operand, producer) => {
    if (isIdentityPermutation(permutation)) return 'identity'
    const inner = paramsOf(transposeLinear.primitive, producer)
    return inner && { params: { permutation: permuted(inner.permutation, permutation) } }
  },
  splat: ([element]) => element,
})

/** Axis `i` of the result is axis `permutation[i]` of `x`. */
export const transpose: ParametricOperation<TransposeParams> = operation(
  transposeLinear.primitive,
  (x: NDArray, params: TransposeParams) =>
    isIdentityPermutation(params.permutation) && params.permutation.length === x.ndim
      ? x
      : transposeLinear(x, params),
)

/** The affine function that is iteration axis `axis`, scaled and shifted. */
const axisOf = (axis: number | null, ndim: number): { offset: number; strides: number[] } => {
  const strides = new Array<number>(ndim).fill(0)
  if (axis !== null) strides[axis] = 1
  return { offset: 0, strides }
}

/** The parameters of the equation that made an operand, if it is of this primitive. */
const paramsOf = <P extends Params>(
  primitive: Primitive<P>,
  producer: Equation | null,
): P | null =>
  producer !== null && producer.primitive === primitive ? (producer.params as P) : null

/** Moves one axis and keeps the order of the others. */
export function moveAxis(x: NDArray, from: number, to: number): NDArray {
  if (from === to) return x
  const others = range(x.ndim).filter((axis) => axis !== from)
  return transpose(x, { permutation: [...others.slice(0, to), from, ...others.slice(to)] })
}

// --- broadcast_in_dim and reduce_sum: each is the other's transpose ---------------------------------

export type BroadcastInDimParams = {
  readonly shape: Shape
  readonly broadcastDimensions: readonly number[]
}

const broadcastLinear: ParametricOperation<BroadcastInDimParams> = linear('broadcast_in_dim', {
  shape: (x, { shape, broadcastDimensions: dims }) => {
    const fits =
      dims.length === x.ndim &&
      dims.every((d, i) => d >= 0 && d < shape.length && (i === 0 || d > dims[i - 1])) &&
      dims.every((d, i) => x.shape[i] === 1 || x.shape[i] === shape[d])
    if (!fits) {
      throw new ShapeError({
        op: 'broadcastInDim',
        problem: `the operand does not broadcast to [${shape.join(',')}]`,
        operands: [
          { name: 'x', aval: x, note: `its axes become axes [${dims.join(',')}] of the result` },
        ],
        rule: 'broadcastDimensions increase, one per axis, and each size is 1 or that of the result',
      })
    }
    return withShape(x, shape)
  },
  transpose: (yBar, x, { shape, broadcastDimensions }) => {
    const unit = range(x.ndim).filter((axis) => x.shape[axis] === 1)
    const kept = broadcastDimensions.filter((_, axis) => !unit.includes(axis))
    const axes = range(shape.length).filter((axis) => !kept.includes(axis))
    return expandDims(reduceSum(yBar, { axes }), unit)
  },
  batch: (x, dim, { shape, broadcastDimensions }) => [
    broadcastInDim(moveAxis(x, dim, 0), {
      shape: [x.shape[dim], ...shape],
      broadcastDimensions: [0, ...broadcastDimensions.map((d) => d + 1)],
    }),
    0,
  ],
  evaluate: (x, { shape, broadcastDimensions }, y) => {
    const strides = new Array<number>(shape.length).fill(0)
    const source = rowMajorStrides(x.aval.shape)
    broadcastDimensions.forEach((d, axis) => {
      if (x.aval.shape[axis] !== 1) strides[d] = source[axis]
    })
    return readStrided(x, y, 0, strides)
  },
  lower: (context, x, { broadcastDimensions }, y) =>
    context.reindex(
      x,
      y,
      broadcastDimensions.map((d, axis) => axisOf(x.aval.shape[axis] === 1 ? null : d, y.ndim)),
    ),
  compose: ({ shape, broadcastDimensions }, operand, producer) => {
    if (shapesEqual(shape, operand.shape)) return 'identity'
    const inner = paramsOf(broadcastLinear.primitive, producer)
    return (
      inner && {
        params: {
          shape,
          broadcastDimensions: permuted(broadcastDimensions, inner.broadcastDimensions),
        },
      }
    )
  },
  splat: ([element]) => element,
})

/** Axis `i` of `x` becomes axis `broadcastDimensions[i]` of the result, repeated if its size is 1. */
export const broadcastInDim: ParametricOperation<BroadcastInDimParams> = operation(
  broadcastLinear.primitive,
  (x: NDArray, params: BroadcastInDimParams) =>
    shapesEqual(x.shape, params.shape) && isIdentityPermutation(params.broadcastDimensions)
      ? x
      : broadcastLinear(x, params),
)

/** New axes of size 1, at these positions of the result. */
export function expandDims(x: NDArray, axes: readonly number[]): NDArray {
  if (axes.length === 0) return x
  const ndim = x.ndim + axes.length
  const kept = range(ndim).filter((axis) => !axes.includes(axis))
  let shape: Shape = x.shape
  for (const axis of [...axes].sort((a, b) => a - b)) shape = withAxis(shape, axis, 1)
  return broadcastInDim(x, { shape, broadcastDimensions: kept })
}

export type ReduceSumParams = { readonly axes: readonly number[]; readonly outSharding: null }

const bindReduceSum = (x: NDArray, { axes }: { readonly axes: readonly number[] }): NDArray =>
  axes.length === 0 ? x : bind1(reduceSumPrimitive, [x], { axes, outSharding: null })

const reduceSumPrimitive: Primitive<ReduceSumParams> = definePrimitive<ReduceSumParams>({
  name: 'reduce_sum',
  abstractEval: ([x], { axes }) => [reducedAval('reduceSum', x, axes)],
  jvp: linearJvp(bindReduceSum),
  transpose: linearTranspose((yBar, x, { axes }) =>
    broadcastInDim(yBar, {
      shape: x.shape,
      broadcastDimensions: range(x.ndim).filter((axis) => !axes.includes(axis)),
    }),
  ),
  batch: reductionBatch(bindReduceSum),
  evaluate: evaluateReduction('sum'),
  lower: lowerReduction('sum'),
})

/** Sum over `axes`, which disappear. */
export const reduceSum: Operation<
  [x: NDArray, params: { readonly axes: readonly number[] }],
  ReduceSumParams
> = operation(reduceSumPrimitive, bindReduceSum)

// --- reshape and squeeze -----------------------------------------------------------------------------

export type ReshapeParams = {
  readonly newSizes: Shape
  readonly dimensions: null
  readonly sharding: null
}

const reshapeLinear: ParametricOperation<ReshapeParams> = linear('reshape', {
  shape: (x, { newSizes }) => {
    if (sizeOf(newSizes) !== x.size || newSizes.some((n) => !Number.isInteger(n) || n < 0)) {
      throw new ShapeError({
        op: 'reshape',
        problem: `cannot give ${x.size} elements the shape [${newSizes.join(',')}]`,
        operands: [{ name: 'x', aval: x }],
        rule: 'the number of elements stays the same',
      })
    }
    return withShape(x, newSizes)
  },
  transpose: (yBar, x) => reshape(yBar, { newSizes: x.shape }),
  batch: (x, dim, { newSizes }) => [
    reshape(moveAxis(x, dim, 0), { newSizes: [x.shape[dim], ...newSizes] }),
    0,
  ],
  evaluate: (x, _params, y) => retyped(x, y),
  lower: (context, x, _params, y) => context.reshape(x, y),
  compose: (params, operand, producer) => {
    if (shapesEqual(params.newSizes, operand.shape)) return 'identity'
    return paramsOf(reshapeLinear.primitive, producer) && { params }
  },
  splat: ([element]) => element,
})

/** The same elements in row-major order under another shape. */
export const reshape: Operation<[x: NDArray, params: { readonly newSizes: Shape }], ReshapeParams> =
  operation(reshapeLinear.primitive, (x: NDArray, { newSizes }: { readonly newSizes: Shape }) =>
    shapesEqual(x.shape, newSizes)
      ? x
      : reshapeLinear(x, { newSizes, dimensions: null, sharding: null }),
  )

export type SqueezeParams = { readonly dimensions: readonly number[] }

const squeezeLinear: ParametricOperation<SqueezeParams> = linear('squeeze', {
  shape: (x, { dimensions }) => {
    const y = reducedAval('squeeze', x, dimensions)
    const axis = dimensions.find((d) => x.shape[d] !== 1)
    if (axis !== undefined) {
      throw new ShapeError({
        op: 'squeeze',
        problem: `axis ${axis} has size ${x.shape[axis]}`,
        operands: [{ name: 'x', aval: x }],
        axis,
        rule: 'only axes of size 1 can be dropped',
      })
    }
    return y
  },
  transpose: (yBar, _x, { dimensions }) => expandDims(yBar, dimensions),
  batch: (x, dim, { dimensions }) => {
    const shifted = shiftAxes(dimensions, dim)
    return [squeeze(x, { dimensions: shifted }), dim - shifted.filter((axis) => axis < dim).length]
  },
  evaluate: (x, _params, y) => retyped(x, y),
  lower: (context, x, { dimensions }, y) => {
    let next = 0
    return context.reindex(
      x,
      y,
      x.aval.shape.map((_, axis) => axisOf(dimensions.includes(axis) ? null : next++, y.ndim)),
    )
  },
  splat: ([element]) => element,
})

/** Drops axes of size 1. */
export const squeeze: ParametricOperation<SqueezeParams> = operation(
  squeezeLinear.primitive,
  (x: NDArray, params: SqueezeParams) =>
    params.dimensions.length === 0 ? x : squeezeLinear(x, params),
)

// --- mapped axes ---------------------------------------------------------------------------------------

/** `x` with the mapped axis at `to`: moved there, or repeated `size` times if it is not mapped. */
export function withMappedAxis(x: NDArray, dim: number | null, size: number, to: number): NDArray {
  if (dim !== null) return moveAxis(x, dim, to)
  return broadcastInDim(x, {
    shape: withAxis(x.shape, to, size),
    broadcastDimensions: range(x.ndim + 1).filter((axis) => axis !== to),
  })
}
