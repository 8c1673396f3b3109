/** Pure shape algebra: what the shape of a result is, and errors that say why there is none. */
import type { Shape } from './aval'
import { ShapeError } from './errors'

const show = (shape: Shape): string => `[${shape.join(',')}]`

/** The shape all of these broadcast to, by NumPy's rule (aligned at the last axis). */
export function broadcastShapes(op: string, shapes: readonly Shape[]): Shape {
  const ndim = Math.max(0, ...shapes.map((s) => s.length))
  const result: number[] = new Array<number>(ndim).fill(1)
  for (const shape of shapes) {
    const shift = ndim - shape.length
    shape.forEach((size, i) => {
      const axis = i + shift
      if (size === 1 || size === result[axis]) return
      if (result[axis] !== 1) {
        throw new ShapeError({
          op,
          problem: 'shapes do not broadcast',
          operands: shapes.map((s, n) => ({ name: `operand ${n}`, aval: show(s) })),
          axis,
          rule: 'aligned at the last axis, sizes are equal or one of them is 1',
          hint: 'reshape an operand, or insert axes of size 1 with expandDims',
        })
      }
      result[axis] = size
    })
  }
  return result
}

/** `[0, 1, …, n - 1]`, or `[start, …, stop - 1]`. */
export const range = (startOrStop: number, stop?: number): number[] => {
  const start = stop === undefined ? 0 : startOrStop
  const end = stop ?? startOrStop
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i)
}

export const withoutAxes = (shape: Shape, axes: readonly number[]): Shape =>
  shape.filter((_, axis) => !axes.includes(axis))

/** The shape with `size` inserted so that it stands at `axis` of the result. */
export const withAxis = (shape: Shape, axis: number, size: number): Shape => [
  ...shape.slice(0, axis),
  size,
  ...shape.slice(axis),
]

export const permuted = (shape: Shape, permutation: readonly number[]): Shape =>
  permutation.map((axis) => shape[axis])

export function inversePermutation(permutation: readonly number[]): number[] {
  const inverse = new Array<number>(permutation.length)
  permutation.forEach((from, to) => {
    inverse[from] = to
  })
  return inverse
}

export const isIdentityPermutation = (permutation: readonly number[]): boolean =>
  permutation.every((axis, i) => axis === i)

/** True if these are the numbers `0 … n - 1` in some order. */
export const isPermutation = (axes: readonly number[], ndim: number): boolean =>
  axes.length === ndim && new Set(axes).size === ndim && axes.every((a) => a >= 0 && a < ndim)

/** Number of elements `start, start + step, …` below `limit`. */
export const stridedCount = (start: number, limit: number, step: number): number =>
  limit <= start ? 0 : Math.ceil((limit - start) / step)

/** Size after `dilation - 1` holes between neighbours. */
export const dilated = (size: number, dilation: number): number =>
  size === 0 ? 0 : (size - 1) * dilation + 1

export interface Padding {
  readonly low: number
  readonly high: number
}

/** How many positions a window has along one axis. */
export function windowCount(
  size: number,
  window: number,
  stride: number,
  padding: Padding,
  baseDilation = 1,
  windowDilation = 1,
): number {
  const padded = dilated(size, baseDilation) + padding.low + padding.high
  const reach = dilated(window, windowDilation)
  return padded < reach ? 0 : Math.floor((padded - reach) / stride) + 1
}

/** Padding `'SAME'` and `'VALID'` in numbers, as TensorFlow and JAX define them. */
export function namedPadding(
  name: 'SAME' | 'SAME_LOWER' | 'VALID',
  sizes: Shape,
  windows: Shape,
  strides: readonly number[],
): readonly Padding[] {
  return sizes.map((size, axis) => {
    if (name === 'VALID') return { low: 0, high: 0 }
    const positions = Math.ceil(size / strides[axis])
    const total = Math.max(0, (positions - 1) * strides[axis] + windows[axis] - size)
    const less = Math.floor(total / 2)
    return name === 'SAME' ? { low: less, high: total - less } : { low: total - less, high: less }
  })
}
