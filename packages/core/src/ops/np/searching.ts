/** Reading by position and looking for elements. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { readElements } from '../../trace/interpreter'
import type { Shape } from '../../types/aval'
import { isInteger } from '../../types/dtype'
import { ArgumentError, ConcretizationError, DTypeError, ShapeError } from '../../types/errors'
import { range } from '../../types/shape'
import { canonicalAxis, checkOptions } from '../arguments'
import {
  checkMode,
  gatherSlices,
  indexArray,
  type IndexMode,
  positions,
  scatterSlices,
} from '../gathering'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  choose,
  convert,
  filledLike,
  full,
  operandReports,
  promoteDTypes,
  promoteDTypesInexact,
  toBool,
} from '../promotion'
import { clip, floorDivide, mod } from './elementwise'
import { sum } from './reductions'
import { cumsum } from './cumulative'
import { ravel } from './shape'
import { linspace } from './creation'

type TakeMode = IndexMode | 'wrap'
export interface TakeOptions {
  readonly axis?: number | null
  /** Out of bounds: `'fill'` (default) reads `fillValue`, `'clip'` the nearest, `'wrap'` starts over. */
  readonly mode?: TakeMode
  readonly fillValue?: number | boolean
}

function resolveMode(
  op: string,
  index: NDArray,
  size: number,
  mode: TakeMode,
): [NDArray, IndexMode] {
  if (mode === 'wrap') return [convert(mod(index, size), 'int32'), 'promiseInBounds']
  checkMode(op, mode)
  // NumPy's `clip` takes negative positions as before the beginning.
  if (mode === 'clip') return [convert(clip(index, 0, size - 1), 'int32'), 'promiseInBounds']
  return [indexArray(op, index, size), mode]
}

const takeKeys = ['axis', 'mode', 'fillValue'] as const

/** The slices at these positions of an axis; of the flattened array without one. */
export function take(
  x: ArrayLike,
  indices: ArrayLike,
  axisOrOptions: number | null | TakeOptions = null,
  rest: TakeOptions = {},
): NDArray {
  const options =
    axisOrOptions !== null && typeof axisOrOptions === 'object'
      ? axisOrOptions
      : { ...rest, axis: axisOrOptions }
  checkOptions('take', options, takeKeys)
  const a = options.axis == null ? ravel(x) : asArray('take', x)
  const axis = options.axis == null ? 0 : canonicalAxis('take', options.axis, a)
  const [index, mode] = resolveMode(
    'take',
    asArray('take', indices),
    a.shape[axis],
    options.mode ?? 'fill',
  )
  return gatherSlices(a, {
    axes: [axis],
    indices: [index],
    position: axis,
    mode,
    fillValue: options.fillValue,
  })
}

/** One index per axis: `along` for one of them, the element's own position for the others. */
function alongAxis(shape: Shape, axis: number, index: NDArray): NDArray[] {
  return range(shape.length).map((i) => (i === axis ? index : positions(shape, i)))
}

function alignedIndices(op: string, a: NDArray, indices: ArrayLike, axis: number): NDArray {
  const index = asArray(op, indices)
  if (index.ndim !== a.ndim) {
    throw new ShapeError({
      op: `${op}(a, indices, axis)`,
      problem: 'the indices have another number of axes',
      operands: [
        { name: 'a', aval: a.aval },
        { name: 'indices', aval: index.aval },
      ],
      rule: 'indices align with a, axis by axis',
      hint: 'np.expandDims(indices, axis) for one position per slice',
    })
  }
  const shape = index.shape.map((n, i) => (i === axis || n !== 1 ? n : a.shape[i]))
  return broadcastTo(index, shape)
}

