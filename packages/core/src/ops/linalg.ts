/** The `linalg` namespace: norms, products and factorisations of matrices. */
import type { NDArray } from '../array/ndarray'
import * as prim from '../primitives'
import { ArgumentError, ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { type Axes, axisOptions, canonicalAxes, checkOptions } from './arguments'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  filledLike,
  operandReports,
  promoteDTypesInexact,
} from './promotion'
import { abs, divide, power } from './np/elementwise'
import { matmul } from './np/products'
import { eye } from './np/grids'
import { max, min, sum } from './np/reductions'
import { matrixTranspose, moveaxis } from './np/shape'
import { inv, requireSquare, sameBatch, svdvals } from './factorizations'

export {
  cond,
  det,
  eigh,
  eigvalsh,
  inv,
  lstsq,
  lu,
  matrixRank,
  pinv,
  qr,
  slogdet,
  solve,
  svd,
  svdvals,
} from './factorizations'
export { cross, matmul, outer, tensordot, vecdot } from './np/products'
export { diagonal, matrixTranspose } from './np/shape'
export { trace } from './np/shape'

// --- norms ------------------------------------------------------------------------------------------

export type NormOrder = number | 'fro' | 'nuc'
export interface NormOptions {
  readonly ord?: NormOrder | null
  readonly axis?: Axes
  readonly keepdims?: boolean
}

const normKeys = ['ord', 'axis', 'keepdims'] as const

/**
 * The norm of vectors along one axis, or of matrices in two. Without `ord` and `axis` it is the
 * Euclidean norm of all elements.
 */
export function norm(
  x: ArrayLike,
  ordOrOptions?: NormOrder | null | NormOptions,
  rest?: NormOptions,
): NDArray {
  const options =
    ordOrOptions !== null && typeof ordOrOptions === 'object'
      ? ordOrOptions
      : { ...rest, ord: ordOrOptions ?? rest?.ord }
  checkOptions('norm', options, normKeys)
  const { ord = null, axis = null, keepdims } = options
  const [a] = promoteDTypesInexact('norm', [x])
  const axes = axis === null ? range(a.ndim) : typeof axis === 'number' ? [axis] : axis
  const canonical = canonicalAxes('norm', axes, a)
  if (ord === null && (axis === null || canonical.length <= 2)) {
    return euclidean(a, canonical, keepdims)
  }
  if (canonical.length === 1) return vectorNormAlong(a, ord ?? 2, canonical, keepdims)
  if (canonical.length === 2) {
    const ordered = axis === null ? [0, 1] : axes.map((i) => (i < 0 ? i + a.ndim : i))
    return matrixNormAlong(a, ord ?? 'fro', ordered, keepdims)
  }
  throw new ShapeError({
    op: 'norm(a, { ord, axis })',
    problem: `a norm of order ${String(ord)} over ${canonical.length} axes does not exist`,
    operands: operandReports([a]),
    rule: 'one axis holds vectors, two axes hold matrices',
    hint: 'leave ord out for the Euclidean norm of all elements, or give axis',
  })
}

const euclidean = (a: NDArray, axes: readonly number[], keepdims?: boolean): NDArray =>
  prim.sqrt(sum(prim.square(a), { axis: axes, keepdims }))

function vectorNormAlong(
  a: NDArray,
  ord: NormOrder,
  axes: readonly number[],
  keepdims?: boolean,
): NDArray {
  const along = { axis: axes, keepdims }
  if (typeof ord !== 'number') throw unknownOrder(a, ord, 'vectors')
  if (ord === Infinity) return max(prim.abs(a), along)
  if (ord === -Infinity) return min(prim.abs(a), along)
  if (ord === 0) return sum(prim.ne(a, filledLike(a, 0)), { ...along, dtype: a.dtype })
  if (ord === 1) return sum(prim.abs(a), along)
  if (ord === 2) return euclidean(a, axes, keepdims)
  return power(sum(power(abs(a), ord), along), 1 / ord)
}

