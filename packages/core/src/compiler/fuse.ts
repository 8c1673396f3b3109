/**
 * Fusion: fewer loops over the same elements, fewer values through memory.
 *
 * Maps over one space merge with each other, reductions over one space merge, and maps over the
 * results of a contraction or reduction become its epilogue. Fusion asks node kinds, shapes and
 * affine maps; it never sees a primitive. Merging is right because of three checks: no other node
 * must run in between (`Schedule.between`), a value handed over inside the loop is read exactly
 * where it would have been written, and buffers that several nodes write are left alone.
 */
import { type Shape, sizeOf } from '../types/aval'
import { loadsIn, storeRoots, withoutDeadStores } from './dependence'
import type { Buffer, Load, Scalar } from './expr'
import type { Joining } from './joint'
import { asRead } from './layout'
import { measureAll, type Work } from './measure'
import type { LoopNode, MapNode, Program, ReduceNode, Reduction, Store } from './nodes'
import { soonUsedUp } from './order'
import type { RowLimits } from './rows'
import { Schedule, type Step } from './schedule'
import {
  canonical,
  groupsOver,
  isSpaced,
  isStoring,
  permuted,
  refined,
  shared,
  sharedStores,
  sharing,
  storeSpace,
  type StoringNode,
} from './spaces'
import {
  affineEqualOn,
  type Cache,
  commonRefinement,
  loadsOf,
  rewrite,
  rewriteOffsets,
} from './views'

/** How large a fused loop may become: what fits in registers and in the attention of a prefetcher. */
interface Limits {
  readonly operations: number
  readonly cost: number
  readonly loads: number
  readonly stores: number
}
const mapLimits: Limits = { operations: 256, cost: 2000, loads: 16, stores: 8 }
/** What runs once has no registers to save: it is the norm of a tree from those of all its leaves. */
const oneElementLimits: Limits = { operations: 512, cost: 8000, loads: 512, stores: 256 }
/** A contraction keeps most registers for its tile, so its epilogue stays short. */
const contractLimits: Limits = { operations: 32, cost: 80, loads: 3, stores: 3 }
/**
 * An epilogue is written out for every vector of the tile, so a long one makes a long function: one
 * with a tanh runs ten times as often before the engine has optimised it, at a third of its speed.
 * A loop of its own is as fast in the end, where its start does not count.
 */
const largeContractLimits: Limits = { operations: 12, cost: 14, loads: 3, stores: 3 }
/** Results from which a product is large. */
const largeProduct = 1 << 14
/** Loops this small cost more to start than to run, so they merge without having anything in common. */
const smallSize = 64
/** Of the loops that read the same buffer, the last few are considered. */
const siblingsTried = 6

/**
 * Chains along rows become row nodes within these limits; null for a device that has none. `joint` is
 * how loops of equal structure become joint nodes, if it knows these.
 */
export function fuse(
  program: Program,
  rows: RowLimits | null = null,
  joint: Joining | null = null,
): Program {
  const clean = withoutDeadStores({
    ...program,
    nodes: program.nodes.map((node) => (isSpaced(node) ? shared(canonical(node)) : node)),
  })
  const asBefore = new Set(clean.nodes)
  const tidy = asRead(clean)
  const schedule = new Schedule(tidy)
  const fusion = new Fusion(schedule, joint)
  const inOrder = [...schedule.steps]
  for (const step of inOrder) if (step.node.kind === 'map') fusion.mergeMap(step)
  for (const step of inOrder) if (step.node.kind === 'reduce') fusion.mergeReduce(step)
  for (const step of inOrder)
    if (step.node.kind === 'map' && !schedule.isGone(step)) fusion.mergeEpilogue(step)
  const fused = withoutDeadStores({
    ...tidy,
    nodes: schedule.nodes().map((node) => {
      if (!isSpaced(node) || asBefore.has(node)) return node
      return canonical(sharingOf.has(node) ? node : shared(node))
    }),
  })
  const inRows = rows === null ? fused : rows.apply(fused, rows)
  if (joint === null) return soonUsedUp(inRows)
  return joint.productsTogether(soonUsedUp(joint.jointly(inRows)))
}

