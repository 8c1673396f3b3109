/** LU factorisation with partial pivoting. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import type { Params } from '../trace/primitive'
import { Aval, type Shape } from '../types/aval'
import { abs, add, div, mul, sub } from './arithmetic'
import { and } from './bitwise'
import { eq, ge, gt } from './comparison'
import { full, zerosLike } from './constants'
import { factorization } from './factorization'
import { triangularSolve } from './linear-algebra'
import {
  checkMatrix,
  identityLike,
  matmul,
  perColumn,
  perRow,
  placesIn,
  spread,
  sumAlong,
  triangle,
} from './matrices'
import { argmax } from './reductions'
import { operation, type Operation } from './operation'
import { select } from './select'
import { concatenate, iota, sliceInAxis } from './slicing'
import { takeAlongAxis } from './sort'

const lead = (x: { readonly shape: Shape }): Shape => x.shape.slice(0, -2)
const sides = (x: { readonly shape: Shape }): readonly [rows: number, columns: number] => [
  x.shape[x.shape.length - 2],
  x.shape[x.shape.length - 1],
]

/** The rows of `x` in the order of `permutation`, `[..., m]`. */
export const permuteRows = (x: NDArray, permutation: NDArray): NDArray =>
  takeAlongAxis(x, perRow(permutation, x.shape), x.ndim - 2)

/** Elements where a condition holds, zero elsewhere; also where they are NaN. */
const only = (condition: NDArray, x: NDArray): NDArray => select(condition, x, zerosLike(x))

/** The entry of each list, `[..., n]`, where a condition holds. */
const entryAt = (x: NDArray, here: NDArray): NDArray => sumAlong(only(here, x), -1)

function step([a, pivots, permutation]: readonly NDArray[], k: NDArray): readonly NDArray[] {
  const { shape } = a
  const batch = lead(a)
  const [row, column] = placesIn(shape)
  const inColumn = eq(column, spread(k, shape))
  const vector = permutation.shape
  const position = iota({ dtype: 'int32', shape: vector, dimension: vector.length - 1 })
  const atK = eq(position, spread(k, vector))

  // The largest element on or below the diagonal.
  const below = ge(position, spread(k, vector))
  const sizes = select(below, abs(sumAlong(only(inColumn, a), -1)), full(vector, -1, a.dtype))
  const pivot = argmax(sizes, { axes: [vector.length - 1], indexDtype: 'int32' })
  const atPivot = eq(position, spread(pivot, vector))

  const rowOf = (here: NDArray): NDArray => sumAlong(only(perRow(here, shape), a), -2)
  const [rowK, rowP] = [rowOf(atK), rowOf(atPivot)]
  const swapped = select(
    eq(row, spread(k, shape)),
    perColumn(rowP, shape),
    select(perRow(atPivot, shape), perColumn(rowK, shape), a),
  )

  const divisor = entryAt(rowP, eq(columnsOf(rowP), spread(k, rowP.shape)))
  const isZero = eq(divisor, zerosLike(divisor))
  const safe = select(isZero, full(batch, 1, a.dtype), divisor)
  const beneath = gt(position, spread(k, vector))
  const factors = only(beneath, div(sumAlong(only(inColumn, swapped), -1), spread(safe, vector)))
  const behind = gt(column, spread(k, shape))
  const change = only(behind, mul(perRow(factors, shape), perColumn(rowP, shape)))
  const reduced = sub(swapped, change)
  const next = select(and(inColumn, perRow(beneath, shape)), perRow(factors, shape), reduced)

  const [old, taken] = [entryAt(permutation, atK), entryAt(permutation, atPivot)]
  const exchanged = select(
    atK,
    spread(taken, vector),
    select(atPivot, spread(old, vector), permutation),
  )
  const ranks = iota({ dtype: 'int32', shape: pivots.shape, dimension: pivots.ndim - 1 })
  const noted = select(eq(ranks, spread(k, pivots.shape)), spread(pivot, pivots.shape), pivots)
  return [next, noted, exchanged]
}

