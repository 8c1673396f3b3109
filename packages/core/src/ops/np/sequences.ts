/** Functions of sequences: differences, convolutions, interpolation, the trapezoidal rule. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { floatInfo } from '../../types/dtype'
import { ArgumentError, ShapeError } from '../../types/errors'
import { canonicalAxis, checkOptions } from '../arguments'
import { gatherSlices } from '../gathering'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  choose,
  convert,
  filledLike,
  operandReports,
  promoteDTypesInexact,
} from '../promotion'
import { add, clip, divide, mod, multiply, subtract, where } from './elementwise'
import { less } from './logic'
import { concatenate } from './joining'
import { sum } from './reductions'
import { searchsorted } from './searching'
import { moveaxis } from './shape'

export interface DiffOptions {
  /** How many times to take differences. */
  readonly n?: number
  readonly axis?: number
  readonly prepend?: ArrayLike
  readonly append?: ArrayLike
}

/** Differences of neighbours along an axis, the last unless given. */
export function diff(x: ArrayLike, nOrOptions: number | DiffOptions = {}): NDArray {
  const options = typeof nOrOptions === 'number' ? { n: nOrOptions } : nOrOptions
  const {
    n = 1,
    prepend,
    append,
  } = checkOptions('diff', options, ['n', 'axis', 'prepend', 'append'])
  const a = asArray('diff', x)
  if (!Number.isInteger(n) || n < 0) {
    throw new ArgumentError({
      op: 'diff(a, { n })',
      problem: `n is ${n}`,
      rule: 'n is a nonnegative integer',
    })
  }
  const axis = canonicalAxis('diff', options.axis ?? -1, a)
  const edge = (v: ArrayLike): NDArray => {
    const e = asArray('diff', v)
    return e.ndim > 0
      ? e
      : broadcastTo(
          e,
          a.shape.map((size, i) => (i === axis ? 1 : size)),
        )
  }
  const parts = [
    ...(prepend === undefined ? [] : [edge(prepend)]),
    a,
    ...(append === undefined ? [] : [edge(append)]),
  ]
  let result = concatenate(parts, axis)
  for (let i = 0; i < n; i++) {
    const size = result.shape[axis]
    const later = prim.sliceInAxis(result, axis, Math.min(1, size), size)
    const earlier = prim.sliceInAxis(result, axis, 0, Math.max(0, size - 1))
    result = result.dtype === 'bool' ? prim.ne(later, earlier) : prim.sub(later, earlier)
  }
  return result
}

/** Differences of neighbours of the flattened array. */
export const ediff1d = (x: ArrayLike): NDArray =>
  diff(prim.reshape(asArray('ediff1d', x), { newSizes: [asArray('ediff1d', x).size] }))

export type ConvolutionMode = 'full' | 'same' | 'valid'
type ModeOption = ConvolutionMode | { readonly mode?: ConvolutionMode }

function slide(
  op: string,
  x: ArrayLike,
  y: ArrayLike,
  modeOrOptions: ModeOption | undefined,
  otherwise: ConvolutionMode,
): NDArray {
  const mode =
    (typeof modeOrOptions === 'string'
      ? modeOrOptions
      : checkOptions(op, modeOrOptions ?? {}, ['mode']).mode) ?? otherwise
  const [a, v] = promoteDTypesInexact(op, [x, y])
  if (a.ndim !== 1 || v.ndim !== 1 || a.size === 0 || v.size === 0) {
    throw new ShapeError({
      op: `${op}(a, v)`,
      problem: 'takes two vectors that are not empty',
      operands: operandReports([a, v]),
    })
  }
  const swapped = a.size < v.size
  const [signal, kernel] = swapped ? [v, a] : [a, v]
  // A sliding product correlates: convolution reverses the kernel, a swapped correlation its result.
  const reverse = (s: NDArray): NDArray => prim.rev(s, { dimensions: [0] })
  const n = kernel.size
  const padding = {
    full: [n - 1, n - 1],
    same: [Math.floor(n / 2), n - Math.floor(n / 2) - 1],
    valid: [0, 0],
  }[mode]
  if (padding === undefined) {
    throw new ArgumentError({
      op: `${op}(a, v, mode)`,
      problem: `unknown mode '${mode}'`,
      rule: "mode is 'full', 'same' or 'valid'",
    })
  }
  const filter = op === 'convolve' ? reverse(kernel) : kernel
  const channel = (s: NDArray): NDArray => prim.reshape(s, { newSizes: [1, 1, s.size] })
  const slid = prim.convGeneralDilated(channel(signal), channel(filter), {
    windowStrides: [1],
    padding: [[padding[0], padding[1]]],
  })
  const result = prim.reshape(slid, { newSizes: [slid.size] })
  return op === 'correlate' && swapped ? reverse(result) : result
}

