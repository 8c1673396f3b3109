/**
 * Memory planning: where every temporary lies in the program's arena, which outputs take over the
 * storage of donated inputs, and what loops and branches need for the programs inside them.
 *
 * Offsets are bytes and multiples of 64. The lifetime of a temporary is the interval from its first
 * write to its last use in the list of nodes (`pack.ts` finds the places). A store may take the place of a buffer that dies in the same node, if the node reads it only at the same index.
 */
import { bytesOf } from '../types/dtype'
import { accessesOf, programsOf, rootsOf } from './dependence'
import type { Affine, Buffer } from './expr'
import type { JointNode, JointPart, LoopNode, Program, Store } from './nodes'
import { type Block, pack } from './pack'
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
  /** Of an input or output, which may be held in another form than temporaries. */
  readonly arrayBytes: (buffer: Buffer) => number
  /** Of places in the arena, in bytes. */
  readonly alignment: number
}
/** Elements in the bytes of their dtype: the form that hosts use. */
export const packedLayout: MemoryLayout = { byteSize, arrayBytes: byteSize, alignment }

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
    const { byteSize, arrayBytes, alignment } = this.layout
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

    const blocks: Block[] = []
    const allocate = (bytes: number, live: number, time: number): Block => {
      const block: Block = {
        bytes: alignUp(bytes),
        liveBytes: alignUp(live),
        first: time,
        last: time,
        offset: 0,
      }
      blocks.push(block)
      return block
    }
    /** Of temporaries that live. */
    const blockOf = new Map<Buffer, Block>()
    const placed: (readonly [Buffer, Block])[] = []
    const outputStorage = new Array<number | null>(outputs.length).fill(null)
    const takenInputs = new Set<number>()
    const inner = new Map<LoopNode, InnerBlocks>()

    nodes.forEach((node, time) => {
      const { writes } = accessesOf(node)
      const ending = dying.get(time) ?? []
      /** Those whose place a result may take. */
      const endingFor = (target: Buffer): readonly Buffer[] => {
        if (node.kind !== 'joint') return ending
        const [part] = partsBy(node).writing.get(target) ?? []
        return [...accessesOf(part).reads].filter((b) => lifetimes.get(b)?.last === time)
      }
      for (const target of writes) {
        if (lifetimes.get(target)?.first !== time) continue
        const output = outputIndex.get(target)
        if (output !== undefined) {
          const free = (input: number): boolean =>
            mayTakeOver(output, input) &&
            !takenInputs.has(input) &&
            arrayBytes(inputs[input]) === arrayBytes(target)
          const sameIndex = endingFor(target).find((b) => {
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
        const place = endingFor(target).find(
          (b) =>
            blockOf.has(b) &&
            lifetimes.get(b)?.first !== time &&
            alignUp(byteSize(b)) === alignUp(byteSize(target)) &&
            replaceable(node, target, b),
        )
        const known = place === undefined ? undefined : blockOf.get(place)
        if (place !== undefined) blockOf.delete(place)
        const size = byteSize(target)
        const block = known ?? allocate(size, size, time)
        blockOf.set(target, block)
        placed.push([target, block])
      }
      if (programsOf(node).length > 0) {
        inner.set(
          node,
          this.innerBlocks(node, (bytes, live) => allocate(bytes, live, time)),
        )
      }
      for (const buffer of ending) {
        const block = blockOf.get(buffer)
        if (block === undefined) continue
        blockOf.delete(buffer)
        block.last = time
      }
    })
    const packing = pack(blocks, nodes.length)
    for (const [buffer, { offset }] of placed) placements.set(buffer, { kind: 'arena', offset })
    const innerPlans = new Map([...inner].map(([node, own]) => [node, innerPlan(own)]))
    return { placements, ...packing, outputStorage, inner: innerPlans }
  }

  private innerBlocks(
    node: LoopNode,
    take: (bytes: number, liveBytes: number) => Block,
  ): InnerBlocks {
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
    const carries = carried.map((buffer, i) => {
      const inPlace = body !== undefined && body.outputStorage[i] === firstCarry + i
      const size = this.layout.byteSize(buffer)
      return { inPlace, scratch: inPlace ? null : take(size, size) }
    })
    const arena = take(
      Math.max(0, ...programs.map((p) => p.arenaBytes)),
      Math.max(0, ...programs.map((p) => p.peakBytes)),
    )
    return { arena, programs, carries }
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

/** An inner plan whose places are not known yet. */
interface InnerBlocks {
  readonly arena: Block
  readonly programs: readonly Plan[]
  readonly carries: readonly { readonly inPlace: boolean; readonly scratch: Block | null }[]
}

const innerPlan = ({ arena, programs, carries }: InnerBlocks): InnerPlan => ({
  arena: arena.offset,
  programs,
  carries: carries.map(({ inPlace, scratch }) => ({ inPlace, scratch: scratch?.offset ?? null })),
})

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

/** The most bytes of temporaries alive at one time where no two share a place. */
export function liveBytes({ inputs, outputs, nodes }: Program): number {
  const changes = new Array<number>(nodes.length + 1).fill(0)
  const outside = new Set([...inputs, ...outputs])
  for (const [buffer, { first, last }] of lifetimesOf(nodes)) {
    if (outside.has(buffer)) continue
    changes[first] += byteSize(buffer)
    changes[last + 1] -= byteSize(buffer)
  }
  let bytes = 0
  return changes.reduce((most, change) => Math.max(most, (bytes += change)), 0)
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
    case 'joint': {
      // Parts run side by side: what one reads no other may overwrite.
      const { reading, writing } = partsBy(node)
      const [readers, writers] = [reading.get(source) ?? [], writing.get(target) ?? []]
      const [part] = [...writers.slice(0, 1), ...readers.slice(0, 1)]
      const isOnly = [...writers.slice(0, 2), ...readers.slice(0, 2)].every((p) => p === part)
      return part !== undefined && isOnly && replaceable(part, target, source)
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

/** The parts of a joint node by the buffers that they read and write. */
interface PartsBy {
  readonly reading: Map<Buffer, JointPart[]>
  readonly writing: Map<Buffer, JointPart[]>
}
const knownParts = new WeakMap<JointNode, PartsBy>()
function partsBy(node: JointNode): PartsBy {
  let parts = knownParts.get(node)
  if (parts === undefined) {
    parts = { reading: new Map(), writing: new Map() }
    const add = (by: Map<Buffer, JointPart[]>, buffer: Buffer, part: JointPart): void => {
      const others = by.get(buffer)
      if (others === undefined) by.set(buffer, [part])
      else others.push(part)
    }
    for (const part of node.parts) {
      const { reads, writes } = accessesOf(part)
      for (const b of reads) add(parts.reading, b, part)
      for (const b of writes) add(parts.writing, b, part)
    }
    knownParts.set(node, parts)
  }
  return parts
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
