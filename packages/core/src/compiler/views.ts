/**
 * Views: rewriting the leaves of scalar expressions.
 *
 * Nothing here moves data. An expression over one iteration space becomes an expression over
 * another by composing the affine functions in its leaves. Rewriting keeps sharing: a node that
 * occurs twice in an expression is rewritten once, so every function takes linear time.
 */
import { type Shape, sizeOf } from '../types/aval'
import {
  type Affine,
  binary,
  constant,
  convert,
  type DynamicOffset,
  index,
  type Load,
  type Scalar,
} from './expr'

/** Strides that walk `shape` in row-major order; 0 along axes of size 1, where nothing moves. */
export function rowMajor(shape: Shape): Affine {
  const strides = new Array<number>(shape.length).fill(0)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1) strides[axis] = stride
    stride *= shape[axis]
  }
  return { offset: 0, strides }
}

/** The affine function that is the index along `axis`. */
export const alongAxis = (rank: number, axis: number, stride = 1, offset = 0): Affine => {
  const strides = new Array<number>(rank).fill(0)
  strides[axis] = stride
  return { offset, strides }
}

export const affineEqual = (a: Affine, b: Affine): boolean =>
  a.offset === b.offset &&
  a.strides.length === b.strides.length &&
  a.strides.every((s, i) => s === b.strides[i])

/** Equal as functions on `shape`: strides along axes of size 1 do not matter. */
export const affineEqualOn = (shape: Shape, a: Affine, b: Affine): boolean =>
  a.offset === b.offset && shape.every((n, axis) => n === 1 || a.strides[axis] === b.strides[axis])

/** `at ∘ source`: `source` gives the coordinate along each axis of `at`, over a space of `rank`. */
export function compose(at: Affine, source: readonly Affine[], rank: number): Affine {
  let offset = at.offset
  const strides = new Array<number>(rank).fill(0)
  for (let axis = 0; axis < source.length; axis++) {
    const scale = at.strides[axis]
    if (scale === 0) continue
    offset += scale * source[axis].offset
    for (let j = 0; j < rank; j++) strides[j] += scale * source[axis].strides[j]
  }
  return { offset, strides }
}

export type Cache = Map<Scalar, Scalar>

/** Rewrites leaves, rebuilding what stands above changed ones. `leaf` gets loads whose dynamic offsets are done. */
export function rewrite(
  root: Scalar,
  leaf: (leaf: Scalar) => Scalar,
  cache: Cache = new Map(),
): Scalar {
  const visit = (e: Scalar): Scalar => {
    const known = cache.get(e)
    if (known !== undefined) return known
    const result = rebuild(e, visit, leaf)
    cache.set(e, result)
    return result
  }
  return visit(root)
}

function rebuild(e: Scalar, visit: (e: Scalar) => Scalar, leaf: (leaf: Scalar) => Scalar): Scalar {
  switch (e.kind) {
    case 'const':
    case 'index':
    case 'accumulator':
      return leaf(e)
    case 'load':
      return leaf(e.offsets.length === 0 ? e : withOffsets(e, rewriteOffsets(e.offsets, visit)))
    default:
      return withOperands(e, visit)
  }
}

export const withOffsets = (
  { kind, dtype, source, at }: Load,
  offsets: readonly DynamicOffset[],
): Load => ({ kind, dtype, source, at, offsets })

/** One level of rewriting, with operands visited by the caller's function; itself if none changes. */
export function withOperands(e: Scalar, visit: (e: Scalar) => Scalar): Scalar {
  switch (e.kind) {
    case 'const':
    case 'index':
    case 'accumulator':
      return e
    case 'load': {
      if (e.offsets.length === 0) return e
      const offsets = rewriteOffsets(e.offsets, visit)
      return offsets.every((o, i) => o.value === e.offsets[i].value) ? e : withOffsets(e, offsets)
    }
    case 'unary': {
      const x = visit(e.x)
      return x === e.x ? e : { kind: 'unary', op: e.op, dtype: e.dtype, x }
    }
    case 'convert': {
      const x = visit(e.x)
      return x === e.x ? e : { kind: 'convert', dtype: e.dtype, x }
    }
    case 'bitcast': {
      const x = visit(e.x)
      return x === e.x ? e : { kind: 'bitcast', dtype: e.dtype, x }
    }
    case 'binary': {
      const x = visit(e.x)
      const y = visit(e.y)
      return x === e.x && y === e.y ? e : { kind: 'binary', op: e.op, dtype: e.dtype, x, y }
    }
    case 'select': {
      const condition = visit(e.condition)
      const onTrue = visit(e.onTrue)
      const onFalse = visit(e.onFalse)
      if (condition === e.condition && onTrue === e.onTrue && onFalse === e.onFalse) return e
      return { kind: 'select', dtype: e.dtype, condition, onTrue, onFalse }
    }
  }
}

