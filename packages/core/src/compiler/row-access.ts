/** Addresses inside rows: whether what one loop reads lies in the row that another one wrote. */
import type { Shape } from '../types/aval'
import type { Affine, DynamicOffset } from './expr'
import { rangeOf } from './views'

/** An access over the axes of the rows followed by those of `inner`. */
export interface RowAccess {
  readonly at: Affine
  readonly offsets?: readonly DynamicOffset[]
  readonly inner: Shape
}

/** The addresses that an access covers in the row of index 0, or null where they are not known. */
export function extentInRow(rows: Shape, access: RowAccess): readonly [number, number] | null {
  let min = access.at.offset
  let max = access.at.offset
  const add = (reach: number): void => {
    if (reach < 0) min += reach
    else max += reach
  }
  access.inner.forEach((n, axis) => add((access.at.strides[rows.length + axis] ?? 0) * (n - 1)))
  for (const { value, stride } of access.offsets ?? []) {
    const range = rangeOf(value, [...rows, ...access.inner])
    if (range === null || stride < 0) return null
    min += range[0] * stride
    max += range[1] * stride
  }
  return [min, max]
}

/**
 * Whether `read` stays within what `written` covers, both at the same row. That takes rows that lie
 * one after the other in what is written, and steps from row to row that are the same in both.
 */
export function staysInRow(rows: Shape, written: RowAccess, read: RowAccess): boolean {
  if ((written.offsets ?? []).length > 0) return false
  const sameRow = rows.every(
    (n, axis) => n === 1 || written.at.strides[axis] === read.at.strides[axis],
  )
  if (!sameRow) return false
  const own = extentInRow(rows, written)
  const other = extentInRow(rows, read)
  if (own === null || other === null || other[0] < own[0] || other[1] > own[1]) return false
  return rowsAreApart(rows, written.at, own[1] - own[0])
}

/** Whether runs of addresses of this extent, one for each row, do not overlap. */
function rowsAreApart(rows: Shape, at: Affine, extent: number): boolean {
  const axes = rows
    .map((n, axis) => ({ n, stride: at.strides[axis] }))
    .filter(({ n }) => n > 1)
    .sort((a, b) => a.stride - b.stride)
  let reach = extent
  for (const { n, stride } of axes) {
    if (stride <= reach) return false
    reach += stride * (n - 1)
  }
  return true
}