/** For each position of `indices`, the element of `x` that it names along the axis. */
export function takeAlongAxis(
  x: ArrayLike,
  indices: ArrayLike,
  axisOrOptions: number | null | TakeOptions = -1,
  rest: TakeOptions = {},
): NDArray {
  const options =
    axisOrOptions !== null && typeof axisOrOptions === 'object'
      ? { axis: -1, ...axisOrOptions }
      : { ...rest, axis: axisOrOptions }
  checkOptions('takeAlongAxis', options, takeKeys)
  const flat = options.axis === null
  const given = asArray('takeAlongAxis', x)
  const axis = options.axis === null ? 0 : canonicalAxis('takeAlongAxis', options.axis, given)
  const a = flat ? ravel(given) : given
  const aligned = alignedIndices('takeAlongAxis', a, flat ? ravel(indices) : indices, axis)
  const [index, mode] = resolveMode('takeAlongAxis', aligned, a.shape[axis], options.mode ?? 'fill')
  // An axis of size 1 in `x` serves every position.
  const own = alongAxis(index.shape, axis, index).map((p, i) =>
    i !== axis && a.shape[i] === 1 ? filledLike(p, 0) : p,
  )
  return gatherSlices(a, {
    axes: range(a.ndim),
    indices: own,
    position: 0,
    mode,
    fillValue: options.fillValue,
  })
}

/** `x` with `values` written at the positions that `indices` names along the axis: a new array. */
export function putAlongAxis(
  x: ArrayLike,
  indices: ArrayLike,
  values: ArrayLike,
  axisOrOptions: number | { readonly axis?: number; readonly mode?: IndexMode } = -1,
): NDArray {
  const options: { readonly axis?: number; readonly mode?: IndexMode } =
    typeof axisOrOptions === 'number' ? { axis: axisOrOptions } : axisOrOptions
  checkOptions('putAlongAxis', options, ['axis', 'mode'])
  const a = asArray('putAlongAxis', x)
  const axis = canonicalAxis('putAlongAxis', options.axis ?? -1, a)
  const aligned = alignedIndices('putAlongAxis', a, indices, axis)
  const index = indexArray('putAlongAxis', aligned, a.shape[axis])
  const updates = broadcastTo(convert(asArray('putAlongAxis', values), a.dtype), index.shape)
  return scatterSlices(a, updates, {
    axes: range(a.ndim),
    indices: alongAxis(index.shape, axis, index),
    windowAxes: [],
    combine: 'set',
    mode: options.mode ?? 'drop',
  })
}

// --- positions of elements --------------------------------------------------------------------------

export interface NonzeroOptions {
  /** How many positions to answer: needed where the array is traced. */
  readonly size?: number
  /** What stands where there are fewer. */
  readonly fillValue?: number
}

function requireConcrete(op: string, x: NDArray, hint: string): void {
  if (x.owner === null) return
  throw new ConcretizationError({
    op,
    problem: 'the size of the result depends on traced values',
    operands: [{ name: 'x', aval: x.aval }],
    rule: 'shapes are static',
    hint,
  })
}

/** The positions of nonzero elements, one vector per axis, in row-major order. */
export function nonzero(x: ArrayLike, options: NonzeroOptions = {}): NDArray[] {
  checkOptions('nonzero', options, ['size', 'fillValue'])
  const a = asArray('nonzero', x)
  if (a.ndim === 0) {
    throw new ShapeError({
      op: 'nonzero(a)',
      problem: 'a scalar has no positions',
      operands: operandReports([a]),
      hint: 'np.atleast1d(a)',
    })
  }
  if (options.size === undefined)
    requireConcrete('nonzero(a)', a, 'np.nonzero(a, { size }) fixes it')
  const mask = ravel(toBool(a))
  const size = options.size ?? countTrue(mask)
  const fill = options.fillValue ?? 0
  if (a.size === 0 || size === 0) return a.shape.map(() => full([size], fill, 'int32'))
  // The k-th true element is where the running count first exceeds k.
  const running = cumsum(mask, { dtype: 'int32' })
  const flat = searchsorted(running, prim.iota({ dtype: 'int32', shape: [size], dimension: 0 }), {
    side: 'right',
  })
  const present = prim.lt(flat, filledLike(flat, a.size))
  let stride = a.size
  return a.shape.map((n) => {
    stride /= n
    const position = mod(floorDivide(flat, stride), n)
    return choose(present, position, filledLike(position, fill))
  })
}

const countTrue = (mask: NDArray): number => {
  const values = readElements(mask, 'nonzero(a)')
  let count = 0
  for (let i = 0; i < values.length; i++) if (values[i]) count++
  return count
}

export const flatnonzero = (x: ArrayLike, options?: NonzeroOptions): NDArray =>
  nonzero(ravel(x), options)[0]

