/** NumPy's elementwise functions: promotion and broadcasting around strict primitives. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type DType, floatInfo, isFloating, isUnsigned } from '../../types/dtype'
import { ArgumentError } from '../../types/errors'
import {
  type Binary,
  binary,
  type BinaryPrimitive,
  differsFromItself,
  notForBooleans,
  onFloats,
  real,
  type Unary,
  type UnaryPrimitive,
} from './families'
import { isnan, isneginf, isposinf, signbit } from './logic'
import { checkOptions, isOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastAll,
  checkDType,
  choose,
  convert,
  filledLike,
  operandReports,
  promote,
  promoteDTypes,
  promoteInexact,
  promoteNumeric,
  toBool,
} from '../promotion'

// --- arithmetic -----------------------------------------------------------------------------------

export const add: Binary = (x, y) => {
  const [a, b] = promote('add', [x, y])
  return a.dtype === 'bool' ? prim.or(a, b) : prim.add(a, b)
}

export const subtract: Binary = (x, y) => {
  const args = promote('subtract', [x, y])
  notForBooleans('subtract', args, 'use np.logicalXor for the difference of truth values')
  return prim.sub(args[0], args[1])
}
export const sub: Binary = subtract

export const multiply: Binary = (x, y) => {
  const [a, b] = promote('multiply', [x, y])
  return a.dtype === 'bool' ? prim.and(a, b) : prim.mul(a, b)
}
export const mul: Binary = multiply

/** True division: integers give floats. */
export const divide: Binary = binary('divide', promoteInexact, prim.div)
export const trueDivide: Binary = divide
export const div: Binary = divide

export const floorDivide: Binary = (x, y) => {
  const [a, b] = promoteNumeric('floorDivide', [x, y])
  if (isUnsigned(a.dtype)) return prim.div(a, b)
  if (!isFloating(a.dtype)) {
    const quotient = prim.div(a, b)
    const inexact = prim.and(
      prim.ne(prim.sign(a), prim.sign(b)),
      prim.ne(prim.rem(a, b), filledLike(a, 0)),
    )
    return choose(inexact, prim.sub(quotient, filledLike(a, 1)), quotient)
  }
  // By the exact remainder, so that the quotient does not suffer from rounding of a / b.
  const zero = filledLike(a, 0)
  const remainder = prim.rem(a, b)
  const exact = choose(prim.eq(b, zero), a, prim.sub(a, remainder))
  const quotient = prim.div(exact, b)
  const opposite = prim.and(prim.ne(remainder, zero), prim.ne(prim.sign(b), prim.sign(remainder)))
  return prim.round(choose(opposite, prim.sub(quotient, filledLike(a, 1)), quotient), {
    roundingMethod: 0,
  })
}

/** The remainder with the sign of the divisor. */
export const remainder: Binary = (x, y) => {
  const [a, divisor] = promoteNumeric('remainder', [x, y])
  const b = isFloating(a.dtype) ? divisor : nonzero(divisor)
  const zero = filledLike(a, 0)
  const truncated = prim.rem(a, b)
  const wrongSign = prim.and(
    prim.ne(prim.lt(truncated, zero), prim.lt(b, zero)),
    prim.ne(truncated, zero),
  )
  return choose(wrongSign, prim.add(truncated, b), truncated)
}
export const mod: Binary = remainder

/** The remainder with the sign of the dividend. */
export const fmod: Binary = (x, y) => {
  const [a, b] = promoteNumeric('fmod', [x, y])
  return prim.rem(a, isFloating(a.dtype) ? b : nonzero(b))
}

/** Division of integers by zero has no NaN to answer; JAX divides by one instead. */
const nonzero = (x: NDArray): NDArray => choose(prim.eq(x, filledLike(x, 0)), filledLike(x, 1), x)

/** `[floorDivide(x, y), remainder(x, y)]`. */
export const divmod = (x: ArrayLike, y: ArrayLike): [NDArray, NDArray] => [
  floorDivide(x, y),
  remainder(x, y),
]

/**
 * `x` to the power `y`. An integral JavaScript number as exponent is exact repeated multiplication,
 * differentiable everywhere; integers to integer powers stay integers.
 */
