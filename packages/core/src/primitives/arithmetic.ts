/** Sums, products, quotients, integer powers, roots, rounding and extrema. */
import type { NDArray } from '../array/ndarray'
import { inOwnFormat, nextAfterLanes } from '../backends/wasm/rare'
import * as expr from '../compiler/expr'
import { type DType, integerRange, isFloating, isInteger, isUnsigned } from '../types/dtype'
import { DTypeError } from '../types/errors'
import { roundAway, roundEven } from '../types/rounding'
import { nonlinear } from '../trace/primitive'
import { eq, ge } from './comparison'
import { fullLike, onesLike, zerosLike } from './constants'
import {
  bilinear,
  binary,
  jointlyLinear,
  parametricUnary,
  unary,
  zeroDerivative,
} from './elementwise'
import type { BinaryOperation, ParametricOperation, UnaryOperation } from './operation'
import {
  anyDType,
  binaryFormula,
  floating,
  type Kernel,
  numeric,
  signed,
  uniform,
} from './pointwise'
import { nextAfter } from './scalar/next-after'
import { select } from './select'

// --- sign and magnitude -----------------------------------------------------------------------------------

export const neg: UnaryOperation = unary('neg', {
  dtypes: numeric,
  evaluate: uniform((x) => -x),
  tangent: (xDot) => neg(xDot),
  transpose: (yBar) => neg(yBar),
  lower: 'neg',
})

/** −1, 0 or 1; −0 and NaN stay what they are. */
export const sign: UnaryOperation = unary('sign', {
  dtypes: numeric,
  evaluate: uniform(Math.sign),
  tangent: zeroDerivative,
  lower: (x, dtype) =>
    isUnsigned(dtype)
      ? expr.binary('min', dtype, x, expr.constant(dtype, 1))
      : expr.unary('sign', dtype, x),
})

/** d|x| = ẋ where x ≥ 0, −ẋ elsewhere (JAX: 1 at zero). */
export const abs: UnaryOperation = unary('abs', {
  dtypes: signed,
  evaluate: uniform(Math.abs),
  tangent: (xDot, x) => select(ge(x, zerosLike(x)), xDot, neg(xDot)),
  lower: 'abs',
})

// --- rounding -----------------------------------------------------------------------------------------------

export const floor: UnaryOperation = unary('floor', {
  dtypes: floating,
  evaluate: uniform(Math.floor),
  tangent: zeroDerivative,
  lower: 'floor',
})

export const ceil: UnaryOperation = unary('ceil', {
  dtypes: floating,
  evaluate: uniform(Math.ceil),
  tangent: zeroDerivative,
  lower: 'ceil',
})

/** 0: halves away from zero. 1: halves to even. JAX's numbers for its `RoundingMethod`. */
export type RoundParams = { readonly roundingMethod: 0 | 1 }

export const round: ParametricOperation<RoundParams> = parametricUnary('round', {
  dtypes: floating,
  evaluate: (_dtype, { roundingMethod }) => (roundingMethod === 0 ? roundAway : roundEven),
  tangent: zeroDerivative,
  lower: (x, dtype, { roundingMethod }) =>
    expr.unary(roundingMethod === 0 ? 'round' : 'roundEven', dtype, x),
})

export const isFinite: UnaryOperation = unary('is_finite', {
  dtypes: floating,
  result: 'bool',
  evaluate: uniform((x) => Number(Number.isFinite(x))),
  tangent: zeroDerivative,
  lower: 'isFinite',
})

/** The next value of the dtype after x in the direction of y. */
export const nextafter: BinaryOperation = binary('nextafter', {
  dtypes: floating,
  evaluate: (dtype) => (x, y) => nextAfter(x, y, dtype),
  tangents: zeroDerivative,
  transpose: nonlinear,
  lower: binaryFormula('nextafter', inOwnFormat(nextAfterLanes)),
})

// --- sums and products --------------------------------------------------------------------------------------

