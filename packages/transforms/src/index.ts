/** Programs from programs: derivatives, batching, compilation, control flow. */
export {
  checkpoint,
  checkpointName,
  type CheckpointOptions,
  checkpointPolicies,
  type CheckpointPolicy,
  dotsSaveable,
  dotsWithNoBatchDimsSaveable,
  everythingSaveable,
  nothingSaveable,
  remat,
  saveAnyNamesButThese,
  saveAnythingExceptTheseNames,
  saveOnlyTheseNames,
} from './checkpoint'
export { checkNans, type CheckNansOptions, NonFiniteError } from './check-nans'
export { ClosedJaxpr } from './closed-jaxpr'
export { allGather, axisIndex, axisSize, pmax, pmean, pmin, ppermute, psum } from './collectives'
export { associativeScan, type AssociativeScanOptions } from './control/associative-scan'
export { cond, switchCase } from './control/cond'
export { type Carry, map, scan, type ScanOptions, type Stacked } from './control/scan'
export { foriLoop, whileLoop } from './control/while'
export { type CustomJvp, customJvp, type CustomJvpOptions } from './custom-jvp'
export { customLinearSolve, type LinearSolveOptions } from './custom-linear-solve'
export { customRoot, type CustomRootOptions } from './custom-root'
export { type CustomVjp, customVjp, type CustomVjpOptions } from './custom-vjp'
export { type CustomVmap, customVmap, type MappedSpec } from './custom-vmap'
export * as debug from './debug'
export type { AxisSpec } from './axes-prefix'
export type { Cotangents, GradientOf, Pullback, Tangents } from './function-types'
export { grad, type GradOptions, valueAndGrad, vjp } from './grad'
export { evalShape, makeJaxpr, type ShapeAndDType, type ShapesOf } from './inspect'
export { hessian, hvp, jacfwd, type JacobianOptions, jacrev } from './jacobian'
export type { Exported, ExportOptions, Manifest, ManifestArray, ManifestTree } from './jit/export'
export {
  explainRetrace,
  jit,
  type Jitted,
  type JitOptions,
  type Lowered,
  profile,
  traceCount,
} from './jit/jit'
export { type LoopProfile, Profile } from './jit/profile'
export { jvp } from './jvp'
export { linearize, linearTranspose } from './linear-functions'
export { pmap, type PmapOptions } from './pmap'
export { stopGradient } from './stop-gradient'
export { vmap, type VmapOptions } from './vmap'
