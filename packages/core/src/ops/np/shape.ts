/** The same elements under other axes: reshaping, moving, inserting, repeating and reversing axes. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type Shape, sizeOf } from '../../types/aval'
import { ArgumentError, ShapeError } from '../../types/errors'
import { range } from '../../types/shape'
import {
  type Axes,
  axisOptions,
  canonicalAxes,
  canonicalAxis,
  canonicalShape,
  checkOptions,
} from '../arguments'
import { type ArrayLike, asArray, broadcastAll, operandReports, signature } from '../promotion'
import { broadcastChecked } from './creation'

export const shape = (x: ArrayLike): Shape => asArray('shape', x).shape
export const ndim = (x: ArrayLike): number => asArray('ndim', x).ndim
/** Number of elements, or the size of one axis. */
export const size = (x: ArrayLike, axis?: number): number => {
  const a = asArray('size', x)
  return axis === undefined ? a.size : a.shape[canonicalAxis('size', axis, a)]
}
/** Whether this is a scalar: a number, a boolean or an array without axes. */
export const isscalar = (x: unknown): boolean =>
  typeof x === 'number' ||
  typeof x === 'boolean' ||
  (typeof x === 'object' && x !== null && 'ndim' in x && x.ndim === 0)

/** Resolves one −1 in a shape to what is left. */
export function resolveShape(op: string, x: NDArray, shape: number | Shape): Shape {
  const wanted = typeof shape === 'number' ? [shape] : shape
  const free = Array.isArray(wanted) ? wanted.indexOf(-1) : -1
  if (free >= 0 && wanted.indexOf(-1, free + 1) >= 0) {
    throw new ArgumentError({
      op: `${op}(a, shape)`,
      problem: `[${wanted.join(', ')}] leaves more than one size open`,
      operands: operandReports([x]),
      rule: 'at most one size is -1; it is computed from the others',
    })
  }
  if (free < 0) {
    const sizes = canonicalShape(op, wanted)
    if (sizeOf(sizes) === x.size) return sizes
  } else {
    const others = canonicalShape(
      op,
      wanted.filter((_, i) => i !== free),
    )
    const known = sizeOf(others)
    if (known > 0 && x.size % known === 0)
      return [...others.slice(0, free), x.size / known, ...others.slice(free)]
  }
  throw new ShapeError({
    op: `${op}(a, shape)`,
    problem: `cannot give ${x.size} elements the shape [${wanted.join(', ')}]`,
    operands: operandReports([x]),
    rule: 'the sizes multiply to the number of elements; one of them may be -1',
  })
}

/** The same elements, in row-major order, under another shape; one size may be −1. */
export function reshape(x: ArrayLike, newShape: number | Shape): NDArray {
  const a = asArray('reshape', x)
  return prim.reshape(a, { newSizes: resolveShape('reshape', a, newShape) })
}

/** One axis of all elements. */
export const ravel = (x: ArrayLike): NDArray => reshape(x, -1)

/** Reorders axes: axis `i` of the result is axis `axes[i]` of `x`; reversed if left out. */
export function transpose(
  x: ArrayLike,
  axesOrOptions?: readonly number[] | null | { readonly axes?: readonly number[] | null },
): NDArray {
  const a = asArray('transpose', x)
  const axes: readonly number[] | null | undefined =
    axesOrOptions != null && 'axes' in axesOrOptions
      ? axesOrOptions.axes
      : (axesOrOptions as readonly number[] | null | undefined)
  if (axes == null) return prim.transpose(a, { permutation: range(a.ndim).reverse() })
  const permutation = axes.map((axis) => canonicalAxis('transpose', axis, a))
  if (permutation.length !== a.ndim || new Set(permutation).size !== a.ndim) {
    throw new ShapeError({
      op: 'transpose(a, axes)',
      problem: `[${axes.join(', ')}] is not a permutation of the axes`,
      operands: operandReports([a]),
      rule: `axes holds each of the ${a.ndim} axes once`,
      hint: 'np.moveaxis moves some axes and leaves the others in order',
    })
  }
  return prim.transpose(a, { permutation })
}
export const permuteDims: typeof transpose = transpose

