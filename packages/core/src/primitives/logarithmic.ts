/** Functions of two operands that are made of logarithms and hold where their parts do not. */
import * as expr from '../compiler/expr'
import type { DType } from '../types/dtype'
import { nonlinear } from '../trace/primitive'
import { add, div, min, mul, sub } from './arithmetic'
import { eq } from './comparison'
import { fullLike, onesLike } from './constants'
import { binary, type BinaryTangent } from './elementwise'
import { log, log1p, logistic } from './exponential'
import type { BinaryOperation } from './operation'
import { floating, type Kernel, uniform } from './pointwise'
import { select } from './select'

// --- sums of exponentials ---------------------------------------------------------------------------------

/**
 * log(bˣ + bʸ)/log b = max + log1p(b^(−|x − y|))/log b, which neither overflows nor cancels. The
 * difference of equal infinities is NaN: there the sum is the answer.
 *
 * Its slope in x is σ((x − y) log b), which for two +∞ is 1 (JAX's convention), and NaN for two −∞.
 */
function logSum(
  name: string,
  exponential: 'exp' | 'exp2',
  logOfBase: number,
  kernel: (x: number) => number,
): BinaryOperation {
  const slope =
    (swapped: boolean): BinaryTangent =>
    (dot, x, y) => {
      const difference = swapped ? sub(y, x) : sub(x, y)
      const scaled = logOfBase === 1 ? difference : mul(difference, fullLike(difference, logOfBase))
      const infinite = eq(min(x, y), fullLike(x, Infinity))
      return mul(dot, select(infinite, onesLike(x), logistic(scaled)))
    }
  return binary(name, {
    dtypes: floating,
    evaluate: uniform((x, y) => {
      const difference = x - y
      if (Number.isNaN(difference)) return x + y
      return Math.max(x, y) + Math.log1p(kernel(-Math.abs(difference))) / logOfBase
    }),
    tangents: { x: slope(false), y: slope(true) },
    transpose: nonlinear,
    lower: (x, y, dtype) => {
      const op = (f: expr.BinaryOp, a: expr.Scalar, b: expr.Scalar): expr.Scalar =>
        expr.binary(f, dtype, a, b)
      const f = (g: expr.UnaryOp, a: expr.Scalar): expr.Scalar => expr.unary(g, dtype, a)
      const difference = op('sub', x, y)
      const rest = f('log1p', f(exponential, f('neg', f('abs', difference))))
      const scaled = logOfBase === 1 ? rest : op('mul', rest, expr.constant(dtype, 1 / logOfBase))
      return expr.select(
        expr.binary('ne', 'bool', difference, difference),
        op('add', x, y),
        op('add', op('max', x, y), scaled),
      )
    },
  })
}

/** log(eˣ + eʸ). */
export const logaddexp: BinaryOperation = logSum('logaddexp', 'exp', 1, Math.exp)
/** log₂(2ˣ + 2ʸ). */
export const logaddexp2: BinaryOperation = logSum('logaddexp2', 'exp2', Math.LN2, (x) => 2 ** x)

// --- products with logarithms -----------------------------------------------------------------------------

/** x·f(y), and 0 where x is 0 and y a number, also where f(y) is infinite or undefined. */
const vanishing = (
  f: (y: number) => number,
  op: 'log' | 'log1p',
): {
  readonly evaluate: () => Kernel
  readonly lower: (x: expr.Scalar, y: expr.Scalar, dtype: DType) => expr.Scalar
} => ({
  evaluate: uniform((x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * f(y))),
  lower: (x, y, dtype) =>
    expr.select(
      expr.binary(
        'and',
        'bool',
        expr.binary('eq', 'bool', x, expr.constant(dtype, 0)),
        expr.binary('eq', 'bool', y, y),
      ),
      expr.constant(dtype, 0),
      expr.binary('mul', dtype, x, expr.unary(op, dtype, y)),
    ),
})

/** x log y; d = log y ẋ + x/y ẏ, as JAX has it also where x is 0. */
export const xlogy: BinaryOperation = binary('xlogy', {
  dtypes: floating,
  ...vanishing(Math.log, 'log'),
  tangents: {
    x: (xDot, _x, y) => mul(xDot, log(y)),
    y: (yDot, x, y) => mul(yDot, div(x, y)),
  },
  transpose: nonlinear,
})

/** x log(1 + y); d = log(1 + y) ẋ + x/(1 + y) ẏ. */
export const xlog1py: BinaryOperation = binary('xlog1py', {
  dtypes: floating,
  ...vanishing(Math.log1p, 'log1p'),
  tangents: {
    x: (xDot, _x, y) => mul(xDot, log1p(y)),
    y: (yDot, x, y) => mul(yDot, div(x, add(onesLike(y), y))),
  },
  transpose: nonlinear,
})
