import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sizeClass } from './memory'

it('sizes of blocks hold what was asked for, waste little and are few', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (bytes) => {
      const size = sizeClass(bytes)
      expect(size).toBeGreaterThanOrEqual(bytes)
      expect(size % 256).toBe(0)
      expect(size - bytes).toBeLessThan(Math.max(256, bytes / 4))
      // A class is its own class, so a block that comes back fits who asks for as much.
      expect(sizeClass(size)).toBe(size)
    }),
  )
})
