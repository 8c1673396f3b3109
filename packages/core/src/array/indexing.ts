/**
 * NumPy's indexing, with JAX's rules for what is out of bounds.
 *
 * An index is resolved into one entry per axis of the result. Slices and integers become views;
 * integer arrays become one gather (reading) or one scatter (updating), their broadcast shape
 * standing where the arrays stood, or in front when other entries separate them.
 */
import * as prim from '../primitives'
import { readElements } from '../trace/interpreter'
import { ArgumentError, ConcretizationError, IndexingError, ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { type Shape, shapesEqual } from '../types/aval'
import {
  checkMode,
  type Combine,
  gatherSlices,
  type IndexMode,
  positions,
  scatterSlices,
  wrappedIndex,
} from '../ops/gathering'
import { checkOptions, isOptions } from '../ops/arguments'
import * as np from '../ops/np'
import {
  type ArrayLike,
  asArray,
  broadcastAll,
  broadcastTo,
  convert,
  isArray,
} from '../ops/promotion'
import { extentOf, parseSlice, Slice, type SliceExtent } from '../ops/slice'
import type { NDArray } from './ndarray'

/** Lists of integers, or of booleans for a mask. */
export type IndexList = readonly (number | boolean | IndexList)[]

/**
 * One entry of an index: an integer, a slice (`'1:4'`, `slice(1, 4)`), `'...'`, `null` for a new
 * axis, an integer array (also nested lists and typed arrays), or a boolean mask.
 */
export type Index =
  number | boolean | string | null | Slice | NDArray | IndexList | Int32Array | Uint32Array

export interface ReadOptions {
  /** What an index out of bounds reads: the nearest element (`'clip'`, the default) or `fillValue`. */
  readonly mode?: IndexMode
  /** NaN, or the lowest integer, unless given. */
  readonly fillValue?: number | boolean
}
export interface UpdateOptions {
  /** What an index out of bounds writes: nothing (`'drop'`, the default), or the nearest element. */
  readonly mode?: IndexMode
  /** A promise that no position is written twice. */
  readonly uniqueIndices?: boolean
}

/** Functional updates of a part of an array: each answers a new array. */
export interface IndexUpdate {
  set(value: ArrayLike, options?: UpdateOptions): NDArray
  add(value: ArrayLike, options?: UpdateOptions): NDArray
  sub(value: ArrayLike, options?: UpdateOptions): NDArray
  subtract(value: ArrayLike, options?: UpdateOptions): NDArray
  mul(value: ArrayLike, options?: UpdateOptions): NDArray
  multiply(value: ArrayLike, options?: UpdateOptions): NDArray
  div(value: ArrayLike, options?: UpdateOptions): NDArray
  divide(value: ArrayLike, options?: UpdateOptions): NDArray
  power(value: ArrayLike, options?: UpdateOptions): NDArray
  min(value: ArrayLike, options?: UpdateOptions): NDArray
  max(value: ArrayLike, options?: UpdateOptions): NDArray
  get(options?: ReadOptions): NDArray
}

// --- resolving an index -----------------------------------------------------------------------------

/** One axis of the array, or (`new`) none. */
type Entry =
  | { readonly kind: 'new' }
  | { readonly kind: 'slice'; readonly axis: number; readonly extent: SliceExtent }
  | { readonly kind: 'integer'; readonly axis: number; readonly value: number }
  | { readonly kind: 'array'; readonly axis: number; readonly index: NDArray }

interface Resolved {
  readonly entries: readonly Entry[]
  /** True when integer arrays with axes are among them: integers then count as arrays. */
  readonly advanced: boolean
}

const wrong = (x: NDArray, problem: string, rule?: string, hint?: string): IndexingError =>
  new IndexingError({
    op: 'get(...index)',
    problem,
    operands: [{ name: 'x', aval: x.aval }],
    rule,
    hint,
  })

type ArrayIndex = Exclude<Index, IndexList | Int32Array | Uint32Array>
type Item = Exclude<ArrayIndex, string | boolean> | '...'

/** Lists and typed arrays as arrays; an empty list has no elements to tell its dtype by. */
function arrayOfList(entry: Index): ArrayIndex {
  if (!Array.isArray(entry) && !ArrayBuffer.isView(entry)) return entry as ArrayIndex
  const array = np.array(entry as np.NestedArray)
  return array.size === 0 ? np.astype(array, 'int32') : array
}

/** Slices parsed, masks as the positions of their true elements. */
function itemsOf(x: NDArray, index: readonly ArrayIndex[]): Item[] {
  return index.flatMap((entry): Item[] => {
    if (entry === null || entry === '...' || entry instanceof Slice) return [entry]
    if (typeof entry === 'number') {
      if (Number.isInteger(entry)) return [entry]
      throw wrong(x, `${entry} is not an integer`, 'positions are integers')
    }
    if (typeof entry === 'string') {
      const slice = parseSlice(entry)
      if (slice) return [slice]
      if (/^[+-]?\d+$/.test(entry.trim())) return [Number(entry)]
      throw wrong(
        x,
        `cannot read the index '${entry}'`,
        "a slice is written 'start:stop:step', with any part left out",
      )
    }
    if (typeof entry === 'boolean') {
      throw wrong(
        x,
        'a bare boolean is not an index',
        'masks are boolean arrays',
        'use np.where to choose by a condition',
      )
    }
    if (!isArray(entry)) {
      throw wrong(
        x,
        `${entry === undefined ? 'undefined' : `a value of type ${typeof entry}`} is not an index`,
        "an index is an integer, a slice like '1:4', '...', null, or an array of integers or booleans",
      )
    }
    return entry.dtype === 'bool' ? truePositions(x, entry) : [entry]
  })
}

function truePositions(x: NDArray, mask: NDArray): NDArray[] {
  if (mask.owner !== null) {
    throw new ConcretizationError({
      op: 'get(mask)',
      problem: 'the mask is traced, so the shape of the result is not known',
      operands: [
        { name: 'x', aval: x.aval },
        { name: 'mask', aval: mask.aval },
      ],
      rule: 'boolean masks must be concrete',
      hint: 'np.where(mask, x, 0) keeps the shape; np.nonzero(mask, { size }) fixes it',
    })
  }
  if (mask.ndim === 0)
    throw wrong(x, 'a scalar mask is not an index', 'a mask has at least one axis')
  const values = readElements(mask, 'get(mask)')
  const found: number[] = []
  for (let flat = 0; flat < values.length; flat++) if (values[flat]) found.push(flat)
  let stride = mask.size
  return mask.shape.map((n) => {
    stride = n === 0 ? 0 : stride / n
    const inner = stride
    return np.array(Int32Array.from(found, (flat) => Math.floor(flat / inner) % n))
  })
}

/** The axes an item takes up; masks check that they fit. */
function checkMasks(x: NDArray, index: readonly ArrayIndex[]): void {
  let axis = 0
  for (const entry of index) {
    if (entry === '...') return
    if (isArray(entry) && entry.dtype === 'bool') {
      const shape = x.shape.slice(axis, axis + entry.ndim)
      if (!shapesEqual(shape, entry.shape)) {
        throw new IndexingError({
          op: 'get(mask)',
          problem: 'the mask does not fit the array',
          operands: [
            { name: 'x', aval: x.aval, note: `axes from ${axis}: [${shape.join(',')}]` },
            { name: 'mask', aval: entry.aval },
          ],
          rule: 'a mask has the shape of the axes that it selects from',
        })
      }
      axis += entry.ndim
    } else if (entry !== null) {
      axis++
    }
  }
}

function resolve(x: NDArray, given: readonly Index[]): Resolved {
  const index = given.map((entry) => arrayOfList(entry))
  checkMasks(x, index)
  const items = itemsOf(x, index)
  const taken = items.filter((item) => item !== null && item !== '...').length
  if (taken > x.ndim) {
    throw wrong(x, `${taken} indices for ${x.ndim} axes`, 'at most one index per axis')
  }
  const dots = items.indexOf('...')
  if (dots !== items.lastIndexOf('...'))
    throw wrong(x, "'...' stands more than once", "'...' stands at most once")
  const everything = new Slice(null, null, null)
  const fill = range(x.ndim - taken).map(() => everything)
  const full =
    dots < 0 ? [...items, ...fill] : [...items.slice(0, dots), ...fill, ...items.slice(dots + 1)]
  let axis = 0
  const entries = full.map((item): Entry => {
    if (item === null) return { kind: 'new' }
    const at = axis++
    const n = x.shape[at]
    if (item instanceof Slice) return { kind: 'slice', axis: at, extent: extentOf(item, n) }
    if (typeof item === 'number')
      return { kind: 'integer', axis: at, value: item < 0 ? item + n : item }
    if (isArray(item))
      return { kind: 'array', axis: at, index: wrappedIndex('get(...index)', item, n) }
    throw wrong(x, 'an index cannot be read')
  })
  return { entries, advanced: entries.some((e) => e.kind === 'array' && e.index.ndim > 0) }
}

type ArrayEntry = Extract<Entry, { kind: 'array' }>

/** The integer arrays of an index, broadcast together; integers among them where NumPy says so. */
function arrayEntries(entries: readonly Entry[], integersToo: boolean): ArrayEntry[] {
  const arrays = entries.flatMap((e): ArrayEntry[] => {
    if (e.kind === 'array') return [e]
    if (e.kind !== 'integer' || !integersToo) return []
    return [{ kind: 'array', axis: e.axis, index: np.array(e.value, { dtype: 'int32' }) }]
  })
  if (arrays.length === 0) return []
  const indices = broadcastAll(
    'get',
    arrays.map((e) => e.index),
  )
  return arrays.map((e, i) => ({ ...e, index: indices[i] }))
}

/** How many axes of the result stand before those of the integer arrays. */
function batchPosition(entries: readonly Entry[]): number {
  const isAdvanced = (e: Entry): boolean => e.kind === 'array' || e.kind === 'integer'
  const first = entries.findIndex(isAdvanced)
  const last = entries.findLastIndex(isAdvanced)
  const contiguous = entries.slice(first, last + 1).every(isAdvanced)
  return contiguous ? first : 0
}

// --- reading ------------------------------------------------------------------------------------------

/** The elements that an index means. */
export function get(x: NDArray, index: readonly Index[], options: ReadOptions = {}): NDArray {
  // JAX's default: the nearest element is read, and no gradient reaches it.
  const mode = options.mode ?? 'promiseInBounds'
  checkMode('get({ mode })', mode)
  const { entries, advanced } = resolve(x, index)
  // Integers are views when they are in bounds, or when out of bounds means the nearest.
  const readable = (axis: number, value: number): boolean =>
    x.shape[axis] > 0 &&
    (mode === 'clip' || mode === 'promiseInBounds' || (value >= 0 && value < x.shape[axis]))
  const integersToo =
    advanced || entries.some((e) => e.kind === 'integer' && !readable(e.axis, e.value))
  const isView = (e: Entry): boolean => e.kind === 'integer' && !integersToo
  const sliced = sliceAll(x, entries, isView)
  const arrays = arrayEntries(entries, integersToo)
  const views = entries.filter(isView).flatMap((e) => (e.kind === 'integer' ? [e.axis] : []))
  // New axes come last: until then, axes are those of `x`.
  const newAxes = (placed: number, batchRank: number): number[] => {
    let at = 0
    const result: number[] = []
    const hasBatch = arrays.length > 0
    entries.forEach((e, i) => {
      if (hasBatch && i === placed) at += batchRank
      if (e.kind === 'new') result.push(at++)
      else if (e.kind === 'slice') at++
    })
    return result
  }
  if (arrays.length === 0) {
    return prim.expandDims(prim.squeeze(sliced, { dimensions: views }), newAxes(-1, 0))
  }
  if (arrays.every((e) => e.index.ndim === 0) && mode !== 'fill' && mode !== 'drop') {
    return prim.expandDims(dynamicRead(sliced, arrays, views), newAxes(-1, 0))
  }
  const remaining = range(x.ndim).filter((axis) => !views.includes(axis))
  const operand = prim.squeeze(sliced, { dimensions: views })
  const placed = advanced ? batchPosition(entries) : 0
  const slicesBefore = entries.slice(0, placed).filter((e) => e.kind === 'slice').length
  const gathered = gatherSlices(operand, {
    axes: arrays.map((e) => remaining.indexOf(e.axis)),
    indices: arrays.map((e) => e.index),
    position: slicesBefore,
    mode,
    fillValue: options.fillValue,
  })
  return prim.expandDims(gathered, newAxes(placed, arrays[0].index.ndim))
}

/** Slices every axis that has one, and integers as slices of one element. */
function sliceAll(x: NDArray, entries: readonly Entry[], isView: (e: Entry) => boolean): NDArray {
  const start = x.shape.map(() => 0)
  const limit = [...x.shape]
  const steps = x.shape.map(() => 1)
  const reversed: number[] = []
  for (const e of entries) {
    if (e.kind === 'integer' && isView(e)) {
      const at = Math.min(Math.max(e.value, 0), x.shape[e.axis] - 1)
      start[e.axis] = at
      limit[e.axis] = at + 1
    } else if (e.kind === 'slice') {
      const { start: first, step, size } = e.extent
      const last = first + (size - 1) * step
      start[e.axis] = size === 0 ? 0 : Math.min(first, last)
      limit[e.axis] = size === 0 ? 0 : Math.max(first, last) + 1
      steps[e.axis] = Math.abs(step)
      if (step < 0 && size > 1) reversed.push(e.axis)
    }
  }
  const isWhole = start.every(
    (s, axis) => s === 0 && limit[axis] === x.shape[axis] && steps[axis] === 1,
  )
  const sliced = isWhole
    ? x
    : prim.slice(x, {
        startIndices: start,
        limitIndices: limit,
        strides: steps.every((s) => s === 1) ? null : steps,
      })
  return reversed.length === 0 ? sliced : prim.rev(sliced, { dimensions: reversed })
}

/** Traced scalars as indices: one contiguous block at a clamped start. */
function dynamicRead(x: NDArray, arrays: readonly ArrayEntry[], views: readonly number[]): NDArray {
  const zero = np.array(0, { dtype: 'int32' })
  const startOf = new Map(arrays.map((e) => [e.axis, e.index]))
  const block = prim.dynamicSlice(
    x,
    range(x.ndim).map((axis) => startOf.get(axis) ?? zero),
    { sliceSizes: x.shape.map((n, axis) => (startOf.has(axis) ? 1 : n)) },
  )
  return prim.squeeze(block, {
    dimensions: [...views, ...startOf.keys()].sort((a, b) => a - b),
  })
}

// --- updating -----------------------------------------------------------------------------------------

/** `x.at(...index)`. */
export function updateAt(x: NDArray, index: readonly Index[]): IndexUpdate {
  const update =
    (combine: Combine) =>
    (value: ArrayLike, options: UpdateOptions = {}): NDArray =>
      scatterAt(x, index, value, combine, options)
  const mul = update('mul')
  const add = update('add')
  const subtract: IndexUpdate['subtract'] = (value, options) => add(np.negative(value), options)
  const divide: IndexUpdate['divide'] = (value, options) => mul(np.reciprocal(value), options)
  return {
    set: update('set'),
    add,
    sub: subtract,
    subtract,
    mul,
    multiply: mul,
    div: divide,
    divide,
    power: (value, options) => np.power(x, updateAt(np.onesLike(x), index).mul(value, options)),
    min: update('min'),
    max: update('max'),
    get: (options = {}) =>
      get(x, index, checkOptions('at(...).get', options, ['mode', 'fillValue'])),
  }
}

function scatterAt(
  x: NDArray,
  index: readonly Index[],
  value: ArrayLike,
  combine: Combine,
  options: UpdateOptions,
): NDArray {
  const op = `at(...).${combine}`
  const mode = options.mode ?? 'drop'
  checkMode(`${op}(value, { mode })`, mode)
  if (!isArray(value) && isOptions(value)) {
    throw new ArgumentError({
      op: `${op}(value)`,
      problem: 'the value is missing',
      rule: 'the value comes before the options',
    })
  }
  const given = asArray(op, value)
  checkOptions(op, options, ['mode'])
  const updates =
    x.dtype === 'bool' ? np.astype(given, 'bool') : convert(given, x.dtype, x.aval.weakType)
  const masked = byTracedMask(x, index, updates, combine)
  if (masked) return masked

  const { entries } = resolve(x, index)
  const arrays = arrayEntries(entries, true)
  const batch: Shape = arrays.length > 0 ? arrays[0].index.shape : []
  const placed = arrays.length > 0 ? batchPosition(entries) : 0

  // The result's axes, in NumPy's order: what `value` broadcasts to.
  type Part = { size: number; from: 'batch' | 'new' | number }
  const parts: Part[] = []
  const batchParts = batch.map((size): Part => ({ size, from: 'batch' }))
  entries.forEach((e, i) => {
    if (arrays.length > 0 && i === placed) parts.push(...batchParts)
    if (e.kind === 'new') parts.push({ size: 1, from: 'new' })
    else if (e.kind === 'slice') parts.push({ size: e.extent.size, from: e.axis })
  })
  const target = parts.map((p) => p.size)
  const spread = broadcastUpdates(op, updates, target)
  const kept = parts.flatMap((p, i) => (p.from === 'new' ? [] : [i]))
  const compact = prim.reshape(spread, { newSizes: kept.map((i) => target[i]) })
  const compactParts = kept.map((i) => parts[i])

  // Contiguous slices are windows; slices with a step are positions like any other.
  const slices = entries.flatMap((e) => (e.kind === 'slice' ? [e] : []))
  const strided = slices.filter((e) => e.extent.step !== 1)
  const windows = slices.filter((e) => e.extent.step === 1)
  const order = [
    ...compactParts.flatMap((p, i) => (p.from === 'batch' ? [i] : [])),
    ...[...strided, ...windows].map((e) => compactParts.findIndex((p) => p.from === e.axis)),
  ]
  const canonical = prim.transpose(compact, { permutation: order })

  const indexShape = [...batch, ...strided.map((e) => e.extent.size)]
  const axes: number[] = []
  const indices: NDArray[] = []
  for (const e of arrays) {
    axes.push(e.axis)
    indices.push(
      prim.broadcastInDim(e.index, { shape: indexShape, broadcastDimensions: range(batch.length) }),
    )
  }
  strided.forEach((e, i) => {
    const counter = positions(indexShape, batch.length + i)
    axes.push(e.axis)
    indices.push(np.add(np.multiply(counter, e.extent.step), e.extent.start))
  })
  for (const e of windows) {
    if (e.extent.size === x.shape[e.axis]) continue
    axes.push(e.axis)
    indices.push(prim.full(indexShape, e.extent.start, 'int32'))
  }
  if (indices.length === 0) return combineWhole(x, broadcastTo(canonical, x.shape), combine)
  return scatterSlices(x, canonical, {
    axes,
    indices,
    windowAxes: windows.map((e) => e.axis),
    combine,
    mode,
    uniqueIndices: options.uniqueIndices ?? arrays.every((e) => e.index.ndim === 0),
  })
}

function broadcastUpdates(op: string, updates: NDArray, target: Shape): NDArray {
  const lead = updates.ndim - target.length
  const trimmed =
    lead > 0 && updates.shape.slice(0, lead).every((n) => n === 1)
      ? prim.reshape(updates, { newSizes: updates.shape.slice(lead) })
      : updates
  const fits =
    trimmed.ndim <= target.length &&
    trimmed.shape.every((n, i) => n === 1 || n === target[target.length - trimmed.ndim + i])
  if (fits) return broadcastTo(trimmed, target)
  throw new ShapeError({
    op: `${op}(value)`,
    problem: `the value does not broadcast to the indexed part [${target.join(',')}]`,
    operands: [{ name: 'value', aval: updates.aval }],
    rule: 'aligned at the last axis, each size of the value is 1 or that of the part',
  })
}

const combineWhole = (x: NDArray, updates: NDArray, combine: Combine): NDArray => {
  switch (combine) {
    case 'set':
      return updates
    case 'add':
      return np.add(x, updates)
    case 'mul':
      return np.multiply(x, updates)
    case 'min':
      return np.minimum(x, updates)
    default:
      return np.maximum(x, updates)
  }
}

/** A traced mask over the whole array with a scalar value needs no positions: it chooses. */
function byTracedMask(
  x: NDArray,
  index: readonly Index[],
  updates: NDArray,
  combine: Combine,
): NDArray | null {
  const [mask] = index
  if (index.length !== 1 || !isArray(mask) || mask.dtype !== 'bool' || mask.owner === null)
    return null
  if (updates.ndim !== 0 || !shapesEqual(mask.shape, x.shape)) return null
  return np.where(mask, combineWhole(x, broadcastTo(updates, x.shape), combine), x)
}
