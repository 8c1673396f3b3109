/**
 * Memory planning: where every temporary lies in the program's arena, which outputs take over the
 * storage of donated inputs, and what loops and branches need for the programs inside them.
 *
 * Offsets are bytes and multiples of 64. The lifetime of a temporary is the interval from its first
 * write to its last use in the list of nodes; freed blocks are reused by best fit. A store may take
 * the place of a buffer that dies in the same node, if the node reads it only at the same index.
 */
import { bytesOf } from '../types/dtype'
import { accessesOf, programsOf, rootsOf } from './dependence'
import type { Affine, Buffer } from './expr'
import type { LoopNode, Program, Store } from './nodes'
import { staysInRow } from './row-access'
import { innerOf } from './spaces'
import { affineEqualOn, loadsOf } from './views'

export type Placement =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'output'; readonly index: number }
  /** `offset` bytes into the arena of the program that owns the buffer. */
  | { readonly kind: 'arena'; readonly offset: number }

/** One carry of a loop. */
export interface CarryPlace {
  /** The body may write the new value where it reads the old one. */
  readonly inPlace: boolean
  /** Where in the arena of the outer program the body writes the new value otherwise. */
  readonly scratch: number | null
}

export interface InnerPlan {
  /**
   * Where in the outer arena the arenas of the programs inside begin. Only one of them runs at a
   * time, so they share it.
   */
  readonly arena: number
  /** In the order body; condition, body; branches. */
  readonly programs: readonly Plan[]
  readonly carries: readonly CarryPlace[]
}

export interface Plan {
  readonly placements: ReadonlyMap<Buffer, Placement>
  readonly arenaBytes: number
  /** The most bytes of temporaries alive at one time; at most `arenaBytes`. */
  readonly peakBytes: number
  /** For each output, the donated input whose storage it takes over, or null. */
  readonly outputStorage: readonly (number | null)[]
  /** For every loop and branch of the program. */
  readonly inner: ReadonlyMap<LoopNode, InnerPlan>
}

export const alignment = 64
export const byteSize = (buffer: Buffer): number => buffer.size * bytesOf(buffer.dtype)

/** How a device holds buffers. */
export interface MemoryLayout {
  readonly byteSize: (buffer: Buffer) => number
  /** Of places in the arena, in bytes. */
  readonly alignment: number
}
/** Elements in the bytes of their dtype: the form that hosts use. */
export const packedLayout: MemoryLayout = { byteSize, alignment }

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit

/** `mayTakeOver` says whether an output (by index) may be written over an input (by index). */
export type TakeOver = (output: number, input: number) => boolean

export const donating =
  (donated: readonly boolean[]): TakeOver =>
  (_output, input) =>
    donated[input] ?? false

export function plan(
  program: Program,
  mayTakeOver: TakeOver,
  layout: MemoryLayout = packedLayout,
): Plan {
  return new Planner(layout).plan(program, mayTakeOver)
}

interface Lifetime {
  first: number
  last: number
}

class Planner {
  /** Programs in loop bodies and branches are planned once; bodies by the place of their first carry. */
  private readonly known = new Map<Program, Map<number, Plan>>()

  constructor(private readonly layout: MemoryLayout) {}

