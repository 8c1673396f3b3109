/** Joining, splitting, repeating and padding. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { readElements } from '../../trace/interpreter'
import { ArgumentError, ShapeError } from '../../types/errors'
import { range } from '../../types/shape'
import { canonicalAxis, checkOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  convert,
  isArray,
  operandReports,
  promoteDTypes,
  signature,
} from '../promotion'
import { atleast1d, atleast2d, atleast3d, ravel } from './shape'

type AxisOption = number | { readonly axis?: number }
const axisOr = <Axis extends number | null>(
  op: string,
  axis: Axis | { readonly axis?: Axis },
  otherwise: Axis,
): Axis => {
  if (axis === null || typeof axis === 'number') return axis
  const { axis: given } = checkOptions(op, axis, ['axis'])
  return given === undefined ? otherwise : given
}

function requireSome(op: string, xs: readonly ArrayLike[] | NDArray): readonly ArrayLike[] {
  const list = isArray(xs) ? unstack(xs) : xs
  if (list.length > 0) return list
  throw new ArgumentError({
    op: `${op}(arrays)`,
    problem: 'there is nothing to join',
    rule: 'at least one array',
  })
}

/** The slices along the first axis. */
export function unstack(x: ArrayLike, axisOrOptions: AxisOption = 0): NDArray[] {
  const a = asArray('unstack', x)
  const axis = canonicalAxis('unstack', axisOr('unstack', axisOrOptions, 0), a)
  return range(a.shape[axis]).map((i) =>
    prim.squeeze(prim.sliceInAxis(a, axis, i, i + 1), { dimensions: [axis] }),
  )
}

/** Joins arrays along an axis that they have; flattened first if `axis` is null. */
export function concatenate(
  arrays: readonly ArrayLike[] | NDArray,
  axisOrOptions: number | null | { readonly axis?: number | null } = 0,
): NDArray {
  const axis = axisOr<number | null>('concatenate', axisOrOptions, 0)
  const list = requireSome('concatenate', arrays)
  const xs = promoteDTypes('concatenate', axis === null ? list.map(ravel) : list)
  if (axis !== null && xs[0].ndim === 0) {
    throw new ShapeError({
      op: signature('concatenate', xs.length),
      problem: 'a scalar has no axis to join along',
      operands: operandReports(xs),
      rule: 'every array has the joined axis',
      hint: 'np.stack makes a vector of scalars',
    })
  }
  const along = axis === null ? 0 : canonicalAxis('concatenate', axis, xs[0])
  const odd = xs.findIndex(
    (x) => x.ndim !== xs[0].ndim || x.shape.some((n, i) => i !== along && n !== xs[0].shape[i]),
  )
  if (odd >= 0) {
    throw new ShapeError({
      op: signature('concatenate', xs.length),
      problem: 'shapes differ outside the joined axis',
      operands: operandReports(xs),
      axis: along,
      rule: `all sizes except those of axis ${along} are equal`,
      hint: xs[odd].ndim === xs[0].ndim ? undefined : 'np.stack joins along a new axis',
    })
  }
  return xs.length === 1 ? xs[0] : prim.concatenate(xs, { dimension: along })
}
export const concat: typeof concatenate = concatenate

/** Joins arrays of equal shape along a new axis. */
export function stack(
  arrays: readonly ArrayLike[] | NDArray,
  axisOrOptions: AxisOption = 0,
): NDArray {
  const xs = promoteDTypes('stack', requireSome('stack', arrays))
  const axis = canonicalAxis('stack', axisOr('stack', axisOrOptions, 0), xs[0], xs[0].ndim + 1)
  if (xs.some((x) => x.ndim !== xs[0].ndim || x.shape.some((n, i) => n !== xs[0].shape[i]))) {
    throw new ShapeError({
      op: signature('stack', xs.length),
      problem: 'shapes differ',
      operands: operandReports(xs),
      rule: 'all arrays have the same shape',
      hint: 'np.concatenate joins along an axis whose sizes may differ',
    })
  }
  return prim.concatenate(
    xs.map((x) => prim.expandDims(x, [axis])),
    { dimension: axis },
  )
}

/** Joins along the first axis; vectors become rows. */
export const vstack = (arrays: readonly ArrayLike[]): NDArray =>
  concatenate(arrays.map(atleast2d), 0)
