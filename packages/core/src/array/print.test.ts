import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { install } from '../install'
import * as np from '../ops/np'
import { printArray, shortestDigits } from './print'

install()

const show = (data: np.NestedArray, options?: np.ArrayOptions): string =>
  String(np.array(data, options))

describe('arrays as text', () => {
  test('columns share a format', () => {
    expect(
      show([
        [1, 2],
        [3, 4.5],
      ]),
    ).toMatchInlineSnapshot(`
      "Array([[1. , 2. ],
             [3. , 4.5]], dtype=float32)"
    `)
    expect(show([1.5, -0.25, 100])).toMatchInlineSnapshot(
      `"Array([  1.5 ,  -0.25, 100.  ], dtype=float32)"`,
    )
    expect(show([NaN, Infinity, -1.5, -0])).toMatchInlineSnapshot(
      `"Array([ nan,  inf, -1.5, -0. ], dtype=float32)"`,
    )
    expect(show([-1, 20, 300])).toMatchInlineSnapshot(`"Array([ -1,  20, 300], dtype=int32)"`)
    expect(show([true, false])).toMatchInlineSnapshot(`"Array([ True, False], dtype=bool)"`)
    expect(
      show([
        [
          [1, 2],
          [3, 4],
        ],
        [
          [5, 6],
          [7, 8],
        ],
      ]),
    ).toMatchInlineSnapshot(`
      "Array([[[1, 2],
              [3, 4]],

             [[5, 6],
              [7, 8]]], dtype=int32)"
    `)
  })

  test('wide ranges are scientific', () => {
    expect(show([1e-5, 1])).toMatchInlineSnapshot(`"Array([1.e-05, 1.e+00], dtype=float32)"`)
    expect(show([1234.5, 0.001])).toMatchInlineSnapshot(
      `"Array([1.2345e+03, 1.0000e-03], dtype=float32)"`,
    )
    expect(show([12345678.5])).toMatchInlineSnapshot(`"Array([1.2345678e+07], dtype=float32)"`)
    expect(show([0.00012345])).toMatchInlineSnapshot(`"Array([0.00012345], dtype=float32)"`)
  })

  test('scalars, weak types and empty arrays', () => {
    expect(String(np.asarray(3.14159))).toMatchInlineSnapshot(
      `"Array(3.14159, dtype=float32, weak_type=True)"`,
    )
    expect(String(np.array(2, { dtype: 'int32' }))).toMatchInlineSnapshot(`"Array(2, dtype=int32)"`)
    expect(String(np.zeros([0]))).toMatchInlineSnapshot(`"Array([], shape=(0,), dtype=float32)"`)
    expect(String(np.zeros([2, 0]))).toMatchInlineSnapshot(
      `"Array([], shape=(2, 0), dtype=float32)"`,
    )
    expect(show([1.5, 2.1], { dtype: 'float16' })).toMatchInlineSnapshot(
      `"Array([1.5, 2.1], dtype=float16)"`,
    )
  })

  test('long lines break and long arrays are summarised', () => {
    expect(String(np.arange(40))).toMatchInlineSnapshot(`
      "Array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16,
             17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
             34, 35, 36, 37, 38, 39], dtype=int32)"
    `)
    expect(String(np.divide(np.arange(12), 7))).toMatchInlineSnapshot(`
      "Array([0.        , 0.14285715, 0.2857143 , 0.42857143, 0.5714286 ,
             0.71428573, 0.85714287, 1.        , 1.1428572 , 1.2857143 ,
             1.4285715 , 1.5714285 ], dtype=float32)"
    `)
    expect(String(np.arange(2000).astype('float32'))).toMatchInlineSnapshot(`
      "Array([0.000e+00, 1.000e+00, 2.000e+00, ..., 1.997e+03, 1.998e+03,
             1.999e+03], dtype=float32)"
    `)
    expect(String(np.zeros([50, 50]))).toMatchInlineSnapshot(`
      "Array([[0., 0., 0., ..., 0., 0., 0.],
             [0., 0., 0., ..., 0., 0., 0.],
             [0., 0., 0., ..., 0., 0., 0.],
             ...,
             [0., 0., 0., ..., 0., 0., 0.],
             [0., 0., 0., ..., 0., 0., 0.],
             [0., 0., 0., ..., 0., 0., 0.]], dtype=float32)"
    `)
  })

  test('the digits of a number read back as that number', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (x) => {
        fc.pre(x !== 0)
        const { digits, exponent } = shortestDigits(x, 'float32')
        expect(Math.fround(Number(`${digits[0]}.${digits.slice(1)}e${exponent}`))).toBe(Math.abs(x))
      }),
    )
  })

  test('every element of a short vector can be read back from its text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -999, max: 999 }), { minLength: 1, maxLength: 30 }),
        (values) => {
          const text = printArray({
            shape: [values.length],
            dtype: 'int32',
            weakType: false,
            at: (i) => values[i],
          })
          const inner = text.slice(text.indexOf('[') + 1, text.indexOf(']'))
          expect(inner.split(',').map(Number)).toEqual(values)
        },
      ),
    )
  })
})
