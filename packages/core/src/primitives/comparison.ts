/** Comparisons: false where an operand is NaN (except `ne`). Results are bool and have no tangent. */
import type { BinaryOp } from '../compiler/expr'
import { nonlinear } from '../trace/primitive'
import { binary, zeroDerivative } from './elementwise'
import type { BinaryOperation } from './operation'
import { anyDType } from './pointwise'

const comparison = (name: BinaryOp, holds: (x: number, y: number) => boolean): BinaryOperation =>
  binary(name, {
    dtypes: anyDType,
    result: 'bool',
    evaluate: () => (x, y) => Number(holds(x, y)),
    tangents: zeroDerivative,
    transpose: nonlinear,
    lower: name,
  })

export const eq: BinaryOperation = comparison('eq', (x, y) => x === y)
export const ne: BinaryOperation = comparison('ne', (x, y) => x !== y)
export const lt: BinaryOperation = comparison('lt', (x, y) => x < y)
export const le: BinaryOperation = comparison('le', (x, y) => x <= y)
export const gt: BinaryOperation = comparison('gt', (x, y) => x > y)
export const ge: BinaryOperation = comparison('ge', (x, y) => x >= y)
