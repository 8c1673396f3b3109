/** Every operation of the language. Importing this registers every primitive of core. */
export {
  abs,
  add,
  cbrt,
  ceil,
  copy,
  div,
  floor,
  integerPow,
  isFinite,
  max,
  min,
  mul,
  neg,
  nextafter,
  rem,
  round,
  rsqrt,
  sign,
  sqrt,
  square,
  sub,
} from './arithmetic'
export { optimizationBarrier, stopGradient } from './barriers'
export {
  and,
  clz,
  not,
  or,
  populationCount,
  shiftLeft,
  shiftRightArithmetic,
  shiftRightLogical,
  xor,
} from './bitwise'
export { eq, ge, gt, le, lt, ne } from './comparison'
export {
  addAny,
  addTangents,
  full,
  fullLike,
  instantiate,
  onesLike,
  sumTangents,
  zerosLike,
} from './constants'
export { bitcastConvertType, convertElementType, reducePrecision } from './convert'
export { dotGeneral, type DotDimensionNumbers } from './dot'
export {
  acosh,
  asinh,
  atanh,
  cosh,
  exp,
  exp2,
  expm1,
  log,
  log1p,
  logistic,
  pow,
  sinh,
  tanh,
} from './exponential'
export { logaddexp, logaddexp2, xlog1py, xlogy } from './logarithmic'
export {
  broadcastInDim,
  expandDims,
  moveAxis,
  reduceSum,
  reshape,
  squeeze,
  transpose,
  withMappedAxis,
} from './movement'
export type { BinaryOperation, Operation, ParametricOperation, UnaryOperation } from './operation'
export { argmax, argmin, reduceAnd, reduceMax, reduceMin, reduceOr, reduceProd } from './reductions'
export { clamp, select, selectN } from './select'
export { concatenate, iota, pad, type PaddingConfig, rev, slice, sliceInAxis } from './slicing'
export { acos, asin, atan, atan2, cos, sin, tan } from './trigonometric'
export { cumlogsumexp, cummax, cummin, cumprod, cumsum } from './cumulative'
export { dynamicSlice, dynamicUpdateSlice } from './dynamic'
export { gather, type GatherOptions, scatterAdd, type ScatterOptions } from './gather'
export {
  type GatherDimensionNumbers,
  type IndexMode,
  type ScatterDimensionNumbers,
} from './indexing'
export { scatter, scatterMax, scatterMin, scatterMul } from './scatter'
export { sort, takeAlongAxis, topK } from './sort'
export { threefry2x32 } from './threefry'
export { convGeneralDilated, type ConvDimensionNumbers, type ConvOptions } from './convolution'
export { eigh } from './eigh'
export { cholesky, triangularSolve } from './linear-algebra'
export { lu, luFactors, permuteRows } from './lu'
export { pinv, type PinvParams } from './pinv'
export { qr, type QrParams } from './qr'
export { svd, type SvdParams } from './svd'
export { selectAndGatherAdd, selectAndScatterAdd } from './pooling'
export { reduceWindowMax, reduceWindowMin, reduceWindowSum, type WindowOptions } from './windows'
export { digamma, erf, erfc, erfInv, lgamma, polygamma } from './special'
