/**
 * Iteration spaces of nodes: merging their axes, splitting them, and sharing equal expressions.
 *
 * A node has groups of axes (outer and reduced ones; batch, m, n and k), and each of its expressions
 * runs over some of the groups. Axes merge only within a group, and only if all leaves agree.
 */
import type { Shape } from '../types/aval'
import type { Affine, Scalar } from './expr'
import type {
  ContractNode,
  LoopNode,
  MapNode,
  ReduceNode,
  RowsNode,
  RowStep,
  ScatterNode,
  Store,
} from './nodes'
import {
  affineEqual,
  affineLeaf,
  affineReshape,
  affinesOf,
  type Cache,
  rewrite,
  rewriteOffsets,
  withOperands,
} from './views'

/** Nodes that run expressions over a space. */
export type SpacedNode = MapNode | ReduceNode | RowsNode | ContractNode | ScatterNode
/** Those whose results are written by stores. */
export type StoringNode = MapNode | ReduceNode | ContractNode

export const isSpaced = (node: LoopNode): node is SpacedNode =>
  isStoring(node) || node.kind === 'rows' || node.kind === 'scatter'
export const isStoring = (node: LoopNode): node is StoringNode =>
  node.kind === 'map' || node.kind === 'reduce' || node.kind === 'contract'

/** The space that a node's stores run over. */
export const storeSpace = (node: StoringNode): Shape =>
  node.kind === 'contract' ? [...node.batch, ...node.m, ...node.n] : node.shape

/** The axes of a step that are not those of its rows. */
export const innerOf = (step: RowStep, rows: Shape): Shape =>
  step.kind === 'reduce' ? step.reduced : step.shape.slice(rows.length)

export const groupsOf = (node: SpacedNode): readonly Shape[] => {
  switch (node.kind) {
    case 'map':
    case 'scatter':
      return [node.shape]
    case 'reduce':
      return [node.shape, node.reduced]
    case 'rows':
      return [node.shape, ...node.steps.map((step) => innerOf(step, node.shape))]
    case 'contract':
      return [node.batch, node.m, node.n, node.k]
  }
}

/** Affine functions over some groups, named by their positions. */
interface View {
  readonly over: readonly number[]
  readonly affines: readonly Affine[]
}

const storeAffines = (stores: readonly Store[]): readonly Affine[] => [
  ...stores.map((s) => s.at),
  ...affinesOf(stores.flatMap((s) => [s.value, ...s.offsets.map((o) => o.value)])),
]

function viewsOf(node: SpacedNode): readonly View[] {
  switch (node.kind) {
    case 'map':
      return [{ over: [0], affines: storeAffines(node.stores) }]
    case 'scatter': {
      const roots = node.inBounds === null ? [] : [node.inBounds]
      return [{ over: [0], affines: affinesOf([...roots, node.position, node.update]) }]
    }
    case 'reduce':
      return [
        { over: [0, 1], affines: affinesOf(node.reductions.map((r) => r.value)) },
        { over: [0], affines: storeAffines(node.stores) },
      ]
    case 'rows':
      return node.steps.flatMap((step, i) =>
        viewsOf(step).map(({ over, affines }) => ({
          over: step.kind === 'map' || over.length > 1 ? [0, i + 1] : over,
          affines,
        })),
      )
    case 'contract':
      return [
        { over: [0, 1, 3], affines: affinesOf([node.lhs.value]) },
        { over: [0, 2, 3], affines: affinesOf([node.rhs.value]) },
        { over: [0, 1, 2], affines: storeAffines(node.stores) },
      ]
  }
}

type Change = (at: Affine, over: readonly number[]) => Affine

