import * as fc from 'fast-check'
import { describe, it } from 'vitest'

import type { SortNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { integerRange, isFloating } from '../../../types/dtype'
import { expectAsInterpreted, newBuffer, nextRandom } from './run-node'
import { emitSort } from './sort'

const dtypes: readonly DType[] = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'bool',
]

/** Few different values, so that there are ties, and all that is special about a dtype. */
function valueOf(dtype: DType): number {
  const special = isFloating(dtype) ? [0, -0, NaN, Infinity, -Infinity] : integerRange(dtype)
  const x = nextRandom()
  if (x < 0.3) return special[Math.floor(nextRandom() * special.length)] ?? 0
  const small = Math.floor(nextRandom() * 9)
  if (dtype === 'bool') return small % 2
  return isFloating(dtype) ? (small - 4) / 4 : small
}

describe('sort', () => {
  const cases = fc.record({
    rows: fc.integer({ min: 0, max: 4 }),
    length: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 10, max: 200 })),
    operands: fc.array(fc.constantFrom(...dtypes), { minLength: 1, maxLength: 4 }),
    numKeys: fc.integer({ min: 1, max: 3 }),
  })

  it('orders by all keys, keeps equal rows in place, and takes the other operands along', () => {
    fc.assert(
      fc.property(cases, ({ rows, length, operands, numKeys }) => {
        const buffers = operands.map((dtype) => newBuffer(dtype, rows * length))
        const node: SortNode = {
          kind: 'sort',
          rows,
          length,
          numKeys: Math.min(numKeys, operands.length),
          sources: buffers,
          targets: operands.map((dtype) => newBuffer(dtype, rows * length)),
        }
        expectAsInterpreted(emitSort, node, {
          tolerance: 0,
          fill: ({ dtype }, cells) => {
            for (let i = 0; i < cells.size; i++) cells.set(i, valueOf(dtype))
          },
        })
      }),
      { numRuns: 300 },
    )
  })

  it('sorts every dtype by itself', () => {
    for (const dtype of dtypes) {
      const [source, target] = [newBuffer(dtype, 1500), newBuffer(dtype, 1500)]
      const node: SortNode = {
        kind: 'sort',
        rows: 3,
        length: 500,
        numKeys: 1,
        sources: [source],
        targets: [target],
      }
      expectAsInterpreted(emitSort, node, {
        tolerance: 0,
        fill: (_, cells) => {
          for (let i = 0; i < cells.size; i++) cells.set(i, valueOf(dtype))
        },
      })
    }
  })
})
