/**
 * What the other packages build on: avals, tracing, jaxprs, primitives and the evaluating
 * interpreter. No promise of stability is made for any of it; users import the package index.
 */
import { useWholePrograms } from './backends/wasm/rare'
import { install } from './install'

install()
useWholePrograms()

export * from './array/content'
export * from './array/device'
export * from './array/eager'
export * from './array/host'
export * from './array/inspect'
export { NDArray } from './array/ndarray'
export { compiled } from './array/programs'
export type * from './backends/backend'
export * from './backends/reference/evaluate'
export * from './backends/reference/host-array'
export { createWasmBackend, type WasmBackendOptions } from './backends/wasm'
export { shareEverything } from './backends/wasm/codegen/sharing'
export { useControlFlow } from './backends/wasm/rare'
export type * from './compiler/context'
export * from './jaxpr/check'
export { equationHasEffects, hasEffects } from './jaxpr/effects'
export * from './jaxpr/evaluate'
export * from './jaxpr/ir'
export * from './jaxpr/key'
export * from './jaxpr/passes'
export { pruneJaxpr, type Pruned } from './jaxpr/passes/dead-code'
export * from './jaxpr/print'
export * from './jaxpr/stage'
export * from './ops/arguments'
export { type ArrayLike, asArray, convert, promote, scalarAval } from './ops/promotion'
export * from './primitives'
export * from './trace/interpreter'
export * from './trace/primitive'
export * from './types/aval'
export * from './types/dtype'
export * from './types/errors'
export * from './types/identity'
export * from './types/shape'
export * as tree from './types/tree'
