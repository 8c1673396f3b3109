/** Rules shared by primitives that are linear in their only operand. */
import type { NDArray } from '../array/ndarray'
import type { LoweringContext, Tensor } from '../compiler/context'
import type { Aval } from '../types/aval'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isLinear,
  isZero,
  type JvpRule,
  type Params,
  type Primitive,
  type TransposeRule,
  zeroLike,
} from '../trace/primitive'
import { operation, type ParametricOperation } from './operation'
import type { HostArray } from './strided'

/** d(Ax) = A dx. */
export const linearJvp =
  <P>(apply: (x: NDArray, params: P) => NDArray): JvpRule<P> =>
  ([x], [xDot], params) => {
    const y = apply(x, params)
    return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : apply(xDot, params)] }
  }

/** ⟨ȳ, Ax⟩ = ⟨Aᵀȳ, x⟩. */
export const linearTranspose =
  <P>(pullback: (yBar: NDArray, x: Aval, params: P) => NDArray): TransposeRule<P> =>
  ([yBar], [x], params) => {
    if (!isLinear(x)) return [null]
    return [isZero(yBar) ? zeroLike(x) : pullback(yBar, x.aval, params)]
  }

export interface LinearRules<P extends Params> extends Partial<
  Pick<Primitive<P>, 'compose' | 'splat'>
> {
  readonly shape: (x: Aval, params: P) => Aval
  readonly transpose: (yBar: NDArray, x: Aval, params: P) => NDArray
  /** The parameters that do the same with the mapped axis in the operand, and where it ends up. */
  readonly batch: (x: NDArray, dim: number, params: P) => readonly [y: NDArray, dim: number]
  readonly evaluate: (x: HostArray, params: P, y: Aval) => HostArray
  readonly lower: (context: LoweringContext, x: Tensor, params: P, y: Aval) => Tensor
}

/** A primitive that is linear in its one operand. */
export function linear<P extends Params>(
  name: string,
  rules: LinearRules<P>,
): ParametricOperation<P> {
  const apply = (x: NDArray, params: P): NDArray => bind1(primitive, [x], params)
  const primitive: Primitive<P> = definePrimitive<P>({
    name,
    abstractEval: ([x], params) => [rules.shape(x, params)],
    jvp: linearJvp(apply),
    transpose: linearTranspose(rules.transpose),
    batch: (_axis, [x], [dim], params) => {
      if (dim === null) return { outputs: [apply(x, params)], dims: [null] }
      const [y, yDim] = rules.batch(x, dim, params)
      return { outputs: [y], dims: [yDim] }
    },
    evaluate: ([x], params, [y]) => [rules.evaluate(x, params, y)],
    lower: (context, [x], params, [y]) => [rules.lower(context, x, params, y)],
    compose: rules.compose ?? null,
    splat: rules.splat ?? null,
  })
  return operation(primitive, apply)
}