  plan(program: Program, mayTakeOver: TakeOver): Plan {
    const { inputs, outputs, nodes } = program
    const { byteSize, alignment } = this.layout
    const alignUp = (bytes: number): number => roundUp(bytes, alignment)
    const inputIndex = new Map(inputs.map((b, i) => [b, i]))
    const outputIndex = new Map(outputs.map((b, i) => [b, i]))
    const placements = new Map<Buffer, Placement>()
    inputs.forEach((b, index) => placements.set(b, { kind: 'input', index }))
    outputs.forEach((b, index) => placements.set(b, { kind: 'output', index }))

    const lifetimes = lifetimesOf(nodes)
    const dying = new Map<number, Buffer[]>()
    for (const [buffer, { last }] of lifetimes) {
      const others = dying.get(last)
      if (others === undefined) dying.set(last, [buffer])
      else others.push(buffer)
    }

    const arena = new Arena(alignment)
    const blocks = new Map<Buffer, Block>()
    const outputStorage = new Array<number | null>(outputs.length).fill(null)
    const takenInputs = new Set<number>()
    const inner = new Map<LoopNode, InnerPlan>()

    nodes.forEach((node, time) => {
      const { writes } = accessesOf(node)
      const ending = dying.get(time) ?? []
      for (const target of writes) {
        if (lifetimes.get(target)?.first !== time) continue
        const output = outputIndex.get(target)
        if (output !== undefined) {
          const free = (input: number): boolean =>
            mayTakeOver(output, input) &&
            !takenInputs.has(input) &&
            byteSize(inputs[input]) === byteSize(target)
          const sameIndex = ending.find((b) => {
            const input = inputIndex.get(b)
            return input !== undefined && free(input) && replaceable(node, target, b)
          })
          const source =
            sameIndex === undefined
              ? inputs.findIndex((b, i) => free(i) && (lifetimes.get(b)?.last ?? -1) < time)
              : inputs.indexOf(sameIndex)
          if (source >= 0) {
            takenInputs.add(source)
            outputStorage[output] = source
          }
          continue
        }
        const place = ending.find(
          (b) =>
            blocks.has(b) &&
            lifetimes.get(b)?.first !== time &&
            alignUp(byteSize(b)) === alignUp(byteSize(target)) &&
            replaceable(node, target, b),
        )
        const block = place === undefined ? undefined : blocks.get(place)
        if (place !== undefined && block !== undefined) {
          blocks.delete(place)
          blocks.set(target, block)
        } else blocks.set(target, arena.allocate(byteSize(target)))
        const own = blocks.get(target)
        if (own !== undefined) placements.set(target, { kind: 'arena', offset: own.offset })
      }
      if (programsOf(node).length > 0) inner.set(node, this.innerPlan(node, arena))
      for (const buffer of ending) {
        const block = blocks.get(buffer)
        if (block === undefined) continue
        blocks.delete(buffer)
        arena.release(block)
      }
    })
    return { placements, arenaBytes: arena.size, peakBytes: arena.peak, outputStorage, inner }
  }

  private innerPlan(node: LoopNode, arena: Arena): InnerPlan {
    const carried = carriesOf(node)
    const firstCarry =
      node.kind === 'scan'
        ? node.constants.length
        : node.kind === 'while'
          ? node.bodyConstants.length
          : 0
    const programs = programsOf(node).map((program) => {
      const isBody = (node.kind === 'scan' || node.kind === 'while') && program === node.body
      return this.planInner(program, isBody ? firstCarry : -1)
    })
    const body =
      node.kind === 'scan' ? programs[0] : node.kind === 'while' ? programs[1] : undefined
    const blocks: Block[] = []
    const take = (bytes: number): number => {
      const block = arena.allocate(bytes)
      blocks.push(block)
      return block.offset
    }
    const carries = carried.map((buffer, i): CarryPlace => {
      const inPlace = body !== undefined && body.outputStorage[i] === firstCarry + i
      return { inPlace, scratch: inPlace ? null : take(this.layout.byteSize(buffer)) }
    })
    const offset = take(Math.max(0, ...programs.map((p) => p.arenaBytes)))
    for (const block of blocks) arena.release(block)
    return { arena: offset, programs, carries }
  }

  private planInner(program: Program, firstCarry: number): Plan {
    const plans = this.known.get(program) ?? new Map<number, Plan>()
    this.known.set(program, plans)
    const known = plans.get(firstCarry)
    if (known !== undefined) return known
    const made = this.plan(
      program,
      (output, input) => firstCarry >= 0 && input === firstCarry + output,
    )
    plans.set(firstCarry, made)
    return made
  }
}

const carriesOf = (node: LoopNode): readonly Buffer[] =>
  node.kind === 'scan' || node.kind === 'while' ? node.final : []

function lifetimesOf(nodes: readonly LoopNode[]): ReadonlyMap<Buffer, Lifetime> {
  const lifetimes = new Map<Buffer, Lifetime>()
  nodes.forEach((node, time) => {
    const { reads, writes } = accessesOf(node)
    for (const buffer of [...reads, ...writes]) {
      const lifetime = lifetimes.get(buffer)
      if (lifetime === undefined) lifetimes.set(buffer, { first: time, last: time })
      else lifetime.last = time
    }
  })
  return lifetimes
}

/**
 * Whether `target` may be written where `source` lies, `source` being read for the last time by the
 * same node: every element must be read before, or at the same iteration as, it is overwritten.
 */
