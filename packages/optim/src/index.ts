/** Gradient transformations, schedules and losses. */
export {
  huber,
  l2Loss,
  sigmoidBinaryCrossEntropy,
  softmaxCrossEntropy,
  softmaxCrossEntropyWithIntegerLabels,
  squaredError,
} from './losses'
export { adam, adamw, nadam, rmsprop, sgd } from './optimisers'
export {
  constant as constantSchedule,
  cosineDecay,
  exponentialDecay,
  joinSchedules,
  linear as linearSchedule,
  polynomial as polynomialSchedule,
  type ScalarOrSchedule,
  type Schedule,
  warmupCosineDecay,
} from './schedules'
export {
  applyUpdates,
  chain,
  globalNorm,
  type GradientTransformation,
  identity,
  monoid,
  type OptState,
} from './transformation'
export {
  addDecayedWeights,
  type AdamOptions,
  clip,
  clipByGlobalNorm,
  scale,
  scaleByAdam,
  scaleByLearningRate,
  scaleByRms,
  scaleBySchedule,
  trace,
} from './transforms'