/** Joins along the second axis; vectors end to end. */
export const hstack = (arrays: readonly ArrayLike[]): NDArray => {
  const xs = arrays.map(atleast1d)
  return concatenate(xs, xs.length > 0 && xs[0].ndim === 1 ? 0 : 1)
}
/** Joins along the third axis. */
export const dstack = (arrays: readonly ArrayLike[]): NDArray =>
  concatenate(arrays.map(atleast3d), 2)
/** Vectors as the columns of a matrix. */
export const columnStack = (arrays: readonly ArrayLike[]): NDArray =>
  concatenate(
    arrays.map((x) => {
      const a = atleast1d(x)
      return a.ndim === 1 ? prim.expandDims(a, [1]) : a
    }),
    1,
  )

/** `values` after `x`, both flattened unless an axis is given. */
export const append = (
  x: ArrayLike,
  values: ArrayLike,
  axisOrOptions: number | null | { readonly axis?: number | null } = null,
): NDArray => {
  const axis = axisOr<number | null>('append', axisOrOptions, null)
  return concatenate([asArray('append', x), asArray('append', values)], axis)
}

// --- splitting --------------------------------------------------------------------------------------

const piecesAt = (a: NDArray, axis: number, cuts: readonly number[]): NDArray[] => {
  const n = a.shape[axis]
  const bounds = [0, ...cuts.map((c) => Math.min(n, Math.max(0, c < 0 ? c + n : c))), n]
  return range(bounds.length - 1).map((i) =>
    prim.sliceInAxis(a, axis, bounds[i], Math.max(bounds[i], bounds[i + 1])),
  )
}

/** Cuts an axis into `sections` parts, or before each of these positions. */
export function arraySplit(
  x: ArrayLike,
  sections: number | readonly number[],
  axisOrOptions: AxisOption = 0,
): NDArray[] {
  const a = asArray('arraySplit', x)
  const axis = canonicalAxis('arraySplit', axisOr('arraySplit', axisOrOptions, 0), a)
  if (typeof sections !== 'number') return piecesAt(a, axis, sections)
  if (!Number.isInteger(sections) || sections < 1) {
    throw new ArgumentError({
      op: 'arraySplit(a, sections)',
      problem: `cannot make ${sections} parts`,
      operands: operandReports([a]),
      rule: 'the number of parts is a positive integer',
    })
  }
  const n = a.shape[axis]
  const [small, larger] = [Math.floor(n / sections), n % sections]
  const cuts = range(1, sections).map((i) => i * small + Math.min(i, larger))
  return piecesAt(a, axis, cuts)
}

/** `arraySplit` into equal parts. */
export function split(
  x: ArrayLike,
  sections: number | readonly number[],
  axisOrOptions: AxisOption = 0,
): NDArray[] {
  const a = asArray('split', x)
  const axis = canonicalAxis('split', axisOr('split', axisOrOptions, 0), a)
  if (typeof sections === 'number' && a.shape[axis] % sections !== 0) {
    throw new ShapeError({
      op: 'split(a, sections)',
      problem: `${a.shape[axis]} elements do not make ${sections} equal parts`,
      operands: operandReports([a]),
      axis,
      hint: 'np.arraySplit allows parts of different sizes',
    })
  }
  return arraySplit(a, sections, axis)
}
export const vsplit = (x: ArrayLike, sections: number | readonly number[]): NDArray[] =>
  split(x, sections, 0)
export const hsplit = (x: ArrayLike, sections: number | readonly number[]): NDArray[] => {
  const a = asArray('hsplit', x)
  return split(a, sections, a.ndim === 1 ? 0 : 1)
}
export const dsplit = (x: ArrayLike, sections: number | readonly number[]): NDArray[] =>
  split(x, sections, 2)

// --- repeating --------------------------------------------------------------------------------------

/** The whole array repeated along each axis. */
export function tile(x: ArrayLike, reps: number | readonly number[]): NDArray {
  const a = asArray('tile', x)
  const given = typeof reps === 'number' ? [reps] : reps
  const rank = Math.max(a.ndim, given.length)
  const counts = [...range(rank - given.length).map(() => 1), ...given]
  const sizes = [...range(rank - a.ndim).map(() => 1), ...a.shape]
  const interleaved = prim.reshape(a, { newSizes: sizes.flatMap((n) => [1, n]) })
  const spread = prim.broadcastInDim(interleaved, {
    shape: sizes.flatMap((n, i) => [counts[i], n]),
    broadcastDimensions: range(2 * rank),
  })
  return prim.reshape(spread, { newSizes: sizes.map((n, i) => n * counts[i]) })
}

