/**
 * Products of a matrix with its own transpose, such as Gram matrices: what lies across the diagonal is
 * the same sum with factors exchanged, to the last bit. So tiles below the diagonal are left out, and
 * a map over the result reads across it.
 */
import { binary, constant, index, type Load, type Scalar, select } from '../../../../compiler/expr'
import type { ContractNode } from '../../../../compiler/nodes'
import { sizeOf } from './axes'
import { isPlainLoad } from './problem'

/** From so many rows, and so long sums, half of the tiles take longer than the map. */
const FEWEST_ROWS = 32
const LEAST_DEPTH = 32

export function isOwnTranspose({ lhs, rhs, batch, m, n, k }: ContractNode): boolean {
  const [left, right] = [lhs.value, rhs.value]
  return (
    m.length === 1 &&
    n.length === 1 &&
    m[0] === n[0] &&
    m[0] >= FEWEST_ROWS &&
    sizeOf(k) >= LEAST_DEPTH &&
    sizeOf(batch) > 0 &&
    isPlainLoad(left) &&
    isPlainLoad(right) &&
    // Or axes of the batch would become rows.
    batch.every((size, axis) => size === 1 || left.at.strides[axis] !== 0) &&
    left.source === right.source &&
    left.at.offset === right.at.offset &&
    left.at.strides.every((stride, axis) => stride === right.at.strides[axis])
  )
}

/** The element of `[…, m, n]`, of which only those with m ≤ n are in memory. */
export function acrossDiagonal(load: Load): Scalar {
  const { offset, strides } = load.at
  const outer = strides.slice(0, -2)
  const [row, column] = strides.slice(-2)
  const other: Load = { ...load, at: { offset, strides: [...outer, column, row] } }
  const behind = index({ offset: 0, strides: [...outer.map(() => 0), -1, 1] })
  return select(binary('ge', 'bool', behind, constant('int32', 0)), load, other)
}