function matrixNormAlong(
  a: NDArray,
  ord: NormOrder,
  axes: readonly number[],
  keepdims?: boolean,
): NDArray {
  const [row, column] = axes
  if (ord === 'fro') return euclidean(a, axes, keepdims)
  const lines =
    ord === 1 || ord === -1
      ? [row, column]
      : ord === Infinity || ord === -Infinity
        ? [column, row]
        : null
  if (lines === null) {
    if (ord === 2 || ord === -2 || ord === 'nuc') {
      const s = svdvals(moveaxis(a, [row, column], [-2, -1]))
      const combined = ord === 'nuc' ? sum(s, -1) : ord === 2 ? max(s, -1) : min(s, -1)
      return keepdims
        ? prim.expandDims(
            combined,
            [...axes].sort((p, q) => p - q),
          )
        : combined
    }
    throw unknownOrder(a, ord, 'matrices')
  }
  const [summed, chosen] = lines
  const totals = sum(prim.abs(a), { axis: summed, keepdims: true })
  const result = (Number(ord) > 0 ? max : min)(totals, { axis: chosen, keepdims: true })
  return keepdims ? result : prim.squeeze(result, { dimensions: [...axes].sort((p, q) => p - q) })
}

const unknownOrder = (a: NDArray, ord: NormOrder, of: string): ArgumentError =>
  new ArgumentError({
    op: 'norm(a, { ord })',
    problem: `${of} have no norm of order ${String(ord)}`,
    operands: operandReports([a]),
  })

/** The norm of vectors: of all elements, or along axes. */
export function vectorNorm(
  x: ArrayLike,
  axisOrOptions?:
    Axes | { readonly axis?: Axes; readonly keepdims?: boolean; readonly ord?: number },
  rest?: { readonly axis?: Axes; readonly keepdims?: boolean; readonly ord?: number },
): NDArray {
  const {
    axis = null,
    keepdims,
    ord = 2,
  } = axisOptions('vectorNorm', normKeys, axisOrOptions, rest) ?? {}
  const [a] = promoteDTypesInexact('vectorNorm', [x])
  return vectorNormAlong(a, ord, canonicalAxes('vectorNorm', axis, a), keepdims)
}

/** The norm of the matrices in the last two axes. */
export function matrixNorm(
  x: ArrayLike,
  options: { readonly ord?: NormOrder; readonly keepdims?: boolean } = {},
): NDArray {
  const { ord = 'fro', keepdims } = checkOptions('matrixNorm', options, ['ord', 'keepdims'])
  const [a] = promoteDTypesInexact('matrixNorm', [x])
  if (a.ndim < 2) requireSquare('matrixNorm', a)
  return matrixNormAlong(a, ord, [a.ndim - 2, a.ndim - 1], keepdims)
}

// --- products ---------------------------------------------------------------------------------------

/** A square matrix to an integer power: 0 gives the identity, −1 the inverse. */
export function matrixPower(x: ArrayLike, n: number): NDArray {
  const a = asArray('matrixPower', x)
  requireSquare('matrixPower', a)
  if (!Number.isInteger(n)) {
    throw new ArgumentError({
      op: 'matrixPower(a, n)',
      problem: `n is ${n}`,
      operands: operandReports([a]),
      rule: 'n is an integer',
    })
  }
  if (n < 0) return matrixPower(inv(a), -n)
  if (n === 0) return broadcastTo(eye(a.shape[a.ndim - 1], { dtype: a.dtype }), a.shape)
  let result: NDArray | null = null
  let square = a
  for (let rest = n; ; square = matmul(square, square)) {
    if (rest % 2 === 1) result = result === null ? square : matmul(result, square)
    rest = Math.floor(rest / 2)
    if (rest === 0) return result ?? a
  }
}

