/** What a program costs, counted from its loops: the figures beside which measurements are read. */
import { type Shape, sizeOf } from '../types/aval'
import { bytesOf } from '../types/dtype'
import { programsOf, rootsOf, storeRoots } from './dependence'
import type { Affine, Buffer, Load, Scalar } from './expr'
import type { LoopNode, Program, RowsNode, Store } from './nodes'
import { byteSize, type Plan } from './plan'
import { affinesOf, forEachNode, loadsOf } from './views'

export interface NodeCost {
  /** Arithmetic operations; a function such as exp counts as one. */
  readonly flops: number
  /** Distinct elements only: what memory must deliver if caches are perfect. */
  readonly bytesRead: number
  readonly bytesWritten: number
}

export interface ProgramCost extends NodeCost {
  /** Bytes that temporaries take. */
  readonly peakTemporaryBytes: number
  /** Most bytes of temporaries alive at one time: no plan could take less. */
  readonly liveTemporaryBytes: number
  /** Arguments, results that take no argument's place, and temporaries. */
  readonly peakBytes: number
  /** Nodes, those inside loops and branches included. */
  readonly loops: number
}

/** A loop of unknown length counts one iteration, a branch its dearest case. */
export function nodeCost(node: LoopNode): NodeCost {
  switch (node.kind) {
    case 'map':
      return sum([over(node.shape, storeRoots(node.stores)), written(node.stores, node.shape)])
    case 'reduce': {
      const space = [...node.shape, ...node.reduced]
      const values = node.reductions.map((r) => r.value)
      return sum([
        over(space, values),
        { flops: sizeOf(space) * values.length, bytesRead: 0, bytesWritten: 0 },
        over(node.shape, storeRoots(node.stores)),
        written(node.stores, node.shape),
      ])
    }
    case 'rows': {
      const { flops } = sum(node.steps.map(nodeCost))
      return { flops, ...rowTraffic(node) }
    }
    case 'joint':
      return sum(node.parts.map(nodeCost))
    case 'contract': {
      const { batch, m, n, k } = node
      const space = [...batch, ...m, ...n]
      return sum([
        over([...batch, ...m, ...k], [node.lhs.value]),
        over([...batch, ...n, ...k], [node.rhs.value]),
        { flops: 2 * sizeOf(space) * sizeOf(k), bytesRead: 0, bytesWritten: 0 },
        over(space, storeRoots(node.stores)),
        written(node.stores, space),
      ])
    }
    case 'scatter': {
      const roots = [node.position, node.update, ...(node.inBounds === null ? [] : [node.inBounds])]
      const touched = sizeOf(node.shape) * bytesOf(node.target.dtype)
      const adds = node.combine === 'set' ? 0 : sizeOf(node.shape)
      return sum([
        over(node.shape, roots),
        { flops: adds, bytesRead: node.combine === 'set' ? 0 : touched, bytesWritten: touched },
      ])
    }
    case 'copy':
      return moved([node.source], [node.target], 0)
    case 'cumulative':
      return moved([node.source], [node.target], node.source.size)
    case 'sort': {
      const comparisons = node.rows * node.length * Math.ceil(Math.log2(Math.max(2, node.length)))
      return moved(node.sources, node.targets, comparisons * node.numKeys)
    }
    case 'selectAndScatter':
      return moved(
        [node.operand, node.source],
        [node.target],
        node.source.size * sizeOf(node.geometry.window),
      )
    case 'cholesky':
      return moved([node.source], [node.target], Math.round((node.batch * node.n ** 3) / 3))
    case 'triangularSolve':
      return moved([node.a, node.b], [node.target], node.batch * node.n ** 2 * node.columns)
    case 'scan': {
      const once = sum(node.body.nodes.map(nodeCost))
      return scaled(once, node.length)
    }
    case 'while':
      return sum([...node.condition.nodes, ...node.body.nodes].map(nodeCost))
    case 'branch': {
      const cases = node.branches.map((b) => sum(b.nodes.map(nodeCost)))
      return cases.reduce(
        (a, b) => (b.flops + b.bytesRead > a.flops + a.bytesRead ? b : a),
        nothing,
      )
    }
  }
}

