/** Elementwise primitives with strict types: equal shapes and dtypes, or JavaScript scalars. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type DType, isFloating } from '../../types/dtype'
import { ArgumentError, DTypeError, ShapeError } from '../../types/errors'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  checkDType,
  choose,
  convert,
  isArray,
  promote,
  signature,
  operandReports,
} from '../promotion'

export type Unary = (x: ArrayLike) => NDArray
export type Binary = (x: ArrayLike, y: ArrayLike) => NDArray

/** JavaScript scalars take the type and shape of the arrays beside them. */
export function strict(op: string, args: readonly ArrayLike[]): NDArray[] {
  const like = args.find(isArray)
  if (like === undefined) return promote(op, args)
  return args.map((arg) => {
    if (isArray(arg)) return arg
    const scalar = convert(asArray(op, arg), like.dtype, like.aval.weakType)
    return broadcastTo(scalar, like.shape)
  })
}

const unary =
  (op: string, primitive: (x: NDArray) => NDArray): Unary =>
  (x) =>
    primitive(asArray(op, x))

const binary =
  (op: string, primitive: (x: NDArray, y: NDArray) => NDArray): Binary =>
  (x, y) => {
    const [a, b] = strict(op, [x, y])
    return primitive(a, b)
  }

export const abs: Unary = unary('abs', prim.abs)
export const acos: Unary = unary('acos', prim.acos)
export const acosh: Unary = unary('acosh', prim.acosh)
export const asin: Unary = unary('asin', prim.asin)
export const asinh: Unary = unary('asinh', prim.asinh)
export const atan: Unary = unary('atan', prim.atan)
export const atanh: Unary = unary('atanh', prim.atanh)
export const bitwiseNot: Unary = unary('bitwiseNot', prim.not)
export const cbrt: Unary = unary('cbrt', prim.cbrt)
export const ceil: Unary = unary('ceil', prim.ceil)
export const clz: Unary = unary('clz', prim.clz)
export const cos: Unary = unary('cos', prim.cos)
export const cosh: Unary = unary('cosh', prim.cosh)
export const digamma: Unary = unary('digamma', prim.digamma)
export const erf: Unary = unary('erf', prim.erf)
export const erfc: Unary = unary('erfc', prim.erfc)
export const erfInv: Unary = unary('erfInv', prim.erfInv)
export const exp: Unary = unary('exp', prim.exp)
export const exp2: Unary = unary('exp2', prim.exp2)
export const expm1: Unary = unary('expm1', prim.expm1)
export const floor: Unary = unary('floor', prim.floor)
export const isFinite: Unary = unary('isFinite', prim.isFinite)
export const lgamma: Unary = unary('lgamma', prim.lgamma)
export const log: Unary = unary('log', prim.log)
export const log1p: Unary = unary('log1p', prim.log1p)
export const logistic: Unary = unary('logistic', prim.logistic)
export const neg: Unary = unary('neg', prim.neg)
export const populationCount: Unary = unary('populationCount', prim.populationCount)
export const reciprocal: Unary = unary('reciprocal', (x) => prim.integerPow(x, { y: -1 }))
export const rsqrt: Unary = unary('rsqrt', prim.rsqrt)
export const sign: Unary = unary('sign', prim.sign)
export const sin: Unary = unary('sin', prim.sin)
export const sinh: Unary = unary('sinh', prim.sinh)
export const sqrt: Unary = unary('sqrt', prim.sqrt)
export const square: Unary = unary('square', prim.square)
export const tan: Unary = unary('tan', prim.tan)
export const tanh: Unary = unary('tanh', prim.tanh)

export const add: Binary = binary('add', prim.add)
export const atan2: Binary = binary('atan2', prim.atan2)
export const bitwiseAnd: Binary = binary('bitwiseAnd', prim.and)
export const bitwiseOr: Binary = binary('bitwiseOr', prim.or)
export const bitwiseXor: Binary = binary('bitwiseXor', prim.xor)
export const div: Binary = binary('div', prim.div)
export const eq: Binary = binary('eq', prim.eq)
export const ge: Binary = binary('ge', prim.ge)
export const gt: Binary = binary('gt', prim.gt)
export const le: Binary = binary('le', prim.le)
export const lt: Binary = binary('lt', prim.lt)
export const max: Binary = binary('max', prim.max)
export const min: Binary = binary('min', prim.min)
export const mul: Binary = binary('mul', prim.mul)
export const ne: Binary = binary('ne', prim.ne)
export const nextafter: Binary = binary('nextafter', prim.nextafter)
export const pow: Binary = binary('pow', prim.pow)
/** The remainder with the sign of the dividend. */
export const rem: Binary = binary('rem', prim.rem)
export const shiftLeft: Binary = binary('shiftLeft', prim.shiftLeft)
export const shiftRightArithmetic: Binary = binary(
  'shiftRightArithmetic',
  prim.shiftRightArithmetic,
)
export const shiftRightLogical: Binary = binary('shiftRightLogical', prim.shiftRightLogical)
export const sub: Binary = binary('sub', prim.sub)

