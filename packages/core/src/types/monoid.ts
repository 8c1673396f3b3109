/**
 * Reductions as monoids: how two elements combine, and the element that leaves every other as it
 * is. A reduction over nothing is that element, and padding with it changes no result.
 */
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import { type DType, integerRange, isFloating, isInteger, isUnsigned } from './dtype'

export type MonoidName = 'sum' | 'prod' | 'max' | 'min' | 'and' | 'or'

/**
 * The monoid of a reduction on elements of a dtype, booleans as 0 and 1. Floats are combined in
 * double precision; integers wrap when they are stored.
 */
export const reductionMonoid = (name: MonoidName, dtype: DType): Monoid<number> => ({
  concat: combination(name, dtype),
  empty: identity(name, dtype),
})

/** How two elements combine. `Math.max` and `Math.min` answer NaN for NaN, and know −0 from 0. */
export function combination(name: MonoidName, dtype: DType): (x: number, y: number) => number {
  switch (name) {
    case 'sum':
      return (x, y) => x + y
    case 'prod':
      // The low 32 bits: a product of two large integers has more than a double can hold.
      return isInteger(dtype) ? Math.imul : (x, y) => x * y
    case 'max':
      return Math.max
    case 'min':
      return Math.min
    case 'and':
      return (x, y) => x & y
    case 'or':
      return (x, y) => x | y
  }
}

function identity(name: MonoidName, dtype: DType): number {
  switch (name) {
    case 'sum':
    case 'or':
      return 0
    case 'prod':
      return 1
    case 'and':
      return dtype === 'bool' || isUnsigned(dtype) ? integerRange(dtype)[1] : -1
    case 'max':
      return isFloating(dtype) ? -Infinity : integerRange(dtype)[0]
    case 'min':
      return isFloating(dtype) ? Infinity : integerRange(dtype)[1]
  }
}