class Fusion {
  /** The last small loop of each size. */
  private readonly small = new Map<number, Step>()

  constructor(
    private readonly schedule: Schedule,
    private readonly joint: Joining | null,
  ) {}

  mergeMap(step: Step): void {
    for (let merged = true; merged;) {
      merged = false
      for (const other of this.mapCandidates(step)) {
        if (!this.tryMerge(other, step)) continue
        // The merged loop lives on in the earlier step.
        step = other
        merged = true
        break
      }
    }
    const size = sizeOf(storeSpace(asMap(step.node)))
    // Where loops of equal structure are joined later, the fewest differences are the best.
    if (size <= (this.joint ? 1 : smallSize)) this.small.set(size, step)
  }

  private mapCandidates(step: Step): readonly Step[] {
    const node = asMap(step.node)
    const size = sizeOf(node.shape)
    const found = new Set<Step>()
    const fits = (s: Step | undefined): s is Step =>
      s !== undefined &&
      s !== step &&
      !this.schedule.isGone(s) &&
      s.node.kind === 'map' &&
      s.position < step.position &&
      sizeOf(s.node.shape) === size
    const sources = new Set(loadsIn(node).map((l) => l.source))
    for (const buffer of sources) {
      const producer = this.schedule.writer.get(buffer)
      if (fits(producer)) found.add(producer)
    }
    // Loops that could each be the epilogue of another node stay apart.
    const awaited = this.accumulatedBy(node)
    const isSibling = (s: Step | undefined): s is Step =>
      fits(s) &&
      sameBuffers(awaited, this.accumulatedBy(asMap(s.node))) &&
      !(this.joint && areParts(asMap(s.node), node, this.joint))
    for (const buffer of sources) {
      if (buffer.size < Math.min(size, smallSize)) continue
      const readers = this.schedule.readersOf(buffer).latest(siblingsTried)
      readers.filter(isSibling).forEach((s) => found.add(s))
    }
    const small = this.small.get(size)
    if (fits(small) && (size === 1 || isSibling(small))) found.add(small)
    return [...found]
  }

  /** Results of contractions and reductions that a map reads element for element. */
  private accumulatedBy(node: MapNode): ReadonlySet<Buffer> {
    const size = sizeOf(node.shape)
    const sources = loadsIn(node).map((l) => l.source)
    return new Set(
      sources.filter((b) => {
        const producer = this.schedule.writer.get(b)?.node.kind
        return b.size === size && (producer === 'contract' || producer === 'reduce')
      }),
    )
  }

  mergeReduce(step: Step): void {
    const node = step.node
    if (node.kind !== 'reduce') return
    const sources = new Set(loadsOf(node.reductions.map((r) => r.value)).map((l) => l.source))
    for (const buffer of sources) {
      for (const reader of this.schedule.readersOf(buffer).latest(siblingsTried)) {
        if (reader === step || reader.node.kind !== 'reduce' || reader.position > step.position)
          continue
        if (this.tryMerge(reader, step)) return
      }
    }
  }

  mergeEpilogue(step: Step): void {
    const node = asMap(step.node)
    const sources = new Set(loadsIn(node).map((l) => l.source))
    if (this.joint && sizeOf(node.shape) <= smallSize && this.readsAlike(sources, this.joint))
      return
    for (const buffer of sources) {
      const producer = this.schedule.writer.get(buffer)
      if (producer === undefined || producer === step) continue
      if (producer.node.kind !== 'reduce' && producer.node.kind !== 'contract') continue
      if (this.tryMerge(producer, step)) return
    }
  }

  /** Whether reductions that could be one joint node are among what makes these buffers. */
  private readsAlike(buffers: ReadonlySet<Buffer>, { keyOfAlike }: Joining): boolean {
    const producers = new Set<LoopNode>()
    for (const b of buffers) {
      const node = this.schedule.writer.get(b)?.node
      if (node?.kind === 'reduce') producers.add(node)
    }
    const keys = producers.size < 2 ? [] : [...producers].map(keyOfAlike)
    return new Set(keys).size < keys.length
  }

