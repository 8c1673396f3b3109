/** `conv_general_dilated`: correlation of images with filters, and its derivatives, which are the same. */
import type { NDArray } from '../array/ndarray'
import { Aval, type Shape } from '../types/aval'
import type { DType } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import { dilated, range, windowCount } from '../types/shape'
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
import { evaluateConvolution, lowerConvolution } from './convolution-loops'
import { moveAxis, reshape } from './movement'
import { operation, type Operation } from './operation'
import { numeric } from './pointwise'
import { rev } from './slicing'
import type { PaddingPairs } from './window-geometry'

/**
 * JAX's `ConvDimensionNumbers`: which axes of each array are batch, feature and spatial
 * (out-feature, in-feature and spatial for the filters).
 */
export type ConvDimensionNumbers = {
  readonly lhsSpec: readonly number[]
  readonly rhsSpec: readonly number[]
  readonly outSpec: readonly number[]
}

export type ConvParams = {
  readonly windowStrides: Shape
  readonly padding: PaddingPairs
  readonly lhsDilation: Shape
  readonly rhsDilation: Shape
  readonly dimensionNumbers: ConvDimensionNumbers
  readonly featureGroupCount: number
  readonly batchGroupCount: number
  readonly precision: null
  readonly preferredElementType: DType | null
  readonly outSharding: null
}

const at = (shape: Shape, axes: readonly number[]): number[] => axes.map((axis) => shape[axis])
const spatial = (spec: readonly number[]): readonly number[] => spec.slice(2)

function convShape(x: Aval, filters: Aval, params: ConvParams): Shape {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const { featureGroupCount, batchGroupCount } = params
  const [batch, features] = at(x.shape, lhsSpec)
  const [outFeatures, inFeatures] = at(filters.shape, rhsSpec)
  const problem = (what: string, rule: string): ShapeError =>
    new ShapeError({
      op: 'convGeneralDilated',
      problem: what,
      operands: [
        { name: 'lhs', aval: x, note: `batch, feature, spatial axes [${lhsSpec.join(',')}]` },
        { name: 'rhs', aval: filters, note: `out, in, spatial axes [${rhsSpec.join(',')}]` },
      ],
      rule,
    })
  const lists = [params.windowStrides, params.padding, params.lhsDilation, params.rhsDilation]
  if (
    x.ndim < 2 ||
    x.ndim !== filters.ndim ||
    [lhsSpec, rhsSpec, outSpec].some((spec) => new Set(spec).size !== x.ndim) ||
    lists.some((list) => list.length !== x.ndim - 2)
  ) {
    throw problem(
      'the operands, windows and dimension numbers have different ranks',
      'both operands have one rank, and windows one entry per spatial axis',
    )
  }
  if (features !== inFeatures * featureGroupCount) {
    throw problem(
      `the filters take ${inFeatures} features in ${featureGroupCount} groups, and there are ${features}`,
      'lhs features = rhs input features × featureGroupCount',
    )
  }
  if (
    outFeatures % featureGroupCount !== 0 ||
    outFeatures % batchGroupCount !== 0 ||
    batch % batchGroupCount !== 0 ||
    (featureGroupCount > 1 && batchGroupCount > 1)
  ) {
    throw problem(
      'the group counts do not divide the batch and the output features',
      'groups divide the output features, batch groups divide the batch, and only one kind is used',
    )
  }
  const shape = new Array<number>(x.ndim)
  shape[outSpec[0]] = batch / batchGroupCount
  shape[outSpec[1]] = outFeatures
  spatial(outSpec).forEach((axis, i) => {
    shape[axis] = windowCount(
      x.shape[spatial(lhsSpec)[i]],
      filters.shape[spatial(rhsSpec)[i]],
      params.windowStrides[i],
      { low: params.padding[i][0], high: params.padding[i][1] },
      params.lhsDilation[i],
      params.rhsDilation[i],
    )
  })
  return shape
}

const bindConv = (x: NDArray, filters: NDArray, params: ConvParams): NDArray =>
  bind1(convPrimitive, [x, filters], params)

// --- groups of axes ---------------------------------------------------------------------------------------------

/** Merges axis `from` into axis `into` (counted without `from`), as its slower part. */
function mergeAxis(x: NDArray, from: number, into: number): NDArray {
  const moved = moveAxis(x, from, into)
  const { shape } = moved
  return reshape(moved, {
    newSizes: [...shape.slice(0, into), shape[into] * shape[into + 1], ...shape.slice(into + 2)],
  })
}

/** Splits axis `axis` into `[count, size / count]`. */
const splitAxis = (x: NDArray, axis: number, count: number): NDArray =>
  reshape(x, {
    newSizes: [
      ...x.shape.slice(0, axis),
      count,
      count === 0 ? 0 : x.shape[axis] / count,
      ...x.shape.slice(axis + 1),
    ],
  })

/** Moves groups from one axis to another, as its slower part. */
const regroup = (x: NDArray, from: number, to: number, count: number): NDArray =>
  mergeAxis(splitAxis(x, from, count), from, to)

