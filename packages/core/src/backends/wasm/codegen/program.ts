/**
 * A planned program as one WebAssembly module.
 *
 * Every node is a small function; the program is a function that calls them in order, and so is
 * every program inside a loop or a branch. The exported `run` takes the address of a block of
 * addresses: the arena, the working memory, the inputs, the outputs. So a call from JavaScript
 * passes one number, however many arrays take part.
 *
 * In a program for several threads, `run` also takes the number of the thread, how many there are and
 * whether the thread may sleep. All threads go through the whole program together.
 */
import type { PlannedProgram } from '../../../compiler/compile'
import { programsOf } from '../../../compiler/dependence'
import type { Buffer } from '../../../compiler/expr'
import type { BranchNode, LoopNode, Program, ScanNode, WhileNode } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import type { InnerPlan, Plan } from '../../../compiler/plan'
import { bytesOf } from '../../../types/dtype'
import { ModuleBuilder } from '../emit/index'
import type { FunctionBuilder, FunctionRef, Label, Local, WasmFeatures } from '../emit/index'
import { shared } from '../kernels/shared'
import { buffersOf } from './environment'
import type { CodegenEnvironment } from './environment'
import { Hazards } from './hazards'
import { emitJoint } from './joint'
import { nodeKey } from './node-key'
import { emitNode } from './nodes'
import { estimatedTime, isWorthSharing, mannerOf, usualSharing } from './sharing'
import type { Sharing } from './sharing'
import { ThreadedModule } from './threads'
import type { ThreadCode } from './threads'

/** Where in linear memory a condition leaves its answer: the memory's first bytes are not given out. */
export const FLAG_ADDRESS = 64
/** Entries of the block of addresses before those of the inputs. */
export const BLOCK_HEADER = 2

/** Engines allow 1000 parameters; a program with more takes them from globals. */
const MOST_PARAMETERS = 900

export interface ModuleCode {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly arenaBytes: number
  /** Working memory that the nodes share, that of all threads together. */
  readonly scratchBytes: number
  /** Whether `run` is for several threads. */
  readonly threaded: boolean
  readonly functions: readonly FunctionBuilder[]
}

/** Pushes the address of a buffer. */
type PushAddress = (buffer: Buffer) => void

export interface ProgramOptions {
  /** Whether the memory that the module will get is shared between threads. */
  readonly sharedMemory: boolean
  /** The most threads that may run the program together. */
  readonly threads: number
  readonly sharing: Sharing
  /**
   * Numbers of nodes inside loops and branches. The module calls `env.clock` with its number after
   * each of them, and with 0 where a program inside begins.
   */
  readonly clock?: ReadonlyMap<LoopNode, number>
}

export const oneThread: ProgramOptions = {
  sharedMemory: false,
  threads: 1,
  sharing: usualSharing,
}

const MOST_PAGES = 65536

export function emitProgram(
  { program, plan }: PlannedProgram,
  features: WasmFeatures,
  { sharedMemory, threads: most, sharing, clock }: ProgramOptions = oneThread,
): ModuleCode {
  const module = new ModuleBuilder({ debug: true })
  const ticks = clock && {
    numbers: clock,
    tick: module.importFunction('env', 'clock', { params: ['i32'], results: [] }),
  }
  module.importMemory({
    initial: 1,
    ...(sharedMemory ? { shared: true, maximum: MOST_PAGES } : {}),
  })
  const scratch = module.global(0)
  const threaded = sharedMemory && isWorthSharing(program, most, sharing)
  const threads = threaded ? new ThreadedModule(module, most, sharing.patience) : null
  let scratchBytes = 0
  const counts = new Map<string, number>()
  const env: CodegenEnvironment = {
    module,
    features,
    scratch: (bytes) => {
      scratchBytes = Math.max(scratchBytes, bytes)
      return scratch
    },
    functionName: (kind) => {
      const count = counts.get(kind) ?? 0
      counts.set(kind, count + 1)
      return `${kind}${count}`
    },
    threads,
  }
  const emitter = new ProgramEmitter(env, sharing, ticks ?? null)
  const body = module.function({ name: 'program', params: ['i32'], results: [] })
  const run = module.function({
    name: 'run',
    exportName: 'run',
    params: threaded ? ['i32', 'i32', 'i32', 'i32'] : ['i32'],
    results: [],
  })
  const block = body.param(0, 'i32')
  const entry = (position: number): void => {
    body.get(block).load('i32.load', 4 * position)
  }
  const arena = body.local('i32')
  entry(0)
  body.set(arena)
  emitter.writeNodes(body, program, plan, arena, threads, true, (buffer) => {
    const placement = plan.placements.get(buffer)
    if (placement === undefined) throw new Error(`buffer ${buffer.id} has no place`)
    if (placement.kind === 'input') entry(BLOCK_HEADER + placement.index)
    else if (placement.kind === 'output') {
      entry(BLOCK_HEADER + program.inputs.length + placement.index)
    } else pushOffset(body, arena, placement.offset)
  })
  const address = run.param(0, 'i32')
  run.get(address).load('i32.load', 4)
  if (threads) {
    // Memory that all threads have in common comes first, then that of each.
    const commonBytes = align(threads.commonScratchBytes)
    const [thread, count, maySleep] = [1, 2, 3].map((position) => run.param(position, 'i32'))
    const common = run.local('i32')
    if (!thread || !count || !maySleep) throw new Error('run takes four numbers')
    run.set(common)
    threads.enter(run, thread, count, maySleep, common)
    run.get(common).get(thread).i32Const(align(scratchBytes)).op('i32.mul').op('i32.add')
    run.i32Const(commonBytes).op('i32.add')
    scratchBytes = commonBytes + most * align(scratchBytes)
  }
  run.globalSet(scratch).get(address).call(body)
  return {
    bytes: module.finish(),
    arenaBytes: plan.arenaBytes,
    scratchBytes,
    threaded,
    functions: module.defined,
  }
}

