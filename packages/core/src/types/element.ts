/** Single elements and typed arrays, by dtype: the memory form that devices and users exchange. */
import { type DType, isFloating } from './dtype'
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

/** A typed array of the memory form of a dtype. */
export function elementData(dtype: DType, size: number): ElementData {
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
