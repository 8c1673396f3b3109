/** Summaries of windows of images: functions of arrays `[..., position..., features]`. */
import { ArgumentError, lax, np, ShapeError, type NDArray } from '@adjoint/core'
import { checkOptions, isFloating } from '@adjoint/core/internal'
import { paddingOf, type WindowPadding } from './window-padding'

export interface PoolOptions {
  /** Distance between windows, one number or one per axis; the window's size unless given. */
  readonly stride?: number | readonly number[]
  /** `'VALID'` unless given: windows lie within the array. */
  readonly padding?: WindowPadding
}

export interface AveragePoolOptions extends PoolOptions {
  /** Whether padding counts as zeros; true unless given. */
  readonly countIncludePad?: boolean
}

/** The sizes of a window: one per axis, or one number for the two axes of an image. */
export type PoolWindow = number | readonly number[]

const sizesOf = (window: PoolWindow): readonly number[] =>
  typeof window === 'number' ? [window, window] : window

/** The number of elements before the windowed axes is that of the array; windows of 1 there. */
function windows(
  op: string,
  x: NDArray,
  given: PoolWindow,
  options: PoolOptions,
): { sizes: number[]; strides: number[]; pads: lax.Padding } {
  const window = sizesOf(given)
  const { stride = window, padding = 'VALID' } = options
  if (!window.every((size) => Number.isInteger(size) && size > 0)) {
    throw new ArgumentError({
      op,
      problem: `the window is [${window.join(', ')}]`,
      rule: 'its sizes are positive integers',
    })
  }
  const before = x.ndim - window.length - 1
  if (before < 0) {
    throw new ShapeError({
      op,
      problem: `a window over ${window.length} axes does not fit`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'x has shape [..., position..., features], one position per axis of the window',
    })
  }
  const around = <T>(inner: readonly T[], outer: T): T[] => [
    ...Array.from({ length: before }, () => outer),
    ...inner,
    outer,
  ]
  const steps = typeof stride === 'number' ? window.map(() => stride) : stride
  if (steps.length !== window.length || !steps.every((n) => Number.isInteger(n) && n > 0)) {
    throw new ArgumentError({
      op,
      problem: `stride is ${typeof stride === 'number' ? stride : `[${stride.join(', ')}]`}`,
      rule: `stride is one positive integer, or ${window.length} of them`,
    })
  }
  const pads = paddingOf(op, padding, window.length)
  const none = [0, 0] as const
  return {
    sizes: around(window, 1),
    strides: around(steps, 1),
    pads: typeof pads === 'string' ? pads : around(pads, none),
  }
}

/**
 * The largest element of each window and feature.
 *
 * @param window the size of the windows, one number per axis before the last; a single number is a
 *   square of an image
 * @example
 * maxPool(np.ones([5, 8, 6, 3]), [2, 2]).shape // [ 5, 4, 3, 3 ]
 */
export function maxPool(x: NDArray, window: PoolWindow, options: PoolOptions = {}): NDArray {
  const op = 'maxPool(x, window)'
  checkOptions(op, options, ['stride', 'padding'])
  const { sizes, strides, pads } = windows(op, x, window, options)
  return lax.reduceWindow(x, -Infinity, lax.max, sizes, strides, pads)
}

/**
 * The mean of each window and feature.
 *
 * @example
 * const x = np.arange(16).reshape([4, 4, 1])
 * averagePool(x, 2).ravel() // Array([ 2.5, 4.5, 10.5, 12.5], dtype=float32)
 */
export function averagePool(
  x: NDArray,
  window: PoolWindow,
  options: AveragePoolOptions = {},
): NDArray {
  const op = 'averagePool(x, window)'
  checkOptions(op, options, ['stride', 'padding', 'countIncludePad'])
  const { sizes, strides, pads } = windows(op, x, window, options)
  const sum = (of: NDArray): NDArray => lax.reduceWindow(of, 0, lax.add, sizes, strides, pads)
  if (options.countIncludePad === false) return np.divide(sum(x), sum(np.onesLike(x)))
  return np.divide(
    sum(x),
    sizesOf(window).reduce((product, n) => product * n, 1),
  )
}

