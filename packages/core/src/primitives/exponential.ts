/** Exponentials, logarithms, general powers, hyperbolic functions and the logistic function. */
import type { NDArray } from '../array/ndarray'
import { acoshLanes, asinhLanes, atanhLanes, inDouble } from '../backends/wasm/rare'
import * as expr from '../compiler/expr'
import { Aval } from '../types/aval'
import { isInteger } from '../types/dtype'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isZero,
  nonlinear,
  type Params,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { add, div, mul, rsqrt, square, sub } from './arithmetic'
import { eq } from './comparison'
import { addTangents, fullLike, onesLike, zerosLike } from './constants'
import { convertElementType } from './convert'
import { unary } from './elementwise'
import { type BinaryOperation, operation, type UnaryOperation } from './operation'
import { checkPointwise, floating, pointwise, unaryFormula, uniform } from './pointwise'
import { select } from './select'

/** d eˣ = eˣ ẋ. */
export const exp: UnaryOperation = unary('exp', {
  dtypes: floating,
  evaluate: uniform(Math.exp),
  tangent: (xDot, _x, y) => mul(xDot, y),
  lower: 'exp',
})

/** d 2ˣ = ln 2 · 2ˣ ẋ. */
export const exp2: UnaryOperation = unary('exp2', {
  dtypes: floating,
  evaluate: uniform((x) => 2 ** x),
  tangent: (xDot, x, y) => mul(fullLike(x, Math.LN2), mul(xDot, y)),
  lower: 'exp2',
})

/** d ln x = ẋ/x. */
export const log: UnaryOperation = unary('log', {
  dtypes: floating,
  evaluate: uniform(Math.log),
  tangent: (xDot, x) => div(xDot, x),
  lower: 'log',
})

/** d(eˣ − 1) = (y + 1) ẋ. */
export const expm1: UnaryOperation = unary('expm1', {
  dtypes: floating,
  evaluate: uniform(Math.expm1),
  tangent: (xDot, _x, y) => mul(xDot, add(y, onesLike(y))),
  lower: 'expm1',
})

/** d ln(1 + x) = ẋ/(1 + x). */
export const log1p: UnaryOperation = unary('log1p', {
  dtypes: floating,
  evaluate: uniform(Math.log1p),
  tangent: (xDot, x) => div(xDot, add(x, onesLike(x))),
  lower: 'log1p',
})

/** σ(x) = 1/(1 + e⁻ˣ); dσ = σ(1 − σ) ẋ. */
export const logistic: UnaryOperation = unary('logistic', {
  dtypes: floating,
  evaluate: uniform((x) => {
    const e = Math.exp(-Math.abs(x))
    return x >= 0 ? 1 / (1 + e) : e / (1 + e)
  }),
  tangent: (xDot, _x, y) => mul(xDot, mul(y, sub(onesLike(y), y))),
  lower: 'logistic',
})

// --- hyperbolic functions (DLMF 4.34, 4.40) -----------------------------------------------------------------

/** d sinh x = cosh x ẋ. */
export const sinh: UnaryOperation = unary('sinh', {
  dtypes: floating,
  evaluate: uniform(Math.sinh),
  tangent: (xDot, x) => mul(xDot, cosh(x)),
  lower: 'sinh',
})

/** d cosh x = sinh x ẋ. */
export const cosh: UnaryOperation = unary('cosh', {
  dtypes: floating,
  evaluate: uniform(Math.cosh),
  tangent: (xDot, x) => mul(xDot, sinh(x)),
  lower: 'cosh',
})

/** d tanh x = (1 − y²) ẋ, as (ẋ + ẋy)(1 − y), which loses less near |y| = 1. */
export const tanh: UnaryOperation = unary('tanh', {
  dtypes: floating,
  evaluate: uniform(Math.tanh),
  tangent: (xDot, x, y) => mul(add(xDot, mul(xDot, y)), sub(onesLike(x), y)),
  lower: 'tanh',
})

