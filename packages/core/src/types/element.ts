/** Single elements and typed arrays, by dtype: the memory form that devices and users exchange. */
import { type DType, isFloating } from './dtype'
import { OutOfMemoryError } from './errors'
import { bfloat16ToBits, float16ToBits, roundToDType } from './float-formats'

/** Typed arrays as users see them: float16 and bfloat16 as their raw 16 bits. */
export type ElementData =
  | Float64Array
  | Float32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array

/**
 * A typed array of the memory form of a dtype.
 *
 * @throws OutOfMemoryError when the engine cannot give so many elements
 */
export function elementData(dtype: DType, size: number): ElementData {
  try {
    return typedArray(dtype, size)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new OutOfMemoryError({
      op: 'allocate',
      problem: `the host has no memory for ${size} elements of ${dtype}`,
      rule: 'the elements of an array that is read, or computed on the host, lie in one buffer',
      hint: 'reduce the array, or read it in parts',
      cause,
    })
  }
}

function typedArray(dtype: DType, size: number): ElementData {
  switch (dtype) {
    case 'float64':
      return new Float64Array(size)
    case 'float32':
      return new Float32Array(size)
    case 'int32':
      return new Int32Array(size)
    case 'uint32':
      return new Uint32Array(size)
    case 'int16':
      return new Int16Array(size)
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(size)
    case 'int8':
      return new Int8Array(size)
    default:
      return new Uint8Array(size)
  }
}

/** The value as the dtype holds it: rounded, wrapped, or truth. */
export function elementOf(value: number | boolean, dtype: DType): number | boolean {
  if (dtype === 'bool') return Boolean(value)
  if (isFloating(dtype)) return roundToDType(Number(value), dtype)
  const view = elementData(dtype, 1)
  view[0] = Number(value)
  return view[0] ?? 0
}

/** The memory form of one element. */
export function elementBits(value: number | boolean, dtype: DType): number {
  if (dtype === 'float16') return float16ToBits(Number(value))
  if (dtype === 'bfloat16') return bfloat16ToBits(Number(value))
  return Number(value)
}
