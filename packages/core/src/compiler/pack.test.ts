import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lower } from './compile'
import { type Block, pack } from './pack'
import { randomPrograms } from './testing/random-programs'

const blocks = fc
  .array(
    fc.record({ first: fc.nat(30), length: fc.nat(8), units: fc.integer({ min: 0, max: 40 }) }),
    { maxLength: 60 },
  )
  .map((each) =>
    each.map(({ first, length, units }): Block => {
      const bytes = 64 * units
      return { bytes, liveBytes: bytes, first, last: first + length, offset: -1 }
    }),
  )

const overlap = (a0: number, a1: number, b0: number, b1: number): boolean => a0 < b1 && b0 < a1

test('blocks that live at the same time do not overlap', () => {
  fc.assert(
    fc.property(blocks, (each) => {
      const { arenaBytes, peakBytes } = pack(each, 40)
      expect(arenaBytes).toBeGreaterThanOrEqual(peakBytes)
      each.forEach((a, i) => {
        expect(a.offset).toBeGreaterThanOrEqual(0)
        expect(a.offset + a.bytes).toBeLessThanOrEqual(Math.max(arenaBytes, a.bytes))
        for (const b of each.slice(i + 1)) {
          const together = overlap(a.first, a.last + 1, b.first, b.last + 1)
          const inOnePlace = overlap(a.offset, a.offset + a.bytes, b.offset, b.offset + b.bytes)
          expect(together && inOnePlace).toBe(false)
        }
      })
    }),
  )
})

test('the largest live set is what a count at every step says', () => {
  fc.assert(
    fc.property(blocks, (each) => {
      const live = Array.from({ length: 40 }, (_, time) =>
        each.reduce((n, b) => (b.first <= time && time <= b.last ? n + b.bytes : n), 0),
      )
      expect(pack(each, 40).peakBytes).toBe(Math.max(...live))
    }),
  )
})

test('a gap that best fit leaves is filled', () => {
  // In order of time the small block takes the start, and the large one cannot lie there later.
  const block = (units: number, first: number, last: number): Block => ({
    bytes: 64 * units,
    liveBytes: 64 * units,
    first,
    last,
    offset: -1,
  })
  const each = [block(2, 0, 0), block(1, 0, 2), block(1, 1, 1), block(3, 2, 2)]
  const { arenaBytes, peakBytes } = pack(each, 3)
  expect(arenaBytes).toBe(peakBytes)
})

test('an arena is at most 1.3 times the largest live set', () => {
  fc.assert(
    fc.property(randomPrograms, ({ jaxpr }) => {
      const { plan } = lower(jaxpr)
      expect(plan.arenaBytes).toBeLessThanOrEqual(1.3 * plan.peakBytes)
    }),
    { numRuns: 300 },
  )
})
