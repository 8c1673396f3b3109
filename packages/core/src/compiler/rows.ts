/**
 * Chains along rows: softmax, layer normalisation, cross-entropy and their gradients as one pass.
 *
 * A reduction over the last axes, what is computed from it for every element, another reduction:
 * after `fuse` such chains are loops that hand whole arrays to each other. Where they agree on
 * the outer axes and read of each other only elements of their own row, they become one `rows` node:
 * all of them run on one row while it is in the first-level cache, and what only they read is never
 * written to memory. A device that has no such loop gets the single ones back by `withoutRows`.
 */
import { type Shape, sizeOf } from '../types/aval'
import { bytesOf } from '../types/dtype'
import { accessesOf, rootsOf } from './dependence'
import type { Affine, Buffer, Load, Scalar } from './expr'
import type { LoopNode, MapNode, Program, ReduceNode, RowsNode, RowStep, Store } from './nodes'
import { extentInRow, staysInRow } from './row-access'
import { Schedule, type Step } from './schedule'
import { canonical, groupsOf, innerOf, refined, shared } from './spaces'
import { type Cache, commonRefinement, loadsOf, rewrite, rewriteOffsets } from './views'

/** Which rows are worth it: long enough to be taken by vectors, short enough to stay in cache. */
export interface RowLimits {
  /** Elements along the innermost axis. */
  readonly shortest: number
  /** Bytes of all arrays at one row. */
  readonly bytes: number
  /** `rowWise`: by value, so that only pages that ask for chains have the code that finds them. */
  readonly apply: (program: Program, limits: RowLimits) => Program
}
export const usualRows: RowLimits = { shortest: 16, bytes: 2 ** 17, apply: rowWise }

/** Steps of one node, and buffers that they touch: each is a pointer in a register. */
const maxSteps = 10
const maxBuffers = 20
/** Of the loops that read the same buffer, the last few are considered. */
const siblingsTried = 6

export function rowWise(program: Program, limits: RowLimits): Program {
  const schedule = new Schedule(program)
  const chains = new Chains(schedule, limits)
  for (const step of schedule.steps) chains.extend(step)
  const gone = new Set<Buffer>()
  const nodes = schedule.nodes().map((node) => {
    if (node.kind !== 'rows') return node
    const finished = localized(node, schedule)
    finished.replaced.forEach((b) => gone.add(b))
    return canonical(shared(finished.node))
  })
  return { ...program, nodes, temporaries: program.temporaries.filter((b) => !gone.has(b)) }
}

type Chainable = MapNode | ReduceNode | RowsNode

const isChainable = (node: LoopNode): node is Chainable =>
  node.kind === 'map' || node.kind === 'reduce' || node.kind === 'rows'

class Chains {
  constructor(
    private readonly schedule: Schedule,
    private readonly limits: RowLimits,
  ) {}

  /** Merges a loop with earlier ones as long as there are any that it can make a chain with. */
  extend(step: Step): void {
    for (let merged = true; merged;) {
      merged = false
      for (const other of this.candidates(step)) {
        if (!this.tryMerge(other, step)) continue
        step = other
        merged = true
        break
      }
    }
  }

  /** Loops that make what this one reads, and loops that read the same, latest first. */
  private candidates(step: Step): readonly Step[] {
    if (this.schedule.isGone(step) || !isChainable(step.node)) return []
    const found = new Set<Step>()
    const add = (other: Step | undefined): void => {
      if (other === undefined || other === step || this.schedule.isGone(other)) return
      if (isChainable(other.node) && other.position < step.position) found.add(other)
    }
    const { reads } = accessesOf(step.node)
    for (const buffer of reads) add(this.schedule.writer.get(buffer))
    const producers = [...found]
    const span = widest(step.node)
    for (const buffer of reads) {
      if (buffer.size < span) continue
      this.schedule.readersOf(buffer).latest(siblingsTried).forEach(add)
    }
    const latest = (list: readonly Step[]): Step[] =>
      [...list].sort((a, b) => b.position - a.position)
    return [...latest(producers), ...latest([...found].filter((s) => !producers.includes(s)))]
  }

