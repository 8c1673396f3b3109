/**
 * Arrays of the reference device: plain typed arrays in row-major order.
 *
 * Every floating dtype is held in doubles and never rounded between operations, so that this
 * device is an oracle: a float32 program runs in double precision, and finite differences of it
 * mean something. Conversions to a narrower dtype and bit casts round, because that is what they
 * are for. Booleans are 0 and 1 in a Uint8Array.
 */
import { type Aval, Aval as AvalClass, sizeOf } from '../../types/aval'
import type { DType } from '../../types/dtype'

export type HostData =
  Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

export interface HostArray {
  readonly aval: Aval
  readonly data: HostData
}

export function allocateHost(dtype: DType, size: number): HostData {
  switch (dtype) {
    case 'bool':
    case 'uint8':
    case 'float0':
      return new Uint8Array(size)
    case 'int8':
      return new Int8Array(size)
    case 'int16':
      return new Int16Array(size)
    case 'uint16':
      return new Uint16Array(size)
    case 'int32':
      return new Int32Array(size)
    case 'uint32':
      return new Uint32Array(size)
    default:
      return new Float64Array(size)
  }
}

export const hostArray = (
  aval: Aval,
  data: HostData = allocateHost(aval.dtype, aval.size),
): HostArray => ({
  aval,
  data,
})

export const hostScalar = (dtype: DType, value: number): HostArray => {
  const data = allocateHost(dtype, 1)
  data[0] = value
  return { aval: new AvalClass([], dtype), data }
}

/** Row-major strides, in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= shape[axis]
  }
  return strides
}

export { sizeOf }
