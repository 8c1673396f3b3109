import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { differenceOf, randomReduce, seeds, testedDTypes } from './random-nodes'
import { emitReduce } from './reduce'

describe('reduce nodes', () => {
  it('compute what the plain interpreter computes', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitReduce, randomReduce(seed, testedDTypes), seed)).toBe(null)
      }),
      { numRuns: 300 },
    )
  })
  it.each(testedDTypes)('compute the same on %s alone', (dtype) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitReduce, randomReduce(seed, [dtype]), seed)).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
})