export const rewriteOffsets = (
  offsets: readonly DynamicOffset[],
  visit: (e: Scalar) => Scalar,
): readonly DynamicOffset[] => offsets.map((o) => ({ value: visit(o.value), stride: o.stride }))

/** Applies `change` to every affine function in an expression. */
export function rewriteAffines(
  root: Scalar,
  change: (at: Affine) => Affine,
  cache: Cache = new Map(),
): Scalar {
  return rewrite(root, affineLeaf(change), cache)
}

export const affineLeaf =
  (change: (at: Affine) => Affine) =>
  (leaf: Scalar): Scalar => {
    if (leaf.kind === 'index') return index(change(leaf.at))
    if (leaf.kind !== 'load') return leaf
    const { kind, dtype, source, at, offsets } = leaf
    return { kind, dtype, source, at: change(at), offsets }
  }

/** Visits every node of some expressions once, dynamic offsets included, operands first. */
export function forEachNode(
  roots: Iterable<Scalar>,
  visit: (e: Scalar) => void,
  /** Those that have been visited, to go on from there. */
  seen: Set<Scalar> = new Set<Scalar>(),
): void {
  const walk = (e: Scalar): void => {
    if (seen.has(e)) return
    seen.add(e)
    // As `operandsOf`, without lists: this is what compiling does most.
    switch (e.kind) {
      case 'load':
        for (let i = 0; i < e.offsets.length; i++) walk(e.offsets[i].value)
        break
      case 'unary':
      case 'convert':
      case 'bitcast':
        walk(e.x)
        break
      case 'binary':
        walk(e.x)
        walk(e.y)
        break
      case 'select':
        walk(e.condition)
        walk(e.onTrue)
        walk(e.onFalse)
        break
    }
    visit(e)
  }
  for (const root of roots) walk(root)
}

export function operandsOf(e: Scalar): readonly Scalar[] {
  switch (e.kind) {
    case 'const':
    case 'index':
    case 'accumulator':
      return []
    case 'load':
      return e.offsets.length === 0 ? [] : e.offsets.map((o) => o.value)
    case 'unary':
    case 'convert':
    case 'bitcast':
      return [e.x]
    case 'binary':
      return [e.x, e.y]
    case 'select':
      return [e.condition, e.onTrue, e.onFalse]
  }
}

/** The affine functions of all leaves. */
export function affinesOf(roots: Iterable<Scalar>): readonly Affine[] {
  const result: Affine[] = []
  forEachNode(roots, (e) => {
    if (e.kind === 'load' || e.kind === 'index') result.push(e.at)
  })
  return result
}

export function loadsOf(roots: Iterable<Scalar>): readonly Load[] {
  const result: Load[] = []
  forEachNode(roots, (e) => {
    if (e.kind === 'load') result.push(e)
  })
  return result
}

/** Element `j` of the result is element `source(j)`. */
export function reindexScalar(root: Scalar, source: readonly Affine[], rank: number): Scalar {
  if (source.length === rank && source.every((a, axis) => affineEqual(a, alongAxis(rank, axis))))
    return root
  return rewriteAffines(root, (at) => compose(at, source, rank))
}

// --- reshapes --------------------------------------------------------------------------------------

/** How a reshape of an affine function proceeds, or null where it is not affine any more. */
export type AffineReshape = (at: Affine) => Affine | null

/**
 * Splits and merges axes from `from` to `to` (of equal size). Within the smallest groups of axes
 * whose products agree, the old axes must walk memory as one: outer stride = inner stride × inner size.
 */
