/** The value that leaves every other as it is. */
import { type DType, integerRange, isFloating, isUnsigned } from '../types/dtype'
import type { Monoid } from './context'

export function identityOf(monoid: Monoid, dtype: DType): number | boolean {
  switch (monoid) {
    case 'sum':
      return 0
    case 'prod':
      return 1
    case 'and':
      return dtype === 'bool' ? true : isUnsigned(dtype) ? integerRange(dtype)[1] : -1
    case 'or':
      return dtype === 'bool' ? false : 0
    case 'max':
      return isFloating(dtype) ? -Infinity : dtype === 'bool' ? false : integerRange(dtype)[0]
    case 'min':
      return isFloating(dtype) ? Infinity : dtype === 'bool' ? true : integerRange(dtype)[1]
  }
}