export const power: Binary = (x, y) => {
  const exponent = staticExponent(y)
  if (exponent !== null) {
    const a = asArray('power', x)
    const base = a.dtype === 'bool' ? convert(a, 'int32') : a
    if (!isFloating(base.dtype) && exponent < 0) throw negativeIntegerPower(x, y)
    return prim.integerPow(base, { y: exponent })
  }
  const base = asArray('power', x)
  const power = asArray('power', y)
  const [a, b] = promoteNumeric('power', [base, power])
  if (!isFloating(a.dtype)) return integerPower(a, b)
  return prim.pow(a, b)
}
export const pow: Binary = power

const staticExponent = (y: ArrayLike): number | null => {
  const value = typeof y === 'number' ? y : null
  return value !== null && Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? value : null
}

const negativeIntegerPower = (x: ArrayLike, y: ArrayLike): ArgumentError =>
  new ArgumentError({
    op: 'power(a, b)',
    problem: 'integers cannot be raised to negative powers',
    operands: operandReports([x, y]),
    hint: "convert the base to a float first: np.power(a.astype('float32'), b)",
  })

/** Square and multiply over the bits of the exponent; 2 to the 63rd overflows every integer. */
function integerPower(x: NDArray, y: NDArray): NDArray {
  const zero = filledLike(x, 0)
  const one = filledLike(x, 1)
  let square = x
  let rest = y
  let result = choose(prim.and(prim.eq(x, zero), prim.ne(y, zero)), zero, one)
  for (let bit = 0; bit < 6; bit++) {
    result = choose(prim.ne(prim.and(rest, one), zero), prim.mul(result, square), result)
    square = prim.mul(square, square)
    rest = prim.shiftRightLogical(rest, one)
  }
  return result
}

export const floatPower: Binary = binary('floatPower', promoteInexact, prim.pow)

export const negative: Unary = (x) => {
  const a = asArray('negative', x)
  notForBooleans('negative', [a], 'use np.logicalNot')
  return prim.neg(a)
}
export const neg: Unary = negative

export const positive: Unary = (x) => asArray('positive', x)

export const absolute: Unary = (x) => {
  const a = asArray('absolute', x)
  return a.dtype === 'bool' || isUnsigned(a.dtype) ? a : prim.abs(a)
}
export const abs: Unary = absolute
export const fabs: Unary = real('fabs', prim.abs)

export const sign: Unary = (x) => {
  const a = asArray('sign', x)
  notForBooleans('sign', [a], "convert first: x.astype('int32')")
  return prim.sign(a)
}

export const square: Unary = (x) => {
  const a = asArray('square', x)
  return prim.square(a.dtype === 'bool' ? convert(a, 'int32') : a)
}

export const reciprocal: Unary = (x) =>
  prim.integerPow(promoteInexact('reciprocal', [x])[0], { y: -1 })

// --- exponentials, logarithms, roots --------------------------------------------------------------

export const exp: Unary = real('exp', prim.exp)
export const exp2: Unary = real('exp2', prim.exp2)
export const expm1: Unary = real('expm1', prim.expm1)
export const log: Unary = real('log', prim.log)
export const log1p: Unary = real('log1p', prim.log1p)
export const log2: Unary = real('log2', (x) => prim.div(prim.log(x), filledLike(x, Math.LN2)))
export const log10: Unary = real('log10', (x) => prim.mul(prim.log(x), filledLike(x, Math.LOG10E)))
export const sqrt: Unary = real('sqrt', prim.sqrt)
export const cbrt: Unary = real('cbrt', prim.cbrt)

/** log(eˣ + eʸ), without overflow. */
export const logaddexp: Binary = binary('logaddexp', promoteInexact, prim.logaddexp)
/** log₂(2ˣ + 2ʸ), without overflow. */
export const logaddexp2: Binary = binary('logaddexp2', promoteInexact, prim.logaddexp2)

// --- trigonometry ---------------------------------------------------------------------------------

