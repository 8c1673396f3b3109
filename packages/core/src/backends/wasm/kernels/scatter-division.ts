/** How threads may share the updates of a scatter so that no two of them write one element. */
import type { ScatterNode } from '../../../compiler/nodes'
import { extentInRow } from '../../../compiler/row-access'
import { splitCoordinate } from '../../../compiler/views'
import { insertUnitAxis, mergeAxes, variesAlong } from '../codegen/iteration'
import type { Space } from '../codegen/iteration'
import type { Coordinate } from '../../../compiler/views'

/** The updates over as few axes as possible: the values are the position, the update and the test. */
export function updateSpace({ shape, position, update, inBounds }: ScatterNode): Space {
  const values = [position, update, ...(inBounds ? [inBounds] : [])]
  const merged = mergeAxes({ shape, values, stores: [] }).space
  return merged.shape.length === 0 ? insertUnitAxis(merged, 0) : merged
}

/** The position as an address whose row is a run of distinct elements, if it is one. */
export function contiguousRows({ shape, values }: Space): Coordinate | null {
  const [position, , inBounds] = values
  const last = shape.length - 1
  if (!position || (inBounds && variesAlong(inBounds, [last]))) return null
  const coordinate = splitCoordinate(position, shape.length)
  const moves = coordinate.at.strides[last] !== 0 && (shape[last] ?? 1) > 1
  return moves && !coordinate.dynamic.some(({ value }) => variesAlong(value, [last]))
    ? coordinate
    : null
}

/**
 * By the first axis, where each of its indices writes elements of its own (a scatter of many
 * examples at once); by columns, where rows of the target are written as a whole (the gradient of an
 * embedding); not at all, where nothing is known of the positions.
 */
export function scatterDivision(space: Space): 'first axis' | 'columns' | null {
  const { shape, values } = space
  const [position] = values
  if (!position) return null
  const { at, dynamic } = splitCoordinate(position, shape.length)
  const [first, ...inner] = shape
  const step = at.strides[0] ?? 0
  if (first !== undefined && first > 1 && inner.length > 0 && step > 0) {
    const extent = extentInRow([first], { at, offsets: dynamic, inner })
    if (extent !== null && extent[1] - extent[0] < step) return 'first axis'
  }
  const rows = contiguousRows(space)
  if (rows === null) return null
  // What is added to a column's place is a multiple of this, and all columns lie within one.
  const strides = [...rows.at.strides.slice(0, -1), ...rows.dynamic.map(({ stride }) => stride)]
  const period = strides.reduce(greatestCommonDivisor, 0)
  const run = Math.abs(rows.at.strides.at(-1) ?? 0) * (shape.at(-1) ?? 1)
  return period === 0 || period >= run ? 'columns' : null
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b)
