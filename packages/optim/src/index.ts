/** Gradient transformations, schedules and losses. */
export {
  type AdamOptions,
  scaleByAdam,
  scaleByAdamax,
  scaleByAdan,
  scaleByAmsgrad,
  scaleByBelief,
  scaleByLion,
  scaleByNovograd,
  scaleByRadam,
  scaleByYogi,
} from './adaptive'
export { ademamix, type AdemamixScalingOptions, scaleByAdemamix } from './ademamix'
export { type BacktrackingLinesearchOptions, scaleByBacktrackingLinesearch } from './backtracking'
export { adaptiveGradClip, clip, clipByBlockRms, clipByGlobalNorm } from './clipping'
export type { Scalar } from './hyperparameters'
export { hyperparamsOf, injectHyperparams, withHyperparams } from './inject'
export { lbfgs, type LbfgsOptions, scaleByLbfgs } from './lbfgs'
export {
  scaleByZoomLinesearch,
  valueAndGradFromState,
  type ZoomLinesearchOptions,
} from './line-search'
export {
  type ClassOptions,
  generalizedKlDivergence,
  generalizedKlDivergence as convexKlDivergence,
  hingeLoss,
  klDivergence,
  klDivergenceWithLogTargets,
  multiclassHingeLoss,
  multiclassPerceptronLoss,
  multiclassSparsemaxLoss,
  perceptronLoss,
  polyLossCrossEntropy,
  rankingSoftmaxLoss,
  safeSoftmaxCrossEntropy,
  sigmoidBinaryCrossEntropy,
  sigmoidFocalLoss,
  smoothLabels,
  softmaxCrossEntropy,
  softmaxCrossEntropyWithIntegerLabels,
  sparsemaxLoss,
} from './losses/classification'
export { type CtcForward, ctcLoss, ctcLossWithForwardProbs, type CtcOptions } from './losses/ctc'
export { ntxent, tripletMarginLoss } from './losses/metric'
export {
  cosineDistance,
  type CosineOptions,
  cosineSimilarity,
  huber,
  huber as huberLoss,
  l2Loss,
  logCosh,
  squaredError,
} from './losses/regression'
export { diceLoss, type DiceOptions } from './losses/segmentation'
export {
  byPath,
  freeze,
  type LabelsOrFn,
  masked,
  type MaskOrFn,
  partition,
  partition as multiTransform,
  selectiveTransform,
} from './masking'
export {
  addDecayedWeights,
  addNoise,
  applyEvery,
  type DecayedWeightsOptions,
  ema,
  scaleByOptimisticGradient,
  trace,
} from './momentum'
export { muon, type MuonScalingOptions, scaleByMuon, scaleByShape } from './muon'
export {
  type NewtonSchulzCoefficients,
  type NewtonSchulzOptions,
  orthogonalizeViaNewtonSchulz,
} from './newton-schulz'
export {
  adabelief,
  adam,
  adamax,
  adamaxw,
  adamw,
  adan,
  amsgrad,
  nadam,
  nadamw,
  radam,
  yogi,
} from './adam-family'
export {
  adadelta,
  type AdadeltaOptions,
  adafactor,
  type AdafactorOptions,
  adagrad,
  fromage,
  lamb,
  lars,
  lion,
  noisySgd,
  novograd,
  optimisticAdam,
  optimisticAdam as optimisticAdamV2,
  optimisticGradientDescent,
  polyakSgd,
  rmsprop,
  rprop,
  sgd,
  signSgd,
  signum,
  sm3,
} from './optimisers'
export { type PlateauOptions, reduceOnPlateau } from './plateau'
export { prodigy, type ProdigyOptions } from './prodigy'
export {
  type Bound,
  projectionBox,
  projectionHalfspace,
  projectionHypercube,
  projectionHyperplane,
  projectionL1Ball,
  projectionL1Sphere,
  projectionL2Ball,
  projectionL2Sphere,
  projectionLinfBall,
  projectionNonNegative,
  projectionSimplex,
  projectionVector,
} from './projections'
export { type RpropOptions, scaleByRprop } from './resilient'
export {
  type FactoredRmsOptions,
  type RmsOptions,
  scaleByAdadelta,
  scaleByFactoredRms,
  scaleByRms,
  scaleByRss,
  scaleByStddev,
} from './root-mean-square'
export {
  centralize,
  keepParamsNonnegative,
  normalizeByUpdateNorm,
  scale,
  scaleByLearningRate,
  scaleByParamBlockNorm,
  scaleByParamBlockRms,
  scaleByPolyak,
  scaleBySchedule,
  scaleBySign,
  scaleByTrustRatio,
  zeroNans,
} from './scaling'
export {
  scheduleFree,
  scheduleFreeAdamw,
  type ScheduleFreeAdamwOptions,
  scheduleFreeEvalParams,
  type ScheduleFreeOptions,
  scheduleFreeSgd,
  type ScheduleFreeSgdOptions,
} from './schedule-free'
// Schedules have a short name and Optax's own.
export {
  type BoundariesAndScales,
  constantSchedule,
  cosineDecay,
  cosineDecay as cosineDecaySchedule,
  cosineOnecycle,
  cosineOnecycle as cosineOnecycleSchedule,
  type CosinePeriod,
  exponentialDecay,
  exponentialDecay as exponentialDecaySchedule,
  joinSchedules,
  linearOnecycle,
  linearOnecycle as linearOnecycleSchedule,
  linearSchedule,
  piecewiseConstant,
  piecewiseConstant as piecewiseConstantSchedule,
  piecewiseInterpolate,
  piecewiseInterpolate as piecewiseInterpolateSchedule,
  polynomialSchedule,
  type ScalarOrSchedule,
  type Schedule,
  sgdr,
  sgdr as sgdrSchedule,
  warmupConstant,
  warmupConstant as warmupConstantSchedule,
  warmupCosineDecay,
  warmupCosineDecay as warmupCosineDecaySchedule,
  warmupExponentialDecay,
  warmupExponentialDecay as warmupExponentialDecaySchedule,
} from './schedules'
export { normalize, sam, type SamOptions } from './sharpness'
export {
  hutchinsonEstimatorDiagHessian,
  scaleBySophia,
  sophia,
  type SophiaScalingOptions,
} from './sophia'
export { scaleBySm3 } from './square-root-memory'
export {
  applyUpdates,
  chain,
  type ExtraArgs,
  globalNorm,
  type GradientTransformation,
  identity,
  incrementalUpdate,
  monoid,
  namedChain,
  type OptState,
  periodicUpdate,
  setToZero,
  stateless,
} from './transformation'
export {
  allFinite,
  applyIfFinite,
  conditionallyMask,
  conditionallyTransform,
  flatten,
  hasUpdated,
  lookahead,
  type Lookahead,
  type LookaheadParams,
  lookaheadParams,
  multiSteps,
  skipLargeUpdates,
  skipNotFinite,
} from './wrappers'
