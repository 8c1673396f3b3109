/** The array language: arrays, NumPy's functions, primitives, randomness, trees and devices. */
import { install } from './install'

install()

export {
  type DeviceDescription,
  type DeviceName,
  devices,
  setDevice,
  type WasmDeviceOptions,
} from './array/device'
export { NDArray } from './array/ndarray'
export { devicePut } from './array/transfer'
export * as lax from './ops/lax'
export * as linalg from './ops/linalg'
export * as np from './ops/np'
export type { ArrayLike } from './ops/promotion'
export * as random from './ops/random'
export type { Key } from './ops/random'
export { slice } from './ops/slice'
export * as special from './ops/special'
export type { Aval, Shape } from './types/aval'
export { type DType, dtypes } from './types/dtype'
export {
  AdjointError,
  ArgumentError,
  ConcretizationError,
  DeletedArrayError,
  DeviceError,
  DifferentiationError,
  DTypeError,
  IndexingError,
  JaxprTypeError,
  LeakedTracerError,
  OutOfMemoryError,
  ShapeError,
  TransformationError,
  TreeError,
} from './types/errors'
export * as tree from './types/tree-surface'
