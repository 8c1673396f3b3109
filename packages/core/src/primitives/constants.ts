/** Constant arrays and sums of tangents, from a host scalar and `broadcast_in_dim`. */
import type { NDArray } from '../array/ndarray'
import { Aval, type Shape } from '../types/aval'
import { type DType, kindOf } from '../types/dtype'
import { bind1, makeScalar } from '../trace/interpreter'
import {
  definePrimitive,
  isLinear,
  isZero,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { broadcastInDim } from './movement'
import { operation, type BinaryOperation } from './operation'
import { binaryOpcode, numeric, pointwise } from './pointwise'

/** An array that holds one value everywhere. */
export function full(
  shape: Shape,
  value: number | boolean,
  dtype: DType,
  weakType = false,
): NDArray {
  const scalar = kindOf(dtype) === 'bool' ? Boolean(value) : Number(value)
  return broadcastInDim(makeScalar(scalar, new Aval([], dtype, weakType)), {
    shape,
    broadcastDimensions: [],
  })
}

/** One value everywhere, with the shape, dtype and weakness of `x`. */
export const fullLike = (x: { readonly aval: Aval }, value: number | boolean): NDArray =>
  full(x.aval.shape, value, x.aval.dtype, x.aval.weakType)

export const zerosLike = (x: { readonly aval: Aval }): NDArray => fullLike(x, 0)
export const onesLike = (x: { readonly aval: Aval }): NDArray => fullLike(x, 1)

/** A tangent as an array: zeros where it was known to be zero. */
export const instantiate = (tangent: Tangent): NDArray =>
  isZero(tangent) ? zerosLike(tangent) : tangent

const addAnyPrimitive: Primitive = definePrimitive({
  ...pointwise(
    'add_any',
    {
      accepts: numeric,
      result: 'same',
      kernel: () => (x, y) => x + y,
      expression: binaryOpcode('add'),
    },
    ([x, y]) => [addAny(x, y)],
  ),
  jvp: ([x, y], [xDot, yDot]) => ({
    primals: [addAny(x, y)],
    tangents: [addTangents(xDot, yDot)],
  }),
  transpose: ([zBar], operands) => operands.map((operand) => (isLinear(operand) ? zBar : null)),
  lower: (context, [x, y], _params, [aval]) => [context.accumulate(aval, x, y)],
})

/** `add` for tangents and cotangents; JAX prints it under this name. */
export const addAny: BinaryOperation = operation(
  addAnyPrimitive,
  (x: NDArray, y: NDArray): NDArray => bind1(addAnyPrimitive, [x, y], {}),
)

/** The sum of two tangents; a zero costs nothing. */
export function addTangents(x: Tangent, y: Tangent): Tangent {
  if (isZero(x)) return y
  if (isZero(y)) return x
  return addAny(x, y)
}

/** The sum of any number of tangents of a value with the aval of `like`. */
export const sumTangents = (tangents: readonly Tangent[], like: { readonly aval: Aval }): Tangent =>
  tangents.reduce(addTangents, zeroLike(like))
