export { bitsText, v128 } from './constants'
export type { V128Bits } from './constants'
export { forceFeatures, wasmFeatures } from './features'
export type { WasmFeatures } from './features'
export { FunctionBuilder } from './function'
export type {
  BlockType,
  Code,
  FunctionRef,
  FunctionSignature,
  Global,
  I32Operand,
  Label,
  Local,
  RangeOptions,
} from './function'
export { ModuleBuilder } from './module'
export type { FunctionOptions, MemoryImport, ModuleOptions } from './module'
export type { AtomicOp, LaneOp, LoadOp, MemoryLaneOp, PlainOp, StoreOp, ValueType } from './opcodes'