  private tryMerge(first: Step, second: Step): boolean {
    const [a, b] = [first.node, second.node]
    if (!isChainable(a) || !isChainable(b) || this.schedule.prolongs(first, second)) return false
    const joined = this.joined(a, b)
    if (joined === null) return false
    const order = this.schedule.between(first, second)
    if (order === null) return false
    this.schedule.merge(first, second, joined, order)
    return true
  }

  private joined(a: Chainable, b: Chainable): RowsNode | null {
    const { assembled } = this.schedule
    for (const node of [a, b])
      for (const target of accessesOf(node).writes) if (assembled.has(target)) return null
    if (!mayShareRows(a, b)) return null
    const aligned = alignedRows(a, b)
    if (aligned === null) return null
    const [first, second] = aligned
    const node: RowsNode = {
      kind: 'rows',
      shape: first.shape,
      steps: [...first.steps, ...second.steps],
      locals: [],
    }
    return this.isWorthwhile(node) && keepsRows(first, second) ? node : null
  }

  private isWorthwhile(node: RowsNode): boolean {
    const { reads, writes } = accessesOf(node)
    const buffers = new Set([...reads, ...writes])
    if (buffers.size > maxBuffers) return false
    const rowBytes = [...buffers].reduce(
      (bytes, b) => bytes + (b.size / sizeOf(node.shape)) * bytesOf(b.dtype),
      0,
    )
    return rowBytes <= this.limits.bytes && node.steps.every((step) => this.runsAlong(step, node))
  }

  /** Whether a step walks along memory in its innermost axis. */
  private runsAlong(step: RowStep, { shape }: RowsNode): boolean {
    const inner = innerOf(step, shape)
    let last = inner.length - 1
    while (last >= 0 && inner[last] === 1) last--
    if (last < 0) return true
    if (inner[last] < this.limits.shortest) return false
    const axis = shape.length + last
    const walks = (at: Affine): boolean => {
      const stride = at.strides[axis] ?? 0
      return stride === 0 || stride === 1
    }
    const roots = step.kind === 'map' ? rootsOf(step) : step.reductions.map((r) => r.value)
    return (
      (step.kind === 'reduce' || step.stores.every((s) => s.at.strides[axis] === 1)) &&
      loadsOf(roots).every((l) => walks(l.at))
    )
  }
}

/** Elements that a loop goes over. */
const widest = (node: Chainable): number =>
  node.kind === 'map'
    ? sizeOf(node.shape)
    : node.kind === 'reduce'
      ? sizeOf(node.shape) * sizeOf(node.reduced)
      : Math.max(...node.steps.map(widest))

// --- the same rows -----------------------------------------------------------------------------------

/** What sizes alone say: most pairs of loops have nothing in common. */
function mayShareRows(a: Chainable, b: Chainable): boolean {
  const rows = a.kind === 'map' ? (b.kind === 'map' ? 0 : sizeOf(b.shape)) : sizeOf(a.shape)
  const fits = (node: Chainable): boolean =>
    node.kind === 'map' ? sizeOf(node.shape) % rows === 0 : sizeOf(node.shape) === rows
  return rows > 1 && fits(a) && fits(b) && stepsOf(a) + stepsOf(b) <= maxSteps
}

const stepsOf = (node: Chainable): number => (node.kind === 'rows' ? node.steps.length : 1)

