/** Layers, initialisers and activations. */
export {
  type AxisOptions,
  celu,
  elu,
  gelu,
  glu,
  hardSigmoid,
  hardSilu,
  hardSwish,
  hardTanh,
  identity,
  leakyRelu,
  log1mexp,
  logmeanexp,
  logSigmoid,
  logSoftmax,
  logsumexp,
  mish,
  oneHot,
  type ReductionOptions,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  type SoftmaxOptions,
  softplus,
  softSign,
  sparsePlus,
  sparseSigmoid,
  squareplus,
  standardize,
  type StandardizeOptions,
  swish,
  tanh,
} from './activations'
export * as initializers from './initializers'
export type { Initializer } from './initializers'
export {
  type AttentionCache,
  type AttentionLayer,
  type AttentionOptions,
  type AttentionParams,
  dotProductAttention,
  type DotProductAttentionOptions,
  multiHeadAttention,
} from './attention'
export { parallel, repeat, type RepeatOptions, residual, type ResidualParams } from './composition'
export {
  conv1d,
  conv2d,
  conv3d,
  type ConvOptions,
  type ConvPadding,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type ConvTransposeLayerOptions,
  depthwiseConv2d,
  type DepthwiseOptions,
} from './convolution'
export { dropout } from './dropout'
export {
  activation,
  type AnyLayer,
  type CacheOptions,
  type Context,
  type Layer,
  type ParamsOf,
  sequential,
  type StateOf,
  type Variables,
  withCache,
} from './layer'
export {
  embedding,
  type EmbeddingLayer,
  linear,
  type LinearOptions,
  type LinearParams,
  mlp,
  type MlpOptions,
  type WeightParams,
} from './linear'
export {
  batchNorm,
  type BatchNormOptions,
  type BatchNormState,
  type BiasParams,
  groupNorm,
  type GroupNormOptions,
  layerNorm,
  type NoParams,
  type NormOptions,
  type NormParams,
  type NormParamsOf,
  rmsNorm,
  type ScaleParams,
} from './normalization'
export {
  adaptiveAveragePool,
  adaptiveMaxPool,
  averagePool,
  type AveragePoolOptions,
  globalAveragePool,
  globalMaxPool,
  maxPool,
  type PoolOptions,
  type PoolWindow,
} from './pooling'
export {
  learnedPositions,
  type Position,
  type PositionParams,
  rotary,
  type RotaryOptions,
  sinusoidalPositions,
} from './positions'
export {
  type Cell,
  type CellOptions,
  gru,
  type GruParams,
  lstm,
  type LstmCarry,
  type LstmParams,
  recurrent,
  type RecurrentLayer,
  type RecurrentOptions,
} from './recurrent'
export type { WindowPadding } from './window-padding'
export {
  spectralNorm,
  type SpectralNormState,
  weightNorm,
  type WeightNormParams,
} from './reparametrization'
export { summary, type Summary, type SummaryRow } from './summary'
export {
  type FeedForwardParams,
  transformerBlock,
  type TransformerOptions,
  type TransformerParams,
} from './transformer'
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
export { accumulateGradients, checkpointed } from './accumulation'
export {
  type ActivationHealth,
  GradientHealth,
  gradientHealth,
  gradientHealthAsync,
  type GradientHealthOptions,
  type HealthFinding,
  type HealthProblem,
  type HealthThresholds,
  type LayerHealth,
} from './gradient-health'
export {
  type Adapter,
  type Adapters,
  lora,
  type LoraLayer,
  type LoraOptions,
  type LoraParams,
} from './lora'
export {
  allFinite,
  type DynamicLossScale,
  type FloatDType,
  type LossScale,
  mixedPrecision,
  type MixedPrecision,
  type PrecisionPolicy,
  type ScaledGradients,
} from './mixed-precision'
export {
  parameterAverage,
  type ParameterAverage,
  type ParameterAverageOptions,
  type ParameterAverageState,
} from './parameter-average'
export {
  freeze,
  type Mask,
  matchesPath,
  pathMask,
  type PathPattern,
  type PickedLeaves,
  pickPaths,
  placePaths,
} from './path-patterns'
