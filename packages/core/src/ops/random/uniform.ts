/** Random bits, and what is made of them directly: uniform floats and integers. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { Aval, type Shape } from '../../types/aval'
import {
  bytesOf,
  type DType,
  floatInfo,
  integerRange,
  isFloating,
  isInteger,
} from '../../types/dtype'
import { DTypeError, ShapeError } from '../../types/errors'
import { canonicalShape, checkOptions, given, isOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastShapes,
  broadcastTo,
  checkDType,
  choose,
  constantLike,
  convert,
  filledLike,
} from '../promotion'
import { clip } from '../np/elementwise'
import { doubleWords, type Key, split, words } from './keys'

export interface SampleOptions {
  readonly dtype?: DType
}

/** The dtype of samples, checked to be floating. */
export function floatDType<T extends SampleOptions>(
  op: string,
  options: T,
  more: readonly (keyof T & string)[] = [],
): DType {
  checkOptions(op, options, ['dtype', ...more])
  const dtype = options.dtype === undefined ? 'float32' : checkDType(op, options.dtype)
  if (isFloating(dtype)) return dtype
  throw new DTypeError({
    op: `${op}(key, shape, { dtype })`,
    problem: `${dtype} is not a floating dtype`,
    hint: 'random.randint and random.bits give integers',
  })
}

export const rows = (k: Key, i: number): Key =>
  prim.squeeze(prim.sliceInAxis(k, 0, i, i + 1), { dimensions: [0] })

/** Checks that parameters broadcast to the shape asked for, or gives the shape they have together. */
export function sampleShape(
  op: string,
  shape: Shape | null | undefined,
  ...parameters: readonly NDArray[]
): Shape {
  const natural = broadcastShapes(op, parameters)
  if (shape == null) return natural
  const asked = canonicalShape(op, shape)
  const common = broadcastShapes(op, [...parameters, new Aval(asked, 'float32')])
  if (common.length === asked.length && common.every((n, i) => n === asked[i])) return asked
  throw new ShapeError({
    op: `${op}(key, …, shape)`,
    problem: `the parameters do not broadcast to [${asked.join(',')}]`,
    operands: parameters.map((p, i) => ({ name: `parameter ${i}`, aval: p.aval })),
    rule: 'parameters broadcast to the shape of the samples',
  })
}

/** Uniformly random bits of an unsigned dtype, uint32 unless given. */
export function bits(k: Key, shape: Shape = [], options: SampleOptions = {}): NDArray {
  const { dtype = 'uint32' } = checkOptions('bits', options, ['dtype'])
  const sizes = canonicalShape('bits', shape)
  if (!['uint8', 'uint16', 'uint32'].includes(checkDType('bits', dtype))) {
    throw new DTypeError({
      op: 'bits(key, shape, { dtype })',
      problem: `${dtype} is not an unsigned dtype`,
      rule: 'dtype is uint8, uint16 or uint32',
    })
  }
  return convert(words('bits', k, sizes), dtype)
}

/** Numbers in [0, 1): the bits become a fraction with the exponent of 1, from which 1 is taken. */
function unitInterval(op: string, k: Key, shape: Shape, dtype: DType): NDArray {
  if (dtype === 'float64') return unitIntervalDouble(op, k, shape)
  const width = bytesOf(dtype) * 8
  const fraction = Math.round(-Math.log2(floatInfo(dtype).eps))
  const wordDType: DType = width === 16 ? 'uint16' : 'uint32'
  // A format with fewer than 8 fraction bits draws 8 bits.
  const drawn = fraction < 8 ? 8 : width
  const random = words(op, k, shape)
  const narrow = convert(drawn === 8 ? convert(random, 'uint8') : random, wordDType)
  const shifted = prim.shiftRightLogical(narrow, filledLike(narrow, drawn - fraction))
  const one = width === 32 ? 0x3f800000 : fraction === 10 ? 0x3c00 : 0x3f80
  const between1And2 = prim.bitcastConvertType(prim.or(shifted, filledLike(shifted, one)), {
    newDtype: dtype,
  })
  return prim.sub(between1And2, filledLike(between1And2, 1))
}

/** 52 fraction bits from two words, exactly: 20 of the upper one, all the rest below them. */
function unitIntervalDouble(op: string, k: Key, shape: Shape): NDArray {
  const [high, low] = doubleWords(op, k, shape)
  const shift = (x: NDArray, by: number): NDArray => prim.shiftRightLogical(x, filledLike(x, by))
  const upper = convert(shift(high, 12), 'float64')
  const carried = prim.shiftLeft(prim.and(high, filledLike(high, 0xfff)), filledLike(high, 20))
  const lower = convert(prim.or(carried, shift(low, 12)), 'float64')
  return prim.add(
    prim.mul(upper, filledLike(upper, 2 ** -20)),
    prim.mul(lower, filledLike(lower, 2 ** -52)),
  )
}