export const add: BinaryOperation = binary('add', {
  dtypes: numeric,
  evaluate: uniform((x, y) => x + y),
  tangents: { x: (xDot) => xDot, y: (yDot) => yDot },
  transpose: jointlyLinear(
    (zBar) => zBar,
    (zBar) => zBar,
  ),
  lower: 'add',
})

export const sub: BinaryOperation = binary('sub', {
  dtypes: numeric,
  evaluate: uniform((x, y) => x - y),
  tangents: { x: (xDot) => xDot, y: (yDot) => neg(yDot) },
  transpose: jointlyLinear(
    (zBar) => zBar,
    (zBar) => neg(zBar),
  ),
  lower: 'sub',
})

const multiplyInteger: Kernel = (x, y) => Math.imul(x, y)

/** d(xy) = ẋy + xẏ. */
export const mul: BinaryOperation = binary('mul', {
  dtypes: numeric,
  evaluate: (dtype) => (isInteger(dtype) ? multiplyInteger : (x, y) => x * y),
  tangents: { x: (xDot, _x, y) => mul(xDot, y), y: (yDot, x) => mul(x, yDot) },
  transpose: bilinear({ x: (zBar, y) => mul(zBar, y), y: (zBar, x) => mul(x, zBar) }),
  lower: 'mul',
})

/** Integers divide towards zero, and by zero to all bits set (XLA). */
const divideInteger = (dtype: DType): Kernel => {
  const byZero = isUnsigned(dtype) ? integerRange(dtype)[1] : -1
  return (x, y) => (y === 0 ? byZero : Math.trunc(x / y))
}

/** d(x/y) = ẋ/y − ẏx/y². */
export const div: BinaryOperation = binary('div', {
  dtypes: numeric,
  evaluate: (dtype) => (isInteger(dtype) ? divideInteger(dtype) : (x, y) => x / y),
  tangents: {
    x: (xDot, _x, y) => div(xDot, y),
    y: (yDot, x, y) => mul(mul(neg(yDot), x), integerPow(y, { y: -2 })),
  },
  transpose: bilinear({ x: (zBar, y) => div(zBar, y), y: null }),
  lower: 'div',
})

/** The remainder of division towards zero: it has the sign of x. x − y·trunc(x/y). */
export const rem: BinaryOperation = binary('rem', {
  dtypes: numeric,
  evaluate: (dtype) => (isInteger(dtype) ? (x, y) => (y === 0 ? x : x % y) : (x, y) => x % y),
  tangents: {
    x: (xDot) => xDot,
    y: (yDot, x, y) => {
      const quotient = div(x, y)
      return mul(neg(yDot), mul(sign(quotient), floor(abs(quotient))))
    },
  },
  transpose: nonlinear,
  lower: 'rem',
})

// --- extrema --------------------------------------------------------------------------------------------------

/** 1 where x was chosen, ½ where both are equal, 0 elsewhere. */
const share = (x: NDArray, chosen: NDArray, other: NDArray): NDArray =>
  div(
    select(eq(x, chosen), onesLike(chosen), zerosLike(chosen)),
    select(eq(other, chosen), fullLike(chosen, 2), onesLike(chosen)),
  )

const extremum = (name: 'max' | 'min', evaluate: Kernel, onBools: 'or' | 'and'): BinaryOperation =>
  binary(name, {
    dtypes: anyDType,
    evaluate: uniform(evaluate),
    tangents: {
      x: (xDot, x, y, z) => mul(xDot, share(x, z, y)),
      y: (yDot, x, y, z) => mul(yDot, share(y, z, x)),
    },
    transpose: nonlinear,
    lower: (x, y, dtype) => expr.binary(dtype === 'bool' ? onBools : name, dtype, x, y),
  })

/** NaN if either operand is. */
export const max: BinaryOperation = extremum('max', (x, y) => Math.max(x, y), 'or')
export const min: BinaryOperation = extremum('min', (x, y) => Math.min(x, y), 'and')

