/**
 * The order of nodes as a graph whose nodes can be merged.
 *
 * Positions are a topological order, kept valid under merging by reordering only what lies between
 * the two merged nodes (Pearce and Kelly, A dynamic topological sort algorithm, JEA 11, 2006).
 */
import { sizeOf } from '../types/aval'
import type { Buffer } from './expr'
import { accessesOf } from './dependence'
import type { LoopNode, Program } from './nodes'

export interface Step {
  node: LoopNode
  position: number
  /** Products before it in the program as it was given. */
  readonly depth: number
  readonly before: Set<Step>
  readonly after: Set<Step>
}

/** Products that may lie between two loops for them to be near. */
const nearDepth = 8
/** Elements of a buffer that is worth nothing to have for longer. */
const littleSize = 1024

/** The steps that read a buffer, in the order in which they came to. */
class Readers {
  private readonly places = new Map<Step, number>()
  private readonly order: Step[] = []

  add(step: Step): void {
    if (this.places.has(step)) return
    this.places.set(step, this.order.length)
    this.order.push(step)
  }

  delete(step: Step): void {
    this.places.delete(step)
  }

  /** Without going through all of them: a buffer may be read by every step of a long program. */
  latest(count: number): readonly Step[] {
    const found: Step[] = []
    for (let i = this.order.length - 1; i >= 0 && found.length < count; i--) {
      if (this.places.get(this.order[i]) === i) found.push(this.order[i])
      else if (i === this.order.length - 1) this.order.pop()
    }
    return found.reverse()
  }

  /** Whether it is this one and no other. */
  isOnly(step: Step): boolean {
    return this.places.size === 1 && this.places.has(step)
  }

  /** Whether there is any for which `isOwn` does not hold. */
  hasOther(isOwn: (step: Step) => boolean): boolean {
    for (const step of this.places.keys()) if (!isOwn(step)) return true
    return false
  }
}

/**
 * Searching further than this for a dependency is not worth the merge. Loops that can be merged are
 * close to each other; most of those that are far apart, as a step of an unrolled loop and its
 * gradient, turn out to depend on each other only at the end of the search.
 */
const searchLimit = 200

export class Schedule {
  readonly steps: Step[]
  readonly outputs: ReadonlySet<Buffer>
  /** The last step that writes a buffer. */
  readonly writer = new Map<Buffer, Step>()
  private readonly readers = new Map<Buffer, Readers>()
  /** Buffers that several steps write, one over another. */
  readonly assembled: ReadonlySet<Buffer>
  /** Buffers that several steps write, each elements of its own. They stand one behind the other. */
  readonly pieced: ReadonlySet<Buffer>

  constructor(program: Program) {
    this.outputs = new Set(program.outputs)
    let products = 0
    this.steps = program.nodes.map((node, position) => {
      const depth = node.kind === 'contract' ? products++ : products
      return { node, position, depth, before: new Set(), after: new Set() }
    })
    const assembled = new Set<Buffer>()
    this.assembled = assembled
    const readSince = new Map<Buffer, Step[]>()
    for (const step of this.steps) {
      const { reads, writes } = accessesOf(step.node)
      for (const buffer of reads) {
        this.depend(this.writer.get(buffer), step)
        this.readersOf(buffer).add(step)
        const since = readSince.get(buffer)
        if (since === undefined) readSince.set(buffer, [step])
        else since.push(step)
      }
      for (const buffer of writes) {
        if (this.writer.has(buffer)) assembled.add(buffer)
        this.depend(this.writer.get(buffer), step)
        for (const reader of readSince.get(buffer) ?? []) this.depend(reader, step)
        readSince.delete(buffer)
        this.writer.set(buffer, step)
      }
    }
    this.pieced = this.withoutDisjoint(assembled)
  }

  /**
   * Where several steps write a buffer and no element twice, as they do to concatenate. What they
   * write covers the buffer, so they do if the numbers of elements agree.
   */
  private withoutDisjoint(assembled: Set<Buffer>): ReadonlySet<Buffer> {
    const disjoint = new Set<Buffer>()
    const written = new Map<Buffer, number>()
    for (const { node } of this.steps) {
      for (const buffer of accessesOf(node).writes) {
        if (!assembled.has(buffer)) continue
        const stores = node.kind === 'map' ? node.stores.filter((s) => s.target === buffer) : []
        const [store] = stores
        const isStatic = stores.length === 1 && store?.offsets.length === 0
        const elements = node.kind === 'map' && isStatic ? sizeOf(node.shape) : Infinity
        written.set(buffer, (written.get(buffer) ?? 0) + elements)
      }
    }
    for (const [buffer, elements] of written)
      if (elements === buffer.size && assembled.delete(buffer)) disjoint.add(buffer)
    return disjoint
  }