/** Swaps the last two axes. */
export function matrixTranspose(x: ArrayLike): NDArray {
  const a = asArray('matrixTranspose', x)
  if (a.ndim < 2) {
    throw new ShapeError({
      op: 'matrixTranspose(a)',
      problem: 'needs at least two axes',
      operands: operandReports([a]),
    })
  }
  return swapaxes(a, -1, -2)
}

export function swapaxes(x: ArrayLike, axis1: number, axis2: number): NDArray {
  const a = asArray('swapaxes', x)
  const permutation = range(a.ndim)
  const [i, j] = [canonicalAxis('swapaxes', axis1, a), canonicalAxis('swapaxes', axis2, a)]
  permutation[i] = j
  permutation[j] = i
  return prim.transpose(a, { permutation })
}

/** Moves axes to new places; the others keep their order. */
export function moveaxis(
  x: ArrayLike,
  source: number | readonly number[],
  destination: number | readonly number[],
): NDArray {
  const a = asArray('moveaxis', x)
  const listOf = (axes: number | readonly number[]): readonly number[] =>
    typeof axes === 'number' ? [axes] : axes
  const from = listOf(source).map((axis) => canonicalAxis('moveaxis', axis, a))
  const to = listOf(destination).map((axis) => canonicalAxis('moveaxis', axis, a))
  if (
    from.length !== to.length ||
    new Set(from).size !== from.length ||
    new Set(to).size !== to.length
  ) {
    throw new ShapeError({
      op: 'moveaxis(a, source, destination)',
      problem: `cannot move axes [${from.join(', ')}] to [${to.join(', ')}]`,
      operands: operandReports([a]),
      rule: 'source and destination list the same number of distinct axes',
    })
  }
  const permutation = range(a.ndim).filter((axis) => !from.includes(axis))
  for (const [place, axis] of to.map((t, i) => [t, from[i]]).sort((p, q) => p[0] - q[0])) {
    permutation.splice(place, 0, axis)
  }
  return prim.transpose(a, { permutation })
}

export function rollaxis(x: ArrayLike, axis: number, start = 0): NDArray {
  const a = asArray('rollaxis', x)
  const from = canonicalAxis('rollaxis', axis, a)
  const to = start < 0 ? start + a.ndim : start
  return moveaxis(a, from, from < to ? to - 1 : to)
}

/** New axes of size 1 at these positions of the result. */
export function expandDims(x: ArrayLike, axis: number | readonly number[]): NDArray {
  const a = asArray('expandDims', x)
  const count = typeof axis === 'number' ? 1 : axis.length
  return prim.expandDims(a, canonicalAxes('expandDims', axis, a, a.ndim + count))
}

const axisOf = (op: string, axis?: Axes | { readonly axis?: Axes }): Axes | undefined =>
  axisOptions<Axes, { readonly axis?: Axes }>(op, ['axis'], axis, undefined)?.axis

/** Drops axes of size 1: all of them, or these. */
export function squeeze(x: ArrayLike, axisOrOptions?: Axes | { readonly axis?: Axes }): NDArray {
  const a = asArray('squeeze', x)
  const axis = axisOf('squeeze', axisOrOptions)
  const dimensions =
    axis == null ? range(a.ndim).filter((i) => a.shape[i] === 1) : canonicalAxes('squeeze', axis, a)
  const wide = dimensions.find((i) => a.shape[i] !== 1)
  if (wide !== undefined) {
    throw new ShapeError({
      op: 'squeeze(a, axis)',
      problem: `axis ${wide} has size ${a.shape[wide]}`,
      operands: operandReports([a]),
      axis: wide,
      rule: 'only axes of size 1 can be dropped',
      hint: 'np.sum, np.mean or x.get(..., 0) remove larger axes',
    })
  }
  return prim.squeeze(a, { dimensions })
}

export const broadcastTo = (x: ArrayLike, newShape: number | Shape): NDArray =>
  broadcastChecked(
    'broadcastTo',
    asArray('broadcastTo', x),
    canonicalShape('broadcastTo', newShape),
  )

export const broadcastArrays = (...xs: readonly ArrayLike[]): NDArray[] =>
  broadcastAll(
    'broadcastArrays',
    xs.map((x) => asArray('broadcastArrays', x)),
  )

