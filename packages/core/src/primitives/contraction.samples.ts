/** Samples of products, convolutions, windows and matrix factorisations. */
import fc from 'fast-check'
import { type Shape, sizeOf } from '../types/aval'
import type { DotDimensionNumbers } from './dot'
import type { ConvDimensionNumbers } from './convolution'
import {
  arrayOf,
  between,
  distinctValues,
  hostOf,
  type PrimitiveSample,
  type PrimitiveSamples,
  sample,
} from './samples'
import type { HostArray } from './strided'

type Samples = fc.Arbitrary<PrimitiveSample>
const both = (name: string, arbitrary: Samples): PrimitiveSamples => ({
  name,
  smooth: arbitrary,
  edges: arbitrary,
})
const floats = (shape: Shape): fc.Arbitrary<HostArray> => arrayOf(shape, 'float32', between(-2, 2))

const products: readonly { x: Shape; y: Shape; dimensionNumbers: DotDimensionNumbers }[] = [
  {
    x: [2, 3],
    y: [3, 4],
    dimensionNumbers: [
      [[1], [0]],
      [[], []],
    ],
  },
  {
    x: [3, 2],
    y: [4, 3],
    dimensionNumbers: [
      [[0], [1]],
      [[], []],
    ],
  },
  {
    x: [3],
    y: [3],
    dimensionNumbers: [
      [[0], [0]],
      [[], []],
    ],
  },
  {
    x: [2],
    y: [3],
    dimensionNumbers: [
      [[], []],
      [[], []],
    ],
  },
  {
    x: [2, 3, 4],
    y: [4, 2, 5],
    dimensionNumbers: [
      [[2], [0]],
      [[0], [1]],
    ],
  },
  {
    x: [2, 3, 4, 2],
    y: [2, 4, 3],
    dimensionNumbers: [
      [
        [2, 1],
        [1, 2],
      ],
      [[0], [0]],
    ],
  },
  {
    x: [2, 0],
    y: [0, 3],
    dimensionNumbers: [
      [[1], [0]],
      [[], []],
    ],
  },
]
const dots = both(
  'dot_general',
  fc
    .constantFrom(...products)
    .chain(({ x, y, dimensionNumbers }) =>
      fc
        .tuple(floats(x), floats(y))
        .map((operands) => sample(operands, { dimensionNumbers, preferredElementType: null })),
    ),
)

const channelsFirst: ConvDimensionNumbers = {
  lhsSpec: [0, 1, 2, 3],
  rhsSpec: [0, 1, 2, 3],
  outSpec: [0, 1, 2, 3],
}
const channelsLast: ConvDimensionNumbers = {
  lhsSpec: [0, 3, 1, 2],
  rhsSpec: [3, 2, 0, 1],
  outSpec: [0, 3, 1, 2],
}
const arranged = (spec: readonly number[], sizes: readonly number[]): Shape => {
  const shape = new Array<number>(sizes.length)
  spec.forEach((axis, i) => {
    shape[axis] = sizes[i]
  })
  return shape
}
const convolutions = both(
  'conv_general_dilated',
  fc
    .record({
      dimensionNumbers: fc.constantFrom(channelsFirst, channelsLast),
      stride: fc.integer({ min: 1, max: 2 }),
      rhsDilation: fc.integer({ min: 1, max: 2 }),
      lhsDilation: fc.integer({ min: 1, max: 2 }),
      low: fc.integer({ min: -1, max: 2 }),
      high: fc.integer({ min: 0, max: 2 }),
      groups: fc.constantFrom<readonly [feature: number, batch: number]>([1, 1], [2, 1], [1, 2]),
    })
    .chain(
      ({
        dimensionNumbers,
        stride,
        rhsDilation,
        lhsDilation,
        low,
        high,
        groups: [feature, batch],
      }) =>
        fc
          .tuple(
            floats(arranged(dimensionNumbers.lhsSpec, [2, 2 * feature, 4, 3])),
            floats(arranged(dimensionNumbers.rhsSpec, [4, 2, 2, 2])),
          )
          .map((operands) =>
            sample(operands, {
              windowStrides: [stride, 1],
              padding: [
                [low, high],
                [1, low],
              ],
              lhsDilation: [1, lhsDilation],
              rhsDilation: [rhsDilation, 1],
              dimensionNumbers,
              featureGroupCount: feature,
              batchGroupCount: batch,
              precision: null,
              preferredElementType: null,
              outSharding: null,
            }),
          ),
    ),
)