export interface RepeatOptions {
  readonly axis?: number | null
}

/** Each element (or slice along an axis) repeated, equally often or by a list of counts. */
export function repeat(
  x: ArrayLike,
  repeats: number | readonly number[] | NDArray,
  axisOrOptions: number | null | RepeatOptions = null,
): NDArray {
  const given = axisOr<number | null>('repeat', axisOrOptions, null)
  const a = given === null ? ravel(x) : asArray('repeat', x)
  const axis = given === null ? 0 : canonicalAxis('repeat', given, a)
  const n = a.shape[axis]
  const counts = isArray(repeats)
    ? Array.from(readElements(repeats, 'repeat(a, repeats)'), Number)
    : typeof repeats === 'number'
      ? [repeats]
      : repeats
  if (counts.length === 1) {
    const shape = [...a.shape.slice(0, axis + 1), counts[0], ...a.shape.slice(axis + 1)]
    const spread = prim.broadcastInDim(a, {
      shape,
      broadcastDimensions: range(a.ndim).map((i) => (i <= axis ? i : i + 1)),
    })
    return prim.reshape(spread, {
      newSizes: a.shape.map((size, i) => (i === axis ? size * counts[0] : size)),
    })
  }
  if (counts.length !== n) {
    throw new ShapeError({
      op: 'repeat(a, repeats)',
      problem: `${counts.length} counts for ${n} elements`,
      operands: operandReports([a]),
      axis,
      rule: 'one count for all, or one for each',
    })
  }
  const parts = counts.flatMap((count, i) =>
    count === 0 ? [] : [repeat(prim.sliceInAxis(a, axis, i, i + 1), count, axis)],
  )
  return parts.length === 0 ? prim.sliceInAxis(a, axis, 0, 0) : concatenate(parts, axis)
}

// --- padding ----------------------------------------------------------------------------------------

export type PadMode = 'constant' | 'edge' | 'reflect' | 'symmetric' | 'wrap' | 'empty'
export interface PadOptions {
  readonly mode?: PadMode
  /** For `'constant'`: one value, or `[before, after]`, or one such pair per axis. */
  readonly constantValues?: ArrayLike | readonly number[] | readonly (readonly number[])[]
}
type Widths = number | readonly number[] | readonly (readonly number[])[]

/** `n`, `[before, after]` or one pair per axis, as a pair per axis. */
function pairs(op: string, x: NDArray, widths: Widths): [number, number][] {
  const bad = (): ArgumentError =>
    new ArgumentError({
      op,
      problem: `cannot read ${JSON.stringify(widths)}`,
      operands: operandReports([x]),
      rule: 'a number, [before, after], or one [before, after] per axis',
    })
  const pairOf = (w: number | readonly number[]): [number, number] => {
    if (typeof w === 'number') return [w, w]
    if (w.length === 1) return [w[0], w[0]]
    if (w.length === 2) return [w[0], w[1]]
    throw bad()
  }
  if (typeof widths === 'number') return range(x.ndim).map(() => pairOf(widths))
  const first = widths[0]
  if (widths.length > 0 && widths.every((w) => typeof w === 'number')) {
    const flat = widths
    return range(x.ndim).map(() => pairOf(flat))
  }
  if (first === undefined && x.ndim > 0) throw bad()
  if (widths.length === 1 && first !== undefined) return range(x.ndim).map(() => pairOf(first))
  if (widths.length !== x.ndim) throw bad()
  return widths.map(pairOf)
}