const atLeast =
  (op: string, place: (shape: Shape) => Shape) =>
  (x: ArrayLike): NDArray => {
    const a = asArray(op, x)
    return prim.reshape(a, { newSizes: place(a.shape) })
  }
export const atleast1d: (x: ArrayLike) => NDArray = atLeast('atleast1d', (s) =>
  s.length === 0 ? [1] : s,
)
export const atleast2d: (x: ArrayLike) => NDArray = atLeast('atleast2d', (s) =>
  s.length === 0 ? [1, 1] : s.length === 1 ? [1, s[0]] : s,
)
export const atleast3d: (x: ArrayLike) => NDArray = atLeast('atleast3d', (s) => {
  if (s.length === 0) return [1, 1, 1]
  if (s.length === 1) return [1, s[0], 1]
  return s.length === 2 ? [s[0], s[1], 1] : s
})

/** Reverses the order of elements along axes, all of them if left out. */
export function flip(x: ArrayLike, axisOrOptions?: Axes | { readonly axis?: Axes }): NDArray {
  const a = asArray('flip', x)
  const axis = axisOf('flip', axisOrOptions)
  return prim.rev(a, { dimensions: canonicalAxes('flip', axis, a) })
}

function requireRank(op: string, x: NDArray, rank: number): void {
  if (x.ndim >= rank) return
  throw new ShapeError({
    op: signature(op, 1),
    problem: `needs at least ${rank} ax${rank === 1 ? 'is' : 'es'}`,
    operands: operandReports([x]),
  })
}
export const flipud = (x: ArrayLike): NDArray => {
  const a = asArray('flipud', x)
  requireRank('flipud', a, 1)
  return flip(a, 0)
}
export const fliplr = (x: ArrayLike): NDArray => {
  const a = asArray('fliplr', x)
  requireRank('fliplr', a, 2)
  return flip(a, 1)
}

/** Rotates by `k` quarter turns in the plane of two axes, from the first towards the second. */
export function rot90(
  x: ArrayLike,
  options: { readonly k?: number; readonly axes?: readonly [number, number] } = {},
): NDArray {
  const { k = 1, axes = [0, 1] } = checkOptions('rot90', options, ['k', 'axes'])
  const a = asArray('rot90', x)
  requireRank('rot90', a, 2)
  const [i, j] = axes.map((axis) => canonicalAxis('rot90', axis, a))
  if (i === j) {
    throw new ArgumentError({
      op: 'rot90(a, { axes })',
      problem: 'the two axes are the same',
      axis: i,
    })
  }
  const turns = ((k % 4) + 4) % 4
  if (turns === 0) return a
  if (turns === 2) return flip(a, [i, j])
  return turns === 1 ? swapaxes(flip(a, j), i, j) : flip(swapaxes(a, i, j), j)
}

/** Shifts elements along axes; what leaves at one end enters at the other. */
export function roll(
  x: ArrayLike,
  shift: number | readonly number[],
  axisOrOptions?: Axes | { readonly axis?: Axes },
): NDArray {
  const a = asArray('roll', x)
  const axis = axisOf('roll', axisOrOptions)
  if (axis == null) return reshape(roll(ravel(a), shift, 0), a.shape)
  const axes = (typeof axis === 'number' ? [axis] : axis).map((i) => canonicalAxis('roll', i, a))
  const shifts = typeof shift === 'number' ? axes.map(() => shift) : shift
  if (shifts.length !== axes.length && axes.length !== 1) {
    throw new ShapeError({
      op: 'roll(a, shift, axis)',
      problem: `${shifts.length} shifts for ${axes.length} axes`,
      operands: operandReports([a]),
      rule: 'one shift for all axes, or one for each',
    })
  }
  return shifts.reduce<NDArray>((result, by, i) => {
    const along = axes[axes.length === 1 ? 0 : i]
    const n = result.shape[along]
    const start = n === 0 ? 0 : ((-by % n) + n) % n
    if (start === 0) return result
    return prim.concatenate(
      [prim.sliceInAxis(result, along, start, n), prim.sliceInAxis(result, along, 0, start)],
      {
        dimension: along,
      },
    )
  }, a)
}

// --- diagonals --------------------------------------------------------------------------------------

