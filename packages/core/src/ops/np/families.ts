/** How families of elementwise functions are made from their primitives. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { isFloating, isInteger } from '../../types/dtype'
import { DTypeError } from '../../types/errors'
import { type ArrayLike, asArray, operandReports, promoteInexact, signature } from '../promotion'

export type UnaryPrimitive = (x: NDArray) => NDArray
export type BinaryPrimitive = (x: NDArray, y: NDArray) => NDArray
export type Unary = (x: ArrayLike) => NDArray
export type Binary = (x: ArrayLike, y: ArrayLike) => NDArray
export type Promotion = (op: string, args: readonly ArrayLike[]) => NDArray[]

/** A function of real numbers: integers and booleans become float32. */
export const real =
  (op: string, primitive: UnaryPrimitive): Unary =>
  (x) =>
    primitive(promoteInexact(op, [x])[0])

/** Leaves integers and booleans alone, because they are fixed points. */
export const onFloats =
  (op: string, primitive: UnaryPrimitive): Unary =>
  (x) => {
    const a = asArray(op, x)
    return isFloating(a.dtype) ? primitive(a) : a
  }

export const binary =
  (op: string, promotion: Promotion, primitive: BinaryPrimitive): Binary =>
  (x, y) => {
    const [a, b] = promotion(op, [x, y])
    return primitive(a, b)
  }

export function notForBooleans(op: string, args: readonly NDArray[], hint: string): void {
  if (args[0].dtype !== 'bool') return
  throw new DTypeError({
    op: signature(op, args.length),
    problem: 'is not defined for booleans',
    operands: operandReports(args),
    hint,
  })
}

export function integersOnly(op: string, args: readonly NDArray[], booleansToo: boolean): void {
  const dtype = args[0].dtype
  if (isInteger(dtype) || (booleansToo && dtype === 'bool')) return
  throw new DTypeError({
    op: signature(op, args.length),
    problem: `is not defined for ${dtype}`,
    operands: operandReports(args),
    rule: booleansToo ? 'operands are integers or booleans' : 'operands are integers',
    hint: "convert first, with x.astype('int32')",
  })
}

/** NaN is the only number that differs from itself. */
export const differsFromItself: UnaryPrimitive = (x) => prim.ne(x, x)
