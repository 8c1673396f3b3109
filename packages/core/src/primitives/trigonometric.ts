/** Circular functions and their inverses (derivatives: DLMF 4.20 and 4.24). */
import { atan2Lanes, inDouble } from '../backends/wasm/rare'
import { nonlinear } from '../trace/primitive'
import { add, div, mul, neg, rsqrt, square, sub } from './arithmetic'
import { onesLike } from './constants'
import { binary, unary } from './elementwise'
import type { BinaryOperation, UnaryOperation } from './operation'
import { binaryFormula, floating, uniform } from './pointwise'

/** d sin x = cos x ẋ. */
export const sin: UnaryOperation = unary('sin', {
  dtypes: floating,
  evaluate: uniform(Math.sin),
  tangent: (xDot, x) => mul(xDot, cos(x)),
  lower: 'sin',
})

/** d cos x = −sin x ẋ. */
export const cos: UnaryOperation = unary('cos', {
  dtypes: floating,
  evaluate: uniform(Math.cos),
  tangent: (xDot, x) => neg(mul(xDot, sin(x))),
  lower: 'cos',
})

/** d tan x = (1 + tan² x) ẋ. */
export const tan: UnaryOperation = unary('tan', {
  dtypes: floating,
  evaluate: uniform(Math.tan),
  tangent: (xDot, x, y) => mul(xDot, add(onesLike(x), square(y))),
  lower: 'tan',
})

/** d asin x = ẋ/√(1 − x²). */
export const asin: UnaryOperation = unary('asin', {
  dtypes: floating,
  evaluate: uniform(Math.asin),
  tangent: (xDot, x) => mul(xDot, rsqrt(sub(onesLike(x), square(x)))),
  lower: 'asin',
})

/** d acos x = −ẋ/√(1 − x²). */
export const acos: UnaryOperation = unary('acos', {
  dtypes: floating,
  evaluate: uniform(Math.acos),
  tangent: (xDot, x) => mul(xDot, neg(rsqrt(sub(onesLike(x), square(x))))),
  lower: 'acos',
})

/** d atan x = ẋ/(1 + x²). */
export const atan: UnaryOperation = unary('atan', {
  dtypes: floating,
  evaluate: uniform(Math.atan),
  tangent: (xDot, x) => div(xDot, add(onesLike(x), square(x))),
  lower: 'atan',
})

/** The angle of the point (y, x): d = (x dy − y dx)/(x² + y²). The first operand is the ordinate. */
export const atan2: BinaryOperation = binary('atan2', {
  dtypes: floating,
  evaluate: uniform(Math.atan2),
  tangents: {
    x: (dot, ordinate, abscissa) =>
      mul(dot, div(abscissa, add(square(ordinate), square(abscissa)))),
    y: (dot, ordinate, abscissa) =>
      mul(dot, div(neg(ordinate), add(square(ordinate), square(abscissa)))),
  },
  transpose: nonlinear,
  lower: binaryFormula('atan2', inDouble(atan2Lanes)),
})