/** The node over other groups, every affine function changed accordingly. */
function withGroups<N extends SpacedNode>(node: N, groups: readonly Shape[], change: Change): N
function withGroups(node: SpacedNode, groups: readonly Shape[], change: Change): SpacedNode {
  const along = (over: readonly number[]): ((e: Scalar) => Scalar) => {
    const cache: Cache = new Map()
    return (e) =>
      rewrite(
        e,
        affineLeaf((at) => change(at, over)),
        cache,
      )
  }
  const stores = (list: readonly Store[], over: readonly number[]): readonly Store[] => {
    const visit = along(over)
    return list.map((s) => ({
      target: s.target,
      at: change(s.at, over),
      offsets: rewriteOffsets(s.offsets, visit),
      value: visit(s.value),
    }))
  }
  switch (node.kind) {
    case 'map':
      return { ...node, shape: groups[0], stores: stores(node.stores, [0]) }
    case 'scatter': {
      const visit = along([0])
      return {
        ...node,
        shape: groups[0],
        position: visit(node.position),
        inBounds: node.inBounds === null ? null : visit(node.inBounds),
        update: visit(node.update),
      }
    }
    case 'reduce': {
      const visit = along([0, 1])
      return {
        ...node,
        shape: groups[0],
        reduced: groups[1],
        reductions: node.reductions.map((r) => ({ monoid: r.monoid, value: visit(r.value) })),
        stores: stores(node.stores, [0]),
      }
    }
    case 'rows':
      return {
        ...node,
        shape: groups[0],
        steps: node.steps.map((step, i) => {
          const inner = groups[i + 1]
          const along: Change = (at, over) =>
            change(at, step.kind === 'map' || over.length > 1 ? [0, i + 1] : over)
          return step.kind === 'map'
            ? withGroups(step, [[...groups[0], ...inner]], along)
            : withGroups(step, [groups[0], inner], along)
        }),
      }
    case 'contract':
      return {
        ...node,
        batch: groups[0],
        m: groups[1],
        n: groups[2],
        k: groups[3],
        lhs: { value: along([0, 1, 3])(node.lhs.value) },
        rhs: { value: along([0, 2, 3])(node.rhs.value) },
        stores: stores(node.stores, [0, 1, 2]),
      }
  }
}

/** Where the axes of each group begin in an affine function over `over`. */
function startsIn(groups: readonly Shape[], over: readonly number[]): ReadonlyMap<number, number> {
  const starts = new Map<number, number>()
  let start = 0
  for (const g of over) {
    starts.set(g, start)
    start += groups[g].length
  }
  return starts
}

/** The node with as few axes as its leaves allow: no axes of size 1, mergeable neighbours merged. */
export function canonical<N extends SpacedNode>(node: N): N {
  const groups = groupsOf(node)
  if (groups.every((shape) => shape.length === 0 || (shape.length === 1 && shape[0] !== 1)))
    return node
  const views = viewsOf(node)
  const starts = views.map((v) => startsIn(groups, v.over))
  // For each group, the last axis of every run that becomes one axis: its stride is the run's.
  const runs = groups.map((shape, g) => {
    const kept: { size: number; inner: number }[] = []
    shape.forEach((n, axis) => {
      if (n === 1) return
      const last = kept.at(-1)
      const merges =
        last !== undefined &&
        views.every((view, v) => {
          const start = starts[v].get(g)
          if (start === undefined) return true
          return view.affines.every(
            (at) => at.strides[start + last.inner] === at.strides[start + axis] * n,
          )
        })
      if (last !== undefined && merges) {
        last.size *= n
        last.inner = axis
      } else kept.push({ size: n, inner: axis })
    })
    return kept
  })
  if (runs.every((kept, g) => kept.length === groups[g].length)) return node
  const changed = runs.map((kept) => kept.map((run) => run.size))
  const cached = new Map<string, readonly number[]>()
  const picks = (over: readonly number[]): readonly number[] => {
    const key = over.join()
    const known = cached.get(key)
    if (known !== undefined) return known
    const from = startsIn(groups, over)
    const list = over.flatMap((g) => runs[g].map((run) => (from.get(g) ?? 0) + run.inner))
    cached.set(key, list)
    return list
  }
  return withGroups(node, changed, (at, over) => ({
    offset: at.offset,
    strides: picks(over).map((axis) => at.strides[axis]),
  }))
}

/** The node over finer groups; each axis only splits, so this is always possible. */
export function refined<N extends SpacedNode>(node: N, groups: readonly Shape[]): N {
  const old = groupsOf(node)
  if (old.every((shape, g) => shape.join() === groups[g].join())) return node
  const splits = old.map((shape, g) => affineReshape(shape, groups[g]))
  return withGroups(node, groups, (at, over) => {
    let start = 0
    const strides: number[] = []
    for (const g of over) {
      const part = splits[g]({ offset: 0, strides: at.strides.slice(start, start + old[g].length) })
      if (part === null) throw new Error('splitting an axis is always affine')
      strides.push(...part.strides)
      start += old[g].length
    }
    return { offset: at.offset, strides }
  })
}

