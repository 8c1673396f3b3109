/**
 * Loops in one kernel: where an iteration is little work, starting dispatches would cost more than
 * all of it. One workgroup goes through the iterations; its invocations share the elements of each
 * node among themselves and wait for each other after it. Loops and branches inside are WGSL's own.
 */
import { programsOf } from '../../compiler/dependence'
import { accumulator, binary, type Buffer } from '../../compiler/expr'
import type {
  BranchNode,
  ContractNode,
  CopyNode,
  LoopNode,
  Program,
  ReduceNode,
  RowsNode,
  ScanNode,
  ScatterNode,
  WhileNode,
} from '../../compiler/nodes'
import { alongAxis, reindexScalar } from '../../compiler/views'
import { type Shape, sizeOf } from '../../types/aval'
import { unflattened } from './elements'
import {
  type Counter,
  type DeviceFacts,
  type Dispatch,
  KernelSource,
  KernelSpace,
  type Place,
} from './kernel'
import { type Places, sliceOf } from './layout'
import { samePlace, writeMap } from './map'
import { stateOf } from './monoids'
import { meet, readElements, storeResults, walk } from './reduce'
import { keepLocals, rowLength, sharedWords, writeRow } from './rows'
import { ScalarCode } from './wgsl/scalar'

/** Nodes of the programs inside: more would be slow to compile. */
const MOST_NODES = 48
/** What an invocation may do for a node on average: with more, the rest of the device is missed. */
const MOST_STEPS = { scan: 64, while: 256 } as const
/** Steps of an invocation that one dispatch may take: operating systems end those that run for long. */
const STEPS_PER_DISPATCH = 2 ** 20
/** What is assumed of a loop whose length nobody knows. */
const GUESSED_ITERATIONS = 16

/** How much one iteration of a loop is, for a workgroup. */
export interface Work {
  /** Invocations of the workgroup. */
  readonly size: number
  /** Steps of one invocation, nodes counted as one at least. */
  readonly steps: number
}

/** What running a loop in one kernel would take; null where it is not to be done. */
export function residentWork(node: ScanNode | WhileNode, facts: DeviceFacts): Work | null {
  if (!facts.residentLoops) return null
  const nodes = programsOf(node).flatMap(allNodes)
  if (nodes.length > MOST_NODES || !nodes.every(isSupported)) return null
  const kept = nodes.reduce(
    (n, each) => n + (each.kind === 'rows' ? (sharedWords(each) ?? Infinity) : 0),
    0,
  )
  if (4 * kept > SHARED_BYTES) return null
  const widest = Math.max(1, ...nodes.map(widthOf))
  let size = 32
  while (size < widest && size < 256 && 2 * size <= facts.invocations) size *= 2
  const steps = programsOf(node).reduce((n, p) => n + programSteps(p, size), 0)
  const loops = nodes.reduce((n, each) => n + (each.kind === 'rows' ? each.steps.length : 1), 0)
  return steps > MOST_STEPS[node.kind] * loops ? null : { size, steps: Math.max(1, steps) }
}

/** Iterations that one dispatch may run. */
export const iterationsPerDispatch = ({ steps }: Work): number =>
  Math.max(1, Math.floor(STEPS_PER_DISPATCH / steps))

const allNodes = (program: Program): readonly LoopNode[] =>
  program.nodes.flatMap((node) => [node, ...programsOf(node).flatMap(allNodes)])

/** Workgroup memory that rows may take: what every device has, less what reductions need. */
const SHARED_BYTES = 2 ** 13
/** Updates of a scatter are done by one invocation. */
const MOST_UPDATES = 64

function isSupported(node: LoopNode): boolean {
  switch (node.kind) {
    case 'map':
    case 'reduce':
    case 'rows':
    case 'contract':
    case 'copy':
    case 'scan':
    case 'while':
    case 'branch':
      return true
    case 'scatter':
      return sizeOf(node.shape) <= MOST_UPDATES
    default:
      return false
  }
}