export function affineReshape(from: Shape, to: Shape): AffineReshape {
  if (sizeOf(from) !== sizeOf(to)) throw new Error(`reshape of [${from.join()}] to [${to.join()}]`)
  if (sizeOf(from) === 0) return () => ({ offset: 0, strides: to.map(() => 0) })
  const groups: { readonly from: number[]; readonly to: number[] }[] = []
  let i = 0
  let j = 0
  while (i < from.length || j < to.length) {
    const group = { from: [] as number[], to: [] as number[] }
    let sizeFrom = 1
    let sizeTo = 1
    do {
      if (j >= to.length || (i < from.length && sizeFrom <= sizeTo)) {
        if (from[i] !== 1) group.from.push(i)
        sizeFrom *= from[i++]
      } else {
        if (to[j] !== 1) group.to.push(j)
        sizeTo *= to[j++]
      }
    } while (sizeFrom !== sizeTo)
    if (group.from.length > 0) groups.push(group)
  }
  return (at) => {
    const strides = new Array<number>(to.length).fill(0)
    for (const group of groups) {
      for (let k = 0; k + 1 < group.from.length; k++) {
        const outer = group.from[k]
        const inner = group.from[k + 1]
        if (at.strides[outer] !== at.strides[inner] * from[inner]) return null
      }
      let stride = at.strides[group.from[group.from.length - 1]]
      for (let k = group.to.length - 1; k >= 0; k--) {
        strides[group.to[k]] = stride
        stride *= to[group.to[k]]
      }
    }
    return { offset: at.offset, strides }
  }
}

/** The same elements in row-major order under another shape, or null if a leaf cannot follow. */
export function reshapeScalar(root: Scalar, from: Shape, to: Shape): Scalar | null {
  const reshape = affineReshape(from, to)
  const changed = new Map<Affine, Affine>()
  for (const at of affinesOf([root])) {
    const result = reshape(at)
    if (result === null) return null
    changed.set(at, result)
  }
  return rewriteAffines(root, (at) => changed.get(at) ?? at)
}

/**
 * The coarsest shape that both shapes (of equal size) become by splitting axes, or null: `[6, 4]`
 * and `[24]` give `[6, 4]`; `[6, 4]` and `[4, 6]` have none.
 */
export function commonRefinement(a: Shape, b: Shape): Shape | null {
  const total = sizeOf(a)
  if (total !== sizeOf(b)) return null
  if (total === 0) return null
  const cuts = new Set<number>([1])
  for (const shape of [a, b]) {
    let suffix = 1
    for (let axis = shape.length - 1; axis >= 0; axis--) cuts.add((suffix *= shape[axis]))
  }
  const ordered = [...cuts].sort((x, y) => y - x)
  const refined: number[] = []
  for (let k = 0; k + 1 < ordered.length; k++) {
    const size = ordered[k] / ordered[k + 1]
    if (!Number.isInteger(size)) return null
    refined.push(size)
  }
  return refined
}

// --- data-dependent reads --------------------------------------------------------------------------

/** A coordinate as an affine part plus dynamic parts. */
export interface Coordinate {
  readonly at: Affine
  readonly dynamic: readonly DynamicOffset[]
}

/** Separates the affine part of an int32 expression. Sums wrap, so the parts may be added in any order. */
export function splitCoordinate(e: Scalar, rank: number): Coordinate {
  const zeros = new Array<number>(rank).fill(0)
  if (e.kind === 'const') return { at: { offset: Number(e.value), strides: zeros }, dynamic: [] }
  if (e.kind === 'index') return { at: e.at, dynamic: [] }
  if (e.kind === 'binary' && e.dtype === 'int32') {
    if (e.op === 'add' || e.op === 'sub') {
      const x = splitCoordinate(e.x, rank)
      const y = splitCoordinate(e.y, rank)
      return addCoordinates(x, e.op === 'sub' ? scaleCoordinate(y, -1) : y)
    }
    if (e.op === 'mul' && e.y.kind === 'const')
      return scaleCoordinate(splitCoordinate(e.x, rank), Number(e.y.value))
    if (e.op === 'mul' && e.x.kind === 'const')
      return scaleCoordinate(splitCoordinate(e.y, rank), Number(e.x.value))
  }
  return { at: { offset: 0, strides: zeros }, dynamic: [{ value: e, stride: 1 }] }
}

