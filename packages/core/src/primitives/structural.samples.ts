/** Samples of movement, slicing, reductions, cumulative operations and sorting. */
import fc from 'fast-check'
import { type Shape, sizeOf } from '../types/aval'
import type { DType } from '../types/dtype'
import { range } from '../types/shape'
import type { Params } from '../trace/primitive'
import {
  arrayOf,
  between,
  distinctValues,
  accumulableElement,
  edgeElement,
  hostOf,
  type PrimitiveSample,
  type PrimitiveSamples,
  sample,
  smallShape,
} from './samples'
import type { HostArray } from './strided'

type Samples = fc.Arbitrary<PrimitiveSample>
const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'uint8']

/** Calls with one operand, whose parameters depend on its shape. */
function onShape(
  name: string,
  shapes: fc.Arbitrary<Shape>,
  params: (shape: Shape) => fc.Arbitrary<Params>,
  options: {
    readonly smooth?: (shape: Shape) => fc.Arbitrary<HostArray>
    readonly dtypes?: readonly DType[]
    readonly differentiable?: boolean
    /** Of the calls with edge values. */
    readonly element?: (dtype: DType) => fc.Arbitrary<number>
  } = {},
): PrimitiveSamples {
  const operand = options.smooth ?? ((shape) => arrayOf(shape, 'float32', between(-3, 3)))
  const flags = options.differentiable === false ? [false] : undefined
  return {
    name,
    smooth: shapes.chain((shape) =>
      fc.tuple(operand(shape), params(shape)).map(([x, p]) => sample([x], p, flags)),
    ),
    edges: fc
      .tuple(shapes, fc.constantFrom(...(options.dtypes ?? dtypes)))
      .chain(([shape, dtype]) =>
        fc
          .tuple(arrayOf(shape, dtype, (options.element ?? edgeElement)(dtype)), params(shape))
          .map(([x, p]) => sample([x], p, flags)),
      ),
  }
}

const someAxes = (shape: Shape, minimum = 0): fc.Arbitrary<number[]> =>
  fc.subarray(range(shape.length), { minLength: Math.min(minimum, shape.length) })

const permutation = (n: number): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray(range(n), { minLength: n, maxLength: n })

/** Rank at least 1, no empty axis. */
const vectors: fc.Arbitrary<Shape> = fc.array(fc.integer({ min: 1, max: 4 }), {
  minLength: 1,
  maxLength: 3,
})

/** Elements far enough apart that no perturbation makes a tie. */
const untied = (shape: Shape): fc.Arbitrary<HostArray> =>
  distinctValues(sizeOf(shape)).map((values) => hostOf(shape, 'float32', values))

const anAxis = (shape: Shape): fc.Arbitrary<number> => fc.integer({ min: 0, max: shape.length - 1 })

const cumulative = (name: string, distinct: boolean): PrimitiveSamples =>
  onShape(
    name,
    vectors,
    (shape) => fc.tuple(anAxis(shape), fc.boolean()).map(([axis, reverse]) => ({ axis, reverse })),
    distinct
      ? { smooth: untied }
      : {
          dtypes: name === 'cumlogsumexp' ? ['float32', 'float64'] : dtypes,
          element: accumulableElement,
        },
  )

const reduction = (name: string, options: Parameters<typeof onShape>[3] = {}): PrimitiveSamples =>
  onShape(name, smallShape(), (shape) => someAxes(shape).map((axes) => ({ axes })), options)

/** Extrema of nothing are infinite and have no derivative: no empty axes where it is asked for. */
const extremum = (name: string): PrimitiveSamples => ({
  ...reduction(name),
  smooth: onShape(name, vectors, (shape) => someAxes(shape).map((axes) => ({ axes })), {
    smooth: untied,
  }).smooth,
})

const argExtremum = (name: string): PrimitiveSamples =>
  onShape(
    name,
    vectors,
    (shape) => anAxis(shape).map((axis) => ({ axes: [axis], indexDtype: 'int32' })),
    { differentiable: false },
  )

const broadcasts: PrimitiveSamples = (() => {
  const arbitrary = (element: fc.Arbitrary<number>): Samples =>
    fc.tuple(smallShape(), fc.infiniteStream(fc.boolean())).chain(([shape, coins]) => {
      const kept = range(shape.length).filter(() => coins.next().value)
      const source = kept.map((axis) => (coins.next().value ? 1 : shape[axis]))
      return arrayOf(source, 'float32', element).map((x) =>
        sample([x], { shape, broadcastDimensions: kept }),
      )
    })
  return {
    name: 'broadcast_in_dim',
    smooth: arbitrary(between(-3, 3)),
    edges: arbitrary(edgeElement('float32')),
  }
})()

const pads: PrimitiveSamples = (() => {
  const config = fc.tuple(
    fc.integer({ min: -1, max: 2 }),
    fc.integer({ min: -1, max: 2 }),
    fc.integer({ min: 0, max: 2 }),
  )
  const arbitrary = (element: fc.Arbitrary<number>): Samples =>
    fc
      .array(fc.integer({ min: 2, max: 3 }), { maxLength: 3 })
      .chain((shape) =>
        fc
          .tuple(
            arrayOf(shape, 'float32', element),
            arrayOf([], 'float32', element),
            fc.tuple(...shape.map(() => config)),
          )
          .map(([x, value, paddingConfig]) => sample([x, value], { paddingConfig })),
      )
  return {
    name: 'pad',
    smooth: arbitrary(between(-3, 3)),
    edges: arbitrary(edgeElement('float32')),
  }
})()