/** How many invocations find something to do. */
function widthOf(node: LoopNode): number {
  switch (node.kind) {
    case 'map':
      return sizeOf(node.shape)
    case 'reduce':
      return Math.max(sizeOf(node.shape), sizeOf(node.reduced) / 8)
    case 'contract':
      return sizeOf([...node.batch, ...node.m, ...node.n])
    case 'rows':
      return rowLength(node) / 4
    case 'copy':
      return node.target.size
    default:
      return 1
  }
}

const programSteps = (program: Program, size: number): number =>
  program.nodes.reduce((n, node) => n + nodeSteps(node, size), 0)

function nodeSteps(node: LoopNode, size: number): number {
  switch (node.kind) {
    case 'map':
      return Math.ceil(sizeOf(node.shape) / size)
    case 'copy':
      return Math.ceil(node.target.size / size)
    case 'reduce': {
      const [results, length] = [sizeOf(node.shape), sizeOf(node.reduced)]
      return inTree(results, length, size)
        ? results * (Math.ceil(length / size) + 8)
        : Math.ceil(results / size) * length
    }
    case 'rows':
      return sizeOf(node.shape) * node.steps.length * Math.ceil(rowLength(node) / size + 4)
    case 'contract':
      return nodeSteps(asReduction(node), size)
    case 'scatter':
      return sizeOf(node.shape)
    case 'scan':
      return node.length * programSteps(node.body, size)
    case 'while':
      return GUESSED_ITERATIONS * programsOf(node).reduce((n, p) => n + programSteps(p, size), 0)
    default:
      return 1 + Math.max(0, ...programsOf(node).map((p) => programSteps(p, size)))
  }
}

/** Whether invocations share the elements of one result, rather than the results. */
const inTree = (results: number, length: number, size: number): boolean =>
  length > 64 && results * 4 <= size

/** A contraction as a sum over a product. */
function asReduction(node: ContractNode): ReduceNode {
  const { batch, m, n, k, lhs, rhs, dtype, stores } = node
  const rank = batch.length + m.length + n.length + k.length
  const axes = (from: number, group: Shape) => group.map((_, i) => alongAxis(rank, from + i))
  const inner = axes(rank - k.length, k)
  const outer = axes(0, batch)
  const left = [...outer, ...axes(batch.length, m), ...inner]
  const right = [...outer, ...axes(batch.length + m.length, n), ...inner]
  const value = binary(
    'mul',
    dtype,
    reindexScalar(lhs.value, left, rank),
    reindexScalar(rhs.value, right, rank),
  )
  return {
    kind: 'reduce',
    shape: [...batch, ...m, ...n],
    reduced: k,
    reductions: [{ monoid: 'sum', value }],
    stores,
  }
}

// --- the kernel --------------------------------------------------------------------------------------

/** What one dispatch does of a loop. */
export interface Iterations {
  /** Iterations at most. */
  readonly most: number
  /** Where a scan keeps how many are done; null where one dispatch does them all. */
  readonly counter: Counter | null
  /** Whether the kernel gives the carries their initial values. */
  readonly fills: boolean
  /** The word where predicates lie; after a while loop it says whether there is more to do. */
  readonly flag: Place
}

export function residentKernel(
  node: ScanNode | WhileNode,
  places: Places,
  facts: DeviceFacts,
  { size }: Work,
  iterations: Iterations,
): Dispatch {
  return new ResidentWriter(places, facts, size, iterations).kernel(node)
}

class ResidentWriter {
  /** Of buffers that no program knows. */
  private readonly own = new Map<Buffer, Place>()
  private readonly source: KernelSource
  private readonly space: KernelSpace

  constructor(
    /** Of the program being written: those inside have their own. */
    private places: Places,
    facts: DeviceFacts,
    private readonly size: number,
    private readonly iterations: Iterations,
  ) {
    this.own.set(flagBuffer, iterations.flag)
    const placeOf = (buffer: Buffer): Place => this.own.get(buffer) ?? this.places.of(buffer)
    this.space = new KernelSpace(facts, placeOf, 0, true)
    this.source = new KernelSource(this.space, 'a loop in one workgroup')
  }

