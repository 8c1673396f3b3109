/** Strided reading and writing of host arrays: the reference meaning of every movement. */
import {
  allocateHost,
  hostArray,
  type HostArray,
  type HostData,
  rowMajorStrides,
} from '../backends/reference/host-array'
import { type Aval, type Shape, sizeOf } from '../types/aval'

/** Visits a shape in row-major order with the strided position of each element. */
export function forEachStrided(
  shape: Shape,
  offset: number,
  strides: readonly number[],
  visit: (position: number, flat: number) => void,
): void {
  const total = sizeOf(shape)
  const index = new Array<number>(shape.length).fill(0)
  let position = offset
  for (let flat = 0; flat < total; flat++) {
    visit(position, flat)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis]
      if (++index[axis] < shape[axis]) break
      position -= strides[axis] * shape[axis]
      index[axis] = 0
    }
  }
}

/** Visits every index of a shape in row-major order. The array is reused between visits. */
export function forEachIndex(
  shape: Shape,
  visit: (index: readonly number[], flat: number) => void,
): void {
  const total = sizeOf(shape)
  const index = new Array<number>(shape.length).fill(0)
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break
      index[axis] = 0
    }
  }
}

/** Element `j` of the result is the source's element at `offset + Σ strides[a]·j[a]`. */
export function readStrided(
  source: HostArray,
  result: Aval,
  offset: number,
  strides: readonly number[],
): HostArray {
  const data = allocateHost(result.dtype, result.size)
  forEachStrided(result.shape, offset, strides, (position, flat) => {
    data[flat] = source.data[position]
  })
  return hostArray(result, data)
}

/** Writes every element of `source` to `target[offset + Σ strides[a]·j[a]]`. */
export function writeStrided(
  target: HostData,
  source: HostArray,
  offset: number,
  strides: readonly number[],
): void {
  forEachStrided(source.aval.shape, offset, strides, (position, flat) => {
    target[position] = source.data[flat]
  })
}

/** The flat position of an index. */
export const positionOf = (strides: readonly number[], index: readonly number[]): number => {
  let position = 0
  for (let axis = 0; axis < strides.length; axis++) position += strides[axis] * index[axis]
  return position
}

/** The same elements in the same order under another type. */
export const retyped = (x: HostArray, aval: Aval): HostArray => hostArray(aval, x.data)

export { allocateHost, hostArray, type HostArray, type HostData, rowMajorStrides }
