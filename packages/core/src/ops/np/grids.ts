/** Matrices and grids defined by a formula of their indices. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { Shape } from '../../types/aval'
import { ShapeError } from '../../types/errors'
import { canonicalShape, checkOptions, isOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  choose,
  convert,
  filledLike,
  operandReports,
  refuse,
} from '../promotion'
import { type DTypeOptions, iota, ofDType } from './creation'

/** True where `column − row` compares to k. */
const diagonalMask = (shape: Shape, k: number, test: 'eq' | 'le'): NDArray => {
  const row = iota('int32', shape, shape.length - 2)
  const column = iota('int32', shape, shape.length - 1)
  const shifted = k === 0 ? row : prim.add(row, filledLike(row, k))
  return test === 'eq' ? prim.eq(column, shifted) : prim.le(column, shifted)
}

export interface EyeOptions extends DTypeOptions {
  /** Number of columns; as many as rows unless given. */
  readonly M?: number
  /** The diagonal that holds the ones: positive above the main one. */
  readonly k?: number
}

/** Ones on a diagonal and zeros elsewhere, `n` rows. */
export function eye(
  n: number,
  columnsOrOptions: number | EyeOptions = {},
  lastOptions: EyeOptions = {},
): NDArray {
  const given =
    typeof columnsOrOptions === 'number'
      ? { ...lastOptions, M: columnsOrOptions }
      : columnsOrOptions
  const shape = canonicalShape('eye', [n, given.M ?? n])
  return convert(
    diagonalMask(shape, given.k ?? 0, 'eq'),
    ofDType('eye', given, 'float32', ['M', 'k']),
  )
}

export const identity = (n: number, options?: DTypeOptions): NDArray => eye(n, options)

/** Ones at and below the `k`-th diagonal and zeros above it. */
export function tri(
  n: number,
  columnsOrOptions: number | EyeOptions = {},
  lastOptions: EyeOptions = {},
): NDArray {
  const given =
    typeof columnsOrOptions === 'number'
      ? { ...lastOptions, M: columnsOrOptions }
      : columnsOrOptions
  const shape = canonicalShape('tri', [n, given.M ?? n])
  return convert(
    diagonalMask(shape, given.k ?? 0, 'le'),
    ofDType('tri', given, 'float32', ['M', 'k']),
  )
}

type Diagonal = number | { readonly k?: number }
const diagonalOf = (k: Diagonal): number => (typeof k === 'number' ? k : (k.k ?? 0))

function triangle(op: string, x: ArrayLike, k: number, keepLower: boolean): NDArray {
  const a = asArray(op, x)
  if (a.ndim < 2) {
    throw new ShapeError({
      op: `${op}(a)`,
      problem: 'needs at least two axes',
      operands: operandReports([a]),
      rule: 'the last two axes are the matrix',
    })
  }
  const mask = broadcastTo(diagonalMask(a.shape.slice(-2), keepLower ? k : k - 1, 'le'), a.shape)
  const zero = filledLike(a, a.dtype === 'bool' ? false : 0)
  return keepLower ? choose(mask, a, zero) : choose(mask, zero, a)
}
/** The lower triangle of the last two axes: zeros above the `k`-th diagonal. */
export const tril = (x: ArrayLike, k: Diagonal = 0): NDArray =>
  triangle('tril', x, diagonalOf(k), true)
/** The upper triangle of the last two axes: zeros below the `k`-th diagonal. */
export const triu = (x: ArrayLike, k: Diagonal = 0): NDArray =>
  triangle('triu', x, diagonalOf(k), false)

export interface MeshgridOptions {
  /** `'xy'` (default) swaps the first two axes, as plots want; `'ij'` does not. */
  readonly indexing?: 'xy' | 'ij'
  /** Grids with axes of size 1 that broadcast to the full ones. */
  readonly sparse?: boolean
}

/** Coordinate arrays of the grid spanned by vectors. */
export function meshgrid(...args: readonly (ArrayLike | MeshgridOptions)[]): NDArray[] {
  const last = args.at(-1)
  const options: MeshgridOptions = isOptions<MeshgridOptions>(last)
    ? checkOptions('meshgrid', last, ['indexing', 'sparse'])
    : {}
  const vectors = (isOptions(last) ? args.slice(0, -1) : args).map((v) =>
    isOptions(v) ? refuse('meshgrid', v) : asArray('meshgrid', v),
  )
  const swapped = (options.indexing ?? 'xy') === 'xy' && vectors.length >= 2
  const axisOf = (i: number): number => (swapped && i < 2 ? 1 - i : i)
  const shape = new Array<number>(vectors.length)
  vectors.forEach((v, i) => {
    if (v.ndim > 1) {
      throw new ShapeError({
        op: 'meshgrid',
        problem: 'takes vectors',
        operands: operandReports(vectors),
        rule: 'each argument has at most one axis',
        hint: 'np.ravel makes a vector',
      })
    }
    shape[axisOf(i)] = v.size
  })
  return vectors.map((v, i) => {
    const target = options.sparse ? shape.map((n, axis) => (axis === axisOf(i) ? n : 1)) : shape
    const vector = prim.reshape(v, { newSizes: [v.size] })
    return prim.broadcastInDim(vector, { shape: target, broadcastDimensions: [axisOf(i)] })
  })
}
