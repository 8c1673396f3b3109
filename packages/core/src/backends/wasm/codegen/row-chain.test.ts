import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
