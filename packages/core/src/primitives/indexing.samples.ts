/** Samples of reads and writes at computed places. */
import fc from 'fast-check'
import type { Params } from '../trace/primitive'
import type { ScatterDimensionNumbers } from './indexing'
import {
  arrayOf,
  between,
  distinctValues,
  hostOf,
  type PrimitiveSample,
  type PrimitiveSamples,
  sample,
} from './samples'
import { sizeOf, type Shape } from '../types/aval'

const modes = fc.constantFrom('clip', 'fill')

/** A few relations of operand, indices and updates that use every field of the dimension numbers. */
interface Relation {
  readonly operand: Shape
  readonly indices: Shape
  readonly updates: Shape
  readonly sliceSizes: Shape
  readonly numbers: ScatterDimensionNumbers
}
const relations: readonly Relation[] = [
  {
    // Rows of a matrix.
    operand: [4, 3],
    indices: [2, 1],
    updates: [2, 3],
    sliceSizes: [1, 3],
    numbers: {
      updateWindowDims: [1],
      insertedWindowDims: [0],
      scatterDimsToOperandDims: [0],
      operandBatchingDims: [],
      scatterIndicesBatchingDims: [],
    },
  },
  {
    // Blocks at (column, row) starts, window axes in front.
    operand: [4, 5],
    indices: [3, 2],
    updates: [2, 2, 3],
    sliceSizes: [2, 2],
    numbers: {
      updateWindowDims: [0, 1],
      insertedWindowDims: [],
      scatterDimsToOperandDims: [1, 0],
      operandBatchingDims: [],
      scatterIndicesBatchingDims: [],
    },
  },
  {
    // One element per row, rows paired with rows of the indices.
    operand: [3, 4],
    indices: [2, 3, 1],
    updates: [2, 3],
    sliceSizes: [1, 1],
    numbers: {
      updateWindowDims: [],
      insertedWindowDims: [1],
      scatterDimsToOperandDims: [1],
      operandBatchingDims: [0],
      scatterIndicesBatchingDims: [1],
    },
  },
  {
    // A single index.
    operand: [5],
    indices: [1],
    updates: [2],
    sliceSizes: [2],
    numbers: {
      updateWindowDims: [0],
      insertedWindowDims: [],
      scatterDimsToOperandDims: [0],
      operandBatchingDims: [],
      scatterIndicesBatchingDims: [],
    },
  },
]

const gathers: PrimitiveSamples = (() => {
  const arbitrary = fc.tuple(fc.constantFrom(...relations), modes).chain(([relation, mode]) =>
    fc
      .tuple(
        arrayOf(relation.operand, 'float32', between(-3, 3)),
        arrayOf(relation.indices, 'int32', fc.integer({ min: -2, max: 6 })),
      )
      .map(([operand, indices]) =>
        sample([operand, indices], {
          dimensionNumbers: {
            offsetDims: relation.numbers.updateWindowDims,
            collapsedSliceDims: relation.numbers.insertedWindowDims,
            startIndexMap: relation.numbers.scatterDimsToOperandDims,
            operandBatchingDims: relation.numbers.operandBatchingDims,
            startIndicesBatchingDims: relation.numbers.scatterIndicesBatchingDims,
          },
          sliceSizes: relation.sliceSizes,
          indicesAreSorted: false,
          uniqueIndices: false,
          mode,
          fillValue: 0.5,
        }),
      ),
  )
  return { name: 'gather', smooth: arbitrary, edges: arbitrary }
})()

/** `unique`: at most one index, so that it is trivially distinct. */
function scatters(name: string, unique: boolean, positive = false): PrimitiveSamples {
  const usable = unique ? relations.filter((r) => r.indices.length === 1) : relations
  const arbitrary: fc.Arbitrary<PrimitiveSample> = fc
    .tuple(fc.constantFrom(...usable), modes)
    .chain(([relation, mode]) => {
      const params: Params = {
        dimensionNumbers: relation.numbers,
        indicesAreSorted: false,
        uniqueIndices: unique,
        mode,
      }
      const [n, m] = [sizeOf(relation.operand), sizeOf(relation.updates)]
      // All distinct, so that minima and maxima have no ties.
      return fc
        .tuple(
          distinctValues(n + m),
          arrayOf(relation.indices, 'int32', fc.integer({ min: -2, max: 6 })),
        )
        .map(([values, indices]) => {
          const numbers = positive ? values.map((v) => 1 + Math.abs(v)) : values
          return sample(
            [
              hostOf(relation.operand, 'float32', numbers.slice(0, n)),
              indices,
              hostOf(relation.updates, 'float32', numbers.slice(n)),
            ],
            params,
          )
        })
    })
  return { name, smooth: arbitrary, edges: arbitrary }
}

const start = arrayOf([], 'int32', fc.integer({ min: -3, max: 6 }))

const dynamicSlices: PrimitiveSamples = (() => {
  const arbitrary = fc
    .tuple(
      arrayOf([4, 3], 'float32', between(-3, 3)),
      start,
      start,
      fc.constantFrom([2, 2], [4, 1], [0, 3]),
    )
    .map(([x, row, column, sliceSizes]) => sample([x, row, column], { sliceSizes }))
  return { name: 'dynamic_slice', smooth: arbitrary, edges: arbitrary }
})()

const dynamicUpdates: PrimitiveSamples = (() => {
  const arbitrary = fc
    .tuple(
      arrayOf([4, 3], 'float32', between(-3, 3)),
      fc
        .constantFrom([2, 2], [4, 1], [0, 3])
        .chain((shape) => arrayOf(shape, 'float32', between(-3, 3))),
      start,
      start,
    )
    .map((operands) => sample(operands))
  return { name: 'dynamic_update_slice', smooth: arbitrary, edges: arbitrary }
})()

export const indexingSamples: readonly PrimitiveSamples[] = [
  gathers,
  scatters('scatter', false),
  scatters('scatter-add', false),
  scatters('scatter-mul', true, true),
  scatters('scatter-min', false),
  scatters('scatter-max', false),
  dynamicSlices,
  dynamicUpdates,
]