/** The positions of nonzero elements as the rows of a matrix. */
export function argwhere(x: ArrayLike, options?: NonzeroOptions): NDArray {
  const columns = nonzero(x, options)
  return prim.concatenate(
    columns.map((c) => prim.expandDims(c, [1])),
    { dimension: 1 },
  )
}

export interface SearchOptions {
  /** Among equal elements: before them (`'left'`, the default) or after. */
  readonly side?: 'left' | 'right'
  /** Positions that sort the array, if it is not sorted. */
  readonly sorter?: ArrayLike
}

/** Where each value would be inserted in a sorted vector. NaN sorts last. */
export function searchsorted(
  sorted: ArrayLike,
  values: ArrayLike,
  sideOrOptions: 'left' | 'right' | SearchOptions = {},
): NDArray {
  const { side = 'left', sorter }: SearchOptions =
    typeof sideOrOptions === 'string'
      ? { side: sideOrOptions }
      : checkOptions('searchsorted', sideOrOptions, ['side', 'sorter'])
  const [vector, v] = promoteDTypes('searchsorted', [
    sorter === undefined ? sorted : take(sorted, sorter),
    values,
  ])
  if (vector.ndim !== 1) {
    throw new ShapeError({
      op: 'searchsorted(a, v)',
      problem: 'the sorted array is not a vector',
      operands: operandReports([vector, v]),
      rule: 'a has one axis',
    })
  }
  const n = vector.size
  if (n === 0) return full(v.shape, 0, 'int32')
  // Bisection with a static number of steps: `low` is known to be an insertion point's lower bound.
  let low = full(v.shape, 0, 'int32')
  let high = full(v.shape, n, 'int32')
  for (let remaining = n; remaining >= 1; remaining = Math.floor(remaining / 2)) {
    const middle = prim.shiftRightLogical(prim.add(low, high), filledLike(low, 1))
    const element = gatherSlices(vector, {
      axes: [0],
      indices: [middle],
      position: 0,
      mode: 'clip',
    })
    const goRight = side === 'left' ? before(element, v) : prim.not(before(v, element))
    const open = prim.lt(low, high)
    const next = prim.add(middle, filledLike(middle, 1))
    const move = prim.and(open, goRight)
    const stay = prim.and(open, prim.not(goRight))
    low = choose(move, next, low)
    high = choose(stay, middle, high)
  }
  return low
}

/** Order with NaN after everything else. */
const before = (x: NDArray, y: NDArray): NDArray =>
  x.dtype === 'float32' || x.dtype === 'float64' || x.dtype === 'float16' || x.dtype === 'bfloat16'
    ? prim.or(prim.lt(x, y), prim.and(prim.ne(y, y), prim.eq(x, x)))
    : prim.lt(x, y)

/** Which bin each value falls into: `bins[i−1] <= x < bins[i]`. */
export function digitize(
  x: ArrayLike,
  bins: ArrayLike,
  options: { readonly right?: boolean } = {},
): NDArray {
  const { right = false } = checkOptions('digitize', options, ['right'])
  const edges = asArray('digitize', bins)
  if (edges.ndim !== 1) {
    throw new ShapeError({
      op: 'digitize(x, bins)',
      problem: 'bins is not a vector',
      operands: operandReports([asArray('digitize', x), edges]),
    })
  }
  const side = right ? 'left' : 'right'
  if (edges.size < 2) return searchsorted(edges, x, { side })
  const end = (i: number): NDArray =>
    prim.squeeze(prim.sliceInAxis(edges, 0, i, i + 1), { dimensions: [0] })
  const ascending = prim.ge(end(edges.size - 1), end(0))
  const up = searchsorted(edges, x, { side })
  const down = searchsorted(prim.rev(edges, { dimensions: [0] }), x, {
    side: right ? 'right' : 'left',
  })
  return choose(broadcastTo(ascending, up.shape), up, prim.sub(filledLike(down, edges.size), down))
}

export interface BincountOptions {
  readonly weights?: ArrayLike
  readonly minlength?: number
  /** The length of the result: needed where `x` is traced. Larger values are then dropped. */
  readonly length?: number
}

