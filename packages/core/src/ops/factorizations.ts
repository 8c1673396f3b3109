/** Factorisations of matrices, and what is computed from them. Names and results are NumPy's. */
import type { NDArray } from '../array/ndarray'
import * as prim from '../primitives'
import { Aval } from '../types/aval'
import { floatInfo } from '../types/dtype'
import { ArgumentError, ShapeError } from '../types/errors'
import { add, divide, multiply, subtract } from './np/elementwise'
import { eye } from './np/grids'
import { matmul } from './np/products'
import { max, min, prod, sum } from './np/reductions'
import { matrixTranspose } from './np/shape'
import { arange } from './np/creation'
import { checkOptions } from './arguments'
import {
  type ArrayLike,
  asArray,
  broadcastShapes,
  broadcastTo,
  operandReports,
  promoteDTypesInexact,
} from './promotion'

/** A tuple with names for its entries. */
type Named<Tuple extends readonly unknown[], Names> = Tuple & Names
const named = <Tuple extends readonly unknown[], Names extends object>(
  tuple: Tuple,
  names: Names,
): Named<Tuple, Names> => Object.assign(tuple, names)

export function requireSquare(op: string, a: NDArray): void {
  if (a.ndim >= 2 && a.shape[a.ndim - 1] === a.shape[a.ndim - 2]) return
  throw new ShapeError({
    op: `${op}(a)`,
    problem: 'the last two axes are not square matrices',
    operands: operandReports([a]),
    rule: 'a is [..., n, n]',
  })
}

const diagonalOf = (a: NDArray): NDArray => {
  const n = Math.min(...a.shape.slice(-2))
  const square = prim.sliceInAxis(prim.sliceInAxis(a, a.ndim - 2, 0, n), a.ndim - 1, 0, n)
  return sum(multiply(square, eye(n, { dtype: a.dtype })), -1)
}

/** The matrices of two arrays with the same batch. */
export function sameBatch(op: string, a: NDArray, b: NDArray): [NDArray, NDArray] {
  const batch = broadcastShapes(
    op,
    [a, b].map((x) => new Aval(x.shape.slice(0, -2), x.dtype)),
  )
  return [
    broadcastTo(a, [...batch, ...a.shape.slice(-2)]),
    broadcastTo(b, [...batch, ...b.shape.slice(-2)]),
  ]
}

// --- LU -----------------------------------------------------------------------------------------------

/**
 * `a = p @ l @ u`: a permutation matrix, a unit lower and an upper triangular one. SciPy's `lu`.
 *
 * @example
 * const [p, l, u] = linalg.lu(np.array([[1, 2], [3, 4]]))
 * u // Array([[3.       , 4.       ], [0.       , 0.6666666]], dtype=float32)
 */
export function lu(x: ArrayLike): [p: NDArray, l: NDArray, u: NDArray] {
  const [a] = promoteDTypesInexact('lu', [x])
  const [packed, , permutation] = prim.lu(a)
  const [l, u] = prim.luFactors(packed)
  const rows = permutation.shape[permutation.ndim - 1]
  const identity = broadcastTo(eye(rows, { dtype: a.dtype }), [...permutation.shape, rows])
  return [matrixTranspose(prim.permuteRows(identity, permutation)), l, u]
}

/**
 * Solves `a x = b`.
 *
 * @param a `[..., n, n]`
 * @param b `[n]`, or `[..., n, k]`
 * @throws ShapeError when they do not fit
 * @example
 * linalg.solve(np.array([[3, 1], [1, 2]]), np.array([9, 8])) // Array([2., 3.], dtype=float32)
 */
