/** QR factorisation by Householder's reflections. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import { Aval, type Shape } from '../types/aval'
import { DifferentiationError } from '../types/errors'
import { abs, add, div, mul, neg, sqrt, sub } from './arithmetic'
import { eq, ge, gt } from './comparison'
import { full, zerosLike } from './constants'
import { factorization, type Phase } from './factorization'
import { triangularSolve } from './linear-algebra'
import {
  checkMatrix,
  matmul,
  matrixTranspose,
  perColumn,
  perRow,
  placesIn,
  spread,
  sumAlong,
  triangle,
} from './matrices'
import { operation, type Operation } from './operation'
import { reduceMax } from './reductions'
import { select } from './select'
import { iota, sliceInAxis } from './slicing'

export type QrParams = {
  /** Q is square, and R has the shape of the matrix. */
  readonly fullMatrices: boolean
}

const sides = (x: { readonly shape: Shape }): readonly [rows: number, columns: number] => [
  x.shape[x.shape.length - 2],
  x.shape[x.shape.length - 1],
]

/** 1 in place of 0, to divide by. */
const orOne = (x: NDArray): NDArray => select(eq(x, zerosLike(x)), full(x.shape, 1, x.dtype), x)

/**
 * One reflection H = I − 2 v vᵀ / vᵀv for each matrix, which takes column k to a multiple of eₖ (Golub
 * & Van Loan, "Matrix Computations", 4th edition, algorithm 5.1.1). Signs are LAPACK's: a column that
 * is zero below the diagonal stays as it is.
 */
export function reflect([r, q]: readonly NDArray[], k: NDArray): readonly NDArray[] {
  const { shape } = r
  const [, column] = placesIn(shape)
  const x = sumAlong(select(eq(column, spread(k, shape)), r, zerosLike(r)), -1)
  const position = iota({ dtype: 'int32', shape: x.shape, dimension: x.ndim - 1 })
  const at = spread(k, x.shape)
  const part = select(ge(position, at), x, zerosLike(x))
  // The reflection does not depend on the length of the column; its square may overflow.
  const unit = orOne(reduceMax(abs(part), { axes: [x.ndim - 1] }))
  const scaled = div(part, spread(unit, x.shape))
  const below = select(gt(position, at), scaled, zerosLike(x))
  const rest = sumAlong(mul(below, below), -1)
  const alpha = sumAlong(select(eq(position, at), scaled, zerosLike(x)), -1)
  const length = sqrt(add(mul(alpha, alpha), rest))
  const beta = select(ge(alpha, zerosLike(alpha)), neg(length), length)
  const head = sub(alpha, beta)
  const reflected = add(below, select(eq(position, at), spread(head, x.shape), zerosLike(x)))
  const nothing = eq(rest, zerosLike(rest))
  const v = select(spread(nothing, x.shape), zerosLike(x), reflected)
  const norm = orOne(sumAlong(mul(v, v), -1))
  const factor = div(full(norm.shape, 2, norm.dtype), norm)

  const along = (y: NDArray): NDArray =>
    // vᵀ R, then R − 2/vᵀv · v (vᵀ R)
    sub(
      y,
      mul(
        mul(spread(factor, y.shape), perRow(v, y.shape)),
        perColumn(sumAlong(mul(perRow(v, y.shape), y), -2), y.shape),
      ),
    )
  const across = (y: NDArray): NDArray =>
    sub(
      y,
      mul(
        mul(spread(factor, y.shape), perColumn(v, y.shape)),
        perRow(sumAlong(mul(y, perColumn(v, y.shape)), -1), y.shape),
      ),
    )
  return [along(r), across(q)]
}

/** The identity of the size of the rows, for each matrix. */
export function rowIdentity(x: NDArray): NDArray {
  const [rows] = sides(x)
  const shape = [...x.shape.slice(0, -1), rows]
  const [row, column] = placesIn(shape)
  return select(eq(row, column), full(shape, 1, x.dtype), full(shape, 0, x.dtype))
}

export const householder = <P>(): Phase<P> => ({
  start: ([x]) => [x, rowIdentity(x)],
  length: ([r]) => Math.min(...sides(r)),
  step: reflect,
})

const qrPrimitive = factorization<QrParams>({
  name: 'qr',
  abstractEval: (x, { fullMatrices }) => {
    checkMatrix('qr', x)
    const [m, n] = sides(x)
    const k = fullMatrices ? m : Math.min(m, n)
    const lead = x.shape.slice(0, -2)
    return [
      new Aval([...lead, m, k], x.dtype, x.weakType),
      new Aval([...lead, k, n], x.dtype, x.weakType),
    ]
  },
  phases: [householder()],
  finish: ([r, q], { fullMatrices }) => {
    const [m, n] = sides(r)
    const k = fullMatrices ? m : Math.min(m, n)
    return [
      sliceInAxis(q, q.ndim - 1, 0, k),
      triangle(sliceInAxis(r, r.ndim - 2, 0, k), false, false),
    ]
  },
  // With M = Qᵀ Ȧ R⁻¹ and Ω = tril(M) − tril(M)ᵀ, both strict: Q̇ = Q (Ω − M) + Ȧ R⁻¹ and Ṙ = (M − Ω) R
  // (Walter & Lehmann, "Algorithmic differentiation of linear algebra functions", 2012, section 4).
  tangents: ([q, r], xDot, x, { fullMatrices }) => {
    const [m, n] = sides(x)
    if (m < n || (fullMatrices && m !== n)) {
      throw new DifferentiationError({
        op: 'qr',
        problem: 'there is no derivative where a factor is not determined by the matrix',
        operands: [{ name: 'a', aval: x.aval }],
        rule: `the matrix has at least as many rows as columns${fullMatrices ? ", and with mode 'complete' as many" : ''}`,
        hint: fullMatrices ? "use the mode 'reduced'" : 'factor the transpose',
      })
    }
    const right = triangularSolve(r, xDot, { leftSide: false, lower: false })
    const middle = matmul(matrixTranspose(q), right)
    const strict = triangle(middle, true, true)
    const omega = sub(strict, matrixTranspose(strict))
    return [add(matmul(q, sub(omega, middle)), right), matmul(sub(middle, omega), r)]
  },
})

/** Q with orthonormal columns and an upper triangular R: `a` = Q R. Signs are LAPACK's. */
export const qr: Operation<[a: NDArray, params: QrParams], QrParams, readonly NDArray[]> =
  operation(qrPrimitive, (a: NDArray, params: QrParams) => bind(qrPrimitive, [a], params))
