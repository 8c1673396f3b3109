/** Eigenvalues and eigenvectors of symmetric matrices. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import type { Params } from '../trace/primitive'
import { Aval } from '../types/aval'
import { add, div, mul, sub } from './arithmetic'
import { eq } from './comparison'
import { full, zerosLike } from './constants'
import { factorization } from './factorization'
import { evenSize, extended, halves, jacobiSteps, rotated, rotation } from './jacobi'
import {
  checkSquare,
  diagonalOf,
  identityLike,
  matmul,
  matrixTranspose,
  perColumn,
  perRow,
  placesIn,
  triangle,
} from './matrices'
import { operation, type Operation } from './operation'
import { select } from './select'
import { iota, sliceInAxis } from './slicing'
import { sort, takeAlongAxis } from './sort'

/** The symmetric matrix with this lower triangle. */
const fromLower = (x: NDArray): NDArray =>
  add(triangle(x, true, false), matrixTranspose(triangle(x, true, true)))

const eighPrimitive = factorization<Params>({
  name: 'eigh',
  abstractEval: (x) => {
    checkSquare('eigh', x)
    return [
      new Aval(x.shape, x.dtype, x.weakType),
      new Aval(x.shape.slice(0, -1), x.dtype, x.weakType),
    ]
  },
  phases: [
    {
      start: ([x]) => {
        const n = evenSize(x.shape[x.ndim - 1])
        const a = extended(extended(fromLower(x), x.ndim - 2, n), x.ndim - 1, n)
        return [a, identityLike(a)]
      },
      length: ([a]) => jacobiSteps(a.shape[a.ndim - 1]),
      step: ([a, v]) => {
        const [rows, columns] = [a.ndim - 2, a.ndim - 1]
        const [top, bottom] = halves(a, rows)
        const off = diagonalOf(halves(top, columns)[1])
        const [c, s] = rotation(
          diagonalOf(halves(top, columns)[0]),
          off,
          diagonalOf(halves(bottom, columns)[1]),
          eq(off, zerosLike(off)),
        )
        const acrossColumns = (x: NDArray): NDArray => {
          const half = x.shape.with(columns, x.shape[columns] / 2)
          return rotated(x, columns, perColumn(c, half), perColumn(s, half))
        }
        const turned = acrossColumns(a)
        const half = turned.shape.with(rows, turned.shape[rows] / 2)
        return [rotated(turned, rows, perRow(c, half), perRow(s, half)), acrossColumns(v)]
      },
    },
  ],
  finish: ([a, v], _params, operand) => {
    const n = operand.shape[operand.ndim - 1]
    const last = a.ndim - 1
    // What came with padding is back at the end.
    const values = sliceInAxis(diagonalOf(a), last - 1, 0, n)
    const vectors = sliceInAxis(sliceInAxis(v, last - 1, 0, n), last, 0, n)
    const places = iota({ dtype: 'int32', shape: values.shape, dimension: last - 1 })
    const [ascending, order] = sort([values, places], { dimension: last - 1, numKeys: 1 })
    return [takeAlongAxis(vectors, perColumn(order, vectors.shape), last), ascending]
  },
  // v̇ = v (F ∘ vᵀ ẋ v) with Fᵢⱼ = 1/(wⱼ − wᵢ), and ẇ the diagonal (Giles 2008, section 3.1).
  tangents: ([v, w], xDot) => {
    const symmetric = fromLower(xDot)
    const inner = matmul(matrixTranspose(v), matmul(symmetric, v))
    const gaps = sub(perColumn(w, v.shape), perRow(w, v.shape))
    const onDiagonal = eq(...placesIn(v.shape))
    const one = full(v.shape, 1, v.dtype)
    const inverse = select(onDiagonal, zerosLike(v), div(one, select(onDiagonal, one, gaps)))
    return [matmul(v, mul(inverse, inner)), diagonalOf(inner)]
  },
})

/**
 * Orthonormal eigenvectors, in columns, and eigenvalues, ascending, of symmetric matrices of which the
 * lower triangle is read.
 */
export const eigh: Operation<[a: NDArray], Params, readonly NDArray[]> = operation(
  eighPrimitive,
  (a: NDArray) => bind(eighPrimitive, [a], {}),
)