/** `x` to a static integer power, differentiable everywhere. */
export const integerPow = (x: ArrayLike, y: number): NDArray =>
  prim.integerPow(powerable(asArray('integerPow', x), y), { y })

function powerable(x: NDArray, y: number): NDArray {
  if (!Number.isInteger(y)) {
    throw new ArgumentError({
      op: 'integerPow(x, y)',
      problem: `the exponent ${String(y)} is not an integer`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'y is a JavaScript integer',
      hint: 'lax.pow takes any exponent',
    })
  }
  if (y >= 0 || isFloating(x.dtype)) return x
  throw new DTypeError({
    op: 'integerPow(x, y)',
    problem: `an integer cannot be raised to the power ${y}`,
    operands: [{ name: 'x', aval: x.aval }],
    rule: 'negative powers are those of floating point numbers',
    hint: "convert first: x.astype('float32')",
  })
}

/** Halves away from zero, or to even. */
export const round = (
  x: ArrayLike,
  roundingMethod: 'awayFromZero' | 'toNearestEven' = 'awayFromZero',
): NDArray =>
  prim.round(asArray('round', x), { roundingMethod: roundingMethod === 'toNearestEven' ? 1 : 0 })

/** Limits `x` to `low … high`, each a scalar or of the shape of `x`. */
export function clamp(low: ArrayLike, x: ArrayLike, high: ArrayLike): NDArray {
  const [from, a, to] = strict('clamp', [low, x, high])
  return prim.max(broadcastTo(from, a.shape), prim.min(a, broadcastTo(to, a.shape)))
}

/** `onTrue` where `which`, else `onFalse`; `which` is a scalar or has their shape. */
export function select(which: ArrayLike, onTrue: ArrayLike, onFalse: ArrayLike): NDArray {
  const [a, b] = strict('select', [onTrue, onFalse])
  const mask = asArray('select', which)
  if (mask.ndim !== 0 && mask.ndim !== a.ndim) {
    throw new ShapeError({
      op: signature('select', 3),
      problem: 'the mask and the cases differ in shape',
      operands: operandReports([mask, a, b]),
      rule: 'the mask is a scalar or has the shape of the cases',
      hint: 'np.where broadcasts',
    })
  }
  if (mask.dtype !== 'bool') {
    throw new DTypeError({
      op: signature('select', 3),
      problem: `the mask is ${mask.dtype}, not bool`,
      operands: operandReports([mask, a, b]),
      rule: 'a mask holds truth values',
      hint: 'compare first, for example np.greater(mask, 0); np.where takes any number as a mask',
    })
  }
  return choose(broadcastTo(mask, a.shape), a, b)
}

/** `cases[which]`, element by element; `which` is int32, or bool for two cases. */
export const selectN = (which: ArrayLike, ...cases: readonly ArrayLike[]): NDArray => {
  const values = strict('selectN', cases)
  return prim.selectN(broadcastTo(asArray('selectN', which), values[0].shape), ...values)
}

export const convertElementType = (x: ArrayLike, dtype: DType): NDArray =>
  convert(asArray('convertElementType', x), checkDType('convertElementType', dtype))

/** The same bits as another dtype of the same width. */
export const bitcastConvertType = (x: ArrayLike, dtype: DType): NDArray =>
  prim.bitcastConvertType(asArray('bitcastConvertType', x), {
    newDtype: checkDType('bitcastConvertType', dtype),
  })

/** Rounds to a format with these field widths. */
export const reducePrecision = (
  x: ArrayLike,
  exponentBits: number,
  mantissaBits: number,
): NDArray => prim.reducePrecision(asArray('reducePrecision', x), { exponentBits, mantissaBits })

/** The identity, through which no derivative passes. */
export const stopGradient = (x: ArrayLike): NDArray => prim.stopGradient(asArray('stopGradient', x))
