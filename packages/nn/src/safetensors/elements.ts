/** Between arrays and the bytes of a file. */
import { type DeviceData, type DType, type NDArray, readAsync } from '@adjoint/core/internal'
import { SafetensorsError } from './error'
import { dtypeOf, type Format } from './header'

/** The elements as a file holds them. */
export async function bytesOfArray(op: string, array: NDArray): Promise<Uint8Array> {
  const data = await readAsync(array, op)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** Typed arrays over the bytes, in the memory form of the format's dtype. */
export function elementsOf(
  op: string,
  name: string,
  format: Format,
  { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
): DeviceData {
  const dtype: DType = dtypeOf(format)
  if (format === 'I64' || format === 'U64') {
    return narrowed(op, name, format, new Int32Array(buffer, byteOffset, byteLength / 4))
  }
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer, byteOffset, byteLength / 8)
    case 'float32':
      return new Float32Array(buffer, byteOffset, byteLength / 4)
    case 'int32':
      return new Int32Array(buffer, byteOffset, byteLength / 4)
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, byteLength / 4)
    case 'int16':
      return new Int16Array(buffer, byteOffset, byteLength / 2)
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(buffer, byteOffset, byteLength / 2)
    case 'int8':
      return new Int8Array(buffer, byteOffset, byteLength)
    case 'bool':
      return new Uint8Array(buffer, byteOffset, byteLength).map((byte) => Number(byte !== 0))
    default:
      return new Uint8Array(buffer, byteOffset, byteLength)
  }
}

/** 64-bit integers in 32 bits. The upper halves say whether they fit. */
function narrowed(
  op: string,
  name: string,
  format: 'I64' | 'U64',
  halves: Int32Array,
): Int32Array | Uint32Array {
  const signed = format === 'I64'
  const result = signed ? new Int32Array(halves.length / 2) : new Uint32Array(halves.length / 2)
  for (let i = 0; i < result.length; i++) {
    const low = halves[2 * i]
    if (halves[2 * i + 1] !== (signed ? low >> 31 : 0)) {
      throw new SafetensorsError({
        op,
        problem: `element ${i} of the tensor ${JSON.stringify(name)} does not fit into 32 bits`,
        rule: `${format} is read as ${dtypeOf(format)}: there are no 64-bit integers`,
      })
    }
    result[i] = low
  }
  return result
}
