/** The error function and the gamma function with their kin (derivatives: DLMF chapters 5 and 7). */
import {
  digammaLanes,
  erfcLanes,
  erfInvLanes,
  erfLanes,
  erfSingleLanes,
  inDouble,
  inOwnFormat,
  lgammaLanes,
} from '../backends/wasm/rare'
import * as expr from '../compiler/expr'
import type { DType } from '../types/dtype'
import { DifferentiationError } from '../types/errors'
import { nonlinear } from '../trace/primitive'
import { add, mul, neg, square } from './arithmetic'
import { fullLike, onesLike } from './constants'
import { binary, unary } from './elementwise'
import { exp } from './exponential'
import type { BinaryOperation, UnaryOperation } from './operation'
import { floating, unaryFormula, uniform } from './pointwise'
import { erf as erfOnHost, erfc as erfcOnHost, erfInv as erfInvOnHost } from './scalar/erf'
import {
  bernoulli,
  digamma as digammaOnHost,
  lgamma as lgammaOnHost,
  polygamma as polygammaOnHost,
} from './scalar/gamma'

const twoOverRootPi = 2 / Math.sqrt(Math.PI)

/** d erf x = 2/√π e^(−x²) ẋ. */
export const erf: UnaryOperation = unary('erf', {
  dtypes: floating,
  evaluate: uniform(erfOnHost),
  tangent: (xDot, x) => mul(fullLike(x, twoOverRootPi), mul(xDot, exp(neg(square(x))))),
  lower: unaryFormula('erf', { f32: erfSingleLanes, f64: erfLanes }),
})

/** d erfc x = −2/√π e^(−x²) ẋ. */
export const erfc: UnaryOperation = unary('erfc', {
  dtypes: floating,
  evaluate: uniform(erfcOnHost),
  tangent: (xDot, x) => mul(fullLike(x, -twoOverRootPi), mul(xDot, exp(neg(square(x))))),
  lower: unaryFormula('erfc', inDouble(erfcLanes)),
})

/** y = erf⁻¹ x; dy = √π/2 e^(y²) ẋ. */
export const erfInv: UnaryOperation = unary('erf_inv', {
  dtypes: floating,
  evaluate: uniform(erfInvOnHost),
  tangent: (xDot, x, y) => mul(fullLike(x, 1 / twoOverRootPi), mul(xDot, exp(square(y)))),
  lower: unaryFormula('erfInv', inOwnFormat(erfInvLanes)),
})

const lgammaExpression = unaryFormula('lgamma', inDouble(lgammaLanes))
const digammaExpression = unaryFormula('digamma', inDouble(digammaLanes))

/** d ln|Γ(x)| = ψ(x) ẋ. */
export const lgamma: UnaryOperation = unary('lgamma', {
  dtypes: floating,
  evaluate: uniform(lgammaOnHost),
  tangent: (xDot, x) => mul(xDot, digamma(x)),
  lower: lgammaExpression,
})

/** dψ(x) = ψ′(x) ẋ. */
export const digamma: UnaryOperation = unary('digamma', {
  dtypes: floating,
  evaluate: uniform(digammaOnHost),
  tangent: (xDot, x) => mul(xDot, polygamma(onesLike(x), x)),
  lower: digammaExpression,
})

/**
 * (−1)ᵐ⁺¹ m! ζ(m + 1, x) with ten terms of the sum and ten of Euler and Maclaurin's correction
 * (DLMF 25.11.5): accurate for x > −1, and for x > −9 with fewer digits the smaller it is.
 */
function polygammaExpression(m: expr.Scalar, x: expr.Scalar, dtype: DType): expr.Scalar {
  const number = (value: number): expr.Scalar => expr.constant(dtype, value)
  const op = (name: expr.BinaryOp, a: expr.Scalar, b: expr.Scalar): expr.Scalar =>
    expr.binary(name, dtype, a, b)
  const of = (name: expr.UnaryOp, a: expr.Scalar): expr.Scalar => expr.unary(name, dtype, a)
  const s = op('add', m, number(1))
  const power = (q: expr.Scalar): expr.Scalar => op('pow', q, of('neg', s))
  let sum = power(x)
  for (let n = 1; n < 10; n++) sum = op('add', sum, power(op('add', x, number(n))))
  const q = op('add', x, number(10))
  const last = power(q)
  sum = op('add', sum, op('div', op('mul', last, q), m))
  sum = op('add', sum, op('mul', last, number(0.5)))
  let factor = op('mul', number(0.5), op('div', op('mul', s, last), q))
  const qSquared = op('mul', q, q)
  bernoulli.forEach((b, i) => {
    sum = op('add', sum, op('mul', number(b), factor))
    const k = 2 * i + 1
    const rising = op('mul', op('add', s, number(k)), op('add', s, number(k + 1)))
    factor = op('mul', factor, op('div', rising, op('mul', number((k + 2) * (k + 3)), qSquared)))
  })
  const isEven = expr.binary('eq', 'bool', op('rem', m, number(2)), number(0))
  const magnitude = op('mul', of('exp', lgammaExpression(s, dtype)), sum)
  const signed = expr.select(isEven, of('neg', magnitude), magnitude)
  const isZero = expr.binary('eq', 'bool', m, number(0))
  const isOrder = expr.binary(
    'and',
    'bool',
    expr.binary('ge', 'bool', m, number(0)),
    expr.binary('eq', 'bool', m, of('floor', m)),
  )
  return expr.select(isOrder, expr.select(isZero, digammaExpression(x, dtype), signed), number(NaN))
}

/** ψ⁽ᵐ⁾(x), the m-th derivative of digamma; dψ⁽ᵐ⁾(x) = ψ⁽ᵐ⁺¹⁾(x) ẋ. */
export const polygamma: BinaryOperation = binary('polygamma', {
  dtypes: floating,
  evaluate: uniform(polygammaOnHost),
  tangents: {
    x: (_mDot, m) => {
      throw new DifferentiationError({
        op: 'polygamma',
        problem: 'has no derivative with respect to its order',
        operands: [{ name: 'm', aval: m.aval }],
        rule: 'the order is an integer',
        hint: 'stopGradient(m)',
      })
    },
    y: (xDot, m, x) => mul(xDot, polygamma(add(m, onesLike(m)), x)),
  },
  transpose: nonlinear,
  lower: polygammaExpression,
})