const addCoordinates = (x: Coordinate, y: Coordinate): Coordinate => ({
  at: {
    offset: x.at.offset + y.at.offset,
    strides: x.at.strides.map((s, i) => s + y.at.strides[i]),
  },
  dynamic: [...x.dynamic, ...y.dynamic],
})

const scaleCoordinate = (x: Coordinate, scale: number): Coordinate => ({
  at: { offset: x.at.offset * scale, strides: x.at.strides.map((s) => s * scale) },
  dynamic: x.dynamic.map((d) => ({ value: d.value, stride: d.stride * scale })),
})

/** Element `j` of the result is the element at `coordinates(j)`, which may depend on data. */
export function takeScalar(root: Scalar, coordinates: readonly Coordinate[], rank: number): Scalar {
  const source = coordinates.map((c) => c.at)
  return rewrite(root, (leaf) => {
    if (leaf.kind !== 'load' && leaf.kind !== 'index') return leaf
    const at = compose(leaf.at, source, rank)
    const dynamic = coordinates.flatMap((c, axis) =>
      leaf.at.strides[axis] === 0
        ? []
        : c.dynamic.map((d) => ({ value: d.value, stride: d.stride * leaf.at.strides[axis] })),
    )
    if (leaf.kind === 'load') return { ...leaf, at, offsets: [...leaf.offsets, ...dynamic] }
    let sum: Scalar = index(at)
    for (const d of dynamic) {
      sum = binary(
        'add',
        'int32',
        sum,
        binary('mul', 'int32', d.value, constant('int32', d.stride)),
      )
    }
    return sum
  })
}

/** Bounds of an integer expression over `shape`, or null where nothing is known. */
export function rangeOf(e: Scalar, shape: Shape): readonly [min: number, max: number] | null {
  switch (e.kind) {
    case 'const':
      return [Number(e.value), Number(e.value)]
    case 'index': {
      let min = e.at.offset
      let max = e.at.offset
      for (let axis = 0; axis < shape.length; axis++) {
        const reach = e.at.strides[axis] * Math.max(0, shape[axis] - 1)
        if (reach < 0) min += reach
        else max += reach
      }
      return [min, max]
    }
    case 'binary': {
      if (e.dtype !== 'int32') return null
      if (e.op === 'max' || e.op === 'min') {
        const x = rangeOf(e.x, shape) ?? anyInt32
        const y = rangeOf(e.y, shape) ?? anyInt32
        const pick = e.op === 'max' ? Math.max : Math.min
        return [pick(x[0], y[0]), pick(x[1], y[1])]
      }
      const x = rangeOf(e.x, shape)
      const y = rangeOf(e.y, shape)
      if (x === null || y === null) return null
      if (e.op === 'add') return inInt32([x[0] + y[0], x[1] + y[1]])
      if (e.op === 'sub') return inInt32([x[0] - y[1], x[1] - y[0]])
      if (e.op === 'mul') {
        const products = [x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]]
        return inInt32([Math.min(...products), Math.max(...products)])
      }
      return null
    }
    case 'select': {
      const x = rangeOf(e.onTrue, shape)
      const y = rangeOf(e.onFalse, shape)
      return x === null || y === null ? null : [Math.min(x[0], y[0]), Math.max(x[1], y[1])]
    }
    default:
      return null
  }
}

const anyInt32: readonly [number, number] = [-(2 ** 31), 2 ** 31 - 1]
const inInt32 = (range: readonly [number, number]): readonly [number, number] | null =>
  range[0] < anyInt32[0] || range[1] > anyInt32[1] ? null : range

/** `e` clamped to `min … max`, written only as far as its range does not say so already. */
export function clampIndex(e: Scalar, min: number, max: number, shape: Shape): Scalar {
  const bare = e.dtype === 'int32' ? e : convert('int32', e)
  const range = rangeOf(bare, shape) ?? anyInt32
  let result = bare
  if (range[0] < min) result = binary('max', 'int32', result, constant('int32', min))
  if (range[1] > max) result = binary('min', 'int32', result, constant('int32', max))
  return result
}
