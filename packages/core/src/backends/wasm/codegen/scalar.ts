/** Translates one operation of a scalar expression to vectors, given its operands' vectors. */
import type { Binary, BinaryOp, Const, Scalar, Unary, UnaryOp } from '../../../compiler/expr'
import type { DType } from '../../../types/dtype'
import { DTypeError } from '../../../types/errors'
import { roundToDType } from '../../../types/float-formats'
import { v128 } from '../emit/index'
import type { WasmFeatures } from '../emit/index'
import { FloatLanes, floatFunction, floatFunction2 } from '../math/index'
import type { Vec, VectorGraph } from '../math/index'
import {
  bitcastLanes,
  convertLanes,
  joinMasks,
  laneClass,
  roundSingle,
  splitMask,
} from './conversions'
import { integerBinary, integerUnary, maskBinary, maskUnary } from './integers'
import type { VectorValue } from './memory-forms'

export function translateScalar(
  graph: VectorGraph,
  features: WasmFeatures,
  x: Scalar,
  operands: readonly VectorValue[],
): VectorValue {
  switch (x.kind) {
    case 'const':
      return constantLanes(graph, x)
    case 'unary':
      return unaryLanes(graph, features, x, operandAt(operands, 0))
    case 'binary':
      return binaryLanes(graph, features, x, operandAt(operands, 0), operandAt(operands, 1))
    case 'select':
      return selectLanes(graph, x.dtype, operands)
    case 'convert':
      return convertLanes(graph, x.x.dtype, x.dtype, operandAt(operands, 0))
    case 'bitcast':
      return bitcastLanes(graph, x.x.dtype, x.dtype, operandAt(operands, 0))
    case 'load':
    case 'index':
    case 'accumulator':
      throw new Error(`a ${x.kind} is read, not computed`)
  }
}

const operandAt = (operands: readonly VectorValue[], position: number): VectorValue => {
  const operand = operands[position]
  if (!operand) throw new Error(`operand ${position} is missing`)
  return operand
}

const single = (x: VectorValue): Vec => {
  const [vec] = x
  if (!vec) throw new Error('a value without vectors')
  return vec
}

export function constantLanes(graph: VectorGraph, { dtype, value }: Const): VectorValue {
  const number = Number(value)
  switch (laneClass(dtype)) {
    case 'mask':
      return [graph.constant(v128.i32x4(number === 0 ? 0 : -1))]
    case 'integer':
      return [graph.constant(v128.i32x4(number | 0))]
    case 'single':
      return [graph.constant(v128.f32x4(roundToDType(number, dtype)))]
    case 'double': {
      const both = graph.constant(v128.f64x2(number))
      return [both, both]
    }
  }
}

const unsupported = (x: Unary | Binary, operand: DType): never => {
  throw new DTypeError({
    op: x.op,
    problem: `is not defined for ${operand}`,
    operands: [{ name: 'x', aval: operand }],
    rule: 'the operand has a dtype that the operation takes',
    hint: 'convert the operand with astype first',
  })
}

function unaryLanes(
  graph: VectorGraph,
  features: WasmFeatures,
  x: Unary,
  operand: VectorValue,
): VectorValue {
  const dtype = x.x.dtype
  const kind = laneClass(dtype)
  switch (kind) {
    case 'mask':
      return [maskUnary(graph, x.op, single(operand)) ?? unsupported(x, dtype)]
    case 'integer':
      if (x.op === 'isFinite') return [graph.constant(v128.i32x4(-1))]
      return [integerUnary(graph, x.op, dtype, single(operand)) ?? unsupported(x, dtype)]
    case 'single':
    case 'double': {
      const lanes = new FloatLanes(graph, kind === 'single' ? 'f32' : 'f64', features)
      const simple = operand.map((vec) => simpleUnary(lanes, x.op, vec))
      const results = simple.every((vec) => vec !== null)
        ? simple
        : (floatFunction(graph, features, x.op, lanes.type, operand) ?? unsupported(x, dtype))
      return finish(graph, x.dtype, results)
    }
  }
}

/** Gives the results of operations on floats the lane form of their dtype. */
function finish(graph: VectorGraph, dtype: DType, results: VectorValue): VectorValue {
  switch (laneClass(dtype)) {
    case 'mask': {
      const [low, high] = results
      return low && high ? [joinMasks(graph, low, high)] : results
    }
    case 'single':
      return results.map((vec) => roundSingle(graph, dtype, vec))
    default:
      return results
  }
}