/** Two loops over the same rows, or null where they do not agree on any. */
function alignedRows(a: Chainable, b: Chainable): readonly [RowsNode, RowsNode] | null {
  const rows = a.kind === 'map' ? (b.kind === 'map' ? null : b.shape) : a.shape
  if (rows === null) return null
  const [first, second] = [overRows(a, sizeOf(rows)), overRows(b, sizeOf(rows))]
  if (first === null || second === null) return null
  const shape = commonRefinement(first.shape, second.shape)
  if (shape === null) return null
  const over = (node: RowsNode): RowsNode => refined(node, [shape, ...groupsOf(node).slice(1)])
  return [over(first), over(second)]
}

/** A loop as a chain of one step over `count` rows, or null if its axes do not divide so. */
function overRows(node: Chainable, count: number): RowsNode | null {
  if (node.kind !== 'map') {
    if (sizeOf(node.shape) !== count) return null
    return node.kind === 'rows' ? node : chain(node.shape, node)
  }
  const { shape } = node
  let before = 1
  let axis = 0
  while (axis < shape.length && before * shape[axis] <= count) before *= shape[axis++]
  if (before === count) return chain(shape.slice(0, axis), node)
  const rest = count / before
  const size = shape[axis]
  if (size === undefined || !Number.isInteger(rest) || size % rest !== 0) return null
  const split = [...shape.slice(0, axis), rest, size / rest, ...shape.slice(axis + 1)]
  return chain(split.slice(0, axis + 1), refined(node, [split]))
}

const chain = (shape: Shape, step: RowStep): RowsNode => ({
  kind: 'rows',
  shape,
  steps: [step],
  locals: [],
})

// --- what one step hands to another ------------------------------------------------------------------

/** Whether the later steps read of what the earlier ones write only their own row. */
function keepsRows(first: RowsNode, second: RowsNode): boolean {
  const { shape } = first
  const written = new Map<Buffer, { readonly at: Affine; readonly inner: Shape; store: Store }>()
  for (const step of first.steps) {
    const inner = step.kind === 'map' ? innerOf(step, shape) : []
    for (const store of step.stores) written.set(store.target, { at: store.at, inner, store })
  }
  return second.steps.every((step) =>
    accessesIn(step, shape).every(({ load, inner }) => {
      const own = written.get(load.source)
      if (own === undefined) return true
      return own.store.offsets.length === 0 && staysInRow(shape, own, { ...load, inner })
    }),
  )
}

/** The loads of a step with the inner axes that each runs over. */
function accessesIn(
  step: RowStep,
  rows: Shape,
): readonly { readonly load: Load; readonly inner: Shape }[] {
  const inner = innerOf(step, rows)
  const along = (roots: readonly Scalar[], axes: Shape) =>
    loadsOf(roots).map((load) => ({ load, inner: axes }))
  if (step.kind === 'map') return along(rootsOf(step), inner)
  const epilogue = rootsOf({ ...step, reductions: [] })
  return [
    ...along(
      step.reductions.map((r) => r.value),
      inner,
    ),
    ...along(epilogue, []),
  ]
}

