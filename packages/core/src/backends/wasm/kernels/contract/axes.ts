import type { Affine } from '../../../../compiler/expr'
import type { Shape } from '../../../../types/aval'

/** One axis of an address: how many steps, and how many elements (or bytes) each step is. */
export interface Axis {
  readonly size: number
  readonly stride: number
}

export const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1)

/**
 * An affine address as one axis list per group. Axes of size 1 are gone and neighbours that step
 * through memory as one axis are one, so that the list is the shortest with the same value at
 * every row-major position within the group.
 */
export function splitByGroup(at: Affine, groups: readonly Shape[]): Axis[][] {
  let first = 0
  return groups.map((shape) => {
    const axes = shape.map((size, axis) => ({ size, stride: at.strides[first + axis] ?? 0 }))
    first += shape.length
    return mergeAxes(axes)
  })
}

export function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = []
  for (const axis of axes) {
    if (axis.size === 1) continue
    const outer = merged.at(-1)
    if (outer && outer.stride === axis.size * axis.stride) {
      merged[merged.length - 1] = { size: outer.size * axis.size, stride: axis.stride }
    } else merged.push(axis)
  }
  return merged
}

/** The step that takes every position of the group to the next; undefined when there is none. */
export function constantStride(axes: readonly Axis[]): number | undefined {
  if (axes.length > 1) return undefined
  return axes[0]?.stride ?? 0
}

export const scaleAxes = (axes: readonly Axis[], factor: number): Axis[] =>
  axes.map(({ size, stride }) => ({ size, stride: stride * factor }))