export function solve(a: ArrayLike, b: ArrayLike): NDArray {
  const [matrix, right] = promoteDTypesInexact('solve', [a, b])
  requireSquare('solve', matrix)
  const isVector = right.ndim === 1
  const columns = isVector ? prim.expandDims(right, [1]) : right
  if (columns.ndim < 2 || columns.shape[columns.ndim - 2] !== matrix.shape[matrix.ndim - 1]) {
    throw new ShapeError({
      op: 'solve(a, b)',
      problem: 'the right-hand side does not fit the matrix',
      operands: [
        { name: 'a', aval: matrix.aval },
        { name: 'b', aval: right.aval },
      ],
      rule: 'a is [..., n, n] and b is [n] or [..., n, k]',
      hint: 'many vectors stand in columns: np.expandDims(b, -1) for vectors of a batch',
    })
  }
  const [packed, , permutation] = prim.lu(matrix)
  const order = broadcastTo(permutation, [
    ...broadcastShapes('solve', [
      new Aval(matrix.shape.slice(0, -2), matrix.dtype),
      new Aval(columns.shape.slice(0, -2), columns.dtype),
    ]),
    matrix.shape[matrix.ndim - 1],
  ])
  const [factors, rights] = sameBatch('solve', packed, columns)
  const permuted = prim.permuteRows(rights, order)
  const options = { leftSide: true, lower: true, unitDiagonal: true }
  const first = prim.triangularSolve(factors, permuted, options)
  const x = prim.triangularSolve(factors, first, { leftSide: true, lower: false })
  return isVector ? prim.squeeze(x, { dimensions: [x.ndim - 1] }) : x
}

/** The inverse of square matrices; not finite where they are singular. `solve` is better than `inv`. */
export function inv(x: ArrayLike): NDArray {
  const [a] = promoteDTypesInexact('inv', [x])
  requireSquare('inv', a)
  return solve(a, broadcastTo(eye(a.shape[a.ndim - 1], { dtype: a.dtype }), a.shape))
}

/** −1 for an odd number of swaps. */
function signOf(pivots: NDArray, like: NDArray): NDArray {
  const n = pivots.shape[pivots.ndim - 1]
  const swapped = prim.ne(pivots, broadcastTo(arange(n), pivots.shape))
  const odd = prim.rem(
    sum(prim.convertElementType(swapped, { newDtype: 'int32' }), -1),
    prim.full(pivots.shape.slice(0, -1), 2, 'int32'),
  )
  return subtract(1, multiply(2, odd)).astype(like.dtype)
}

/** The determinant of square matrices. */
export function det(x: ArrayLike): NDArray {
  const [a] = promoteDTypesInexact('det', [x])
  requireSquare('det', a)
  const n = a.shape[a.ndim - 1]
  // Written out, small ones have a derivative where they are singular.
  if (n === 2 || n === 3) return smallDeterminant(a, n)
  const [packed, pivots] = prim.lu(a)
  return multiply(prod(diagonalOf(packed), -1), signOf(pivots, packed))
}

function smallDeterminant(a: NDArray, n: 2 | 3): NDArray {
  const at = (i: number, j: number): NDArray =>
    prim.squeeze(
      prim.sliceInAxis(prim.sliceInAxis(a, a.ndim - 2, i, i + 1), a.ndim - 1, j, j + 1),
      { dimensions: [a.ndim - 2, a.ndim - 1] },
    )
  const minor = (i: number, j: number): NDArray =>
    subtract(multiply(at(1, i), at(2, j)), multiply(at(1, j), at(2, i)))
  if (n === 2) return subtract(multiply(at(0, 0), at(1, 1)), multiply(at(0, 1), at(1, 0)))
  return add(
    subtract(multiply(at(0, 0), minor(1, 2)), multiply(at(0, 1), minor(0, 2))),
    multiply(at(0, 2), minor(0, 1)),
  )
}

export interface LogDeterminant {
  readonly sign: NDArray
  readonly logabsdet: NDArray
}

/** The sign of the determinant and the logarithm of its magnitude, which do not overflow. */
export function slogdet(x: ArrayLike): Named<[sign: NDArray, logabsdet: NDArray], LogDeterminant> {
  const [a] = promoteDTypesInexact('slogdet', [x])
  requireSquare('slogdet', a)
  const [packed, pivots] = prim.lu(a)
  const diagonal = diagonalOf(packed)
  const sign = multiply(prod(prim.sign(diagonal), -1), signOf(pivots, packed))
  const logabsdet = sum(prim.log(prim.abs(diagonal)), -1)
  return named([sign, logabsdet], { sign, logabsdet })
}

// --- QR -----------------------------------------------------------------------------------------------

export interface QrFactors {
  readonly Q: NDArray
  readonly R: NDArray
}

/**
 * `a = q @ r` with orthonormal columns of q and an upper triangular r.
 *
 * @param mode `'reduced'` (min(m, n) columns of q), `'complete'` (m columns)
 * @example
 * const [q, r] = linalg.qr(np.array([[3, 1], [4, 2]]))
 * r // Array([[-5. , -2.2], [ 0. ,  0.4]], dtype=float32)
 */