export interface DiagonalOptions {
  readonly offset?: number
  readonly axis1?: number
  readonly axis2?: number
}

const diagonalKeys = ['offset', 'axis1', 'axis2'] as const

/** The diagonals in the plane of two axes, as the last axis of the result. */
export function diagonal(x: ArrayLike, offsetOrOptions: number | DiagonalOptions = {}): NDArray {
  const options =
    typeof offsetOrOptions === 'number' ? { offset: offsetOrOptions } : offsetOrOptions
  const { offset = 0, axis1 = 0, axis2 = 1 } = checkOptions('diagonal', options, diagonalKeys)
  const a = asArray('diagonal', x)
  requireRank('diagonal', a, 2)
  const matrix = moveaxis(a, [axis1, axis2], [-2, -1])
  const [rows, columns] = matrix.shape.slice(-2)
  const lead = matrix.shape.slice(0, -2)
  const [top, left] = offset >= 0 ? [0, offset] : [-offset, 0]
  const length = Math.max(0, Math.min(rows - top, columns - left))
  if (length === 0)
    return prim.reshape(
      prim.sliceInAxis(prim.sliceInAxis(matrix, lead.length, 0, 0), lead.length + 1, 0, 0),
      { newSizes: [...lead, 0] },
    )
  // Square with the diagonal as main diagonal: rows of length n + 1 then start on it.
  const square = prim.sliceInAxis(
    prim.sliceInAxis(matrix, lead.length, top, top + length),
    lead.length + 1,
    left,
    left + length,
  )
  const flat = prim.reshape(square, { newSizes: [...lead, length * length] })
  return prim.slice(flat, {
    startIndices: flat.shape.map(() => 0),
    limitIndices: flat.shape,
    strides: flat.shape.map((_, i) => (i === lead.length ? length + 1 : 1)),
  })
}

/** A matrix with this vector as its `k`-th diagonal, or the `k`-th diagonal of this matrix. */
export function diag(x: ArrayLike, kOrOptions: number | { readonly k?: number } = 0): NDArray {
  const k =
    typeof kOrOptions === 'number' ? kOrOptions : (checkOptions('diag', kOrOptions, ['k']).k ?? 0)
  const a = asArray('diag', x)
  if (a.ndim === 2) return diagonal(a, { offset: k })
  if (a.ndim !== 1) {
    throw new ShapeError({
      op: 'diag(a)',
      problem: `takes a vector or a matrix`,
      operands: operandReports([a]),
      hint: 'np.diagonal takes more axes, np.diagflat flattens first',
    })
  }
  return diagonalMatrix(a, k)
}

export const diagflat = (x: ArrayLike, k: number | { readonly k?: number } = 0): NDArray =>
  diagonalMatrix(ravel(x), typeof k === 'number' ? k : (k.k ?? 0))

/** The vector on the k-th diagonal: rows of n + 1 (the element, then n zeros) cut to rows of n. */
function diagonalMatrix(x: NDArray, k: number): NDArray {
  const length = x.size
  const n = length + Math.abs(k)
  const zero = prim.full([], x.dtype === 'bool' ? false : 0, x.dtype, x.aval.weakType)
  const column = prim.reshape(x, { newSizes: [length, 1] })
  const spaced = prim.pad(column, zero, {
    paddingConfig: [
      [0, 0, 0],
      [0, length, 0],
    ],
  })
  const flat = prim.sliceInAxis(
    prim.reshape(spaced, { newSizes: [length * (length + 1)] }),
    0,
    0,
    length * length,
  )
  const square = prim.reshape(flat, { newSizes: [length, length] })
  const [top, left] = k >= 0 ? [0, k] : [-k, 0]
  return prim.pad(square, zero, {
    paddingConfig: [
      [top, n - length - top, 0],
      [left, n - length - left, 0],
    ],
  })
}

/** The sum of a diagonal. */
export function trace(x: ArrayLike, options: DiagonalOptions = {}): NDArray {
  checkOptions('trace', options, diagonalKeys)
  const a = asArray('trace', x)
  requireRank('trace', a, 2)
  const values = diagonal(a, options)
  return prim.reduceSum(values, { axes: [values.ndim - 1] })
}
