/** What dtypes can hold, and which dtype an operation has. */
import { type DType, floatInfo, integerRange, isFloating } from '../../types/dtype'
import { DTypeError } from '../../types/errors'
import { type ArrayLike, asArray, checkDType, resultTypeOf } from '../promotion'
import { zeros } from './creation'

/** Machine limits of a floating dtype. */
export interface FloatLimits {
  readonly dtype: DType
  readonly bits: number
  readonly eps: number
  readonly max: number
  readonly min: number
  readonly tiny: number
  readonly smallestNormal: number
  readonly smallestSubnormal: number
}

const dtypeOf = (x: ArrayLike | DType, op: string): DType =>
  typeof x === 'string' ? checkDType(op, x) : asArray(op, x).dtype

export function finfo(x: ArrayLike | DType): FloatLimits {
  const dtype = dtypeOf(x, 'finfo')
  if (!isFloating(dtype)) {
    throw new DTypeError({
      op: 'finfo(dtype)',
      problem: `${dtype} is not a floating dtype`,
      hint: 'np.iinfo describes integers',
    })
  }
  const { eps, max, smallestNormal, smallestSubnormal } = floatInfo(dtype)
  const bits = dtype === 'float64' ? 64 : dtype === 'float32' ? 32 : 16
  return {
    dtype,
    bits,
    eps,
    max,
    min: -max,
    tiny: smallestNormal,
    smallestNormal,
    smallestSubnormal,
  }
}

export function iinfo(x: ArrayLike | DType): {
  readonly dtype: DType
  readonly bits: number
  readonly min: number
  readonly max: number
} {
  const dtype = dtypeOf(x, 'iinfo')
  if (isFloating(dtype) || dtype === 'bool') {
    throw new DTypeError({
      op: 'iinfo(dtype)',
      problem: `${dtype} is not an integer dtype`,
      hint: 'np.finfo describes floats',
    })
  }
  const [min, max] = integerRange(dtype)
  return { dtype, bits: Math.log2(max - min + 1), min, max }
}

/** The dtype of an operation on these operands; a dtype's name stands for an array of it. */
export const resultType = (...args: readonly (ArrayLike | DType)[]): DType =>
  resultTypeOf(
    'resultType',
    args.map((arg) => (typeof arg === 'string' ? zeros([], { dtype: arg }) : arg)),
  ).dtype

/** The dtype of an operation on arrays of these two dtypes. */
export const promoteTypes = (a: DType, b: DType): DType => resultType(a, b)
