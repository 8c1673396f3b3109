/** Constructors of elementwise primitives: functions of one or two operands. */
import type { NDArray } from '../array/ndarray'
import type { BinaryOp, Scalar, UnaryOp } from '../compiler/expr'
import type { DType } from '../types/dtype'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  discreteResult,
  isLinear,
  isZero,
  type JvpRule,
  nonlinear,
  type Params,
  type Primitive,
  type Tangent,
  type TransposeRule,
  zeroLike,
} from '../trace/primitive'
import { addTangents } from './constants'
import {
  type BinaryOperation,
  operation,
  type ParametricOperation,
  type UnaryOperation,
} from './operation'
import {
  binaryOpcode,
  type DTypeSet,
  type Kernel,
  pointwise,
  type PointwiseRules,
  unaryOpcode,
} from './pointwise'

/** Written where a derivative is zero almost everywhere, or the result is not a float. */
export const zeroDerivative = 'zero'

interface SharedRules {
  readonly dtypes: DTypeSet
  /** The result's dtype where it is not the operands'. */
  readonly result?: DType
  /** In double precision: one function, or one per dtype. */
  readonly evaluate: (dtype: DType) => Kernel
}

// --- one operand --------------------------------------------------------------------------------------

/** ẏ from ẋ, x and y. */
export type UnaryTangent = (xDot: NDArray, x: NDArray, y: NDArray) => NDArray

export interface UnaryRules extends SharedRules {
  readonly tangent: UnaryTangent | typeof zeroDerivative
  readonly lower: UnaryOp | ((x: Scalar, dtype: DType) => Scalar)
  /** Only for linear functions: x̄ from ȳ. */
  readonly transpose?: (yBar: NDArray) => NDArray
}

export interface ParametricRules<P extends Params> {
  readonly dtypes: DTypeSet
  readonly evaluate: (dtype: DType, params: P) => Kernel
  readonly tangent:
    ((xDot: NDArray, x: NDArray, y: NDArray, params: P) => NDArray) | typeof zeroDerivative
  readonly lower: (x: Scalar, dtype: DType, params: P) => Scalar
  readonly transpose?: (yBar: NDArray, params: P) => NDArray
}

const unaryJvp =
  <P extends Params>(
    apply: (x: NDArray, params: P) => NDArray,
    tangent: (xDot: NDArray, x: NDArray, y: NDArray, params: P) => NDArray,
  ): JvpRule<P> =>
  ([x], [xDot], params) => {
    const y = apply(x, params)
    return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : tangent(xDot, x, y, params)] }
  }

const unaryTranspose =
  <P extends Params>(pullback: (yBar: NDArray, params: P) => NDArray): TransposeRule<P> =>
  ([yBar], [x], params) => {
    if (!isLinear(x)) return [null]
    return [isZero(yBar) ? zeroLike(x) : pullback(yBar, params)]
  }

/** A primitive of one operand with parameters. */
export function parametricUnary<P extends Params>(
  name: string,
  { dtypes, evaluate, tangent, lower, transpose }: ParametricRules<P>,
): ParametricOperation<P> {
  const apply = (x: NDArray, params: P): NDArray => bind1(primitive, [x], params)
  const rules: PointwiseRules<P> = {
    accepts: dtypes,
    result: 'same',
    kernel: evaluate,
    expression: ([x], dtype, params) => lower(x, dtype, params),
  }
  const primitive: Primitive<P> = definePrimitive<P>({
    ...pointwise(name, rules, ([x], params) => [apply(x, params)]),
    jvp:
      tangent === zeroDerivative
        ? discreteResult(([x], params) => [apply(x, params)])
        : unaryJvp(apply, tangent),
    transpose: transpose === undefined ? nonlinear : unaryTranspose(transpose),
  })
  return operation(primitive, apply)
}