const columnsOf = (x: NDArray): NDArray =>
  iota({ dtype: 'int32', shape: x.shape, dimension: x.ndim - 1 })

/** A matrix with rows or columns of the identity behind it, so that it is square. */
function squared(x: NDArray, size: number): NDArray {
  const [rows, columns] = sides(x)
  const padded = (y: NDArray, axis: number, missing: number): NDArray =>
    missing === 0
      ? y
      : concatenate(
          [
            y,
            full(
              y.shape.map((n, i) => (i === axis ? missing : n)),
              0,
              y.dtype,
            ),
          ],
          { dimension: axis },
        )
  const filled = padded(padded(x, x.ndim - 2, size - rows), x.ndim - 1, size - columns)
  const [row, column] = placesIn(filled.shape)
  const inside = full(filled.shape, Math.min(rows, columns), 'int32')
  const isAdded = and(eq(row, column), ge(row, inside))
  return select(isAdded, full(filled.shape, 1, x.dtype), filled)
}

const luPrimitive = factorization<Params>({
  name: 'lu',
  abstractEval: (x) => {
    checkMatrix('lu', x)
    const [m, n] = sides(x)
    return [
      new Aval(x.shape, x.dtype, x.weakType),
      new Aval([...lead(x), Math.min(m, n)], 'int32'),
      new Aval([...lead(x), m], 'int32'),
    ]
  },
  phases: [
    {
      start: ([x]) => {
        const [m, n] = sides(x)
        const order = iota({
          dtype: 'int32',
          shape: [...lead(x), m],
          dimension: x.ndim - 2,
        })
        return [x, full([...lead(x), Math.min(m, n)], 0, 'int32'), order]
      },
      length: ([a]) => Math.min(...sides(a)),
      step,
    },
  ],
  finish: (carries) => carries,
  // With P A = L U: L⁻¹ P Ȧ U⁻¹ = L⁻¹ L̇ + U̇ U⁻¹, whose parts are strictly lower and upper triangular
  // (Giles 2008, section 2.3; JAX's rule).
  tangents: ([lu, , permutation], xDot) => {
    const [m, n] = sides(lu)
    const rank = Math.min(m, n)
    const columns = sliceInAxis(lu, lu.ndim - 1, 0, rank)
    const rows = sliceInAxis(lu, lu.ndim - 2, 0, rank)
    const strict = triangle(columns, true, true)
    const lower = squared(strict, m)
    const unit = select(eq(...placesIn(lower.shape)), full(lower.shape, 1, lu.dtype), lower)
    const upper = squared(triangle(rows, false, false), n)
    const left = triangularSolve(unit, permuteRows(xDot, permutation), {
      leftSide: true,
      lower: true,
      unitDiagonal: true,
    })
    const both = triangularSolve(upper, left, { leftSide: false, lower: false })
    const lDot = matmul(unit, triangle(both, true, true))
    const uDot = matmul(triangle(both, false, false), upper)
    return [add(lDot, uDot), null, null]
  },
})

/**
 * Row by row permuted, `a` is L U: the strict lower triangle of the first result and a diagonal of
 * ones, times its upper triangle. Then the pivots (row k was swapped with row pivots[k]) and the
 * permutation.
 */
export const lu: Operation<[a: NDArray], Params, readonly NDArray[]> = operation(
  luPrimitive,
  (a: NDArray) => bind(luPrimitive, [a], {}),
)

/** The unit lower and the upper triangular factor in what `lu` returns. */
export function luFactors(packed: NDArray): readonly [l: NDArray, u: NDArray] {
  const rank = Math.min(...sides(packed))
  const columns = sliceInAxis(packed, packed.ndim - 1, 0, rank)
  const rows = sliceInAxis(packed, packed.ndim - 2, 0, rank)
  return [add(triangle(columns, true, true), identityLike(columns)), triangle(rows, false, false)]
}