  /** Merges `second` into `first`, an earlier step, if it is right and worthwhile. */
  private tryMerge(first: Step, second: Step): boolean {
    const [a, b] = [first.node, second.node]
    if (!isStoring(a) || !isStoring(b) || this.schedule.prolongs(first, second)) return false
    const merged = this.joined(a, b, first, second)
    if (merged === null) return false
    const order = this.schedule.between(first, second)
    if (order === null) return false
    this.schedule.merge(first, second, merged, order)
    return true
  }

  private joined(a: StoringNode, b: StoringNode, first: Step, second: Step): StoringNode | null {
    // A piece written over a copy stays apart: together with what it is computed from it would read
    // the original after the copy, and the copy could no longer take the original's place.
    if (b.stores.some((s) => this.schedule.assembled.has(s.target))) return null
    const isOwn = (s: Step): boolean => s === first || s === second
    const needed = (target: Buffer): boolean =>
      this.schedule.outputs.has(target) || this.schedule.readersOf(target).hasOther(isOwn)
    if (b.kind === 'reduce') return a.kind === 'reduce' ? joinReductions(a, b, needed) : null
    if (b.kind === 'contract') return null
    return joinMap(a, b, needed, limitsOf(a, this.joint !== null))
  }
}

const limitsOf = (node: StoringNode, joint: boolean): Limits => {
  if (joint && node.kind === 'map' && sizeOf(node.shape) === 1) return oneElementLimits
  if (node.kind !== 'contract') return mapLimits
  return sizeOf(storeSpace(node)) >= largeProduct ? largeContractLimits : contractLimits
}

/** Whether two loops do the same to different pieces of what they read: parts of a joint node. */
const areParts = (a: MapNode, b: MapNode, { keyOfAlike }: Joining): boolean => {
  const loads = loadsIn(a)
  const isOther = (l: Load): boolean =>
    loads.every((own) => own.source !== l.source || own.at.offset !== l.at.offset)
  return loadsIn(b).every(isOther) && keyOfAlike(a) === keyOfAlike(b)
}

const asMap = (node: LoopNode): MapNode => {
  if (node.kind !== 'map') throw new Error(`a ${node.kind} where a map was expected`)
  return node
}

const sameBuffers = (a: ReadonlySet<Buffer>, b: ReadonlySet<Buffer>): boolean =>
  a.size === b.size && [...a].every((x) => b.has(x))

/** `a` followed by the map `b` in the same loop, or null. */
function joinMap(
  a: StoringNode,
  b: MapNode,
  needed: (target: Buffer) => boolean,
  limits: Limits,
): StoringNode | null {
  // What is handed over comes on top of what the second does.
  const least = workOf(b)
  if (least.operations > limits.operations || least.cost > limits.cost) return null
  const aligned = align(a, b) ?? align(a, inOrderOf(b, a))
  if (aligned === null) return null
  const { producer, stores } = aligned
  const kept = producer.stores.filter((s) => needed(s.target))
  if (kept.length + stores.length > limits.stores) return null
  const share = sharingOf.get(producer) ?? sharing()
  const joined = { ...producer, stores: sharedStores([...kept, ...stores], share) }
  if (!within(limits, joined.stores)) return null
  sharingOf.set(joined, share)
  return joined
}

/**
 * How nodes came to share equal expressions among their stores: a loop that grows by one store after
 * the other goes on with it, instead of going through all it has each time.
 */
const sharingOf = new WeakMap<LoopNode, (e: Scalar) => Scalar>()

const works = new WeakMap<MapNode, Work>()
function workOf(node: MapNode): Work {
  let work = works.get(node)
  if (work === undefined) works.set(node, (work = measureAll(node.stores.map((s) => s.value))))
  return work
}

/** The first node and the stores of the second over one space, values handed over. */
function align(
  a: StoringNode,
  b: MapNode | null,
): { readonly producer: StoringNode; readonly stores: readonly Store[] } | null {
  const space = b === null ? null : commonRefinement(storeSpace(a), b.shape)
  if (b === null || space === null) return null
  const groups = groupsOver(a, space)
  if (groups === null) return null
  const producer = refined(a, groups)
  const stores = forwarded(producer.stores, refined(b, [space]).stores, space)
  return stores === null ? null : { producer, stores }
}