  kernel(node: ScanNode | WhileNode): Dispatch {
    const { source } = this
    const { most, counter, fills } = this.iterations
    if (fills) this.moves(node)
    if (node.kind === 'while') {
      const left = source.name('left')
      source.line(`var ${left} = ${most};`)
      this.whileLeft(node, left)
    } else if (counter === null) this.scanFrom(node, '0', String(node.length))
    else {
      const start = source.let('start', `i32(${source.control(counter.word)})`)
      const end = source.let('end', `min(${start} + ${most}, ${node.length})`)
      this.scanFrom(node, start, end)
      this.wait()
      source.block('if (lane == 0u)', () => {
        source.line(`${source.control(counter.word, true)} = u32(${end});`)
      })
    }
    return source.finish({ workgroupSize: this.size, groups: 1 })
  }

  private program(program: Program, places: Places): void {
    const saved = this.places
    this.places = places
    for (const node of program.nodes) this.node(node)
    this.places = saved
  }

  private node(node: LoopNode): void {
    switch (node.kind) {
      case 'map':
        return this.spread(sizeOf(node.shape), (flat) =>
          writeMap(this.source, node, unflattened(this.source, flat, node.shape)),
        )
      case 'copy':
        return this.copy(node)
      case 'reduce':
        return this.reduce(node)
      case 'rows':
        return this.rows(node)
      case 'contract':
        return this.reduce(asReduction(node))
      case 'scatter':
        return this.scatter(node)
      case 'scan':
        this.moves(node)
        return this.scanFrom(node, '0', String(node.length))
      case 'while':
        this.moves(node)
        this.whileLeft(node, null)
        return
      case 'branch':
        return this.branch(node)
      default:
        throw new Error(`no loop in one kernel has a ${node.kind}`)
    }
  }

  /** Runs the body for every element number below `count`; then everyone waits. */
  private spread(count: number, body: (flat: string) => void): void {
    const { source, size } = this
    if (count === 0) return
    if (count === 1) source.block('if (lane == 0u)', () => body('0'))
    else {
      const e = source.name('e')
      source.block(`for (var ${e} = i32(lane); ${e} < ${count}; ${e} += ${size})`, () => body(e))
    }
    this.wait()
  }

  private wait(): void {
    this.source.line('storageBarrier();')
  }

  private copy(node: CopyNode): void {
    if (samePlace(this.space, node.source, node.target)) return
    this.spread(node.target.size, (flat) => this.move(flat, node.source, node.target))
  }

  private move(flat: string, from: Buffer, to: Buffer): void {
    this.source.storeWord(to, flat, this.source.word(from, flat))
  }

  private reduce(node: ReduceNode): void {
    const { source, size } = this
    const results = sizeOf(node.shape)
    const length = sizeOf(node.reduced)
    const states = node.reductions.map(stateOf)
    const division = { results, segments: 1, length, segmentLength: length }
    const part = {
      states,
      read: (at: { readonly result: string; readonly position: string }) =>
        readElements(source, node, at),
    }
    if (!inTree(results, length, size)) {
      return this.spread(results, (result) => {
        const at = { result, segment: '0', first: '0', step: 1 }
        storeResults(source, node, walk(source, division, part, at), result)
      })
    }
    const each = (result: string): void => {
      const at = { result, segment: '0', first: 'i32(lane)', step: size }
      meet(source, states, walk(source, division, part, at), size, (registers) =>
        storeResults(source, node, registers, result),
      )
      // The next result uses the same workgroup memory.
      source.line('workgroupBarrier();')
    }
    const r = source.name('r')
    if (results === 1) each('0')
    else source.block(`for (var ${r} = 0; ${r} < ${results}; ${r}++)`, () => each(r))
    this.wait()
  }

  private rows(node: RowsNode): void {
    const { source, size } = this
    keepLocals(node, this.space)
    const row = source.name('row')
    const count = sizeOf(node.shape)
    source.block(`for (var ${row} = 0; ${row} < ${count}; ${row}++)`, () =>
      writeRow(source, node, row, size),
    )
    this.wait()
  }

