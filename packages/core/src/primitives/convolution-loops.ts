/** A convolution as loops: directly on the reference, as a contraction over windows elsewhere. */
import type { LoweringContext, Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval } from '../types/aval'
import { isInteger } from '../types/dtype'
import { range } from '../types/shape'
import type { ConvParams } from './convolution'
import { allocateHost, forEachIndex, hostArray, type HostArray, rowMajorStrides } from './strided'
import { padTensor } from './window-geometry'

export function evaluateConvolution(
  x: HostArray,
  filters: HostArray,
  params: ConvParams,
  aval: Aval,
): HostArray {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const [xStrides, filterStrides] = [x, filters].map((a) => rowMajorStrides(a.aval.shape))
  const data = allocateHost(aval.dtype, aval.size)
  const wraps = isInteger(aval.dtype)
  const batchPerGroup = x.aval.shape[lhsSpec[0]] / params.batchGroupCount
  const outFeatures = filters.aval.shape[rhsSpec[0]]
  const inFeatures = filters.aval.shape[rhsSpec[1]]
  const window = rhsSpec.slice(2).map((axis) => filters.aval.shape[axis])
  const xSizes = lhsSpec.slice(2).map((axis) => x.aval.shape[axis])
  forEachIndex(aval.shape, (at, flat) => {
    const feature = at[outSpec[1]]
    const featureGroup = Math.floor(feature / (outFeatures / params.featureGroupCount))
    const batchGroup = Math.floor(feature / (outFeatures / params.batchGroupCount))
    const batch = batchGroup * batchPerGroup + at[outSpec[0]]
    let sum = 0
    forEachIndex([inFeatures, ...window], ([inFeature, ...within]) => {
      let from = batch * xStrides[lhsSpec[0]]
      from += (featureGroup * inFeatures + inFeature) * xStrides[lhsSpec[1]]
      let filter = feature * filterStrides[rhsSpec[0]] + inFeature * filterStrides[rhsSpec[1]]
      for (let i = 0; i < window.length; i++) {
        const place =
          at[outSpec[i + 2]] * params.windowStrides[i] +
          within[i] * params.rhsDilation[i] -
          params.padding[i][0]
        const index = place / params.lhsDilation[i]
        if (place < 0 || index >= xSizes[i] || place % params.lhsDilation[i] !== 0) return
        from += index * xStrides[lhsSpec[i + 2]]
        filter += within[i] * filterStrides[rhsSpec[i + 2]]
      }
      sum = wraps
        ? (sum + Math.imul(x.data[from], filters.data[filter])) | 0
        : sum + x.data[from] * filters.data[filter]
    })
    data[flat] = sum
  })
  return hostArray(aval, data)
}

/**
 * `out[n, s, g, f] = Σ_{c, k} padded[n, g·C + c, s·stride + k·dilation] · filters[g·F + f, c, k]`:
 * a contraction with the groups as batch, so that nothing but the padded input is written.
 */
