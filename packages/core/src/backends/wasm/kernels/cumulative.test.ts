import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { CumulativeNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { emitCumulative } from './cumulative'
import { compileNode, expectAsInterpreted, newBuffer, nextRandom } from './run-node'

const nodeOf = (
  dtype: DType,
  [outer, length, inner]: readonly [number, number, number],
  monoid: CumulativeNode['monoid'],
  reverse: boolean,
): CumulativeNode => {
  const size = outer * length * inner
  const [source, target] = [newBuffer(dtype, size), newBuffer(dtype, size)]
  return { kind: 'cumulative', monoid, outer, length, inner, reverse, source, target }
}

describe('cumulative', () => {
  const shape = fc.tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 40 }),
    fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 15, max: 38 })),
  )
  it('is what the interpreter computes', () => {
    const cases = fc.record({
      dtype: fc.constantFrom<DType>('float32', 'float64', 'int32', 'uint8', 'float16'),
      shape,
      monoid: fc.constantFrom('sum' as const, 'prod' as const, 'max' as const, 'min' as const),
      reverse: fc.boolean(),
    })
    fc.assert(
      fc.property(cases, ({ dtype, shape: s, monoid, reverse }) => {
        // A product in half precision is rounded at each step by the interpreter only.
        fc.pre(!(dtype === 'float16' && monoid === 'prod'))
        expectAsInterpreted(emitCumulative, nodeOf(dtype, s, monoid, reverse), { tolerance: 1e-6 })
      }),
      { numRuns: 150 },
    )
  })

  it('adds exponentials without overflow, with infinities and NaN', () => {
    const special = [-Infinity, Infinity, NaN, 0, 700, -700, 80]
    const cases = fc.record({
      dtype: fc.constantFrom<DType>('float32', 'float64'),
      shape,
      reverse: fc.boolean(),
      often: fc.constantFrom(0, 0.02),
    })
    fc.assert(
      fc.property(cases, ({ dtype, shape: s, reverse, often }) => {
        expectAsInterpreted(emitCumulative, nodeOf(dtype, s, 'logsumexp', reverse), {
          tolerance: 3e-6,
          fill: (_, cells) => {
            for (let i = 0; i < cells.size; i++) {
              const pick = special[Math.floor(nextRandom() * special.length)] ?? 0
              cells.set(i, nextRandom() < often ? pick : 4 * nextRandom() - 2)
            }
          },
        })
      }),
      { numRuns: 100 },
    )
  })

  it('does not lose accuracy along a long axis', () => {
    const length = 100_000
    const node = nodeOf('float32', [1, length, 1], 'sum', false)
    const compiled = compileNode(emitCumulative, node)
    compiled.data(node.source).fill(Math.fround(0.1))
    compiled.run()
    const exact = length * Math.fround(0.1)
    expect(compiled.data(node.target)[length - 1]).toBe(Math.fround(exact))
  })
})
