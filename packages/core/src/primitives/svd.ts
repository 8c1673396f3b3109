/** Singular value decomposition. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import { Aval } from '../types/aval'
import { DifferentiationError, ShapeError } from '../types/errors'
import { abs, add, div, mul, neg, sqrt, sub } from './arithmetic'
import { eq, lt } from './comparison'
import { full, zerosLike } from './constants'
import { factorization } from './factorization'
import { evenSize, extended, halves, jacobiSteps, rotated, rotation } from './jacobi'
import {
  checkMatrix,
  diagonalOf,
  identityLike,
  matmul,
  matrixTranspose,
  perColumn,
  perRow,
  placesIn,
  spread,
  sumAlong,
} from './matrices'
import { operation, type Operation } from './operation'
import { reflect, rowIdentity } from './qr'
import { reduceMax } from './reductions'
import { select } from './select'
import { iota, sliceInAxis } from './slicing'
import { sort, takeAlongAxis } from './sort'

export type SvdParams = {
  /** U is square. */
  readonly fullMatrices: boolean
}

const orOne = (x: NDArray): NDArray => select(eq(x, zerosLike(x)), full(x.shape, 1, x.dtype), x)

const columnsOf = (x: NDArray, count: number): NDArray => sliceInAxis(x, x.ndim - 1, 0, count)

/** Columns from the longest to the shortest, with their lengths. */
function sortedColumns(a: NDArray, v: NDArray): readonly [a: NDArray, s: NDArray, v: NDArray] {
  const last = a.ndim - 1
  const lengths = sqrt(sumAlong(mul(a, a), -2))
  const places = iota({ dtype: 'int32', shape: lengths.shape, dimension: last - 1 })
  const [negated, order] = sort([neg(lengths), places], { dimension: last - 1, numKeys: 1 })
  const ordered = (x: NDArray): NDArray => takeAlongAxis(x, perColumn(order, x.shape), last)
  return [ordered(a), neg(negated), ordered(v)]
}

const svdPrimitive = factorization<SvdParams>({
  name: 'svd',
  abstractEval: (x, { fullMatrices }) => {
    checkMatrix('svd', x)
    const [m, n] = x.shape.slice(-2)
    const lead = x.shape.slice(0, -2)
    if (m < n) {
      throw new ShapeError({
        op: 'svd',
        problem: 'the matrix has more columns than rows',
        operands: [{ name: 'a', aval: x }],
        rule: 'a is [..., m, n] with m at least n',
        hint: 'decompose the transpose: its factors change places',
      })
    }
    return [
      new Aval([...lead, n], x.dtype, x.weakType),
      new Aval([...lead, m, fullMatrices ? m : n], x.dtype, x.weakType),
      new Aval([...lead, n, n], x.dtype, x.weakType),
    ]
  },
  phases: [
    // Hestenes' one-sided method: columns are rotated until they are orthogonal (Golub & Van Loan,
    // section 8.6.3). What is done to the columns is V.
    {
      start: ([x]) => {
        const n = evenSize(x.shape[x.ndim - 1])
        // Squares of large numbers overflow.
        const largest = reduceMax(abs(x), { axes: [x.ndim - 2, x.ndim - 1] })
        const unit = orOne(largest)
        const a = extended(div(x, spread(unit, x.shape)), x.ndim - 1, n)
        const square = full([...x.shape.slice(0, -2), n, n], 0, x.dtype)
        return [a, identityLike(square), unit]
      },
      length: ([a]) => (a.shape[a.ndim - 2] === 0 ? 0 : jacobiSteps(a.shape[a.ndim - 1])),
      step: ([a, v, unit]) => {
        const last = a.ndim - 1
        const [left, right] = halves(a, last)
        const off = sumAlong(mul(left, right), -2)
        const [c, s] = rotation(
          sumAlong(mul(left, left), -2),
          off,
          sumAlong(mul(right, right), -2),
          eq(off, zerosLike(off)),
        )
        const turned = (x: NDArray): NDArray => {
          const half = [...x.shape.slice(0, -1), x.shape[last] / 2]
          return rotated(x, last, perColumn(c, half), perColumn(s, half))
        }
        return [turned(a), turned(v), unit]
      },
    },
    // The columns of U are those of A V, normalised; where a singular value is zero, any that are
    // orthogonal to the others. Both at once: the Q of their QR factorisation.
    {
      start: ([a, v, unit]) => {
        // The column that came with padding is the last of those that are zero.
        const [sorted, s, vectors] = sortedColumns(a, v)
        const u = div(sorted, perColumn(orOne(s), sorted.shape))
        return [u, rowIdentity(u), mul(s, spread(unit, s.shape)), vectors]
      },
      length: ([u]) => Math.min(...u.shape.slice(-2)),
      step: ([r, q, s, v], k) => [...reflect([r, q], k), s, v],
    },
  ],
  finish: ([r, q, s, v], { fullMatrices }, operand) => {
    const [m, n] = operand.shape.slice(-2)
    const upper = sliceInAxis(r, r.ndim - 2, 0, Math.min(m, r.shape[r.ndim - 1]))
    const signs = diagonalOf(columnsOf(upper, upper.shape[upper.ndim - 2]))
    const one = full(signs.shape, 1, signs.dtype)
    const flips = extendedWithOnes(select(lt(signs, zerosLike(signs)), neg(one), one), m)
    const u = mul(q, perColumn(flips, q.shape))
    return [
      sliceInAxis(s, s.ndim - 1, 0, n),
      columnsOf(u, fullMatrices ? m : n),
      columnsOf(sliceInAxis(v, v.ndim - 2, 0, n), n),
    ]
  },
  tangents: ([s, u, v], xDot, x, { fullMatrices }) => {
    const [m, n] = x.shape.slice(-2)
    if (fullMatrices && m !== n) {
      throw new DifferentiationError({
        op: 'svd',
        problem: 'the columns that complete U have no derivative',
        operands: [{ name: 'a', aval: x.aval }],
        rule: 'the matrix is square, or U has as many columns as there are singular values',
        hint: 'pass { fullMatrices: false }',
      })
    }
    return svdTangents(s, u, v, xDot, m > n)
  },
})