/** Also keeps threads from writing to one cache line. */
const align = (bytes: number): number => Math.ceil(bytes / 128) * 128

function pushOffset(f: FunctionBuilder, base: Local<'i32'>, offset: number): void {
  f.get(base)
  if (offset !== 0) f.i32Const(offset).op('i32.add')
}

class ProgramEmitter {
  /** Programs inside nodes, as one thread runs them and as several do. */
  private readonly inner = {
    alone: new Map<Plan, InnerProgram>(),
    together: new Map<Plan, InnerProgram>(),
  }
  private readonly envAlone: CodegenEnvironment

  constructor(
    private readonly env: CodegenEnvironment,
    private readonly sharing: Sharing,
    private readonly ticks: Ticks | null,
  ) {
    this.envAlone = { ...env, threads: null }
  }

  /**
   * The nodes one after the other. Where `threads` are given they meet at the end; `outermost` is
   * false in programs inside loops and branches.
   */
  writeNodes(
    f: FunctionBuilder,
    program: Program,
    plan: Plan,
    arena: Local<'i32'>,
    threads: ThreadCode | null,
    outermost: boolean,
    push: PushAddress,
  ): void {
    const tick = (node: LoopNode | null): void => {
      if (this.ticks === null || outermost) return
      const { numbers, tick } = this.ticks
      const call = (): void => void f.i32Const(node ? (numbers.get(node) ?? 0) : 0).call(tick)
      if (threads) threads.alone(f, call)
      else call()
    }
    tick(null)
    if (threads === null) {
      for (const node of program.nodes) {
        this.writeNode(f, node, { plan, arena, push }, null)
        tick(node)
      }
      return
    }
    const hazards = new Hazards(plan, outermost)
    const meet = (): void => {
      if (hazards.meet()) threads.barrier(f)
    }
    for (const node of program.nodes) {
      const manner = mannerOf(node, threads.expected, this.sharing)
      if (manner === 'inside') {
        meet()
        this.writeNode(f, node, { plan, arena, push }, threads)
        tick(node)
        continue
      }
      if (hazards.before(node, manner)) threads.barrier(f)
      if (manner === 'shared') this.writeNode(f, node, { plan, arena, push }, threads)
      else threads.alone(f, () => this.writeNode(f, node, { plan, arena, push }, null))
      tick(node)
    }
    // Threads meet once in every run at least, so that none is still busy with one of before.
    if (hazards.meet() || outermost) threads.barrier(f)
  }

  private writeNode(
    f: FunctionBuilder,
    node: LoopNode,
    place: Place,
    threads: ThreadCode | null,
  ): void {
    const { push } = place
    switch (node.kind) {
      case 'copy':
        push(node.target)
        push(node.source)
        f.i32Const(byteSize(node.source)).memoryCopy()
        return
      case 'joint':
        return emitJoint(f, node, {
          module: this.env.module,
          env: threads ? this.env : this.envAlone,
          pushAddresses: (part, starts) => {
            for (const buffer of buffersOf(part)) {
              push(buffer)
              const start = starts?.get(buffer) ?? 0
              if (start !== 0) f.i32Const(start * bytesOf(buffer.dtype)).op('i32.add')
            }
          },
          whole: (part) => this.writeNode(f, part, place, null),
          together: (part) => this.writeNode(f, part, place, threads),
          isWorthDividing: (part) => estimatedTime(part) >= this.sharing.node,
        })
      case 'scan':
        return this.scan(f, node, place, threads)
      case 'while':
        return this.while(f, node, place, threads)
      case 'branch':
        return this.branch(f, node, place, threads)
      default: {
        const { module } = this.env
        const env = threads ? this.env : this.envAlone
        const key = `${threads ? 'shared ' : ''}${nodeKey(node)}`
        const target = shared(module, key, () => emitNode(module, node, env))
        for (const buffer of buffersOf(node)) push(buffer)
        f.call(target)
      }
    }
  }