/** How often each nonnegative integer occurs. */
export function bincount(x: ArrayLike, options: BincountOptions = {}): NDArray {
  checkOptions('bincount', options, ['weights', 'minlength', 'length'])
  const given = asArray('bincount', x)
  const a = given.dtype === 'bool' ? convert(given, 'int32') : given
  if (!isInteger(a.dtype) || a.ndim !== 1) {
    throw new DTypeError({
      op: 'bincount(x)',
      problem: 'x is not a vector of integers',
      operands: operandReports([a]),
      rule: 'x has one axis and an integer dtype',
    })
  }
  if (options.length === undefined)
    requireConcrete('bincount(x)', a, 'np.bincount(x, { length }) fixes it')
  const length = options.length ?? Math.max(options.minlength ?? 0, highestOf(a) + 1)
  const weights =
    options.weights === undefined ? full(a.shape, 1, 'int32') : asArray('bincount', options.weights)
  if (weights.ndim !== 1 || weights.size !== a.size) {
    throw new ShapeError({
      op: 'bincount(x, { weights })',
      problem: 'the weights do not match x',
      operands: [
        { name: 'x', aval: a.aval },
        { name: 'weights', aval: weights.aval },
      ],
    })
  }
  const index = prim.max(convert(a, 'int32'), full(a.shape, 0, 'int32'))
  return scatterSlices(full([length], 0, weights.dtype), convert(weights, weights.dtype), {
    axes: [0],
    indices: [index],
    windowAxes: [],
    combine: 'add',
    mode: 'drop',
  })
}

const highestOf = (x: NDArray): number => {
  const values = readElements(x, 'bincount(x)')
  let highest = -1
  for (let i = 0; i < values.length; i++) highest = Math.max(highest, Number(values[i]))
  return highest
}

export interface HistogramOptions {
  /** How many bins of equal width, or their edges. */
  readonly bins?: number | ArrayLike
  readonly range?: readonly [number, number]
  readonly weights?: ArrayLike
  readonly density?: boolean
}

/** Counts per bin and the edges of the bins; the last bin includes its right edge. */
export function histogram(x: ArrayLike, options: HistogramOptions = {}): [NDArray, NDArray] {
  checkOptions('histogram', options, ['bins', 'range', 'weights', 'density'])
  const [a, weights] = promoteDTypesInexact('histogram', [
    ravel(x),
    options.weights === undefined ? filledLike(ravel(x), 1) : ravel(options.weights),
  ])
  const edges = binEdges(a, options)
  const bins = edges.size - 1
  const upper = prim.squeeze(prim.sliceInAxis(edges, 0, bins, bins + 1), { dimensions: [0] })
  const found = searchsorted(edges, a, { side: 'right' })
  const atEnd = prim.eq(a, broadcastTo(upper, a.shape))
  const index = prim.sub(choose(atEnd, filledLike(found, bins), found), filledLike(found, 1))
  // −1 (below the first edge) would count from the end: sent out of bounds instead.
  const inside = choose(prim.lt(index, filledLike(index, 0)), filledLike(index, bins), index)
  const counts = scatterSlices(full([bins], 0, weights.dtype), weights, {
    axes: [0],
    indices: [inside],
    windowAxes: [],
    combine: 'add',
    mode: 'drop',
  })
  if (!options.density) return [counts, edges]
  const widths = prim.sub(
    prim.sliceInAxis(edges, 0, 1, bins + 1),
    prim.sliceInAxis(edges, 0, 0, bins),
  )
  const total = sum(counts)
  return [prim.div(prim.div(counts, widths), broadcastTo(total, counts.shape)), edges]
}

function binEdges(a: NDArray, { bins = 10, range: span }: HistogramOptions): NDArray {
  if (typeof bins !== 'number') return convert(asArray('histogram', bins), a.dtype)
  if (!Number.isInteger(bins) || bins < 1) {
    throw new ArgumentError({ op: 'histogram(x, { bins })', problem: `cannot make ${bins} bins` })
  }
  if (span) return linspace(span[0], span[1], { num: bins + 1, dtype: a.dtype })
  if (a.size === 0) return linspace(0, 1, { num: bins + 1, dtype: a.dtype })
  const low = prim.reduceMin(a, { axes: [0] })
  const high = prim.reduceMax(a, { axes: [0] })
  // All elements equal: half a unit on both sides.
  const half = choose(prim.eq(low, high), filledLike(low, 0.5), filledLike(low, 0))
  return linspace(prim.sub(low, half), prim.add(high, half), { num: bins + 1, dtype: a.dtype })
}