  /** Updates in their order, by one invocation. */
  private scatter({ shape, target, position, inBounds, update, combine }: ScatterNode): void {
    const { source } = this
    const u = source.name('u')
    source.block('if (lane == 0u)', () =>
      source.block(`for (var ${u} = 0; ${u} < ${sizeOf(shape)}; ${u}++)`, () => {
        const code = new ScalarCode(source, unflattened(source, u, shape))
        const condition = inBounds === null ? null : code.value(inBounds)
        const at = code.value(position)
        const value = code.value(update)
        const write = (): void => {
          if (combine === 'set') return source.store(target, at, value)
          const { dtype } = target
          const old = source.let('old', source.load(target, at))
          const both = new ScalarCode(source, [], [old, value])
          const joined = binary(combine, dtype, accumulator(dtype, 0), accumulator(dtype, 1))
          source.store(target, at, both.value(joined))
        }
        if (condition === null) write()
        else source.block(`if (${condition})`, write)
      }),
    )
    this.wait()
  }

  // --- loops and branches ------------------------------------------------------------------------------

  private moves(node: ScanNode | WhileNode): void {
    node.initial.forEach((source, i) => this.copy({ kind: 'copy', source, target: node.final[i] }))
  }

  private scanFrom(node: ScanNode, start: string, end: string): void {
    const { length, reverse, body, constants, xs, final, ys } = node
    const { source, places } = this
    const counter: Counter = { word: -1 }
    const carries = final.map(places.of)
    const next = final.map((b, i) => places.nextCarry(node, i, carries[i], b.size))
    const slices = (buffers: readonly Buffer[]): readonly Place[] =>
      buffers.map((b) => sliceOf(places.of(b), counter, b.size / length))
    const t = source.name('t')
    source.block(`for (var ${t} = ${start}; ${t} < ${end}; ${t}++)`, () => {
      this.space.counters.set(counter, reverse ? source.let('step', `${length - 1} - ${t}`) : t)
      const inner = places.inner(
        node,
        0,
        body,
        [...constants.map(places.of), ...carries, ...slices(xs)],
        [...next, ...slices(ys)],
      )
      this.program(body, inner)
      this.advance(final, next, carries)
    })
  }

  /** Runs while the condition holds and, where `left` names a number, it is not 0. */
  private whileLeft(node: WhileNode, left: string | null): void {
    const { condition, conditionConstants, body, bodyConstants, final } = node
    const { source, places } = this
    const carries = final.map(places.of)
    const next = final.map((b, i) => places.nextCarry(node, i, carries[i], b.size))
    source.block('loop', () => {
      this.program(
        condition,
        places.inner(
          node,
          0,
          condition,
          [...conditionConstants.map(places.of), ...carries],
          [this.iterations.flag],
        ),
      )
      const goesOn = this.agreed(source.word(flagBuffer, '0'))
      source.line(`if (${goesOn} == 0u${left === null ? '' : ` || ${left} == 0`}) { break; }`)
      if (left !== null) source.line(`${left}--;`)
      this.program(
        body,
        places.inner(node, 1, body, [...bodyConstants.map(places.of), ...carries], next),
      )
      this.advance(final, next, carries)
    })
  }

  private branch(node: BranchNode): void {
    const { index, branches, operands, targets } = node
    const { source, places } = this
    const chosen = this.agreed(source.word(index, '0'))
    branches.forEach((program, which) => {
      const inner = places.inner(
        node,
        which,
        program,
        operands.map(places.of),
        targets.map(places.of),
      )
      source.block(`if (${chosen} == ${which}u)`, () => this.program(program, inner))
    })
  }

  /** A word of storage that all invocations see the same, for decisions with barriers inside. */
  private agreed(word: string): string {
    const { source } = this
    source.define('decision', 'var<workgroup> decision: u32;')
    source.block('if (lane == 0u)', () => source.line(`decision = ${word};`))
    return source.let('agreed', 'workgroupUniformLoad(&decision)')
  }

  private advance(
    final: readonly Buffer[],
    next: readonly Place[],
    carries: readonly Place[],
  ): void {
    final.forEach(({ size }, i) => {
      if (next[i] === carries[i]) return
      const from: Buffer = { id: -2, dtype: 'uint32', size }
      const to: Buffer = { id: -3, dtype: 'uint32', size }
      this.own.set(from, next[i]).set(to, carries[i])
      this.spread(size, (flat) => this.move(flat, from, to))
    })
  }
}

/** Stands for the word where while loops keep their predicates. */
const flagBuffer: Buffer = { id: -1, dtype: 'bool', size: 1 }