function replaceable(node: LoopNode, target: Buffer, source: Buffer): boolean {
  if (source.size !== target.size || bytesOf(source.dtype) !== bytesOf(target.dtype)) return false
  switch (node.kind) {
    case 'copy':
      return node.source === source
    case 'scan': {
      const others = [...node.constants, ...node.xs]
      return startsAs(node.initial, node.final, source, target) && !others.includes(source)
    }
    case 'while': {
      const others = [...node.conditionConstants, ...node.bodyConstants]
      return startsAs(node.initial, node.final, source, target) && !others.includes(source)
    }
    case 'map':
      return readOnlyWhereWritten(node.stores, node.shape, target, source, rootsOf(node))
    case 'reduce': {
      if (loadsOf(node.reductions.map((r) => r.value)).some((l) => l.source === source))
        return false
      return readOnlyWhereWritten(
        node.stores,
        node.shape,
        target,
        source,
        rootsOf({ ...node, reductions: [] }),
      )
    }
    case 'rows': {
      // A step may read what it overwrites only where it overwrites it, steps before it only in the
      // row that is overwritten, and steps after it not at all.
      const writer = node.steps.findIndex((step) => step.stores.some((s) => s.target === target))
      const written = node.steps[writer]?.stores.find((s) => s.target === target)
      return node.steps.every((step, i) => {
        const roots = rootsOf(step)
        const loads = loadsOf(roots).filter((l) => l.source === source)
        if (loads.length === 0) return true
        if (written === undefined || i > writer) return false
        if (i === writer) return replaceable(step, target, source)
        const own = { at: written.at, inner: innerOf(node.steps[writer], node.shape) }
        const inner = innerOf(step, node.shape)
        return loads.every((l) => staysInRow(node.shape, own, { ...l, inner }))
      })
    }
    case 'contract': {
      if (loadsOf([node.lhs.value, node.rhs.value]).some((l) => l.source === source)) return false
      const space = [...node.batch, ...node.m, ...node.n]
      const epilogue: LoopNode = { kind: 'map', shape: space, stores: node.stores }
      return readOnlyWhereWritten(node.stores, space, target, source, rootsOf(epilogue))
    }
    default:
      return false
  }
}

/** A loop works in `final`, which it fills from `initial` first. */
const startsAs = (
  initial: readonly Buffer[],
  final: readonly Buffer[],
  source: Buffer,
  target: Buffer,
): boolean =>
  initial[final.indexOf(target)] === source && initial.filter((b) => b === source).length === 1

function readOnlyWhereWritten(
  stores: readonly Store[],
  shape: readonly number[],
  target: Buffer,
  source: Buffer,
  roots: Parameters<typeof loadsOf>[0],
): boolean {
  const writing = stores.filter((s) => s.target === target)
  if (writing.length !== 1 || writing[0].offsets.length > 0) return false
  const at: Affine = writing[0].at
  return loadsOf(roots).every(
    (l) => l.source !== source || (l.offsets.length === 0 && affineEqualOn(shape, l.at, at)),
  )
}

// --- the arena -------------------------------------------------------------------------------------

interface Block {
  offset: number
  bytes: number
}

/** Free blocks ordered by offset, neighbours joined. */
class Arena {
  size = 0
  peak = 0
  private used = 0
  private readonly free: Block[] = []

  constructor(private readonly alignment: number) {}

  allocate(bytes: number): Block {
    const needed = roundUp(bytes, this.alignment)
    this.used += needed
    this.peak = Math.max(this.peak, this.used)
    if (needed === 0) return { offset: 0, bytes: 0 }
    let best = -1
    this.free.forEach((block, i) => {
      if (block.bytes >= needed && (best < 0 || block.bytes < this.free[best].bytes)) best = i
    })
    if (best >= 0) {
      const block = this.free[best]
      const taken = { offset: block.offset, bytes: needed }
      block.offset += needed
      block.bytes -= needed
      if (block.bytes === 0) this.free.splice(best, 1)
      return taken
    }
    // Nothing fits: grow, from a free block at the end if there is one.
    const last = this.free.at(-1)
    const offset =
      last !== undefined && last.offset + last.bytes === this.size ? last.offset : this.size
    if (offset !== this.size) this.free.pop()
    this.size = offset + needed
    return { offset, bytes: needed }
  }

  release(block: Block): void {
    this.used -= block.bytes
    if (block.bytes === 0) return
    let at = this.free.findIndex((b) => b.offset > block.offset)
    if (at < 0) at = this.free.length
    const before = this.free[at - 1]
    const after = this.free[at]
    const joinsBefore = before !== undefined && before.offset + before.bytes === block.offset
    const joinsAfter = after !== undefined && block.offset + block.bytes === after.offset
    if (joinsBefore) {
      before.bytes += block.bytes
      if (joinsAfter) {
        before.bytes += after.bytes
        this.free.splice(at, 1)
      }
    } else if (joinsAfter) {
      after.offset = block.offset
      after.bytes += block.bytes
    } else this.free.splice(at, 0, { offset: block.offset, bytes: block.bytes })
  }
}