export function qr(
  x: ArrayLike,
  modeOrOptions:
    'reduced' | 'complete' | { readonly mode?: 'reduced' | 'complete' | undefined } = {},
): Named<[q: NDArray, r: NDArray], QrFactors> {
  const mode =
    typeof modeOrOptions === 'string'
      ? modeOrOptions
      : (checkOptions('qr', modeOrOptions, ['mode']).mode ?? 'reduced')
  if (mode !== 'reduced' && mode !== 'complete') {
    throw new ArgumentError({
      op: 'qr(a, { mode })',
      problem: `'${String(mode)}' is not a mode`,
      rule: "mode is 'reduced' or 'complete'",
    })
  }
  const [a] = promoteDTypesInexact('qr', [x])
  const [q, r] = prim.qr(a, { fullMatrices: mode === 'complete' })
  return named([q, r], { Q: q, R: r })
}

// --- eigenvalues and singular values --------------------------------------------------------------------

export interface EigenDecomposition {
  readonly eigenvalues: NDArray
  readonly eigenvectors: NDArray
}

export interface EighOptions {
  /** Which triangle is read where the matrix is not made symmetric first. */
  readonly UPLO?: 'L' | 'U'
  /** Average the matrix with its transpose first, so that its derivative is symmetric too. */
  readonly symmetrizeInput?: boolean
}

/**
 * Eigenvalues, ascending, and eigenvectors, in columns, of symmetric matrices. Derivatives need
 * eigenvalues that differ.
 *
 * @example
 * const [w, v] = linalg.eigh(np.array([[2, 1], [1, 2]]))
 * w // Array([1., 3.], dtype=float32)
 */
export function eigh(
  x: ArrayLike,
  options: EighOptions = {},
): Named<[eigenvalues: NDArray, eigenvectors: NDArray], EigenDecomposition> {
  const { UPLO = 'L', symmetrizeInput = true } = checkOptions('eigh', options, [
    'UPLO',
    'symmetrizeInput',
  ])
  const [a] = promoteDTypesInexact('eigh', [x])
  requireSquare('eigh', a)
  const symmetric = symmetrizeInput
    ? divide(prim.add(a, matrixTranspose(a)), 2)
    : UPLO === 'U'
      ? matrixTranspose(a)
      : a
  const [eigenvectors, eigenvalues] = prim.eigh(symmetric)
  return named([eigenvalues, eigenvectors], { eigenvalues, eigenvectors })
}

/** The eigenvalues of symmetric matrices, ascending. */
export const eigvalsh = (x: ArrayLike, options: EighOptions = {}): NDArray => eigh(x, options)[0]

export interface SingularValues {
  readonly U: NDArray
  readonly S: NDArray
  readonly Vh: NDArray
}

export interface SvdOptions {
  /** U and Vh are square; true by default, as in NumPy. */
  readonly fullMatrices?: boolean
  /** Whether to answer the factors; otherwise singular values only. */
  readonly computeUv?: boolean
}

/**
 * `a = u @ diag(s) @ vh` with orthonormal columns of u, orthonormal rows of vh, and s descending.
 * Derivatives need singular values that differ, and `fullMatrices: false` where a is not square.
 *
 * @example
 * const [u, s, vh] = linalg.svd(np.array([[0, 2], [3, 0]]))
 * s // Array([3., 2.], dtype=float32)
 */
export function svd(x: ArrayLike, options: SvdOptions & { readonly computeUv: false }): NDArray
export function svd(
  x: ArrayLike,
  options?: SvdOptions,
): Named<[u: NDArray, s: NDArray, vh: NDArray], SingularValues>
export function svd(
  x: ArrayLike,
  options: SvdOptions = {},
): NDArray | Named<[u: NDArray, s: NDArray, vh: NDArray], SingularValues> {
  const { fullMatrices = true, computeUv = true } = checkOptions('svd', options, [
    'fullMatrices',
    'computeUv',
  ])
  const [a] = promoteDTypesInexact('svd', [x])
  if (!computeUv) return svdvals(a)
  const isWide = a.ndim >= 2 && a.shape[a.ndim - 2] < a.shape[a.ndim - 1]
  const [S, left, right] = prim.svd(isWide ? matrixTranspose(a) : a, { fullMatrices })
  const [U, Vh] = isWide ? [right, matrixTranspose(left)] : [left, matrixTranspose(right)]
  const factors: [NDArray, NDArray, NDArray] = [U, S, Vh]
  return named(factors, { U, S, Vh })
}