export const sin: Unary = real('sin', prim.sin)
export const cos: Unary = real('cos', prim.cos)
export const tan: Unary = real('tan', prim.tan)
export const arcsin: Unary = real('arcsin', prim.asin)
export const arccos: Unary = real('arccos', prim.acos)
export const arctan: Unary = real('arctan', prim.atan)
export const sinh: Unary = real('sinh', prim.sinh)
export const cosh: Unary = real('cosh', prim.cosh)
export const tanh: Unary = real('tanh', prim.tanh)
export const arcsinh: Unary = real('arcsinh', prim.asinh)
export const arccosh: Unary = real('arccosh', prim.acosh)
export const arctanh: Unary = real('arctanh', prim.atanh)
export const asin: Unary = arcsin
export const acos: Unary = arccos
export const atan: Unary = arctan
export const asinh: Unary = arcsinh
export const acosh: Unary = arccosh
export const atanh: Unary = arctanh
export const arctan2: Binary = binary('arctan2', promoteInexact, prim.atan2)
export const atan2: Binary = arctan2

const scaledBy = (op: string, factor: number): Unary =>
  real(op, (x) => prim.mul(x, filledLike(x, factor)))
export const deg2rad: Unary = scaledBy('deg2rad', Math.PI / 180)
export const rad2deg: Unary = scaledBy('rad2deg', 180 / Math.PI)
export const radians: Unary = deg2rad
export const degrees: Unary = rad2deg

/** √(x² + y²), scaled by the larger so that it overflows only where the result does. */
export const hypot: Binary = (x, y) => {
  const [a, b] = promoteInexact('hypot', [x, y]).map(prim.abs)
  const infinity = filledLike(a, Infinity)
  const infinite = prim.or(prim.eq(a, infinity), prim.eq(b, infinity))
  const large = prim.max(a, b)
  const small = prim.min(a, b)
  const isZero = prim.eq(large, filledLike(a, 0))
  const one = filledLike(a, 1)
  const ratio = prim.div(small, choose(isZero, one, large))
  const length = prim.mul(large, prim.sqrt(prim.add(one, prim.square(ratio))))
  return choose(infinite, infinity, choose(isZero, large, length))
}

/** sin(πx) / (πx), 1 at 0; its derivatives at 0 are those of 1 − (πx)²/6. */
export const sinc: Unary = real('sinc', (x) => {
  const isZero = prim.eq(x, filledLike(x, 0))
  const angle = prim.mul(x, filledLike(x, Math.PI))
  const one = filledLike(x, 1)
  const safe = choose(isZero, one, angle)
  const atZero = prim.sub(one, prim.mul(prim.square(angle), filledLike(x, 1 / 6)))
  return choose(isZero, atZero, prim.div(prim.sin(safe), safe))
})

// --- rounding -------------------------------------------------------------------------------------

export const floor: Unary = onFloats('floor', prim.floor)
export const ceil: Unary = onFloats('ceil', prim.ceil)
export const trunc: Unary = onFloats('trunc', (x) =>
  choose(prim.lt(x, filledLike(x, 0)), prim.ceil(x), prim.floor(x)),
)
export const fix: Unary = trunc

const toNearestEven: UnaryPrimitive = (x) => prim.round(x, { roundingMethod: 1 })

/** Rounds halves to even, as NumPy does; integers become floats. */
export const rint: Unary = real('rint', toNearestEven)

/** Rounds to `decimals` places, halves to even. */
export function round(
  x: ArrayLike,
  decimalsOrOptions: number | { readonly decimals?: number } = 0,
): NDArray {
  const decimals =
    typeof decimalsOrOptions === 'number'
      ? decimalsOrOptions
      : (checkOptions('round', decimalsOrOptions, ['decimals']).decimals ?? 0)
  const a = asArray('round', x)
  notForBooleans('round', [a], "convert first: x.astype('int32')")
  if (!isFloating(a.dtype)) {
    if (decimals >= 0) return a
    throw new ArgumentError({
      op: 'round(a, decimals)',
      problem: 'integers cannot be rounded to negative decimals',
      operands: operandReports([a]),
      hint: "convert first: x.astype('float32')",
    })
  }
  if (decimals === 0) return toNearestEven(a)
  if (decimals > Math.log10(floatInfo(a.dtype).max)) return a
  // 10^decimals may overflow a half: computed in single precision.
  const wide = a.dtype === 'float16' ? convert(a, 'float32') : a
  const factor = filledLike(wide, 10 ** decimals)
  const rounded = prim.div(toNearestEven(prim.mul(wide, factor)), factor)
  return convert(rounded, a.dtype, a.aval.weakType)
}