/** What takes a few instructions; null for the others. */
function simpleUnary(lanes: FloatLanes, op: UnaryOp, x: Vec): Vec | null {
  switch (op) {
    case 'neg':
      return lanes.neg(x)
    case 'abs':
      return lanes.abs(x)
    case 'floor':
      return lanes.floor(x)
    case 'ceil':
      return lanes.ceil(x)
    case 'trunc':
      return lanes.trunc(x)
    case 'roundEven':
      return lanes.nearest(x)
    case 'round': {
      // Half away from zero. x − trunc(x) is exact, so the comparison is.
      const whole = lanes.trunc(x)
      const rest = lanes.abs(lanes.sub(x, whole))
      const step = lanes.and(lanes.ge(rest, lanes.constant(0.5)), lanes.constant(1))
      return lanes.withSignOf(lanes.add(lanes.abs(whole), step), x)
    }
    case 'sign': {
      const isNonzero = lanes.gt(lanes.abs(x), lanes.constant(0))
      const unit = lanes.withSignOf(lanes.constant(1), x)
      // ±0 and NaN are their own sign.
      return lanes.select(isNonzero, unit, x)
    }
    case 'sqrt':
      return lanes.sqrt(x)
    case 'rsqrt':
      return lanes.div(lanes.constant(1), lanes.sqrt(x))
    case 'isFinite':
      return lanes.lt(lanes.abs(x), lanes.constant(Infinity))
    default:
      return null
  }
}

const comparisons: ReadonlySet<BinaryOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge'])

function binaryLanes(
  graph: VectorGraph,
  features: WasmFeatures,
  x: Binary,
  left: VectorValue,
  right: VectorValue,
): VectorValue {
  const dtype = x.x.dtype
  const kind = laneClass(dtype)
  switch (kind) {
    case 'mask':
      return [maskBinary(graph, x.op, single(left), single(right)) ?? unsupported(x, dtype)]
    case 'integer':
      return [
        integerBinary(graph, x.op, dtype, single(left), single(right)) ?? unsupported(x, dtype),
      ]
    case 'single':
    case 'double': {
      const lanes = new FloatLanes(graph, kind === 'single' ? 'f32' : 'f64', features)
      const simple = left.map((vec, half) =>
        simpleBinary(lanes, x.op, vec, operandVector(right, half)),
      )
      const results = simple.every((vec) => vec !== null)
        ? simple
        : (floatFunction2(graph, features, x.op, lanes.type, left, right) ?? unsupported(x, dtype))
      return comparisons.has(x.op) || x.dtype === 'bool'
        ? finish(graph, 'bool', results)
        : finish(graph, x.dtype, results)
    }
  }
}

const operandVector = (x: VectorValue, half: number): Vec => {
  const vec = x[half]
  if (!vec) throw new Error('operands of different widths')
  return vec
}

function simpleBinary(lanes: FloatLanes, op: BinaryOp, x: Vec, y: Vec): Vec | null {
  switch (op) {
    case 'add':
      return lanes.add(x, y)
    case 'sub':
      return lanes.sub(x, y)
    case 'mul':
      return lanes.mul(x, y)
    case 'div':
      return lanes.div(x, y)
    case 'max':
    case 'min':
      return extremum(lanes, op, x, y)
    case 'eq':
      return lanes.eq(x, y)
    case 'ne':
      return lanes.ne(x, y)
    case 'lt':
      return lanes.lt(x, y)
    case 'le':
      return lanes.le(x, y)
    case 'gt':
      return lanes.gt(x, y)
    case 'ge':
      return lanes.ge(x, y)
    default:
      return null
  }
}

/** Maximum or minimum; NaN where either is, and −0 below +0. */
export function extremum(lanes: FloatLanes, op: 'max' | 'min', x: Vec, y: Vec): Vec {
  return op === 'max' ? lanes.max(x, y) : lanes.min(x, y)
}

export function selectLanes(
  graph: VectorGraph,
  dtype: DType,
  operands: readonly VectorValue[],
): VectorValue {
  const mask = single(operandAt(operands, 0))
  const onTrue = operandAt(operands, 1)
  const onFalse = operandAt(operands, 2)
  const masks = laneClass(dtype) === 'double' ? splitMask(graph, mask) : [mask]
  return onTrue.map((chosen, half) => {
    const [other, where] = [operandVector(onFalse, half), operandVector(masks, half)]
    // Processors without a select need three instructions for one; a zero on a side saves two.
    if (isZero(chosen)) return graph.op('v128.andnot', other, where)
    if (isZero(other)) return graph.op('v128.and', chosen, where)
    return graph.op('v128.bitselect', chosen, other, where)
  })
}

const isZero = ({ bits }: Vec): boolean => bits?.every((byte) => byte === 0) ?? false