  // ---- programs inside nodes ------------------------------------------------------------------

  /** A function of the arena's address and the addresses of the inputs and outputs. */
  private innerProgram(
    node: LoopNode,
    which: number,
    plan: InnerPlan,
    threads: ThreadCode | null,
  ): InnerProgram {
    const inners = this.inner[threads ? 'together' : 'alone']
    const program = programsOf(node)[which]
    const ownPlan = plan.programs[which]
    if (!program || !ownPlan) throw new Error(`a ${node.kind} without its program ${which}`)
    const known = inners.get(ownPlan)
    if (known) return known
    const { module } = this.env
    const count = 1 + program.inputs.length + program.outputs.length
    const inGlobals = count > MOST_PARAMETERS
    const f = module.function({
      name: this.env.functionName(`${node.kind}.program`),
      params: inGlobals ? [] : Array.from({ length: count }, () => 'i32' as const),
      results: [],
    })
    const globals = inGlobals ? Array.from({ length: count }, () => module.global(0)) : []
    const parameters = inGlobals
      ? globals.map((global) => {
          const local = f.local('i32')
          f.globalGet(global).set(local)
          return local
        })
      : Array.from({ length: count }, (_, position) => f.param(position, 'i32'))
    // Arguments are pushed in order, so the last one is taken from the stack first.
    const taken = [...globals].reverse()
    const inner: InnerProgram = {
      call: (caller) => {
        for (const global of taken) caller.globalSet(global)
        caller.call(f)
      },
    }
    inners.set(ownPlan, inner)
    const parameter = (position: number): Local<'i32'> => {
      const local = parameters[position]
      if (!local) throw new Error(`${f.name} has no parameter ${position}`)
      return local
    }
    const arena = parameter(0)
    this.writeNodes(f, program, ownPlan, arena, threads, false, (buffer) => {
      const placement = ownPlan.placements.get(buffer)
      if (placement === undefined) throw new Error(`buffer ${buffer.id} has no place`)
      if (placement.kind === 'input') f.get(parameter(1 + placement.index))
      else if (placement.kind === 'output') {
        f.get(parameter(1 + program.inputs.length + placement.index))
      } else pushOffset(f, arena, placement.offset)
    })
    return inner
  }

  /**
   * The body reads the carries at `current` and writes them at `next`. These alternate between the
   * final place and a scratch place, or are both the final place where the body works in place;
   * the first iteration reads the initial values where they are.
   */
  private carries(
    f: FunctionBuilder,
    node: ScanNode | WhileNode,
    { plan: outer, arena, push }: Place,
    endsInFinal: boolean,
    threads: ThreadCode | null,
  ): Carries {
    const plan = innerPlan(outer, node)
    /** Copies on one thread while the others wait. */
    const copy = (write: () => void): void => {
      if (threads === null) return write()
      threads.alone(f, write)
      threads.barrier(f)
    }
    const places = node.final.map((buffer, i) => {
      const initial = node.initial[i]
      const carry = plan.carries[i]
      if (!initial || !carry) throw new Error(`carry ${i} of a ${node.kind} is incomplete`)
      const final = f.local('i32')
      const current = f.local('i32')
      const next = f.local('i32')
      push(buffer)
      f.set(final)
      push(initial)
      f.set(current)
      const bytes = byteSize(buffer)
      if (carry.inPlace || carry.scratch === null) {
        f.get(final).set(next)
        return { final, current, next, other: null, bytes }
      }
      // The sum of the two places, from which each follows from the other.
      const other = f.local('i32')
      const scratch = f.local('i32')
      pushOffset(f, arena, carry.scratch)
      f.tee(scratch).get(final).op('i32.add').set(other)
      f.get(endsInFinal ? final : scratch).set(next)
      if (endsInFinal) {
        // The planner may have put the final values where the initial ones are.
        f.get(current).get(final).op('i32.eq')
        f.if(() => {
          copy(() => f.get(scratch).get(current).i32Const(bytes).memoryCopy())
          f.get(scratch).set(current)
        })
      }
      return { final, current, next, other, bytes }
    })
    return {
      pushCurrent: () => places.forEach(({ current }) => f.get(current)),
      pushNext: () => places.forEach(({ next }) => f.get(next)),
      advance: () => {
        for (const { current, next, other } of places) {
          f.get(next).set(current)
          if (other) f.get(other).get(current).op('i32.sub').set(next)
        }
      },
      finish: () => {
        for (const { final, current, bytes } of places) {
          f.get(current).get(final).op('i32.ne')
          f.if(() => copy(() => f.get(final).get(current).i32Const(bytes).memoryCopy()))
        }
      },
    }
  }