/** The convolution of two vectors: `'full'` unless told, `'same'` or `'valid'`. */
export const convolve = (x: ArrayLike, y: ArrayLike, modeOrOptions?: ModeOption): NDArray =>
  slide('convolve', x, y, modeOrOptions, 'full')

/** The correlation of two vectors: `'valid'` unless told. */
export const correlate = (x: ArrayLike, y: ArrayLike, modeOrOptions?: ModeOption): NDArray =>
  slide('correlate', x, y, modeOrOptions, 'valid')

export interface InterpOptions {
  /** The value below the first point: the first value unless given. */
  readonly left?: ArrayLike | 'extrapolate'
  readonly right?: ArrayLike | 'extrapolate'
  /** The function repeats with this period. */
  readonly period?: number
}

/** Piecewise linear interpolation through the points `(xp, fp)`, `xp` ascending. */
export function interp(
  x: ArrayLike,
  xp: ArrayLike,
  fp: ArrayLike,
  options: InterpOptions = {},
): NDArray {
  checkOptions('interp', options, ['left', 'right', 'period'])
  let [at, points] = promoteDTypesInexact('interp', [x, xp])
  let [values] = promoteDTypesInexact('interp', [fp])
  if (points.ndim !== 1 || values.ndim !== 1 || points.size !== values.size || points.size === 0) {
    throw new ShapeError({
      op: 'interp(x, xp, fp)',
      problem: 'xp and fp are not vectors of the same size',
      operands: [
        { name: 'xp', aval: points.aval },
        { name: 'fp', aval: values.aval },
      ],
    })
  }
  const { period } = options
  if (period !== undefined) {
    const length = Math.abs(period)
    at = mod(at, length)
    ;[points, values] = prim.sort([mod(points, length), values], { dimension: 0, numKeys: 1 })
    const n = points.size
    const end = (v: NDArray): NDArray => prim.sliceInAxis(v, 0, n - 1, n)
    const start = (v: NDArray): NDArray => prim.sliceInAxis(v, 0, 0, 1)
    points = concatenate([subtract(end(points), length), points, add(start(points), length)])
    values = concatenate([end(values), values, start(values)])
  }
  const n = points.size
  const upper = clip(searchsorted(points, at, { side: 'right' }), Math.min(1, n - 1), n - 1)
  const lower = prim.max(prim.sub(upper, filledLike(upper, 1)), filledLike(upper, 0))
  const read = (v: NDArray, index: NDArray): NDArray =>
    gatherSlices(v, { axes: [0], indices: [convert(index, 'int32')], position: 0, mode: 'clip' })
  const [x0, x1, f0, f1] = [
    read(points, lower),
    read(points, upper),
    read(values, lower),
    read(values, upper),
  ]
  const width = prim.sub(x1, x0)
  const flat = prim.le(
    prim.abs(width),
    filledLike(width, floatInfo(points.dtype).eps * floatInfo(points.dtype).smallestNormal),
  )
  const fraction = prim.div(prim.sub(at, x0), choose(flat, filledLike(width, 1), width))
  let result = where(flat, f0, add(f0, multiply(fraction, subtract(f1, f0))))
  if (period !== undefined) return result
  const scalarAt = (v: NDArray, i: number): NDArray =>
    prim.squeeze(prim.sliceInAxis(v, 0, i, i + 1), { dimensions: [0] })
  if (options.left !== 'extrapolate') {
    result = where(less(at, scalarAt(points, 0)), options.left ?? scalarAt(values, 0), result)
  }
  if (options.right !== 'extrapolate') {
    result = where(
      less(scalarAt(points, n - 1), at),
      options.right ?? scalarAt(values, n - 1),
      result,
    )
  }
  return result
}

export interface TrapezoidOptions {
  /** Sample positions; equally spaced by `dx` without them. */
  readonly x?: ArrayLike
  readonly dx?: ArrayLike
  readonly axis?: number
}

/** The integral along an axis by the trapezoidal rule. */
export function trapezoid(y: ArrayLike, options: TrapezoidOptions = {}): NDArray {
  const { axis = -1 } = checkOptions('trapezoid', options, ['x', 'dx', 'axis'])
  const [values] = promoteDTypesInexact('trapezoid', [y])
  const f = moveaxis(values, axis, -1)
  const last = f.ndim - 1
  const n = f.shape[last]
  const means = divide(add(prim.sliceInAxis(f, last, 1, n), prim.sliceInAxis(f, last, 0, n - 1)), 2)
  const steps =
    options.x === undefined
      ? (options.dx ?? 1)
      : asArray('trapezoid', options.x).ndim === 1
        ? diff(options.x)
        : moveaxis(diff(options.x, { axis }), axis, -1)
  return sum(multiply(means, steps), -1)
}
