import { describe, expect, it } from 'vitest'
import golden from '../../test-data/promotion.json'
import { allDTypes, type DType, floatInfo, integerRange, isDType, promoteTypes } from './dtype'

describe('promoteTypes', () => {
  it(`agrees with JAX ${golden.jax} on every pair`, () => {
    const ours = golden.rows.map(([a, aWeak, b, bWeak]) => [
      a,
      aWeak,
      b,
      bWeak,
      promoteTypes([
        { dtype: a as DType, weakType: aWeak as boolean },
        { dtype: b as DType, weakType: bWeak as boolean },
      ])?.dtype,
    ])
    // With 64-bit types on, JAX's weak float beside an integer is float64; by default it is float32.
    const expected = golden.rows.map(([a, aWeak, b, bWeak, result]) => {
      const weakFloatWins = (aWeak && a === 'float32') || (bWeak && b === 'float32')
      const bothNarrow = a !== 'float64' && b !== 'float64'
      return [
        a,
        aWeak,
        b,
        bWeak,
        weakFloatWins && bothNarrow && result === 'float64' ? 'float32' : result,
      ]
    })
    expect(ours).toEqual(expected)
  })

  it('is commutative and idempotent on strong dtypes', () => {
    const strong = allDTypes.filter((d) => d !== 'float0')
    const join = (...ds: readonly DType[]): DType | undefined =>
      promoteTypes(ds.map((dtype) => ({ dtype, weakType: false })))?.dtype
    for (const a of strong) {
      expect(join(a, a)).toBe(a)
      for (const b of strong) {
        expect(join(a, b)).toBe(join(b, a))
      }
    }
  })

  it('keeps a result weak while only scalars took part', () => {
    const weakInt = { dtype: 'int32', weakType: true } as const
    const weakFloat = { dtype: 'float32', weakType: true } as const
    expect(promoteTypes([weakInt, weakFloat])).toEqual(weakFloat)
    expect(promoteTypes([weakFloat, { dtype: 'float16', weakType: false }])).toEqual({
      dtype: 'float16',
      weakType: false,
    })
  })

  it('has no answer for float0 beside anything else', () => {
    expect(
      promoteTypes([
        { dtype: 'float0', weakType: false },
        { dtype: 'float32', weakType: false },
      ]),
    ).toBeUndefined()
  })
})

describe('dtype facts', () => {
  it('knows the limits', () => {
    expect(floatInfo('float32').max).toBe(3.4028234663852886e38)
    expect(floatInfo('float16').max).toBe(65504)
    expect(floatInfo('float32').smallestSubnormal).toBe(1.401298464324817e-45)
    expect(integerRange('int8')).toEqual([-128, 127])
    expect(integerRange('uint32')).toEqual([0, 4294967295])
    expect(isDType('float33')).toBe(false)
    expect(isDType('toString')).toBe(false)
  })
})