// --- integer powers and roots ---------------------------------------------------------------------------------

export type IntegerPowParams = { readonly y: number }

/** x^y by repeated squaring, in any multiplication. */
function powerBySquaring<T>(x: T, y: number, one: T, times: (a: T, b: T) => T): T {
  let result: T | null = null
  let square = x
  for (let rest = y; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result === null ? square : times(result, square)
    if (rest > 1) square = times(square, square)
  }
  return result ?? one
}

/** d(xⁿ) = n xⁿ⁻¹ ẋ, and 0 for n = 0 even at x = 0. */
export const integerPow: ParametricOperation<IntegerPowParams> = parametricUnary('integer_pow', {
  dtypes: numeric,
  evaluate: (dtype, { y }) => {
    if (isFloating(dtype)) return (x) => x ** y
    refuseNegativePower(dtype, y)
    return (x) => powerBySquaring(x, y, 1, Math.imul)
  },
  tangent: (xDot, x, _y, { y }) => {
    if (y === 0) return zerosLike(xDot)
    if (y === 1) return xDot
    return mul(xDot, mul(fullLike(x, y), y === 2 ? x : integerPow(x, { y: y - 1 })))
  },
  lower: (x, dtype, { y }) => {
    const one = expr.constant(dtype, 1)
    const times = (a: expr.Scalar, b: expr.Scalar): expr.Scalar => expr.binary('mul', dtype, a, b)
    if (isInteger(dtype)) refuseNegativePower(dtype, y)
    const power = powerBySquaring(x, Math.abs(y), one, times)
    return y < 0 ? expr.binary('div', dtype, one, power) : power
  },
})

function refuseNegativePower(dtype: DType, y: number): void {
  if (y >= 0) return
  throw new DTypeError({
    op: 'integer_pow',
    problem: `an integer cannot be raised to the power ${y}`,
    operands: [{ name: 'x', aval: dtype }],
    rule: 'negative powers need a floating base',
    hint: 'convert with astype(float32) first',
  })
}

/** d(x²) = 2xẋ. */
export const square: UnaryOperation = unary('square', {
  dtypes: numeric,
  evaluate: (dtype) => (isInteger(dtype) ? (x) => Math.imul(x, x) : (x) => x * x),
  tangent: (xDot, x) => mul(xDot, mul(fullLike(x, 2), x)),
  lower: (x, dtype) => expr.binary('mul', dtype, x, x),
})

/** d√x = ẋ/(2√x): infinite at zero. */
export const sqrt: UnaryOperation = unary('sqrt', {
  dtypes: floating,
  evaluate: uniform(Math.sqrt),
  tangent: (xDot, x, y) => mul(xDot, div(fullLike(x, 0.5), y)),
  lower: 'sqrt',
})

/** d x^(−½) = −½ x^(−½)/x ẋ. */
export const rsqrt: UnaryOperation = unary('rsqrt', {
  dtypes: floating,
  evaluate: uniform((x) => 1 / Math.sqrt(x)),
  tangent: (xDot, x, y) => mul(xDot, mul(fullLike(x, -0.5), div(y, x))),
  lower: 'rsqrt',
})

/** d∛x = ẋ/(3(∛x)²). */
export const cbrt: UnaryOperation = unary('cbrt', {
  dtypes: floating,
  evaluate: uniform(Math.cbrt),
  tangent: (xDot, x, y) => mul(xDot, mul(fullLike(x, 1 / 3), integerPow(y, { y: -2 }))),
  lower: 'cbrt',
})

/** The same values under a new name: a point where buffers may be told apart. */
export const copy: UnaryOperation = unary('copy', {
  dtypes: anyDType,
  evaluate: uniform((x) => x),
  tangent: (xDot) => copy(xDot),
  transpose: (yBar) => copy(yBar),
  lower: (x) => x,
})