/** The `outputs` windows into which `size` positions fall: from ⌊i n/m⌋ to ⌈(i + 1) n/m⌉. */
const bins = (size: number, outputs: number): readonly (readonly [number, number])[] =>
  Array.from({ length: outputs }, (_, i) => [
    Math.floor((i * size) / outputs),
    Math.ceil(((i + 1) * size) / outputs),
  ])

/** Replaces axis after axis by the summary of its bins. */
function adaptive(
  op: string,
  x: NDArray,
  given: PoolWindow,
  along: (x: NDArray, axis: number, outputs: number) => NDArray,
): NDArray {
  const outputs = sizesOf(given)
  if (!outputs.every((size) => Number.isInteger(size) && size > 0)) {
    throw new ArgumentError({
      op,
      problem: `the sizes are [${outputs.join(', ')}]`,
      rule: 'they are positive integers',
    })
  }
  const before = x.ndim - outputs.length - 1
  if (before < 0) {
    throw new ShapeError({
      op,
      problem: `${outputs.length} sizes for an array of ${x.ndim} axes`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'x has shape [..., position..., features], one position per size',
    })
  }
  return outputs.reduce((y, size, i) => along(y, before + i, size), x)
}

/**
 * The mean of each of `outputs` windows per axis, whatever the size of the array. Windows are
 * PyTorch's: they overlap where the size is not a multiple.
 *
 * @example
 * const x = np.arange(16).reshape([4, 4, 1])
 * adaptiveAveragePool(x, 2).ravel() // Array([ 2.5, 4.5, 10.5, 12.5], dtype=float32)
 */
export function adaptiveAveragePool(x: NDArray, outputs: PoolWindow): NDArray {
  // Of integers means are floats.
  const values = isFloating(x.dtype) ? x : x.astype('float32')
  return adaptive('adaptiveAveragePool(x, outputs)', values, outputs, (y, axis, size) => {
    const weights = bins(y.shape[axis], size).map(([low, high]) =>
      Array.from({ length: y.shape[axis] }, (_, i) =>
        i >= low && i < high ? 1 / (high - low) : 0,
      ),
    )
    const matrix = np.array(weights, { dtype: y.dtype })
    return np.moveaxis(np.tensordot(matrix, y, [[1], [axis]]), 0, axis)
  })
}

/**
 * The largest element of each of `outputs` windows per axis, whatever the size of the array.
 *
 * @example
 * const x = np.arange(16).reshape([4, 4, 1])
 * adaptiveMaxPool(x, 2).ravel() // Array([ 5, 7, 13, 15], dtype=int32)
 */
export function adaptiveMaxPool(x: NDArray, outputs: PoolWindow): NDArray {
  return adaptive('adaptiveMaxPool(x, outputs)', x, outputs, (y, axis, size) =>
    np.concatenate(
      bins(y.shape[axis], size).map(([low, high]) =>
        np.max(lax.sliceInDim(y, low, high, { axis }), { axis, keepdims: true }),
      ),
      axis,
    ),
  )
}

function positions(op: string, x: NDArray, axes: number): number[] {
  if (x.ndim > axes) return Array.from({ length: axes }, (_, i) => -2 - i)
  throw new ShapeError({
    op,
    problem: `x has fewer than ${axes + 1} axes`,
    operands: [{ name: 'x', aval: x.aval }],
    rule: `x has shape [..., position..., features], with ${axes} axes of positions`,
  })
}

/**
 * The mean over the `axes` axes before the last (an image's two unless given).
 *
 * @example
 * const x = np.arange(16).reshape([4, 4, 1])
 * globalAveragePool(x) // Array([7.5], dtype=float32)
 */
export const globalAveragePool = (x: NDArray, axes = 2): NDArray =>
  np.mean(x, { axis: positions('globalAveragePool(x, axes)', x, axes) })

/**
 * The maximum over the `axes` axes before the last (an image's two unless given).
 *
 * @example
 * const x = np.arange(16).reshape([4, 4, 1])
 * globalMaxPool(x) // Array([15], dtype=int32)
 */
export const globalMaxPool = (x: NDArray, axes = 2): NDArray =>
  np.max(x, { axis: positions('globalMaxPool(x, axes)', x, axes) })
