import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { roundAway, roundEven } from './rounding'

const halves = fc.integer({ min: -9, max: 9 }).map((n) => n / 2)
const numbers = fc.oneof(fc.double(), fc.double({ min: -3, max: 3 }), halves, fc.constant(-0))
const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0)

describe.each([
  ['away from zero', roundAway],
  ['to even', roundEven],
])('rounding %s', (_name, round) => {
  it('gives a whole number next to what was rounded, with its sign', () => {
    fc.assert(
      fc.property(numbers, (x) => {
        const whole = round(x)
        if (!Number.isFinite(x)) {
          expect(whole).toBe(x)
          return
        }
        expect(Number.isInteger(whole)).toBe(true)
        expect(Math.abs(whole - x)).toBeLessThanOrEqual(0.5)
        expect(isNegative(whole)).toBe(isNegative(x))
      }),
    )
  })
  it('is its own result the second time', () => {
    fc.assert(
      fc.property(numbers, (x) => {
        expect(round(round(x))).toBe(round(x))
      }),
    )
  })
})

it('tells halves apart', () => {
  expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5].map(roundAway)).toEqual([-3, -2, -1, 1, 2, 3])
  expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5].map(roundEven)).toEqual([-2, -2, -0, 0, 2, 2])
})