/** The singular values of matrices, descending. */
export const svdvals = (x: ArrayLike): NDArray => svd(x, { fullMatrices: false })[1]

// --- what singular values are good for ---------------------------------------------------------------------

const defaultCutoff = (a: NDArray, factor: number): number =>
  factor * Math.max(...a.shape.slice(-2)) * floatInfo(a.dtype).eps

const requireMatrix = (op: string, a: NDArray): void => {
  if (a.ndim >= 2) return
  throw new ShapeError({
    op: `${op}(a)`,
    problem: 'there are no matrices in the last two axes',
    operands: operandReports([a]),
    rule: 'a is [..., m, n]',
  })
}

/**
 * The Moore–Penrose inverse.
 *
 * @param options.rtol singular values up to so much of the largest count as zero; `10 max(m, n) eps`
 *   unless given
 */
export function pinv(x: ArrayLike, options: { readonly rtol?: number } = {}): NDArray {
  const { rtol } = checkOptions('pinv', options, ['rtol'])
  const [a] = promoteDTypesInexact('pinv', [x])
  requireMatrix('pinv', a)
  return prim.pinv(a, { cutoff: rtol ?? defaultCutoff(a, 10) })
}

/** How many singular values are larger than `rtol` times the largest; `max(m, n) eps` unless given. */
export function matrixRank(x: ArrayLike, options: { readonly rtol?: number } = {}): NDArray {
  const { rtol } = checkOptions('matrixRank', options, ['rtol'])
  const [a] = promoteDTypesInexact('matrixRank', [x])
  requireMatrix('matrixRank', a)
  const s = svdvals(a)
  const least = multiply(max(s, { axis: -1, keepdims: true }), rtol ?? defaultCutoff(a, 1))
  const counted = prim.gt(s, broadcastTo(least, s.shape))
  return sum(prim.convertElementType(counted, { newDtype: 'int32' }), -1)
}

/**
 * The x of least length among those with the least `‖a x − b‖`.
 *
 * @param a `[m, n]`
 * @param b `[m]` or `[m, k]`
 * @param options.rcond singular values up to so much of the largest count as zero
 * @returns `[x, residuals, rank, singular values]`; residuals are sums of squares, one per column
 * @example
 * const [x] = linalg.lstsq(np.array([[1, 0], [1, 1], [1, 2]]), np.array([1, 3, 5]))
 * x // Array([1., 2.], dtype=float32)
 */
export function lstsq(
  a: ArrayLike,
  b: ArrayLike,
  options: { readonly rcond?: number } = {},
): [x: NDArray, residuals: NDArray, rank: NDArray, s: NDArray] {
  const { rcond } = checkOptions('lstsq', options, ['rcond'])
  const [matrix, right] = promoteDTypesInexact('lstsq', [a, b])
  if (matrix.ndim !== 2 || right.ndim < 1 || right.ndim > 2 || right.shape[0] !== matrix.shape[0]) {
    throw new ShapeError({
      op: 'lstsq(a, b)',
      problem: 'the right-hand side does not fit the matrix',
      operands: [
        { name: 'a', aval: matrix.aval },
        { name: 'b', aval: right.aval },
      ],
      rule: 'a is [m, n] and b is [m] or [m, k]',
      hint: 'use vmap for several matrices',
    })
  }
  const rtol = rcond ?? defaultCutoff(matrix, 1)
  const x = matmul(prim.pinv(matrix, { cutoff: rtol }), right)
  const rest = subtract(right, matmul(matrix, x))
  const residuals = sum(prim.square(right.ndim === 1 ? prim.expandDims(rest, [1]) : rest), 0)
  return [x, residuals, matrixRank(matrix, { rtol }), svdvals(matrix)]
}

/** The ratio of the largest to the smallest singular value: how much a solution magnifies errors. */
export function cond(x: ArrayLike): NDArray {
  const a = asArray('cond', x)
  requireMatrix('cond', a)
  const s = svdvals(a)
  return divide(max(s, -1), min(s, -1))
}
