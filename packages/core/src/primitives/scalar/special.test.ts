/** Special functions against tabulated values: DLMF, and integers and half integers in closed form. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { erf, erfc, erfInv } from './erf'
import { digamma, lgamma, polygamma } from './gamma'

const relative = (actual: number, expected: number): number =>
  Math.abs(actual - expected) / Math.abs(expected)
const real = (min: number, max: number): fc.Arbitrary<number> =>
  fc.double({ min, max, noNaN: true })

describe('the error function', () => {
  it.each([
    [0.1, 0.1124629160182849, 0.8875370839817152],
    [1, 0.8427007929497149, 0.15729920705028513],
    [2, 0.9953222650189527, 0.004677734981047265],
    [5, 0.9999999999984626, 1.5374597944280351e-12],
    [20, 1, 5.3958656116079005e-176],
    [26, 1, 5.663192408856143e-296],
  ])('at %d', (x, value, complement) => {
    expect(relative(erf(x), value)).toBeLessThan(1e-15)
    expect(relative(erfc(x), complement)).toBeLessThan(2e-15)
    expect(relative(erf(-x), -value)).toBeLessThan(1e-15)
  })

  it('erf and erfc add up to 1', () => {
    fc.assert(
      fc.property(real(-8, 8), (x) => {
        expect(Math.abs(erf(x) + erfc(x) - 1)).toBeLessThan(4e-16)
      }),
    )
  })

  it('its inverse undoes it, in the tails as well', () => {
    fc.assert(
      fc.property(real(-5, 5), (x) => {
        const y = erf(x)
        if (Math.abs(y) === 1) return
        // One ulp of y moves x by that over the slope.
        const slope = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)
        expect(Math.abs(erfInv(y) - x)).toBeLessThan(1e-14 * Math.abs(x) + 4e-16 / slope + 1e-300)
      }),
    )
    expect([erfInv(1), erfInv(-1), erfInv(2), erfInv(-0)]).toEqual([Infinity, -Infinity, NaN, -0])
  })
})

describe('the gamma function', () => {
  it('is the factorial at integers', () => {
    let factorial = 1
    for (let n = 2; n < 20; n++) {
      factorial *= n
      expect(relative(lgamma(n + 1), Math.log(factorial))).toBeLessThan(1e-15)
    }
    expect([lgamma(1), lgamma(2), lgamma(0), lgamma(-1)]).toEqual([0, 0, Infinity, Infinity])
  })

  it.each([
    [0.01, 4.599479878042022],
    [0.5, Math.log(Math.PI) / 2],
    [1e-8, 18.42068073818021],
    [-0.5, 1.265512123484645],
    [-2.3, 0.369566663455008],
    [100, 359.1342053695754],
    [1e10, 220258509288.81058],
  ])('lgamma at %d', (x, value) => {
    expect(relative(lgamma(x), value)).toBeLessThan(4e-15)
  })

  it('keeps its relative accuracy near its zeros', () => {
    // ln Γ(1 + z) = −γz + ζ(2)z²/2 − ζ(3)z³/3 + …
    const z = 1.00001 - 1
    const series =
      -0.5772156649015329 * z + (Math.PI ** 2 / 12) * z * z - (1.2020569031595942 / 3) * z ** 3
    expect(relative(lgamma(1.00001), series)).toBeLessThan(1e-14)
  })

  it('lgamma(x + 1) = lgamma(x) + ln x and its derivatives', () => {
    fc.assert(
      fc.property(real(0.05, 30), (x) => {
        const close = (a: number, b: number): void =>
          expect(Math.abs(a - b)).toBeLessThan(2e-14 * (1 + Math.abs(a) + Math.abs(b)))
        close(lgamma(x + 1), lgamma(x) + Math.log(x))
        close(digamma(x + 1), digamma(x) + 1 / x)
        close(polygamma(1, x), polygamma(1, x + 1) + 1 / x ** 2)
        close(polygamma(2, x), polygamma(2, x + 1) - 2 / x ** 3)
      }),
    )
  })

  it('lgamma(x) = −ln|x| for tiny x of either sign, subnormal ones included', () => {
    for (let tiny = 1e-20; tiny > 0; tiny /= 8) {
      for (const x of [tiny, -tiny])
        expect(relative(lgamma(x), -Math.log(tiny))).toBeLessThan(1e-15)
    }
  })

  it('digamma and trigamma in closed form', () => {
    const gamma = 0.57721566490153286
    expect(relative(digamma(1), -gamma)).toBeLessThan(1e-15)
    expect(relative(digamma(0.5), -gamma - 2 * Math.LN2)).toBeLessThan(1e-15)
    expect(relative(polygamma(1, 1), Math.PI ** 2 / 6)).toBeLessThan(1e-15)
    expect(relative(polygamma(1, -0.5), Math.PI ** 2 / 2 + 4)).toBeLessThan(1e-15)
    expect(relative(polygamma(2, 1), -2 * 1.2020569031595942)).toBeLessThan(1e-15)
    expect([digamma(0), digamma(-3), polygamma(1.5, 2)]).toEqual([NaN, NaN, NaN])
  })
})
