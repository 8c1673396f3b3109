/** Running sums and products. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type DType, isFloating } from '../../types/dtype'
import { axisOptions, canonicalAxis } from '../arguments'
import {
  type ArrayLike,
  asArray,
  checkDType,
  choose,
  convert,
  filledLike,
  toBool,
} from '../promotion'

export interface CumulativeOptions {
  /** The axis to run along; the flattened array if left out or null. */
  readonly axis?: number | null
  readonly dtype?: DType
}

const running =
  (
    op: string,
    scan: (x: NDArray, p: { axis: number; reverse: boolean }) => NDArray,
    nanValue?: number,
  ) =>
  (
    x: ArrayLike,
    axisOrOptions?: number | null | CumulativeOptions,
    rest?: CumulativeOptions,
  ): NDArray => {
    const { axis = null, dtype } = axisOptions(op, ['axis', 'dtype'], axisOrOptions, rest) ?? {}
    const a = asArray(op, x)
    const operand = axis === null || a.ndim === 0 ? prim.reshape(a, { newSizes: [a.size] }) : a
    const along = axis === null ? 0 : canonicalAxis(op, axis, operand)
    const result: DType =
      dtype === undefined ? (a.dtype === 'bool' ? 'int32' : a.dtype) : checkDType(op, dtype)
    const working: DType = result === 'bool' ? 'int32' : result
    const weak = dtype === undefined && a.aval.weakType
    const source = result === 'bool' ? toBool(operand) : operand
    let values = convert(source, working, weak)
    if (nanValue !== undefined && isFloating(values.dtype)) {
      values = choose(prim.ne(values, values), filledLike(values, nanValue), values)
    }
    const sums = scan(values, { axis: along, reverse: false })
    return result === 'bool' ? toBool(sums) : sums
  }

/** Running sums along an axis. */
export const cumsum: (
  x: ArrayLike,
  axisOrOptions?: number | null | CumulativeOptions,
  options?: CumulativeOptions,
) => NDArray = running('cumsum', prim.cumsum)
/** Running products along an axis. */
export const cumprod: typeof cumsum = running('cumprod', prim.cumprod)
export const nancumsum: typeof cumsum = running('nancumsum', prim.cumsum, 0)
export const nancumprod: typeof cumsum = running('nancumprod', prim.cumprod, 1)