// --- choosing -------------------------------------------------------------------------------------

/**
 * `onTrue` where `condition` is true, else `onFalse`, broadcast together. Both are evaluated: to
 * keep NaN out of derivatives, make the argument of the branch not taken harmless as well.
 */
export function where(condition: ArrayLike, onTrue: ArrayLike, onFalse: ArrayLike): NDArray {
  const [x, y] = promoteDTypes('where', [onTrue, onFalse])
  const [which, a, b] = broadcastAll('where', [toBool(asArray('where', condition)), x, y])
  return choose(which, a, b)
}

export const maximum: Binary = binary('maximum', promote, prim.max)
export const minimum: Binary = binary('minimum', promote, prim.min)

/** The other operand where one is NaN. */
const ignoringNaN =
  (op: string, primitive: BinaryPrimitive, better: BinaryPrimitive): Binary =>
  (x, y) => {
    const [a, b] = promote(op, [x, y])
    if (!isFloating(a.dtype)) return primitive(a, b)
    return choose(prim.or(better(a, b), differsFromItself(b)), a, b)
  }
export const fmax: Binary = ignoringNaN('fmax', prim.max, prim.gt)
export const fmin: Binary = ignoringNaN('fmin', prim.min, prim.lt)

export interface ClipOptions {
  readonly min?: ArrayLike | null
  readonly max?: ArrayLike | null
}

/** Limits values to `min … max`; a missing limit does not limit. */
export function clip(
  x: ArrayLike,
  minOrOptions?: ArrayLike | ClipOptions | null,
  max?: ArrayLike | null,
): NDArray {
  const options = isOptions(minOrOptions)
    ? checkOptions('clip', minOrOptions, ['min', 'max'])
    : { min: minOrOptions, max }
  let result = asArray('clip', x)
  if (options.min != null) result = maximum(options.min, result)
  if (options.max != null) result = minimum(options.max, result)
  return result
}

/** 0 below zero, 1 above, `atZero` at zero, NaN at NaN. */
export const heaviside: Binary = (x, atZero) => {
  const [a, b] = promoteInexact('heaviside', [x, atZero])
  const zero = filledLike(a, 0)
  const above = choose(prim.gt(a, zero), filledLike(a, 1), choose(differsFromItself(a), a, b))
  return choose(prim.lt(a, zero), zero, above)
}

/** |x| with the sign of y, also of −0 and of a signed NaN. */
export const copysign: Binary = (x, y) => {
  const [a, b] = promoteInexact('copysign', [x, y])
  const magnitude = prim.abs(a)
  return choose(signbit(b), prim.neg(magnitude), magnitude)
}

export const nextafter: Binary = binary('nextafter', promoteInexact, prim.nextafter)

/** Replaces NaN and the infinities by finite numbers. */
export function nanToNum(
  x: ArrayLike,
  options: { nan?: ArrayLike; posinf?: ArrayLike; neginf?: ArrayLike } = {},
): NDArray {
  const { nan = 0, posinf, neginf } = checkOptions('nanToNum', options, ['nan', 'posinf', 'neginf'])
  const a = asArray('nanToNum', x)
  if (!isFloating(a.dtype)) return a
  const { max } = floatInfo(a.dtype)
  const value = (v: ArrayLike): NDArray => convert(asArray('nanToNum', v), a.dtype, a.aval.weakType)
  const withoutNaN = where(isnan(a), value(nan), a)
  const below = where(isposinf(withoutNaN), value(posinf ?? max), withoutNaN)
  return where(isneginf(below), value(neginf ?? -max), below)
}

// --- dtypes ---------------------------------------------------------------------------------------

/** Converts to another dtype; floats are truncated towards zero by an integer dtype. */
export const astype = (x: ArrayLike, dtype: DType): NDArray => {
  const a = asArray('astype', x)
  return checkDType('astype', dtype) === 'bool' ? toBool(a) : convert(a, dtype)
}