  private scan(f: FunctionBuilder, node: ScanNode, place: Place, threads: ThreadCode | null): void {
    const { arena, push } = place
    const plan = innerPlan(place.plan, node)
    const carries = this.carries(f, node, place, node.length % 2 === 1, threads)
    if (node.length === 0) return carries.finish()
    const body = this.innerProgram(node, 0, plan, threads)
    const slices = (buffers: readonly Buffer[]) =>
      buffers.map((buffer) => {
        const pointer = f.local('i32')
        const bytes = byteSize(buffer) / node.length
        push(buffer)
        if (node.reverse) f.i32Const(bytes * (node.length - 1)).op('i32.add')
        f.set(pointer)
        return { pointer, step: node.reverse ? -bytes : bytes }
      })
    const xs = slices(node.xs)
    const ys = slices(node.ys)
    const count = f.local('i32')
    f.forRange({ index: count, from: 0, to: node.length, nonEmpty: true }, () => {
      pushOffset(f, arena, plan.arena)
      for (const constant of node.constants) push(constant)
      carries.pushCurrent()
      for (const { pointer } of xs) f.get(pointer)
      carries.pushNext()
      for (const { pointer } of ys) f.get(pointer)
      body.call(f)
      carries.advance()
      for (const { pointer, step } of [...xs, ...ys]) if (step !== 0) f.add(pointer, step)
    })
    carries.finish()
  }

  private while(
    f: FunctionBuilder,
    node: WhileNode,
    place: Place,
    threads: ThreadCode | null,
  ): void {
    const { arena, push } = place
    const plan = innerPlan(place.plan, node)
    const carries = this.carries(f, node, place, false, threads)
    const condition = this.innerProgram(node, 0, plan, threads)
    const body = this.innerProgram(node, 1, plan, threads)
    const goesOn = f.local('i32')
    f.whileLoop(
      () => {
        pushOffset(f, arena, plan.arena)
        for (const constant of node.conditionConstants) push(constant)
        carries.pushCurrent()
        f.i32Const(FLAG_ADDRESS)
        condition.call(f)
        // Threads met at the end of the condition, and meet again before the next one is written.
        f.i32Const(FLAG_ADDRESS).load('i32.load8_u').set(goesOn)
        threads?.barrier(f)
        f.get(goesOn)
      },
      () => {
        pushOffset(f, arena, plan.arena)
        for (const constant of node.bodyConstants) push(constant)
        carries.pushCurrent()
        carries.pushNext()
        body.call(f)
        carries.advance()
      },
    )
    carries.finish()
  }

  private branch(
    f: FunctionBuilder,
    node: BranchNode,
    place: Place,
    threads: ThreadCode | null,
  ): void {
    const { arena, push } = place
    const plan = innerPlan(place.plan, node)
    const programs = node.branches.map((_, which) => this.innerProgram(node, which, plan, threads))
    const call = (which: number): void => {
      const target = programs[which]
      if (!target) return
      pushOffset(f, arena, plan.arena)
      for (const buffer of [...node.operands, ...node.targets]) push(buffer)
      target.call(f)
    }
    // Nested blocks, one for each branch: leaving the innermost n leads to branch n.
    f.block((end) => {
      const open = (remaining: number, labels: readonly Label[]): void => {
        if (remaining > 0) {
          f.block((label) => open(remaining - 1, [label, ...labels]))
          const which = remaining - 1
          call(which)
          f.br(end)
          return
        }
        push(node.index)
        f.load('i32.load')
        const last = labels.at(-1)
        if (last) f.brTable(labels.slice(0, -1), last)
      }
      open(programs.length, [])
    })
  }
}

/** How nodes inside loops and branches are timed. */
interface Ticks {
  readonly numbers: ReadonlyMap<LoopNode, number>
  readonly tick: FunctionRef
}

/** What a node's code needs to know of the program that it stands in. */
interface Place {
  readonly plan: Plan
  readonly arena: Local<'i32'>
  readonly push: PushAddress
}

/** Takes its arguments from the stack: the arena, the inputs, the outputs. */
interface InnerProgram {
  readonly call: (caller: FunctionBuilder) => void
}

interface Carries {
  readonly pushCurrent: () => void
  readonly pushNext: () => void
  readonly advance: () => void
  readonly finish: () => void
}

function innerPlan(plan: Plan, node: LoopNode): InnerPlan {
  const inner = plan.inner.get(node)
  if (!inner) throw new Error(`a ${node.kind} without a plan`)
  return inner
}