export function programCost(program: Program, plan: Plan): ProgramCost {
  const total = (buffers: readonly Buffer[]): number =>
    buffers.reduce((bytes, buffer) => bytes + byteSize(buffer), 0)
  const results = program.outputs.filter((_, i) => plan.outputStorage[i] === null)
  return {
    ...sum(program.nodes.map(nodeCost)),
    peakTemporaryBytes: plan.arenaBytes,
    liveTemporaryBytes: plan.peakBytes,
    peakBytes: total(program.inputs) + total(results) + plan.arenaBytes,
    loops: countLoops(program),
  }
}

const countLoops = (program: Program): number =>
  program.nodes.reduce(
    (n, node) => n + 1 + programsOf(node).reduce((inner, p) => inner + countLoops(p), 0),
    0,
  )

const nothing: NodeCost = { flops: 0, bytesRead: 0, bytesWritten: 0 }

const sum = (costs: readonly NodeCost[]): NodeCost =>
  costs.reduce(
    (a, b) => ({
      flops: a.flops + b.flops,
      bytesRead: a.bytesRead + b.bytesRead,
      bytesWritten: a.bytesWritten + b.bytesWritten,
    }),
    nothing,
  )

const scaled = (cost: NodeCost, times: number): NodeCost => ({
  flops: cost.flops * times,
  bytesRead: cost.bytesRead * times,
  bytesWritten: cost.bytesWritten * times,
})

const moved = (
  sources: readonly Buffer[],
  targets: readonly Buffer[],
  flops: number,
): NodeCost => ({
  flops,
  bytesRead: sources.reduce((n, b) => n + byteSize(b), 0),
  bytesWritten: targets.reduce((n, b) => n + byteSize(b), 0),
})

/** Elements of `space` that differ under these functions: axes along which none moves do not count. */
const distinct = (space: Shape, affines: readonly Affine[]): number =>
  space.reduce(
    (n, size, axis) => (affines.some((at) => at.strides[axis] !== 0) ? n * size : n),
    sizeOf(space) === 0 ? 0 : 1,
  )

function over(space: Shape, roots: readonly Scalar[]): NodeCost {
  let operations = 0
  const read = new Map<Buffer, number>()
  forEachNode(roots, (e) => {
    if (e.kind === 'unary' || e.kind === 'binary' || e.kind === 'select') operations++
    if (e.kind === 'load') read.set(e.source, (read.get(e.source) ?? 0) + elementsRead(e, space))
  })
  let bytesRead = 0
  for (const [buffer, elements] of read)
    bytesRead += Math.min(elements, buffer.size) * bytesOf(buffer.dtype)
  return { flops: operations * sizeOf(space), bytesRead, bytesWritten: 0 }
}

/** Every buffer once, what stays inside the rows not at all. */
function rowTraffic({ steps, locals }: RowsNode): Omit<NodeCost, 'flops'> {
  const read = new Map<Buffer, number>()
  const made = new Map<Buffer, number>()
  for (const step of steps) {
    for (const s of step.stores) made.set(s.target, sizeOf(step.shape))
    const whole = step.kind === 'map' ? step.shape : [...step.shape, ...step.reduced]
    for (const l of loadsOf(rootsOf(step))) {
      const space = l.at.strides.length === step.shape.length ? step.shape : whole
      read.set(l.source, Math.max(read.get(l.source) ?? 0, elementsRead(l, space)))
    }
  }
  const outside = (counts: ReadonlyMap<Buffer, number>, except: (b: Buffer) => boolean): number =>
    [...counts].reduce(
      (bytes, [b, n]) =>
        locals.includes(b) || except(b) ? bytes : bytes + Math.min(n, b.size) * bytesOf(b.dtype),
      0,
    )
  return {
    bytesRead: outside(read, (b) => made.has(b)),
    bytesWritten: outside(made, () => false),
  }
}

const elementsRead = (load: Load, space: Shape): number =>
  distinct(space, [load.at, ...affinesOf(load.offsets.map((o) => o.value))])

const written = (stores: readonly Store[], space: Shape): NodeCost => ({
  flops: 0,
  bytesRead: 0,
  bytesWritten: stores.reduce((n, s) => n + sizeOf(space) * bytesOf(s.target.dtype), 0),
})
