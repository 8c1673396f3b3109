import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emitMap } from './map'
import { differenceOf, randomMap, seeds, testedDTypes } from './random-nodes'

describe('map nodes', () => {
  it('compute what the plain interpreter computes', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitMap, randomMap(seed, testedDTypes), seed)).toBe(null)
      }),
      { numRuns: 300 },
    )
  })
  it.each(testedDTypes)('compute the same on %s alone', (dtype) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitMap, randomMap(seed, [dtype]), seed)).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
})