/**
 * The map `b` with its axes in the order in which `a` writes what `b` reads, or null if they are
 * already, or if rows would have to be torn apart: the last axis must stay.
 */
function inOrderOf(b: MapNode, a: StoringNode): MapNode | null {
  const made = new Set(a.stores.map((s) => s.target))
  const read = loadsIn(b).find((l) => made.has(l.source))
  if (read === undefined || read.at.strides.some((s) => s <= 0)) return null
  const { strides } = read.at
  const order = [...strides.keys()].sort((x, y) => strides[y] - strides[x])
  if (order.at(-1) !== strides.length - 1 || order.every((axis, i) => axis === i)) return null
  return permuted(b, order)
}

function joinReductions(
  a: ReduceNode,
  b: ReduceNode,
  needed: (target: Buffer) => boolean,
): ReduceNode | null {
  const outer = commonRefinement(a.shape, b.shape)
  const reduced = commonRefinement(a.reduced, b.reduced)
  if (outer === null || reduced === null) return null
  const first = refined(a, [outer, reduced])
  const second = refined(b, [outer, reduced])
  const made = new Set(a.stores.map((s) => s.target))
  if (loadsOf(second.reductions.map((r) => r.value)).some((l) => made.has(l.source))) return null
  // Accumulators of the second come after those of the first; equal ones become one.
  const together = shared({
    ...first,
    reductions: [...first.reductions, ...second.reductions],
    stores: [],
  })
  const reductions: Reduction[] = []
  const slots = together.reductions.map((r) => {
    const known = reductions.findIndex((q) => q.monoid === r.monoid && q.value === r.value)
    if (known >= 0) return known
    reductions.push(r)
    return reductions.length - 1
  })
  const cache: Cache = new Map()
  const renumbered = (e: Scalar): Scalar =>
    rewrite(
      e,
      (leaf) =>
        leaf.kind === 'accumulator'
          ? { ...leaf, slot: slots[first.reductions.length + leaf.slot] }
          : leaf,
      cache,
    )
  const own = second.stores.map((s) => ({
    ...s,
    offsets: rewriteOffsets(s.offsets, renumbered),
    value: renumbered(s.value),
  }))
  const stores = forwarded(first.stores, own, outer)
  if (stores === null) return null
  const kept = first.stores.filter((s) => needed(s.target))
  const joined = { ...first, reductions, stores: [...kept, ...stores] }
  const expressions = [...reductions.map((r) => r.value), ...joined.stores.map((s) => s.value)]
  return within(mapLimits, joined.stores, expressions) ? joined : null
}

/**
 * The later stores with every load of what the earlier ones write replaced by the value itself, or
 * null if such a load stands at another index.
 */
function forwarded(
  earlier: readonly Store[],
  later: readonly Store[],
  space: Shape,
): readonly Store[] | null {
  const sources = new Map<Buffer, Store>()
  for (const s of earlier) sources.set(s.target, s)
  let reads = false
  for (const l of loadsOf(storeRoots(later))) {
    const source = sources.get(l.source)
    if (source === undefined) continue
    reads = true
    if (l.offsets.length > 0 || source.offsets.length > 0 || !affineEqualOn(space, l.at, source.at))
      return null
  }
  if (!reads) return later
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar =>
    rewrite(
      e,
      (leaf) => (leaf.kind === 'load' ? (sources.get(leaf.source)?.value ?? leaf) : leaf),
      cache,
    )
  return later.map((s) => ({
    ...s,
    offsets: rewriteOffsets(s.offsets, visit),
    value: visit(s.value),
  }))
}

function within(
  limits: Limits,
  stores: readonly Store[],
  expressions: readonly Scalar[] = stores.map((s) => s.value),
): boolean {
  if (stores.length > limits.stores) return false
  const { operations, cost, loads } = measureAll(expressions)
  return operations <= limits.operations && cost <= limits.cost && loads <= limits.loads
}
