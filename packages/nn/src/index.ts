/** Layers, initialisers and activations. */
export {
  elu,
  gelu,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  oneHot,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
} from './activations'
export * as initializers from './initializers'
export type { Initializer } from './initializers'
export { activation, type Context, type Layer, sequential, type Variables } from './layer'
export { dropout, layerNorm, linear, type LinearParams, type NormParams } from './layers'
export {
  encodeSafetensors,
  type FileTask,
  type LoadIntoOptions,
  type LoadOptions,
  loadSafetensors,
  readSafetensorsHeader,
  SafetensorsError,
  type SafetensorsHeader,
  type SafetensorsSource,
  type SafetensorsTarget,
  saveSafetensors,
  type SaveOptions,
} from './safetensors'
