import * as fc from 'fast-check'
import { describe, it } from 'vitest'

import type { Affine, Buffer, Scalar } from '../../../compiler/expr'
import { binary, constant, index } from '../../../compiler/expr'
import type { ScatterNode, SelectAndScatterNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import type { DType } from '../../../types/dtype'
import { expectAsInterpreted, fillRandomly, newBuffer, nextRandom } from './run-node'
import { emitScatter } from './scatter'
import { emitSelectAndScatter } from './select-and-scatter'

const load = (source: Buffer, at: Affine): Scalar => ({
  kind: 'load',
  dtype: source.dtype,
  source,
  at,
  offsets: [],
})

const dtypes = fc.constantFrom<DType>(
  'float32',
  'float64',
  'int32',
  'uint32',
  'int8',
  'uint16',
  'float16',
  'bool',
)

describe('scatter', () => {
  const cases = fc.record({
    dtype: dtypes,
    combine: fc.constantFrom(
      'set' as const,
      'add' as const,
      'mul' as const,
      'min' as const,
      'max' as const,
    ),
    updates: fc.integer({ min: 0, max: 30 }),
    rows: fc.integer({ min: 1, max: 7 }),
    columns: fc.integer({ min: 1, max: 21 }),
    bounded: fc.boolean(),
    byElement: fc.boolean(),
  })

  it('applies updates in order, by rows and by elements', () => {
    fc.assert(
      fc.property(cases, ({ dtype, combine, updates, rows, columns, bounded, byElement }) => {
        const shape = [updates, columns]
        const indices = newBuffer('int32', byElement ? updates * columns : updates)
        const size = rows * columns
        const picked = load(
          indices,
          byElement ? rowMajor(shape) : { offset: 0, strides: [updates === 1 ? 0 : 1, 0] },
        )
        const width = constant('int32', columns)
        const position = byElement
          ? picked
          : binary(
              'add',
              'int32',
              binary('mul', 'int32', picked, width),
              index({ offset: 0, strides: [0, 1] }),
            )
        const node: ScatterNode = {
          kind: 'scatter',
          shape,
          target: newBuffer(dtype, size),
          position,
          inBounds: bounded ? binary('lt', 'bool', picked, constant('int32', rows)) : null,
          update: load(newBuffer(dtype, updates * columns), rowMajor(shape)),
          combine,
        }
        expectAsInterpreted(emitScatter, node, {
          tolerance: 1e-6,
          fill: (buffer, cells) => {
            if (buffer !== indices) return fillRandomly(buffer, cells)
            // Some positions are out of bounds where that is asked about.
            const limit = (byElement ? size : rows) + (bounded && !byElement ? 3 : 0)
            for (let i = 0; i < cells.size; i++) cells.set(i, Math.floor(nextRandom() * limit))
          },
        })
      }),
      { numRuns: 300 },
    )
  })

  it('takes an update without axes', () => {
    const scalar = { offset: 0, strides: [] }
    const node: ScatterNode = {
      kind: 'scatter',
      shape: [],
      target: newBuffer('float32', 5),
      position: constant('int32', 3),
      inBounds: null,
      update: load(newBuffer('float32', 1), scalar),
      combine: 'add',
    }
    expectAsInterpreted(emitScatter, node, { tolerance: 0 })
  })
})

describe('selectAndScatter', () => {
  const axis = fc.record({
    windows: fc.integer({ min: 1, max: 5 }),
    window: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 3 }),
  })
  const cases = fc.record({
    dtype: fc.constantFrom<DType>('float32', 'float64', 'int32', 'float16'),
    which: fc.constantFrom('max' as const, 'min' as const),
    axes: fc.array(axis, { minLength: 1, maxLength: 3 }),
    channels: fc.integer({ min: 1, max: 9 }),
  })

  it('adds to the first extremum of every window', () => {
    fc.assert(
      fc.property(cases, ({ dtype, which, axes, channels }) => {
        const geometry = {
          window: [...axes.map(({ window }) => window), 1],
          strides: [...axes.map(({ stride }) => stride), 1],
        }
        const sourceShape = [...axes.map(({ windows }) => windows), channels]
        const operandShape = [
          ...axes.map(({ windows, window, stride }) => (windows - 1) * stride + window),
          channels,
        ]
        const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)
        const operand = newBuffer(dtype, size(operandShape))
        const target = newBuffer(dtype, size(operandShape))
        const node: SelectAndScatterNode = {
          kind: 'selectAndScatter',
          which,
          operandShape,
          sourceShape,
          geometry,
          operand,
          source: newBuffer(dtype, size(sourceShape)),
          target,
        }
        expectAsInterpreted(emitSelectAndScatter, node, {
          tolerance: 1e-6,
          fill: (buffer, cells) => {
            fillRandomly(buffer, cells)
            for (let i = 0; i < cells.size; i++) {
              if (buffer === target) cells.set(i, 0)
              else if (buffer === operand && dtype !== 'int32' && nextRandom() < 0.05) {
                cells.set(i, NaN)
              }
            }
          },
        })
      }),
      { numRuns: 200 },
    )
  })
})
