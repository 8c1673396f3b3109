/**
 * Elements as 32-bit words: one word each, whatever the dtype. Integers are extended to 32 bits, bools
 * are 0 or 1, and 16-bit floats are held as the float32 of the same value. `packed` is the other form,
 * of float16 arrays on devices that can write two bytes.
 */
import { type DType, isFloating, isUnsigned } from '../../types/dtype'
import { DTypeError } from '../../types/errors'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
} from '../../types/float-formats'
import type { DeviceData } from '../backend'

export type RegisterType = 'bool' | 'i32' | 'u32' | 'f32'

/** The type of a value of this dtype in a kernel. */
export function registerType(dtype: DType): RegisterType {
  if (dtype === 'bool') return 'bool'
  if (dtype === 'float64') {
    throw new DTypeError({
      op: 'compile',
      problem: 'the webgpu device has no float64',
      rule: 'WGSL computes in 32 bits',
      hint: "convert with astype('float32'), or run the program on the wasm device",
    })
  }
  if (isFloating(dtype)) return 'f32'
  return isUnsigned(dtype) || dtype === 'float0' ? 'u32' : 'i32'
}

/** The register that a word of memory holds, as a WGSL expression. */
export function fromWord(dtype: DType, word: string): string {
  const type = registerType(dtype)
  if (type === 'bool') return `(${word} != 0u)`
  return type === 'u32' ? word : `bitcast<${type}>(${word})`
}

/** The word that holds a register, as a WGSL expression. */
export function toWord(dtype: DType, register: string): string {
  const type = registerType(dtype)
  if (type === 'bool') return `select(0u, 1u, ${register})`
  return type === 'u32' ? register : `bitcast<u32>(${register})`
}

/** Host data in memory form as words. Words that are the same bits already are not copied. */
export function toWords(dtype: DType, data: DeviceData): Uint32Array<ArrayBuffer> {
  switch (dtype) {
    case 'float32':
    case 'int32':
    case 'uint32':
      return new Uint32Array(asOwned(data.buffer), data.byteOffset, data.length)
    case 'float16':
      return bitsOf(Float32Array.from(data, bitsToFloat16))
    case 'bfloat16':
      return bitsOf(Float32Array.from(data, bitsToBfloat16))
    case 'bool':
      return Uint32Array.from(data, (x) => (x === 0 ? 0 : 1))
    default:
      return bitsOf(Int32Array.from(data))
  }
}

/** Words as the host holds the dtype: narrow floats as their bits. */
export function fromWords(dtype: DType, words: Uint32Array<ArrayBuffer>): DeviceData {
  const { buffer, byteOffset, length } = words
  switch (dtype) {
    case 'float64':
      return Float64Array.from(new Float32Array(buffer, byteOffset, length))
    case 'float32':
      return new Float32Array(buffer, byteOffset, length)
    case 'int32':
      return new Int32Array(buffer, byteOffset, length)
    case 'uint32':
      return words
    case 'int16':
      return Int16Array.from(words)
    case 'uint16':
      return Uint16Array.from(words)
    case 'int8':
      return Int8Array.from(words)
    case 'float16':
      return Uint16Array.from(new Float32Array(buffer, byteOffset, length), float16ToBits)
    case 'bfloat16':
      return Uint16Array.from(new Float32Array(buffer, byteOffset, length), bfloat16ToBits)
    case 'bool':
    case 'uint8':
    case 'float0':
      return Uint8Array.from(words)
  }
}

/** 16-bit elements two to a word. */
export function packed(data: DeviceData): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(data.length / 2))
  new Uint16Array(words.buffer).set(data)
  return words
}

export const unpacked = ({ buffer }: Uint32Array<ArrayBuffer>, size: number): DeviceData =>
  new Uint16Array(buffer, 0, size)

const bitsOf = (
  data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>,
): Uint32Array<ArrayBuffer> => new Uint32Array(data.buffer, data.byteOffset, data.length)

/** WebGPU copies from ordinary memory only; shared memory is copied first. */
const asOwned = (buffer: ArrayBufferLike): ArrayBuffer =>
  buffer instanceof ArrayBuffer ? buffer : new Uint8Array(new Uint8Array(buffer)).buffer