/** The groups of `node` when its store space is split into `space`, or null if a group would be crossed. */
export function groupsOver(node: StoringNode, space: Shape): readonly Shape[] | null {
  if (node.kind === 'map') return [space]
  if (node.kind === 'reduce') return [space, node.reduced]
  const parts: Shape[] = []
  let next = 0
  for (const group of [node.batch, node.m, node.n]) {
    let left = group.reduce((a, b) => a * b, 1)
    const part: number[] = []
    while (left > 1) {
      const n = space[next++]
      if (n === undefined || left % n !== 0) return null
      part.push(n)
      left /= n
    }
    parts.push(part)
  }
  return next === space.length ? [...parts, node.k] : null
}

/** The same loop with its axes in another order. */
export function permuted(node: MapNode, order: readonly number[]): MapNode {
  const shape = order.map((axis) => node.shape[axis])
  return withGroups(node, [shape], ({ offset, strides }) => ({
    offset,
    strides: order.map((axis) => strides[axis]),
  }))
}

/** The same product with the roles of the operands exchanged: its results run over `[batch, n, m]`. */
export function exchanged(node: ContractNode): ContractNode {
  const { batch, m, n } = node
  const change = ({ offset, strides }: Affine): Affine => ({
    offset,
    strides: [
      ...strides.slice(0, batch.length),
      ...strides.slice(batch.length + m.length),
      ...strides.slice(batch.length, batch.length + m.length),
    ],
  })
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar => rewrite(e, affineLeaf(change), cache)
  return {
    ...node,
    m: n,
    n: m,
    lhs: node.rhs,
    rhs: node.lhs,
    stores: node.stores.map((s) => ({
      target: s.target,
      at: change(s.at),
      offsets: rewriteOffsets(s.offsets, visit),
      value: visit(s.value),
    })),
  }
}

/** The node with every expression rewritten by `visit`. */
export function withExpressions<N extends SpacedNode>(node: N, visit: (e: Scalar) => Scalar): N
export function withExpressions(node: SpacedNode, visit: (e: Scalar) => Scalar): SpacedNode {
  const stores = (list: readonly Store[]): readonly Store[] =>
    list.map((s) => ({ ...s, offsets: rewriteOffsets(s.offsets, visit), value: visit(s.value) }))
  switch (node.kind) {
    case 'map':
      return { ...node, stores: stores(node.stores) }
    case 'scatter':
      return {
        ...node,
        position: visit(node.position),
        inBounds: node.inBounds === null ? null : visit(node.inBounds),
        update: visit(node.update),
      }
    case 'reduce':
      return {
        ...node,
        reductions: node.reductions.map((r) => ({ monoid: r.monoid, value: visit(r.value) })),
        stores: stores(node.stores),
      }
    case 'rows':
      return { ...node, steps: node.steps.map((step) => withExpressions(step, visit)) }
    case 'contract':
      return {
        ...node,
        lhs: { value: visit(node.lhs.value) },
        rhs: { value: visit(node.rhs.value) },
        stores: stores(node.stores),
      }
  }
}

// --- sharing ---------------------------------------------------------------------------------------

export const sharedStores = (
  stores: readonly Store[],
  share: (e: Scalar) => Scalar,
): readonly Store[] =>
  stores.map((s) => ({ ...s, offsets: rewriteOffsets(s.offsets, share), value: share(s.value) }))

/** Makes structurally equal expressions of a node one object, so that a backend computes them once. */
export function shared<N extends SpacedNode>(node: N): N
export function shared(node: SpacedNode): SpacedNode {
  // Expressions over different groups mean different things even when they look the same.
  switch (node.kind) {
    case 'map':
      return { ...node, stores: sharedStores(node.stores, sharing()) }
    case 'scatter': {
      const share = sharing()
      return {
        ...node,
        position: share(node.position),
        inBounds: node.inBounds === null ? null : share(node.inBounds),
        update: share(node.update),
      }
    }
    case 'reduce': {
      const share = sharing()
      const reductions = node.reductions.map((r) => ({ monoid: r.monoid, value: share(r.value) }))
      return { ...node, reductions, stores: sharedStores(node.stores, sharing()) }
    }
    case 'rows':
      return { ...node, steps: node.steps.map((step) => shared(step)) }
    case 'contract':
      return {
        ...node,
        lhs: { value: sharing()(node.lhs.value) },
        rhs: { value: sharing()(node.rhs.value) },
        stores: sharedStores(node.stores, sharing()),
      }
  }
}

