/**
 * What only some pages have of the WebAssembly device: kernels and formulas that primitives name in
 * their lowering rules. The device itself does not know them. See docs/design/size.md.
 */
export { useControlFlow } from './kernels/control-flow'
export { emitCholesky, emitTriangularSolve } from './kernels/linear-algebra'
export { nameKernel } from './kernels/named'
export { useWholePrograms } from './kernels/whole-programs'
export { emitSelectAndScatter } from './kernels/select-and-scatter'
export {
  erf as erfLanes,
  erf32 as erfSingleLanes,
  erfc as erfcLanes,
  erfInv as erfInvLanes,
} from './math/error-function'
export {
  type BinaryFormula,
  type Formula,
  inDouble,
  inOwnFormat,
  nameBinary,
  nameUnary,
  type UnaryFormula,
} from './math/formula'
export { digamma as digammaLanes, lgamma as lgammaLanes } from './math/gamma'
export { acosh as acoshLanes, asinh as asinhLanes, atanh as atanhLanes } from './math/hyperbolic'
export { atan2 as atan2Lanes } from './math/inverse-trigonometric'
export { nextAfter as nextAfterLanes } from './math/next-after'