const extendedWithOnes = (x: NDArray, size: number): NDArray => {
  const filled = extended(x, x.ndim - 1, size)
  const place = iota({ dtype: 'int32', shape: filled.shape, dimension: x.ndim - 1 })
  const known = full(filled.shape, x.shape[x.ndim - 1], 'int32')
  return select(lt(place, known), filled, full(filled.shape, 1, x.dtype))
}

/**
 * Papadopoulo & Lourakis, "Estimating the Jacobian of the singular value decomposition" (2000), in
 * the form of Townsend's note "Differentiating the singular value decomposition" (2016), equations 16
 * to 18.
 */
function svdTangents(
  s: NDArray,
  u: NDArray,
  v: NDArray,
  xDot: NDArray,
  tall: boolean,
): readonly NDArray[] {
  const { shape } = v
  const [column, row] = [perColumn(s, shape), perRow(s, shape)]
  const inner = matmul(matrixTranspose(u), matmul(xDot, v))
  const onDiagonal = eq(...placesIn(shape))
  const one = full(shape, 1, s.dtype)
  const gap = mul(add(column, row), sub(column, row))
  const f = select(onDiagonal, zerosLike(gap), div(one, select(onDiagonal, one, gap)))
  const turned = matrixTranspose(inner)
  // dP = U Ẋ V: of U and of V the antisymmetric parts F ∘ (dP S + S dPᵀ) and F ∘ (S dP + dPᵀ S).
  const uOmega = mul(f, add(mul(inner, column), mul(turned, row)))
  const vOmega = mul(f, add(mul(row, inner), mul(turned, column)))
  const vDot = matmul(v, vOmega)
  const within = matmul(u, uOmega)
  if (!tall) return [diagonalOf(inner), within, vDot]
  const image = matmul(xDot, v)
  const outside = sub(image, matmul(u, matmul(matrixTranspose(u), image)))
  const scaled = div(outside, perColumn(orOne(s), outside.shape))
  return [diagonalOf(inner), add(within, scaled), vDot]
}

/** Singular values, descending, and the factors U and V: `a` = U diag(s) Vᵀ. */
export const svd: Operation<[a: NDArray, params: SvdParams], SvdParams, readonly NDArray[]> =
  operation(svdPrimitive, (a: NDArray, params: SvdParams) => bind(svdPrimitive, [a], params))