/** A primitive of one operand. */
export function unary(name: string, rules: UnaryRules): UnaryOperation {
  const { dtypes, result, evaluate, tangent, lower, transpose } = rules
  const apply = (x: NDArray): NDArray => bind1(primitive, [x], {})
  const primitive: Primitive = definePrimitive({
    ...pointwise(
      name,
      {
        accepts: dtypes,
        result: result ?? 'same',
        kernel: evaluate,
        expression:
          typeof lower === 'string' ? unaryOpcode(lower) : ([x], dtype) => lower(x, dtype),
      },
      ([x]) => [apply(x)],
    ),
    jvp:
      tangent === zeroDerivative ? discreteResult(([x]) => [apply(x)]) : unaryJvp(apply, tangent),
    transpose: transpose === undefined ? nonlinear : unaryTranspose(transpose),
  })
  return operation(primitive, apply)
}

// --- two operands -------------------------------------------------------------------------------------

/** One operand's contribution to ż. */
export type BinaryTangent = (dot: NDArray, x: NDArray, y: NDArray, z: NDArray) => NDArray

export interface BinaryRules extends SharedRules {
  readonly lower: BinaryOp | ((x: Scalar, y: Scalar, dtype: DType) => Scalar)
  readonly tangents:
    { readonly x: BinaryTangent; readonly y: BinaryTangent } | typeof zeroDerivative
  /** Where the function is linear; `nonlinear` elsewhere. */
  readonly transpose: TransposeRule<Params>
}

const binaryJvp =
  (
    apply: (x: NDArray, y: NDArray) => NDArray,
    rules: { x: BinaryTangent; y: BinaryTangent },
  ): JvpRule<Params> =>
  ([x, y], [xDot, yDot]) => {
    const z = apply(x, y)
    const left: Tangent = isZero(xDot) ? zeroLike(z) : rules.x(xDot, x, y, z)
    const right: Tangent = isZero(yDot) ? zeroLike(z) : rules.y(yDot, x, y, z)
    return { primals: [z], tangents: [addTangents(left, right)] }
  }

/** A primitive of two operands. */
export function binary(name: string, rules: BinaryRules): BinaryOperation {
  const { dtypes, result, evaluate, lower, tangents, transpose } = rules
  const apply = (x: NDArray, y: NDArray): NDArray => bind1(primitive, [x, y], {})
  const primitive: Primitive = definePrimitive({
    ...pointwise(
      name,
      {
        accepts: dtypes,
        result: result ?? 'same',
        kernel: evaluate,
        expression:
          typeof lower === 'string' ? binaryOpcode(lower) : ([x, y], dtype) => lower(x, y, dtype),
      },
      ([x, y]) => [apply(x, y)],
    ),
    jvp:
      tangents === zeroDerivative
        ? discreteResult(([x, y]) => [apply(x, y)])
        : binaryJvp(apply, tangents),
    transpose,
  })
  return operation(primitive, apply)
}

/** Linear in both operands together: z = x + y and its kin. */
export const jointlyLinear =
  (x: (zBar: NDArray) => NDArray, y: (zBar: NDArray) => NDArray): TransposeRule<Params> =>
  ([zBar], operands) =>
    operands.map((operand, i) => {
      if (!isLinear(operand)) return null
      if (isZero(zBar)) return zeroLike(operand)
      return i === 0 ? x(zBar) : y(zBar)
    })

/** Linear in each operand while the other one is known; a null rule says "not in this one". */
export const bilinear =
  (rules: {
    readonly x: (zBar: NDArray, y: NDArray) => NDArray
    readonly y: ((zBar: NDArray, x: NDArray) => NDArray) | null
  }): TransposeRule<Params> =>
  (cotangents, operands, params) => {
    const [zBar] = cotangents
    const [x, y] = operands
    if (isLinear(x) && !isLinear(y)) {
      return [isZero(zBar) ? zeroLike(x) : rules.x(zBar, y), null]
    }
    if (isLinear(y) && !isLinear(x) && rules.y !== null) {
      return [null, isZero(zBar) ? zeroLike(y) : rules.y(zBar, x)]
    }
    return nonlinear(cotangents, operands, params)
  }