const concatenations: PrimitiveSamples = (() => {
  const arbitrary = (element: fc.Arbitrary<number>): Samples =>
    fc
      .tuple(vectors, fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }))
      .chain(([shape, sizes]) =>
        anAxis(shape).chain((dimension) =>
          fc
            .tuple(
              ...sizes.map((size) =>
                arrayOf(
                  shape.map((n, axis) => (axis === dimension ? size : n)),
                  'float32',
                  element,
                ),
              ),
            )
            .map((operands) => sample(operands, { dimension })),
        ),
      )
  return {
    name: 'concatenate',
    smooth: arbitrary(between(-3, 3)),
    edges: arbitrary(edgeElement('float32')),
  }
})()

const sorts: PrimitiveSamples = (() => {
  const calls = (first: (shape: Shape) => fc.Arbitrary<HostArray>): Samples =>
    vectors.chain((shape) =>
      fc
        .tuple(
          first(shape),
          fc.array(arrayOf(shape, 'float32', between(-3, 3)), { maxLength: 2 }),
          anAxis(shape),
        )
        .map(([x, others, dimension]) =>
          sample([x, ...others], { dimension, isStable: true, numKeys: 1 }),
        ),
    )
  const twoKeys: Samples = fc
    .tuple(
      arrayOf([5], 'int32', fc.integer({ min: 0, max: 2 })),
      arrayOf([5], 'float32', edgeElement('float32')),
      arrayOf([5], 'int32', edgeElement('int32')),
    )
    .map((operands) => sample(operands, { dimension: 0, isStable: true, numKeys: 2 }))
  return {
    name: 'sort',
    smooth: calls(untied),
    edges: fc.oneof(
      calls((shape) => arrayOf(shape, 'float32', edgeElement('float32'))),
      twoKeys,
    ),
  }
})()

const topKs: PrimitiveSamples = onShape(
  'top_k',
  vectors,
  (shape) =>
    anAxis(shape).chain((axis) =>
      fc.integer({ min: 0, max: shape[axis] }).map((k) => ({ axis, k })),
    ),
  { smooth: untied },
)

const iotas: PrimitiveSamples = (() => {
  const arbitrary: Samples = fc
    .tuple(vectors, fc.constantFrom<DType>('float32', 'int32', 'uint8'))
    .chain(([shape, dtype]) =>
      anAxis(shape).map((dimension) => sample([], { dtype, shape, dimension, sharding: null })),
    )
  return { name: 'iota', smooth: arbitrary, edges: arbitrary }
})()

const squeezes: PrimitiveSamples = onShape(
  'squeeze',
  fc.array(fc.constantFrom(1, 1, 2), { maxLength: 4 }),
  (shape) =>
    fc
      .subarray(range(shape.length).filter((axis) => shape[axis] === 1))
      .map((dimensions) => ({ dimensions })),
)

export const structuralSamples: readonly PrimitiveSamples[] = [
  onShape('transpose', smallShape(), (shape) =>
    permutation(shape.length).map((p) => ({ permutation: p })),
  ),
  broadcasts,
  onShape('reshape', smallShape(), (shape) =>
    permutation(shape.length).map((p) => ({
      newSizes: p.map((axis) => shape[axis]),
      dimensions: null,
      sharding: null,
    })),
  ),
  squeezes,
  onShape('slice', vectors, (shape) =>
    fc
      .tuple(
        fc.tuple(...shape.map((n) => fc.integer({ min: 0, max: n - 1 }))),
        fc.tuple(...shape.map(() => fc.integer({ min: 1, max: 3 }))),
        fc.boolean(),
      )
      .map(([startIndices, strides, strided]) => ({
        startIndices,
        limitIndices: shape,
        strides: strided ? strides : null,
      })),
  ),
  pads,
  onShape('rev', smallShape(), (shape) => someAxes(shape).map((dimensions) => ({ dimensions }))),
  concatenations,
  iotas,
  onShape(
    'reduce_sum',
    smallShape(),
    (shape) => someAxes(shape).map((axes) => ({ axes, outSharding: null })),
    { element: accumulableElement },
  ),
  reduction('reduce_prod', { element: accumulableElement }),
  extremum('reduce_max'),
  extremum('reduce_min'),
  reduction('reduce_and', { dtypes: ['bool', 'int32'], smooth: logicals, differentiable: false }),
  reduction('reduce_or', { dtypes: ['bool', 'int32'], smooth: logicals, differentiable: false }),
  argExtremum('argmax'),
  argExtremum('argmin'),
  cumulative('cumsum', false),
  cumulative('cumprod', false),
  cumulative('cumlogsumexp', false),
  cumulative('cummax', true),
  cumulative('cummin', true),
  sorts,
  topKs,
]

function logicals(shape: Shape): fc.Arbitrary<HostArray> {
  return arrayOf(shape, 'bool', fc.integer({ min: 0, max: 1 }))
}