/** Batch and feature change roles. */
const turned = ([first, second, ...rest]: readonly number[]): number[] => [second, first, ...rest]

// --- derivatives --------------------------------------------------------------------------------------------------

const asDType = (x: NDArray, dtype: DType): NDArray =>
  x.dtype === dtype ? x : convertElementType(x, { newDtype: dtype, weakType: x.aval.weakType })

/**
 * x̄ is ȳ, spread by the strides, convolved with the reversed filters whose input and output features
 * change roles (Dumoulin and Visin, "A guide to convolution arithmetic", 2016, section 4).
 */
function inputCotangent(yBar: NDArray, x: Aval, filters: NDArray, params: ConvParams): NDArray {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const { featureGroupCount, batchGroupCount } = params
  const groups = Math.max(featureGroupCount, batchGroupCount)
  const grouped = groups > 1 ? regroup(filters, rhsSpec[0], rhsSpec[1], groups) : filters
  const padding = spatial(lhsSpec).map((axis, i): readonly [number, number] => {
    const reach = dilated(filters.shape[spatial(rhsSpec)[i]], params.rhsDilation[i])
    const before = reach - params.padding[i][0] - 1
    const spread = dilated(yBar.shape[spatial(outSpec)[i]], params.windowStrides[i])
    return [before, dilated(x.shape[axis], params.lhsDilation[i]) + reach - 1 - spread - before]
  })
  const xBar = bindConv(yBar, asDType(rev(grouped, { dimensions: spatial(rhsSpec) }), yBar.dtype), {
    ...params,
    windowStrides: params.lhsDilation,
    padding,
    lhsDilation: params.windowStrides,
    dimensionNumbers: { lhsSpec: outSpec, rhsSpec: turned(rhsSpec), outSpec: lhsSpec },
    featureGroupCount: groups,
    batchGroupCount: 1,
  })
  const restored = batchGroupCount > 1 ? regroup(xBar, lhsSpec[1], lhsSpec[0], groups) : xBar
  return asDType(restored, x.dtype)
}

/** The filters' cotangent is x correlated with ȳ, where batch and features change roles. */
function filterCotangent(yBar: NDArray, x: NDArray, filters: Aval, params: ConvParams): NDArray {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const padding = spatial(lhsSpec).map((axis, i): readonly [number, number] => {
    const [low] = params.padding[i]
    const spread = dilated(yBar.shape[spatial(outSpec)[i]], params.windowStrides[i])
    const reach = dilated(filters.shape[spatial(rhsSpec)[i]], params.rhsDilation[i])
    return [low, spread - dilated(x.shape[axis], params.lhsDilation[i]) + reach - low - 1]
  })
  const filtersBar = bindConv(asDType(x, yBar.dtype), yBar, {
    ...params,
    windowStrides: params.rhsDilation,
    padding,
    rhsDilation: params.windowStrides,
    dimensionNumbers: {
      lhsSpec: turned(lhsSpec),
      rhsSpec: turned(outSpec),
      outSpec: turned(rhsSpec),
    },
    featureGroupCount: params.batchGroupCount,
    batchGroupCount: params.featureGroupCount,
  })
  return asDType(filtersBar, filters.dtype)
}

// --- batching -------------------------------------------------------------------------------------------------------

/** The mapped axis joins the batch, the output features, or becomes groups. */
function batchConv(
  x: NDArray,
  filters: NDArray,
  xDim: BatchDim,
  filterDim: BatchDim,
  params: ConvParams,
): { outputs: NDArray[]; dims: BatchDim[] } {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const { featureGroupCount, batchGroupCount } = params
  const answer = (
    y: NDArray,
    axis: number,
    size: number,
  ): { outputs: NDArray[]; dims: BatchDim[] } => ({
    outputs: [splitAxis(y, axis, size)],
    dims: [axis],
  })
  if (xDim !== null && filterDim !== null) {
    const size = x.shape[xDim]
    const usesBatch = batchGroupCount > 1
    const y = bindConv(
      mergeAxis(x, xDim, lhsSpec[usesBatch ? 0 : 1]),
      mergeAxis(filters, filterDim, rhsSpec[0]),
      usesBatch
        ? { ...params, batchGroupCount: batchGroupCount * size }
        : { ...params, featureGroupCount: featureGroupCount * size },
    )
    return answer(y, outSpec[1], size)
  }
  if (xDim !== null) {
    const size = x.shape[xDim]
    if (batchGroupCount === 1) {
      return answer(bindConv(mergeAxis(x, xDim, lhsSpec[0]), filters, params), outSpec[0], size)
    }
    return answer(
      bindConv(insertBelowGroups(x, xDim, lhsSpec[0], batchGroupCount), filters, params),
      outSpec[0],
      size,
    )
  }
  if (filterDim === null) return { outputs: [bindConv(x, filters, params)], dims: [null] }
  const size = filters.shape[filterDim]
  const groups = Math.max(featureGroupCount, batchGroupCount)
  if (groups === 1) {
    return answer(bindConv(x, mergeAxis(filters, filterDim, rhsSpec[0]), params), outSpec[1], size)
  }
  // Output features are [groups, lanes, rest]: take the lanes out in front of the groups.
  const y = bindConv(x, insertBelowGroups(filters, filterDim, rhsSpec[0], groups), params)
  const feature = outSpec[1]
  const apart = splitAxis(splitAxis(y, feature, groups), feature + 1, size)
  return { outputs: [mergeAxis(apart, feature, feature + 1)], dims: [feature] }
}