/** d asinh x = ẋ/√(x² + 1). */
export const asinh: UnaryOperation = unary('asinh', {
  dtypes: floating,
  evaluate: uniform(Math.asinh),
  tangent: (xDot, x) => mul(xDot, rsqrt(add(square(x), onesLike(x)))),
  lower: unaryFormula('asinh', inDouble(asinhLanes)),
})

/** d acosh x = ẋ/√(x² − 1). */
export const acosh: UnaryOperation = unary('acosh', {
  dtypes: floating,
  evaluate: uniform(Math.acosh),
  tangent: (xDot, x) => mul(xDot, rsqrt(sub(square(x), onesLike(x)))),
  lower: unaryFormula('acosh', inDouble(acoshLanes)),
})

/** d atanh x = ẋ/((1 + x)(1 − x)). */
export const atanh: UnaryOperation = unary('atanh', {
  dtypes: floating,
  evaluate: uniform(Math.atanh),
  tangent: (xDot, x) => {
    const one = onesLike(x)
    return mul(div(one, add(one, x)), div(xDot, sub(one, x)))
  },
  lower: unaryFormula('atanh', inDouble(atanhLanes)),
})

// --- general powers -----------------------------------------------------------------------------------------

/**
 * C's `pow` (C99, F.9.4.4): 1 to any power and anything to the power 0 are 1, also with NaN, and so
 * is −1 to an infinite power. JavaScript differs.
 */
const power = (x: number, y: number): number =>
  x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y

const bindPow = (x: NDArray, y: NDArray): NDArray => bind1(powPrimitive, [x, y], {})

/** Zeros replaced by ones, where the factor beside them is zero anyway. */
const replaceZero = (x: NDArray): NDArray => select(eq(x, zerosLike(x)), onesLike(x), x)

/** y x^(y−1); for integer exponents 0 where y = 0, also at x = 0. */
function powDerivativeInBase(x: NDArray, y: NDArray): NDArray {
  if (!isInteger(y.dtype)) return mul(y, bindPow(x, sub(y, onesLike(y))))
  const exponent = convertElementType(y, { newDtype: x.dtype })
  const lowered = bindPow(x, sub(exponent, onesLike(exponent)))
  const isZeroExponent = eq(exponent, zerosLike(exponent))
  return select(isZeroExponent, zerosLike(exponent), mul(replaceZero(exponent), lowered))
}

const powFields = pointwise<Params>(
  'pow',
  {
    accepts: floating,
    result: 'same',
    kernel: () => power,
    expression: ([x, y], dtype) => expr.binary('pow', dtype, x, expr.convert(dtype, y)),
  },
  ([x, y]) => [bindPow(x, y)],
)

const powPrimitive: Primitive = definePrimitive({
  ...powFields,
  abstractEval: ([x, y]) => {
    // The exponent may be of any integer dtype beside a floating base.
    const exponent = isInteger(y.dtype) ? x.dtype : y.dtype
    checkPointwise('pow', [x, new Aval(y.shape, exponent)], floating)
    return [new Aval(x.shape, x.dtype, x.weakType && y.weakType)]
  },
  // d x^y = y x^(y−1) ẋ + ln(x) x^y ẏ, with ln 0 replaced by 0 so that 0^y stays differentiable.
  jvp: ([x, y], [xDot, yDot]) => {
    const z = bindPow(x, y)
    const left: Tangent = isZero(xDot) ? zeroLike(z) : mul(xDot, powDerivativeInBase(x, y))
    const right: Tangent = isZero(yDot) ? zeroLike(z) : mul(yDot, mul(log(replaceZero(x)), z))
    return { primals: [z], tangents: [addTangents(left, right)] }
  },
  transpose: nonlinear,
})

/** x^y for a floating x; y has the same dtype or is an integer. */
export const pow: BinaryOperation = operation(powPrimitive, bindPow)