const windowParams = fc
  .record({
    window: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    low: fc.integer({ min: 0, max: 1 }),
    high: fc.integer({ min: 0, max: 1 }),
    base: fc.integer({ min: 1, max: 2 }),
    holes: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ window, stride, low, high, base, holes }) => ({
    windowDimensions: [window, 2],
    windowStrides: [stride, 1],
    // No window lies in the padding altogether: its extremum would be infinite.
    padding: [
      [Math.min(low, window - 1), Math.min(high, window - 1)],
      [0, 1],
    ],
    baseDilation: [1, base],
    windowDilation: [holes, 1],
  }))

/** Elements far enough apart that no perturbation makes a tie. */
const untied = (shape: Shape): fc.Arbitrary<HostArray> =>
  distinctValues(sizeOf(shape)).map((values) => hostOf(shape, 'float32', values))

const windowed = (
  name: string,
  operand: fc.Arbitrary<HostArray>,
  holes: boolean,
): PrimitiveSamples =>
  both(
    name,
    fc
      .tuple(operand, windowParams)
      .map(([x, params]) => sample([x], holes ? params : { ...params, windowDilation: [1, 1] })),
  )

const selectPrim = fc.constantFrom('ge', 'le')
const gatherAdds = both(
  'select_and_gather_add',
  fc
    .tuple(floats([4, 3]), untied([4, 3]), windowParams, selectPrim)
    .map(([x, operand, params, prim]) =>
      sample([x, operand], { ...params, windowDilation: [1, 1], selectPrim: prim }),
    ),
)
const scatterAdds = both(
  'select_and_scatter_add',
  fc
    .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 0, max: 1 }), selectPrim)
    .chain(([stride, low, prim]) => {
      const rows = Math.floor((4 + low - 2) / stride) + 1
      return fc.tuple(floats([rows, 2]), untied([4, 3])).map((operands) =>
        sample(operands, {
          selectPrim: prim,
          windowDimensions: [2, 2],
          windowStrides: [stride, 1],
          padding: [
            [low, 0],
            [0, 0],
          ],
        }),
      )
    }),
)

/** `M Mᵀ + n·1` of a small matrix M. */
function positiveDefinite(n: number, m: readonly number[]): number[] {
  return Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    let sum = i === j ? n : 0
    for (let k = 0; k < n; k++) sum += m[i * n + k] * m[j * n + k]
    return sum
  })
}
const choleskys = both(
  'cholesky',
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom<Shape>([], [2])).chain(([n, batch]) =>
    fc
      .array(fc.array(between(-1, 1), { minLength: n * n, maxLength: n * n }), {
        minLength: sizeOf(batch),
        maxLength: sizeOf(batch),
      })
      .map((matrices) => {
        const values = matrices.flatMap((m) => positiveDefinite(n, m))
        return sample([hostOf([...batch, n, n], 'float32', values)])
      }),
  ),
)

const solves = both(
  'triangular_solve',
  fc
    .record({
      leftSide: fc.boolean(),
      lower: fc.boolean(),
      transposeA: fc.boolean(),
      unitDiagonal: fc.boolean(),
      batch: fc.constantFrom<Shape>([], [2]),
      others: fc.integer({ min: 1, max: 4 }),
    })
    .chain(({ batch, others, ...options }) => {
      const n = 3
      return fc
        .tuple(
          arrayOf([...batch, n, n], 'float32', between(-1, 1)),
          floats([...batch, ...(options.leftSide ? [n, others] : [others, n])]),
        )
        .map(([a, b]) => {
          // A diagonal well away from zero.
          const values = Array.from(a.data, (v, i) => ((i % (n * n)) % (n + 1) === 0 ? v + 2 : v))
          return sample([hostOf(a.aval.shape, 'float32', values), b], {
            ...options,
            conjugateA: false,
          })
        })
    }),
)

export const contractionSamples: readonly PrimitiveSamples[] = [
  dots,
  convolutions,
  windowed('reduce_window_sum', floats([4, 3]), true),
  windowed('reduce_window_max', untied([4, 3]), false),
  windowed('reduce_window_min', untied([4, 3]), false),
  gatherAdds,
  scatterAdds,
  choleskys,
  solves,
]