/** Adds elements before and after along every axis. */
export function pad(
  x: ArrayLike,
  padWidth: Widths,
  modeOrOptions: PadMode | PadOptions = 'constant',
  rest: PadOptions = {},
): NDArray {
  const options =
    typeof modeOrOptions === 'string' ? { ...rest, mode: modeOrOptions } : modeOrOptions
  const { mode = 'constant', constantValues = 0 } = checkOptions('pad', options, [
    'mode',
    'constantValues',
  ])
  const a = asArray('pad', x)
  const widths = pairs('pad(a, padWidth)', a, padWidth)
  if (
    widths.some(([before, after]) => before < 0 || after < 0 || before % 1 !== 0 || after % 1 !== 0)
  ) {
    throw new ArgumentError({
      op: 'pad(a, padWidth)',
      problem: `widths ${JSON.stringify(padWidth)} are not all nonnegative integers`,
      operands: operandReports([a]),
      hint: 'x.get with slices removes elements',
    })
  }
  if (mode === 'constant' || mode === 'empty')
    return padConstant(a, widths, mode === 'empty' ? 0 : constantValues)
  const order = padOrders[mode]
  if (order === undefined) {
    throw new ArgumentError({
      op: 'pad(a, padWidth, { mode })',
      problem: `unknown mode '${mode}'`,
      rule: `mode is one of constant, ${Object.keys(padOrders).join(', ')}, empty`,
    })
  }
  return widths.reduce<NDArray>((result, [before, after], axis) => {
    const n = result.shape[axis]
    if (before === 0 && after === 0) return result
    if (n === 0) {
      throw new ShapeError({
        op: `pad(a, padWidth, '${mode}')`,
        problem: `axis ${axis} is empty: there is nothing to repeat`,
        operands: operandReports([a]),
        axis,
      })
    }
    const sources = range(-before, n + after).map((i) => order(i, n))
    return concatenate(
      runs(sources).map((run) => partOf(result, axis, run)),
      axis,
    )
  }, a)
}

const modulo = (i: number, n: number): number => ((i % n) + n) % n
/** Which element stands at position `i`, from −before to n + after − 1. */
const padOrders: { readonly [mode: string]: (i: number, n: number) => number } = {
  edge: (i, n) => Math.min(n - 1, Math.max(0, i)),
  wrap: modulo,
  symmetric: (i, n) => {
    const p = modulo(i, 2 * n)
    return p < n ? p : 2 * n - 1 - p
  },
  reflect: (i, n) => {
    if (n === 1) return 0
    const p = modulo(i, 2 * n - 2)
    return p < n ? p : 2 * n - 2 - p
  },
}

interface Run {
  readonly start: number
  readonly step: number
  readonly count: number
}

/** A list of positions as stretches that go up, go down or stand still: slices, reversals, repeats. */
function runs(sources: readonly number[]): Run[] {
  const result: Run[] = []
  for (let i = 0; i < sources.length;) {
    const step = i + 1 < sources.length ? sources[i + 1] - sources[i] : 1
    let count = 1
    if (Math.abs(step) <= 1) while (sources[i + count] - sources[i + count - 1] === step) count++
    result.push({ start: sources[i], step: count === 1 ? 1 : step, count })
    i += count
  }
  return result
}

function partOf(x: NDArray, axis: number, { start, step, count }: Run): NDArray {
  if (step === 1) return prim.sliceInAxis(x, axis, start, start + count)
  if (step === 0) return repeat(prim.sliceInAxis(x, axis, start, start + 1), count, axis)
  return prim.rev(prim.sliceInAxis(x, axis, start - count + 1, start + 1), { dimensions: [axis] })
}

function padConstant(
  x: NDArray,
  widths: readonly [number, number][],
  values: ArrayLike | readonly number[] | readonly (readonly number[])[],
): NDArray {
  const scalar = (v: ArrayLike): NDArray => convert(asArray('pad', v), x.dtype, x.aval.weakType)
  if (!Array.isArray(values)) {
    return prim.pad(x, scalar(values as ArrayLike), {
      paddingConfig: widths.map(([before, after]) => [before, after, 0] as const),
    })
  }
  const ends = pairs('pad(a, padWidth, { constantValues })', x, values as readonly number[])
  const only = (axis: number, before: number, after: number) =>
    range(x.ndim).map((i) => (i === axis ? ([before, after, 0] as const) : ([0, 0, 0] as const)))
  return widths.reduce<NDArray>((result, [before, after], axis) => {
    const low = prim.pad(result, scalar(ends[axis][0]), { paddingConfig: only(axis, before, 0) })
    return prim.pad(low, scalar(ends[axis][1]), { paddingConfig: only(axis, 0, after) })
  }, x)
}