/** The chain with what only its steps read kept in buffers of one row. */
function localized(
  node: RowsNode,
  schedule: Schedule,
): { readonly node: RowsNode; readonly replaced: readonly Buffer[] } {
  const { shape } = node
  const locals = new Map<Buffer, { readonly buffer: Buffer; readonly start: number }>()
  for (const step of node.steps) {
    const inner = step.kind === 'map' ? innerOf(step, shape) : []
    for (const { target, at, offsets } of step.stores) {
      const isRead = schedule.readersOf(target).hasOther((s) => s.node === node)
      if (isRead || schedule.outputs.has(target) || offsets.length > 0) continue
      const extent = extentInRow(shape, { at, inner })
      if (extent === null) continue
      const [start, end] = extent
      locals.set(target, {
        buffer: { id: target.id, dtype: target.dtype, size: end - start + 1 },
        start,
      })
    }
  }
  const inRow = (at: Affine, start: number): Affine => ({
    offset: at.offset - start,
    strides: at.strides.map((stride, axis) => (axis < shape.length ? 0 : stride)),
  })
  const visitIn =
    (cache: Cache) =>
    (e: Scalar): Scalar =>
      rewrite(
        e,
        (leaf) => {
          const local = leaf.kind === 'load' ? locals.get(leaf.source) : undefined
          if (leaf.kind !== 'load' || local === undefined) return leaf
          return { ...leaf, source: local.buffer, at: inRow(leaf.at, local.start) }
        },
        cache,
      )
  const visit = visitIn(new Map())
  const stores = (list: readonly Store[]): readonly Store[] =>
    list.map((s) => {
      const local = locals.get(s.target)
      const moved =
        local === undefined ? s : { ...s, target: local.buffer, at: inRow(s.at, local.start) }
      return { ...moved, offsets: rewriteOffsets(s.offsets, visit), value: visit(s.value) }
    })
  const steps = node.steps.map((step): RowStep =>
    step.kind === 'map'
      ? { ...step, stores: stores(step.stores) }
      : {
          ...step,
          reductions: step.reductions.map((r) => ({ ...r, value: visit(r.value) })),
          stores: stores(step.stores),
        },
  )
  const buffers = [...locals.values()].map((l) => l.buffer)
  return { node: { ...node, steps, locals: buffers }, replaced: [...locals.keys()] }
}

// --- and back ----------------------------------------------------------------------------------------

/** The program with the steps of its row nodes as loops of their own, rows in memory again. */
export function withoutRows(program: Program): Program {
  const temporaries = [...program.temporaries]
  const nodes = program.nodes.flatMap((node): readonly LoopNode[] => {
    switch (node.kind) {
      case 'rows': {
        const { steps, made } = unrolled(node)
        temporaries.push(...made)
        return steps
      }
      case 'scan':
        return [{ ...node, body: withoutRows(node.body) }]
      case 'while':
        return [{ ...node, condition: withoutRows(node.condition), body: withoutRows(node.body) }]
      case 'branch':
        return [{ ...node, branches: node.branches.map(withoutRows) }]
      default:
        return [node]
    }
  })
  return { ...program, nodes, temporaries }
}

function unrolled({ shape, steps, locals }: RowsNode): {
  readonly steps: readonly RowStep[]
  readonly made: readonly Buffer[]
} {
  const count = sizeOf(shape)
  const whole = new Map<Buffer, Buffer>(
    locals.map((b) => [b, { id: b.id, dtype: b.dtype, size: b.size * count }]),
  )
  const rowStrides = (size: number): readonly number[] => {
    let stride = size
    return [...shape]
      .reverse()
      .map((n) => {
        const own = stride
        stride *= n
        return own
      })
      .reverse()
  }
  const inMemory = (at: Affine, local: Buffer): Affine => ({
    offset: at.offset,
    strides: [...rowStrides(local.size), ...at.strides.slice(shape.length)],
  })
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar =>
    rewrite(
      e,
      (leaf) => {
        const buffer = leaf.kind === 'load' ? whole.get(leaf.source) : undefined
        if (leaf.kind !== 'load' || buffer === undefined) return leaf
        return { ...leaf, source: buffer, at: inMemory(leaf.at, leaf.source) }
      },
      cache,
    )
  const stores = (list: readonly Store[]): readonly Store[] =>
    list.map((s) => {
      const buffer = whole.get(s.target)
      const moved =
        buffer === undefined ? s : { ...s, target: buffer, at: inMemory(s.at, s.target) }
      return { ...moved, offsets: rewriteOffsets(s.offsets, visit), value: visit(s.value) }
    })
  return {
    steps: steps.map((step) =>
      step.kind === 'map'
        ? canonical({ ...step, stores: stores(step.stores) })
        : canonical({
            ...step,
            reductions: step.reductions.map((r) => ({ ...r, value: visit(r.value) })),
            stores: stores(step.stores),
          }),
    ),
    made: [...whole.values()],
  }
}