/** Merges the mapped axis into `axis` (counted without it) between its groups and the rest. */
function insertBelowGroups(x: NDArray, dim: number, axis: number, groups: number): NDArray {
  const front = moveAxis(x, dim, 0)
  const split = splitAxis(front, axis + 1, groups)
  // [lanes, …, groups, rest, …] → [..., groups, lanes · rest, …]
  const inner = mergeAxis(split, 0, axis + 1)
  const { shape } = inner
  return reshape(inner, {
    newSizes: [...shape.slice(0, axis), shape[axis] * shape[axis + 1], ...shape.slice(axis + 2)],
  })
}

// --- the primitive --------------------------------------------------------------------------------------------------

const convPrimitive: Primitive<ConvParams> = definePrimitive<ConvParams>({
  name: 'conv_general_dilated',
  abstractEval: ([x, filters], params) => {
    if (x.dtype !== filters.dtype || !numeric.has(x.dtype)) {
      throw new DTypeError({
        op: 'convGeneralDilated',
        problem: `cannot convolve ${x.dtype} with ${filters.dtype}`,
        operands: [
          { name: 'lhs', aval: x },
          { name: 'rhs', aval: filters },
        ],
        rule: 'both operands have one dtype, integer or floating',
      })
    }
    const dtype = params.preferredElementType ?? x.dtype
    return [new Aval(convShape(x, filters, params), dtype, x.weakType && filters.weakType)]
  },
  // Bilinear.
  jvp: ([x, filters], [xDot, filtersDot], params) => {
    const y = bindConv(x, filters, params)
    const left: Tangent = isZero(xDot) ? zeroLike(y) : bindConv(xDot, filters, params)
    const right: Tangent = isZero(filtersDot) ? zeroLike(y) : bindConv(x, filtersDot, params)
    return { primals: [y], tangents: [addTangents(left, right)] }
  },
  transpose: (cotangents, operands, params) => {
    const [yBar] = cotangents
    const [x, filters] = operands
    if (isLinear(x) && !isLinear(filters)) {
      const isNothing = isZero(yBar) || yBar.size === 0
      return [isNothing ? zeroLike(x) : inputCotangent(yBar, x.aval, filters, params), null]
    }
    if (isLinear(filters) && !isLinear(x)) {
      const isNothing = isZero(yBar) || yBar.size === 0
      return [null, isNothing ? zeroLike(filters) : filterCotangent(yBar, x, filters.aval, params)]
    }
    return nonlinear(cotangents, operands, params)
  },
  batch: (_axis, [x, filters], [xDim, filterDim], params) =>
    batchConv(x, filters, xDim, filterDim, params),
  evaluate: ([x, filters], params, [aval]) => [evaluateConvolution(x, filters, params, aval)],
  lower: (context, [x, filters], params, [aval]) => [
    lowerConvolution(context, x, filters, params, aval),
  ],
})

export interface ConvOptions {
  readonly windowStrides: Shape
  readonly padding: PaddingPairs
  readonly lhsDilation?: Shape
  readonly rhsDilation?: Shape
  /** Default: batch, feature, then spatial axes; filters out, in, spatial. */
  readonly dimensionNumbers?: ConvDimensionNumbers
  readonly featureGroupCount?: number
  readonly batchGroupCount?: number
  readonly preferredElementType?: DType | null
}

/** Slides filters over a padded and dilated input; no filter is flipped. */
export const convGeneralDilated: Operation<
  [x: NDArray, filters: NDArray, options: ConvOptions],
  ConvParams
> = operation(convPrimitive, (x: NDArray, filters: NDArray, options: ConvOptions) => {
  const ones = options.windowStrides.map(() => 1)
  const standard = range(x.ndim)
  return bindConv(x, filters, {
    windowStrides: options.windowStrides,
    padding: options.padding,
    lhsDilation: options.lhsDilation ?? ones,
    rhsDilation: options.rhsDilation ?? ones,
    dimensionNumbers: options.dimensionNumbers ?? {
      lhsSpec: standard,
      rhsSpec: standard,
      outSpec: standard,
    },
    featureGroupCount: options.featureGroupCount ?? 1,
    batchGroupCount: options.batchGroupCount ?? 1,
    precision: null,
    preferredElementType: options.preferredElementType ?? null,
    outSharding: null,
  })
})
