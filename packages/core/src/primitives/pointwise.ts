/** What every elementwise primitive shares: its shape rule, batching, evaluation and lowering. */
import type { NDArray } from '../array/ndarray'
import {
  type BinaryFormula,
  type Formula,
  nameBinary,
  nameUnary,
  type UnaryFormula,
} from '../backends/wasm/rare'
import * as expr from '../compiler/expr'
import { Aval, shapesEqual, sizeOf } from '../types/aval'
import { type DType, isFloating, isInteger, kindOf } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import type { BatchRule, Params, Primitive } from '../trace/primitive'
import { withMappedAxis } from './movement'
import { allocateHost, hostArray } from './strided'

/** A set of dtypes that operands may have, with its name for error messages. */
export interface DTypeSet {
  readonly name: string
  readonly has: (dtype: DType) => boolean
}
export const anyDType: DTypeSet = { name: 'any', has: (d) => d !== 'float0' }
export const numeric: DTypeSet = {
  name: 'integer or floating',
  has: (d) => isInteger(d) || isFloating(d),
}
export const floating: DTypeSet = { name: 'floating', has: isFloating }
export const integral: DTypeSet = { name: 'integer', has: isInteger }
export const bitwise: DTypeSet = {
  name: 'bool or integer',
  has: (d) => isInteger(d) || d === 'bool',
}
export const signed: DTypeSet = {
  name: 'signed integer or floating',
  has: (d) => kindOf(d) === 'int' || isFloating(d),
}

export type Kernel = (x: number, y: number, z: number) => number

export interface PointwiseRules<P extends Params> {
  readonly accepts: DTypeSet
  /** `'same'` as the operands, or a fixed dtype; a weak type survives only in the former. */
  readonly result: 'same' | DType
  /** The scalar function in double precision; integer results wrap when they are stored. */
  readonly kernel: (dtype: DType, params: P) => Kernel
  /** The same function as an expression; `dtype` is the result's. */
  readonly expression: (operands: readonly expr.Scalar[], dtype: DType, params: P) => expr.Scalar
}

export function checkPointwise(op: string, operands: readonly Aval[], accepts: DTypeSet): void {
  const named = () => operands.map((aval, i) => ({ name: `operand ${i}`, aval }))
  const first = operands[0]
  if (!operands.every((o) => o === first || shapesEqual(o.shape, first.shape))) {
    throw new ShapeError({
      op,
      problem: 'operands have different shapes',
      operands: named(),
      rule: 'elementwise primitives take operands of one shape',
      hint: 'the functions of np broadcast for you',
    })
  }
  if (!operands.every((o) => o.dtype === first.dtype)) {
    throw new DTypeError({
      op,
      problem: 'operands have different dtypes',
      operands: named(),
      rule: 'elementwise primitives take operands of one dtype',
      hint: 'the functions of np promote for you; astype converts explicitly',
    })
  }
  if (!accepts.has(first.dtype)) {
    throw new DTypeError({
      op,
      problem: `does not take ${first.dtype}`,
      operands: named(),
      rule: `operands are ${accepts.name}`,
      hint: 'convert with astype first',
    })
  }
}

/** Brings every operand's mapped axis to one place and binds the same primitive there. */
export const pointwiseBatch =
  <P extends Params>(
    apply: (operands: readonly NDArray[], params: P) => readonly NDArray[],
  ): BatchRule<P> =>
  (axis, operands, dims, params) => {
    const to = dims.find((dim) => dim !== null) ?? null
    const aligned =
      to === null ? operands : operands.map((x, i) => withMappedAxis(x, dims[i], axis.size, to))
    const outputs = apply(aligned, params)
    return { outputs, dims: outputs.map(() => to) }
  }

export type PointwiseFields<P extends Params> = Pick<
  Primitive<P>,
  'name' | 'abstractEval' | 'batch' | 'evaluate' | 'lower' | 'splat'
>

/** The fields of an elementwise primitive that do not depend on its derivative. */
export const pointwise = <P extends Params>(
  name: string,
  rules: PointwiseRules<P>,
  apply: (operands: readonly NDArray[], params: P) => readonly NDArray[],
): PointwiseFields<P> => ({
  name,
  abstractEval: (operands) => {
    checkPointwise(name, operands, rules.accepts)
    const [{ shape, dtype }] = operands
    return rules.result === 'same'
      ? [
          new Aval(
            shape,
            dtype,
            operands.every((o) => o.weakType),
          ),
        ]
      : [new Aval(shape, rules.result)]
  },
  batch: pointwiseBatch(apply),
  evaluate: ([x, y = x, z = y], params, [aval]) => {
    const kernel = rules.kernel(x.aval.dtype, params)
    const size = sizeOf(aval.shape)
    const data = allocateHost(aval.dtype, size)
    for (let i = 0; i < size; i++) data[i] = kernel(x.data[i], y.data[i], z.data[i])
    return [hostArray(aval, data)]
  },
  lower: (context, operands, params, [aval]) => [
    context.map(aval, (...scalars) => rules.expression(scalars, aval.dtype, params), ...operands),
  ],
  splat: (elements, params, [{ dtype }]) => {
    const [x, y = x, z = y] = elements.map(Number)
    return rules.kernel(dtype, params)(x, y, z)
  },
})

/** An expression that is one opcode of the loop language. */
export const unaryOpcode =
  (op: expr.UnaryOp) =>
  ([x]: readonly expr.Scalar[], dtype: DType): expr.Scalar =>
    expr.unary(op, dtype, x)

export const binaryOpcode =
  (op: expr.BinaryOp) =>
  ([x, y]: readonly expr.Scalar[], dtype: DType): expr.Scalar =>
    expr.binary(op, dtype, x, y)

/** An opcode whose formula in WebAssembly is in a page only for the primitive that names it. */
export const unaryFormula =
  (op: expr.UnaryOp, formula: Formula<UnaryFormula>) =>
  (x: expr.Scalar, dtype: DType): expr.Scalar => {
    nameUnary(op, formula)
    return expr.unary(op, dtype, x)
  }

export const binaryFormula =
  (op: expr.BinaryOp, formula: Formula<BinaryFormula>) =>
  (x: expr.Scalar, y: expr.Scalar, dtype: DType): expr.Scalar => {
    nameBinary(op, formula)
    return expr.binary(op, dtype, x, y)
  }

/** One kernel for every dtype. */
export const uniform =
  (kernel: Kernel): (() => Kernel) =>
  () =>
    kernel
