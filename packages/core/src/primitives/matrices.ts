/** Matrices in the last two axes: what the primitives of linear algebra are written with. */
import type { NDArray } from '../array/ndarray'
import type { Aval, Shape } from '../types/aval'
import { isFloating } from '../types/dtype'
import { DTypeError, ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { eq, ge, gt } from './comparison'
import { full, zerosLike } from './constants'
import { dotGeneral } from './dot'
import { broadcastInDim, reduceSum, transpose } from './movement'
import { select } from './select'
import { iota } from './slicing'

export const swapLast = (ndim: number): number[] => [...range(ndim - 2), ndim - 1, ndim - 2]

export const matrixTranspose = (x: NDArray): NDArray =>
  transpose(x, { permutation: swapLast(x.ndim) })

/** `x y`, matrix by matrix. */
export function matmul(x: NDArray, y: NDArray): NDArray {
  const batch = range(x.ndim - 2)
  return dotGeneral(x, y, {
    dimensionNumbers: [
      [[x.ndim - 1], [y.ndim - 2]],
      [batch, batch],
    ],
  })
}

/** Row and column numbers of every element of arrays of this shape. */
export const placesIn = (shape: Shape): readonly [row: NDArray, column: NDArray] => [
  iota({ dtype: 'int32', shape, dimension: shape.length - 2 }),
  iota({ dtype: 'int32', shape, dimension: shape.length - 1 }),
]
export const places = (x: NDArray): readonly [row: NDArray, column: NDArray] => placesIn(x.shape)

/** The elements on the wanted side of the diagonal; with `strict` without the diagonal. */
export function triangle(x: NDArray, lower: boolean, strict: boolean): NDArray {
  const [row, column] = places(x)
  const [first, second] = lower ? [row, column] : [column, row]
  return select((strict ? gt : ge)(first, second), x, zerosLike(x))
}

/** Ones where `[..., m, n]` has its diagonal. */
export function identityLike(x: NDArray): NDArray {
  const [row, column] = places(x)
  return select(eq(row, column), full(x.shape, 1, x.dtype), zerosLike(x))
}

/** The elements on the diagonal, `[..., n]`. */
export function diagonalOf(x: NDArray): NDArray {
  const [row, column] = places(x)
  return sumAlong(select(eq(row, column), x, zerosLike(x)), -1)
}

/** Sums over the rows' axis (−2) or the columns' axis (−1). */
export const sumAlong = (x: NDArray, axis: -1 | -2): NDArray =>
  reduceSum(x, { axes: [x.ndim + axis] })

/** One number per row, for every element of the row. */
export const perRow = (x: NDArray, shape: Shape): NDArray =>
  broadcastInDim(x, { shape, broadcastDimensions: range(shape.length - 1) })

/** One number per column, for every element of the column. */
export const perColumn = (x: NDArray, shape: Shape): NDArray =>
  broadcastInDim(x, {
    shape,
    broadcastDimensions: [...range(shape.length - 2), shape.length - 1],
  })

/** One number per matrix, or a scalar, for everything that stands behind it. */
export const spread = (x: NDArray, shape: Shape): NDArray =>
  broadcastInDim(x, { shape, broadcastDimensions: range(x.ndim) })

export function checkMatrix(op: string, x: Aval): void {
  if (!isFloating(x.dtype)) {
    throw new DTypeError({
      op,
      problem: `does not take ${x.dtype}`,
      operands: [{ name: 'a', aval: x }],
      rule: 'matrices are floating',
    })
  }
  if (x.ndim >= 2) return
  throw new ShapeError({
    op,
    problem: 'there are no matrices in the last two axes',
    operands: [{ name: 'a', aval: x }],
    rule: 'a has the shape [..., m, n]',
  })
}

export function checkSquare(op: string, x: Aval): void {
  checkMatrix(op, x)
  if (x.shape[x.ndim - 1] === x.shape[x.ndim - 2]) return
  throw new ShapeError({
    op,
    problem: 'the last two axes are not square matrices',
    operands: [{ name: 'a', aval: x }],
    rule: 'a has the shape [..., n, n]',
  })
}