/** The product of a chain of matrices, in the order of least work (Cormen et al., §15.2). */
export function multiDot(arrays: readonly ArrayLike[]): NDArray {
  const xs = arrays.map((x) => asArray('multiDot', x))
  if (xs.length < 2) {
    throw new ArgumentError({ op: 'multiDot(arrays)', problem: 'needs at least two arrays' })
  }
  // Vectors at the ends are a row and a column.
  const rows = (x: NDArray, first: boolean): number =>
    x.ndim === 1 ? (first ? 1 : x.shape[0]) : x.shape[0]
  const last = xs[xs.length - 1]
  const sizes = [...xs.map((x, i) => rows(x, i === 0)), last.ndim === 1 ? 1 : last.shape[1]]
  const n = xs.length
  const cost = range(n).map(() => new Array<number>(n).fill(0))
  const cut = range(n).map(() => new Array<number>(n).fill(0))
  for (let length = 2; length <= n; length++) {
    for (let i = 0; i + length <= n; i++) {
      const j = i + length - 1
      cost[i][j] = Infinity
      for (let k = i; k < j; k++) {
        const total = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
        if (total < cost[i][j]) {
          cost[i][j] = total
          cut[i][j] = k
        }
      }
    }
  }
  const product = (i: number, j: number): NDArray =>
    i === j ? xs[i] : matmul(product(i, cut[i][j]), product(cut[i][j] + 1, j))
  return product(0, n - 1)
}

// --- factorisations ---------------------------------------------------------------------------------

export interface CholeskyOptions {
  /** Answer the upper factor: `a = uᵀu`. */
  readonly upper?: boolean
  /** Average the matrix with its transpose first, so that its derivative is symmetric too. */
  readonly symmetrizeInput?: boolean
}

/** The lower triangular `l` with `a = l lᵀ`; NaN where `a` is not positive definite. */
export function cholesky(x: ArrayLike, options: CholeskyOptions = {}): NDArray {
  const { upper = false, symmetrizeInput = true } = checkOptions('cholesky', options, [
    'upper',
    'symmetrizeInput',
  ])
  const [a] = promoteDTypesInexact('cholesky', [x])
  requireSquare('cholesky', a)
  const symmetric = symmetrizeInput ? divide(prim.add(a, matrixTranspose(a)), 2) : a
  const lower = prim.cholesky(symmetric)
  return upper ? matrixTranspose(lower) : lower
}

export interface TriangularSolveOptions {
  readonly leftSide?: boolean
  readonly lower?: boolean
  readonly transposeA?: boolean
  readonly conjugateA?: boolean
  readonly unitDiagonal?: boolean
}

/** Solves `a x = b` (or `x a = b`) for a triangular `a`. */
export function triangularSolve(
  a: ArrayLike,
  b: ArrayLike,
  options: TriangularSolveOptions = {},
): NDArray {
  checkOptions('triangularSolve', options, [
    'leftSide',
    'lower',
    'transposeA',
    'conjugateA',
    'unitDiagonal',
  ])
  const [matrix, right] = promoteDTypesInexact('triangularSolve', [a, b])
  requireSquare('triangularSolve', matrix)
  const isVector = right.ndim === matrix.ndim - 1
  const columns = isVector ? prim.expandDims(right, [right.ndim]) : right
  const [m, r] = sameBatch('triangularSolve', matrix, columns)
  const solution = prim.triangularSolve(m, r, options)
  return isVector ? prim.squeeze(solution, { dimensions: [solution.ndim - 1] }) : solution
}

/** Solves `a x = b` for a triangular `a`: SciPy's `solve_triangular`. */
export function solveTriangular(
  a: ArrayLike,
  b: ArrayLike,
  options: {
    /** Solve with the transpose of `a` instead. */
    readonly trans?: 0 | 1 | 'N' | 'T'
    readonly lower?: boolean
    readonly unitDiagonal?: boolean
  } = {},
): NDArray {
  const {
    trans = 0,
    lower = false,
    unitDiagonal = false,
  } = checkOptions('solveTriangular', options, ['trans', 'lower', 'unitDiagonal'])
  return triangularSolve(a, b, {
    leftSide: true,
    lower,
    transposeA: trans === 1 || trans === 'T',
    unitDiagonal,
  })
}

/** A Cholesky factor and which triangle it is in. */
export const choFactor = (
  a: ArrayLike,
  { lower = false }: { readonly lower?: boolean } = {},
): [NDArray, boolean] => [cholesky(a, { upper: !lower }), lower]

/** Solves `a x = b` from the Cholesky factor of `a`. */
export function choSolve([factor, lower]: readonly [NDArray, boolean], b: ArrayLike): NDArray {
  const first = solveTriangular(factor, b, { lower, trans: lower ? 0 : 1 })
  return solveTriangular(factor, first, { lower, trans: lower ? 1 : 0 })
}
