import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accumulator, binary, load } from '../../../compiler/expr'
import type { RowsNode } from '../../../compiler/nodes'
import { compileNode, expectAsInterpreted, newBuffer } from '../kernels/run-node'
import { differenceOf, randomRows, seeds, testedDTypes } from './random-nodes'
import { emitRowChain } from './row-chain'

describe('row nodes', () => {
  it('compute what the plain interpreter computes', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitRowChain, randomRows(seed, testedDTypes), seed)).toBe(null)
      }),
      { numRuns: 300 },
    )
  })
  it.each(testedDTypes)('compute the same on %s alone', (dtype) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitRowChain, randomRows(seed, [dtype]), seed)).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
})

describe('reading ahead', () => {
  /** x minus its greatest element in every row, in place. */
  const centred = (rows: number, columns: number): RowsNode => {
    const x = newBuffer('float32', rows * columns)
    const greatest = newBuffer('float32', 1)
    const value = load(x, { offset: 0, strides: [columns, 1] })
    const max = load(greatest, { offset: 0, strides: [0, 0] })
    return {
      kind: 'rows',
      shape: [rows],
      locals: [greatest],
      steps: [
        {
          kind: 'reduce',
          shape: [rows],
          reduced: [columns],
          reductions: [{ monoid: 'max', value }],
          stores: [
            {
              target: greatest,
              at: { offset: 0, strides: [0] },
              offsets: [],
              value: accumulator('float32', 0),
            },
          ],
        },
        {
          kind: 'map',
          shape: [rows, columns],
          stores: [
            {
              target: x,
              at: { offset: 0, strides: [columns, 1] },
              offsets: [],
              value: binary('sub', 'float32', value, max),
            },
          ],
        },
      ],
    }
  }

  it('stops before the end of memory', () => {
    // A row beyond the last is further than memory is rounded up.
    expectAsInterpreted(emitRowChain, centred(5, 65_536), { tolerance: 0 })
  })

  it('is left out where arrays fit a cache', () => {
    const bytes = (rows: number): number => compileNode(emitRowChain, centred(rows, 256)).codeBytes
    expect(bytes(100)).toBeLessThan(bytes(10_000) - 20)
  })
})
