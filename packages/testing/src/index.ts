/** Checks that anyone can run over their own functions. */
export {
  arbitraryArray,
  type ArrayOptions,
  arbitraryShape,
  type ShapeOptions,
  arbitraryTree,
} from './arbitraries'
export {
  type ArbitraryProgram,
  arbitraryProgram,
  jaxprOf,
  type ProgramOptions,
  type Step,
} from './arbitrary-program'
export {
  arbitraryTransformations,
  type Endomorphism,
  type LayerName,
  type TransformationOptions,
  transformationStack,
  type TransformationStack,
} from './arbitrary-transformations'
export { checkGrads, type CheckGradsOptions } from './check-grads'
export { checkJit, checkVmap } from './check-vmap'
export { type CompareOptions, compareTrees, type Difference, requireClose } from './compare'
export {
  deviceTolerance,
  differenceTolerance,
  type Tolerance,
  toleranceOf,
  ulpsBetween,
} from './tolerance'
export {
  describeEquivalence,
  type DescribeEquivalenceOptions,
  type TestRunner,
} from './describe-equivalence'
export { CheckError, type Culprit, type EquationReport } from './culprit'
export type { Divergence } from './divergence'
export type { Aspect } from './aspects'
export type { NotCompared } from './machine-devices'
export {
  type Comparison,
  equivalence,
  EquivalenceError,
  type EquivalenceOptions,
  type EquivalenceReport,
} from './equivalence'