  readersOf(buffer: Buffer): Readers {
    let readers = this.readers.get(buffer)
    if (readers === undefined) this.readers.set(buffer, (readers = new Readers()))
    return readers
  }

  private depend(first: Step | undefined, second: Step): void {
    if (first === undefined || first === second) return
    first.after.add(second)
    second.before.add(first)
  }

  /**
   * Whether running `second` already with `first` would only make its results live longer: it stands
   * far behind and nothing that the first one hands to it alone becomes superfluous. What a
   * checkpoint computes again would otherwise be computed with what it was to be forgotten after.
   */
  prolongs(first: Step, second: Step): boolean {
    if (second.depth - first.depth <= nearDepth) return false
    const makesMuch = [...accessesOf(second.node).writes].some(
      (b) => b.size >= littleSize && !this.outputs.has(b),
    )
    if (!makesMuch) return false
    return ![...accessesOf(first.node).writes].some(
      (b) => !this.outputs.has(b) && this.readersOf(b).isOnly(second),
    )
  }

  /** Whether two steps can be one: no other step must run between them. */
  between(
    a: Step,
    b: Step,
  ): {
    readonly first: Step
    readonly early: readonly Step[]
    readonly late: readonly Step[]
  } | null {
    const [first, second] = a.position < b.position ? [a, b] : [b, a]
    const late = reach(first, second, 'after', (s) => s.position < second.position)
    if (late === null || late.some((s) => s.after.has(second))) return null
    const early = reach(second, first, 'before', (s) => s.position > first.position)
    return early === null ? null : { first, early, late }
  }

  /** Makes `kept` and `gone` one step that runs `node`. The caller has asked `between`. */
  merge(
    kept: Step,
    gone: Step,
    node: LoopNode,
    order: NonNullable<ReturnType<Schedule['between']>>,
  ): void {
    const byPosition = (x: Step, y: Step): number => x.position - y.position
    const moved = [...[...order.early].sort(byPosition), kept, ...[...order.late].sort(byPosition)]
    const positions = [...moved.map((s) => s.position), gone.position].sort((x, y) => x - y)
    moved.forEach((s, i) => (s.position = positions[i]))
    const old = [accessesOf(kept.node), accessesOf(gone.node)]
    for (const { reads } of old) {
      for (const b of reads) {
        const readers = this.readersOf(b)
        readers.delete(kept)
        readers.delete(gone)
      }
    }
    kept.node = node
    const { reads, writes } = accessesOf(node)
    for (const buffer of reads) this.readersOf(buffer).add(kept)
    for (const buffer of writes) if (this.writer.get(buffer) === gone) this.writer.set(buffer, kept)
    for (const s of gone.before) {
      s.after.delete(gone)
      this.depend(s, kept)
    }
    for (const s of gone.after) {
      s.before.delete(gone)
      this.depend(kept, s)
    }
    gone.before.clear()
    gone.after.clear()
    gone.position = -1
  }

  isGone(step: Step): boolean {
    return step.position < 0
  }

  nodes(): readonly LoopNode[] {
    return this.steps
      .filter((s) => !this.isGone(s))
      .sort((a, b) => a.position - b.position)
      .map((s) => s.node)
  }
}

/** Everything reachable from `from` within bounds, `excluded` left out; null beyond the limit. */
function reach(
  from: Step,
  excluded: Step,
  direction: 'before' | 'after',
  within: (s: Step) => boolean,
): readonly Step[] | null {
  const found = new Set<Step>()
  const pending = [from]
  for (let s = pending.pop(); s !== undefined; s = pending.pop()) {
    for (const next of s[direction]) {
      if (next === excluded || found.has(next) || !within(next)) continue
      if (found.size >= searchLimit) return null
      found.add(next)
      pending.push(next)
    }
  }
  return [...found]
}
