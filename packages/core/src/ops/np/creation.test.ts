import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { np } from '../..'

describe('numbers that become float64', () => {
  it('keep all their digits, however they come', () => {
    const double = { dtype: 'float64' } as const
    const like = np.zeros([1], double)
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (x) => {
        const made = [
          np.array(x, double),
          np.array([x], double),
          np.asarray(x, double),
          np.full([1], x, double),
          np.fullLike(like, x),
          np.fullLike(np.zeros([1]), x, double),
        ]
        for (const array of made) {
          expect(array.dtype).toBe('float64')
          expect(array.aval.weakType).toBe(false)
          expect(array.item()).toBe(x)
        }
      }),
      { numRuns: 100 },
    )
  })
})