export function lowerConvolution(
  context: LoweringContext,
  x: Tensor,
  filters: Tensor,
  params: ConvParams,
  aval: Aval,
): Tensor {
  const { lhsSpec, rhsSpec, outSpec } = params.dimensionNumbers
  const { featureGroupCount, batchGroupCount } = params
  const spatialRank = lhsSpec.length - 2
  const config = lhsSpec.map((): readonly [number, number, number] => [0, 0, 0])
  params.padding.forEach(([low, high], i) => {
    config[lhsSpec[i + 2]] = [low, high, params.lhsDilation[i] - 1]
  })
  const padded = padTensor(context, convertTensor(context, x, aval), config, 0)

  const groups = Math.max(featureGroupCount, batchGroupCount)
  const batch = groups === 1 ? [] : [groups]
  const featuresPerGroup = aval.shape[outSpec[1]] / groups
  const m = [aval.shape[outSpec[0]], ...outSpec.slice(2).map((axis) => aval.shape[axis])]
  const n = [featuresPerGroup]
  const k = [1, ...range(2, rhsSpec.length)].map((i) => filters.aval.shape[rhsSpec[i]])

  // Iteration axes: [group?] [n, ...spatial] [c, ...window] on the left, [group?] [f] [c, ...window] on the right.
  const lhsShape = [...batch, ...m, ...k]
  const [mAt, kAt] = [batch.length, batch.length + m.length]
  const affine = (
    rank: number,
    terms: readonly (readonly [axis: number, step: number])[],
  ): expr.Affine => {
    const strides = new Array<number>(rank).fill(0)
    for (const [axis, step] of terms) strides[axis] += step
    return { offset: 0, strides }
  }
  const lhsSource = new Array<expr.Affine>(lhsSpec.length)
  lhsSource[lhsSpec[0]] = affine(lhsShape.length, [
    [mAt, 1],
    ...(batchGroupCount > 1 ? [[0, m[0]] as const] : []),
  ])
  lhsSource[lhsSpec[1]] = affine(lhsShape.length, [
    [kAt, 1],
    ...(featureGroupCount > 1 ? [[0, k[0]] as const] : []),
  ])
  for (let i = 0; i < spatialRank; i++) {
    lhsSource[lhsSpec[i + 2]] = affine(lhsShape.length, [
      [mAt + 1 + i, params.windowStrides[i]],
      [kAt + 1 + i, params.rhsDilation[i]],
    ])
  }
  const rhsShape = [...batch, ...n, ...k]
  const rhsSource = new Array<expr.Affine>(rhsSpec.length)
  rhsSource[rhsSpec[0]] = affine(rhsShape.length, [
    [batch.length, 1],
    ...(groups > 1 ? [[0, featuresPerGroup] as const] : []),
  ])
  rhsSource[rhsSpec[1]] = affine(rhsShape.length, [[batch.length + 1, 1]])
  for (let i = 0; i < spatialRank; i++) {
    rhsSource[rhsSpec[i + 2]] = affine(rhsShape.length, [[batch.length + 2 + i, 1]])
  }
  const { dtype } = aval
  const product = context.contract({
    batch,
    m,
    n,
    k,
    lhs: context.reindex(padded, new Aval(lhsShape, dtype), lhsSource),
    rhs: context.reindex(
      convertTensor(context, filters, aval),
      new Aval(rhsShape, dtype),
      rhsSource,
    ),
    aval: new Aval([...batch, ...m, ...n], dtype),
  })
  return arranged(context, product, groups, params, aval)
}

const convertTensor = (context: LoweringContext, x: Tensor, like: Aval): Tensor =>
  x.aval.dtype === like.dtype
    ? x
    : context.map(new Aval(x.aval.shape, like.dtype), (v) => expr.convert(like.dtype, v), x)

/** `[group?, n, ...spatial, f]` in the order of the result, with groups and features merged. */
function arranged(
  context: LoweringContext,
  product: Tensor,
  groups: number,
  { dimensionNumbers: { outSpec } }: ConvParams,
  aval: Aval,
): Tensor {
  const featureAxis = outSpec[1]
  const grouped = groups > 1
  const shape = grouped
    ? aval.shape.flatMap((size, axis) => (axis === featureAxis ? [groups, size / groups] : [size]))
    : aval.shape
  // Axis of the result in front of which the group axis stands, hence the shift behind it.
  const placed = (axis: number): number => (grouped && axis > featureAxis ? axis + 1 : axis)
  const iteration = [
    ...(grouped ? [featureAxis] : []),
    placed(outSpec[0]),
    ...outSpec.slice(2).map(placed),
    grouped ? featureAxis + 1 : featureAxis,
  ]
  const view = context.reindex(
    product,
    new Aval(shape, aval.dtype),
    iteration.map((axis) => ({
      offset: 0,
      strides: shape.map((_, a) => Number(a === axis)),
    })),
  )
  return grouped ? context.reshape(view, aval) : { ...view, aval }
}
