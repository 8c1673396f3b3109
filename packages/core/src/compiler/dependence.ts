/** What nodes read and write: the questions fusion and planning ask. */
import type { Buffer, Load, Scalar } from './expr'
import type { LoopNode, Program, Store } from './nodes'
import { loadsOf } from './views'

/** Every expression that a node evaluates, dynamic store offsets included. */
export function rootsOf(node: LoopNode): readonly Scalar[] {
  switch (node.kind) {
    case 'map':
      return storeRoots(node.stores)
    case 'reduce':
      return [...node.reductions.map((r) => r.value), ...storeRoots(node.stores)]
    case 'rows':
      return node.steps.flatMap(rootsOf)
    case 'joint':
      return node.parts.flatMap(rootsOf)
    case 'contract':
      return [node.lhs.value, node.rhs.value, ...storeRoots(node.stores)]
    case 'scatter':
      return node.inBounds === null
        ? [node.position, node.update]
        : [node.position, node.inBounds, node.update]
    default:
      return []
  }
}

export const storeRoots = (stores: readonly Store[]): readonly Scalar[] =>
  stores.flatMap((s) => [s.value, ...s.offsets.map((o) => o.value)])

const knownLoads = new WeakMap<LoopNode, readonly Load[]>()

/** The loads of all expressions of a node. */
export function loadsIn(node: LoopNode): readonly Load[] {
  let loads = knownLoads.get(node)
  if (loads === undefined) knownLoads.set(node, (loads = loadsOf(rootsOf(node))))
  return loads
}

export interface Accesses {
  readonly reads: ReadonlySet<Buffer>
  readonly writes: ReadonlySet<Buffer>
}

const known = new WeakMap<LoopNode, Accesses>()

export function accessesOf(node: LoopNode): Accesses {
  let accesses = known.get(node)
  if (accesses === undefined) known.set(node, (accesses = findAccesses(node)))
  return accesses
}

function findAccesses(node: LoopNode): Accesses {
  // What a part of a joint keeps to itself nobody else reads.
  const loads = node.kind === 'joint' ? [] : loadsIn(node)
  const reads = new Set(loads.map((l) => l.source))
  const writes = new Set<Buffer>()
  const read = (...buffers: readonly Buffer[]): void => buffers.forEach((b) => reads.add(b))
  const write = (...buffers: readonly Buffer[]): void => buffers.forEach((b) => writes.add(b))
  switch (node.kind) {
    case 'map':
    case 'reduce':
    case 'contract':
      write(...node.stores.map((s) => s.target))
      break
    case 'rows':
      write(...node.steps.flatMap((step) => step.stores.map((s) => s.target)))
      for (const local of node.locals) {
        reads.delete(local)
        writes.delete(local)
      }
      break
    case 'joint':
      for (const part of node.parts) {
        const own = accessesOf(part)
        read(...own.reads)
        write(...own.writes)
      }
      break
    case 'scatter':
      read(node.target)
      write(node.target)
      break
    case 'selectAndScatter':
      read(node.operand, node.source, node.target)
      write(node.target)
      break
    case 'cumulative':
    case 'cholesky':
    case 'copy':
      read(node.source)
      write(node.target)
      break
    case 'sort':
      read(...node.sources)
      write(...node.targets)
      break
    case 'triangularSolve':
      read(node.a, node.b)
      write(node.target)
      break
    case 'scan':
      read(...node.constants, ...node.initial, ...node.xs)
      write(...node.final, ...node.ys)
      break
    case 'while':
      read(...node.conditionConstants, ...node.bodyConstants, ...node.initial)
      write(...node.final)
      break
    case 'branch':
      read(node.index, ...node.operands)
      write(...node.targets)
      break
  }
  return { reads, writes }
}

/** The programs inside a node, in a fixed order: body; condition and body; branches. */
export function programsOf(node: LoopNode): readonly Program[] {
  switch (node.kind) {
    case 'scan':
      return [node.body]
    case 'while':
      return [node.condition, node.body]
    case 'branch':
      return node.branches
    default:
      return []
  }
}

/** Removes nodes and stores whose results nobody reads. */
export function withoutDeadStores(program: Program): Program {
  const live = new Set<Buffer>(program.outputs)
  const kept: LoopNode[] = []
  for (let i = program.nodes.length - 1; i >= 0; i--) {
    const node = pruned(program.nodes[i], live)
    if (node === null) continue
    accessesOf(node).reads.forEach((b) => live.add(b))
    kept.push(node)
  }
  return {
    ...program,
    nodes: kept.reverse(),
    temporaries: program.temporaries.filter((b) => live.has(b)),
  }
}

function pruned(node: LoopNode, live: ReadonlySet<Buffer>): LoopNode | null {
  switch (node.kind) {
    case 'map':
    case 'reduce':
    case 'contract': {
      const stores = node.stores.filter((s) => live.has(s.target))
      if (stores.length === 0) return null
      return stores.length === node.stores.length ? node : { ...node, stores }
    }
    case 'joint': {
      const parts = node.parts.filter((part) =>
        [...accessesOf(part).writes].some((b) => live.has(b)),
      )
      if (parts.length === 0) return null
      return parts.length === node.parts.length ? node : { ...node, parts }
    }
    default:
      return [...accessesOf(node).writes].some((b) => live.has(b)) ? node : null
  }
}
