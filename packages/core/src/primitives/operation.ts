/** A callable operation: the function that rules and `ops/` call, with its primitive attached. */
import type { NDArray } from '../array/ndarray'
import { type Params, type Primitive, register } from '../trace/primitive'

export interface Operation<A extends readonly unknown[], P extends Params, R = NDArray> {
  (...operands: A): R
  readonly primitive: Primitive<P>
}

export type UnaryOperation = Operation<[x: NDArray], Params>
export type BinaryOperation = Operation<[x: NDArray, y: NDArray], Params>
/** One operand and parameters. */
export type ParametricOperation<P extends Params> = Operation<[x: NDArray, params: P], P>

/** Attaches the primitive to the function that binds it, and registers it. */
export const operation = <A extends readonly unknown[], P extends Params, R>(
  primitive: Primitive<P>,
  call: (...operands: A) => R,
): Operation<A, P, R> => Object.assign(call, { primitive: register(primitive) })