export interface UniformOptions extends SampleOptions {
  readonly minval?: ArrayLike
  readonly maxval?: ArrayLike
}

/** `uniform` between bounds that already are arrays. */
export function uniformBetween(
  op: string,
  k: Key,
  shape: Shape,
  dtype: DType,
  minval: ArrayLike,
  maxval: ArrayLike,
): NDArray {
  const unit = unitInterval(op, k, shape, dtype)
  if (minval === 0 && maxval === 1) return unit
  const [low, high] = [minval, maxval].map((v) => convert(asArray(op, v), dtype))
  sampleShape(op, shape, low, high)
  const [from, to] = [low, high].map((v) => broadcastTo(v, shape))
  return prim.max(from, prim.add(prim.mul(unit, prim.sub(to, from)), from))
}

/**
 * Uniform numbers in [minval, maxval), [0, 1) unless given.
 *
 * @param k a key; the same key gives the same numbers
 * @param shape the shape of the result
 */
export function uniform(k: Key, shape: Shape = [], options: UniformOptions = {}): NDArray {
  const { minval = 0, maxval = 1 } = options
  return uniformBetween(
    'uniform',
    k,
    canonicalShape('uniform', shape),
    floatDType('uniform', options, ['minval', 'maxval']),
    minval,
    maxval,
  )
}

/** Uniform integers in [minval, maxval), int32 unless another integer dtype is given. */
export function randint(
  k: Key,
  shape: Shape,
  minval: ArrayLike,
  maxval: ArrayLike,
  options: SampleOptions = {},
): NDArray {
  const { dtype = 'int32' } = checkOptions('randint', options, ['dtype'])
  given('randint', 'minval', minval)
  given('randint', 'maxval', maxval)
  const sizes = canonicalShape('randint', shape)
  if (!isInteger(checkDType('randint', dtype))) {
    throw new DTypeError({
      op: 'randint(key, shape, minval, maxval, { dtype })',
      problem: `${dtype} is not an integer dtype`,
    })
  }
  const working: DType = bytesOf(dtype) < 4 ? 'int32' : dtype
  const [least, most] = integerRange(dtype)
  // The upper bound is exclusive, so it may lie one above the largest integer: then the range, which
  // is counted modulo 2³², needs one more.
  const overflows = exceeds(maxval, integerRange(working)[1])
  const bound = (v: ArrayLike, highest: number): NDArray => {
    if (typeof v === 'number') {
      const limit = Math.min(highest, integerRange(working)[1])
      const value = Math.trunc(Math.min(limit, Math.max(least, v)))
      return constantLike({ aval: new Aval([], working) }, value)
    }
    const array = asArray('randint', v)
    const integral = isInteger(array.dtype) ? array : convert(array, 'int32')
    return convert(
      working === dtype ? integral : clip(convert(integral, 'int32'), least, highest),
      working,
    )
  }
  const low = bound(minval, most)
  const high = bound(maxval, bytesOf(dtype) < 4 ? most + 1 : most)
  sampleShape('randint', sizes, low, high)
  const [from, to] = [low, high].map((v) => broadcastTo(v, sizes))

  const keys = split(k)
  const [upper, lower] = [
    words('randint', rows(keys, 0), sizes),
    words('randint', rows(keys, 1), sizes),
  ]
  const one = filledLike(upper, 1)
  const nonempty = prim.gt(to, from)
  const distance = convert(prim.sub(to, from), 'uint32')
  const span = choose(nonempty, overflows ? prim.add(distance, one) : distance, one)
  // (upper·2³² + lower) mod span, in 32-bit steps: 2³² mod span is (2¹⁶ mod span)² mod span. A span
  // of 2³² is counted as 0, and a remainder by it leaves the number as it is.
  const remainder = (x: NDArray): NDArray => {
    if (!overflows) return prim.rem(x, span)
    const whole = prim.eq(span, filledLike(span, 0))
    return choose(whole, x, prim.rem(x, choose(whole, one, span)))
  }
  const root = remainder(filledLike(upper, 2 ** 16))
  const multiplier = remainder(prim.mul(root, root))
  const offset = remainder(prim.add(prim.mul(remainder(upper), multiplier), remainder(lower)))
  return convert(prim.add(from, convert(offset, working)), dtype)
}

const exceeds = (bound: ArrayLike, largest: number): boolean =>
  typeof bound === 'number' && bound > largest

/** Optional trailing shape and options, told apart. */
export const shapeAndOptions = <T extends object>(
  shapeOrOptions: Shape | T | undefined,
  options: T | undefined,
): [Shape | undefined, T | undefined] =>
  isOptions<T>(shapeOrOptions) ? [undefined, shapeOrOptions] : [shapeOrOptions, options]