/** Answers the same object for equal expressions of one space. */
export function sharing(): (root: Scalar) => Scalar {
  /** By a hash of what stands at one level; operands are shared already, so they are compared as objects. */
  const representatives = new Map<number, Scalar[]>()
  const numbers = new Map<Scalar, number>()
  const done: Cache = new Map()
  const visit = (e: Scalar): Scalar => {
    const known = done.get(e)
    if (known !== undefined) return known
    const rebuilt = withOperands(e, visit)
    const hash = hashOf(rebuilt, numbers)
    const bucket = representatives.get(hash)
    let same: Scalar | undefined
    for (let i = 0; bucket !== undefined && same === undefined && i < bucket.length; i++)
      if (looksAs(rebuilt, bucket[i])) same = bucket[i]
    if (same === undefined) {
      same = rebuilt
      numbers.set(same, numbers.size)
      if (bucket === undefined) representatives.set(hash, [same])
      else bucket.push(same)
    }
    done.set(e, same)
    done.set(same, same)
    return same
  }
  return visit
}

/** Keeps hashes small, so that maps hold them in place. */
const MASK = 0x3fffffff

function hashOf(e: Scalar, numbers: ReadonlyMap<Scalar, number>): number {
  switch (e.kind) {
    case 'const':
      return (31 + Number(e.value) * 8) & MASK
    case 'index':
      return affineHash(2, e.at)
    case 'accumulator':
      return (93 + e.slot) & MASK
    case 'load':
      return affineHash(124 + e.source.id, e.at)
    case 'unary':
      return (155 + (numbers.get(e.x) ?? -1)) & MASK
    case 'convert':
    case 'bitcast':
      return (186 + (numbers.get(e.x) ?? -1)) & MASK
    case 'binary':
      return (Math.imul(217 + (numbers.get(e.x) ?? -1), 31) + (numbers.get(e.y) ?? -1)) & MASK
    case 'select': {
      const condition = 248 + (numbers.get(e.condition) ?? -1)
      const first = Math.imul(condition, 31) + (numbers.get(e.onTrue) ?? -1)
      return (Math.imul(first, 31) + (numbers.get(e.onFalse) ?? -1)) & MASK
    }
  }
}

function affineHash(start: number, { offset, strides }: Affine): number {
  let hash = Math.imul(start, 31) + offset
  for (let i = 0; i < strides.length; i++) hash = (Math.imul(hash, 31) + strides[i]) & MASK
  return hash & MASK
}

/** Whether two expressions are the same at one level, and their operands the same objects. */
function looksAs(e: Scalar, other: Scalar): boolean {
  if (e.kind !== other.kind || e.dtype !== other.dtype) return false
  switch (e.kind) {
    case 'const':
      return other.kind === 'const' && Object.is(e.value, other.value)
    case 'index':
      return other.kind === 'index' && affineEqual(e.at, other.at)
    case 'accumulator':
      return other.kind === 'accumulator' && e.slot === other.slot
    case 'load':
      return (
        other.kind === 'load' &&
        e.source === other.source &&
        affineEqual(e.at, other.at) &&
        e.offsets.length === other.offsets.length &&
        e.offsets.every(({ value, stride }, i) => {
          const o = other.offsets[i]
          return value === o.value && stride === o.stride
        })
      )
    case 'unary':
      return other.kind === 'unary' && e.op === other.op && e.x === other.x
    case 'convert':
    case 'bitcast':
      return 'x' in other && e.x === other.x
    case 'binary':
      return other.kind === 'binary' && e.op === other.op && e.x === other.x && e.y === other.y
    case 'select':
      return (
        other.kind === 'select' &&
        e.condition === other.condition &&
        e.onTrue === other.onTrue &&
        e.onFalse === other.onFalse
      )
  }
}
