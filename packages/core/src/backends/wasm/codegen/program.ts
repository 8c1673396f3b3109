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
import type { LoopNode, Program } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import type { Plan } from '../../../compiler/plan'
import { bytesOf } from '../../../types/dtype'
import { ModuleBuilder } from '../emit/index'
import type { FunctionBuilder, FunctionRef, Local, WasmFeatures } from '../emit/index'
import { emitNamedJoint, namedControlFlow } from '../kernels/named'
import { shared } from '../kernels/shared'
import type { ControlFlow, Place, ProgramWriter, PushAddress } from './control-flow'
import { buffersOf, pushOffset } from './environment'
import type { CodegenEnvironment } from './environment'
import { Hazards } from './hazards'
import { nodeKey } from './node-key'
import { emitNode } from './nodes'
import { estimatedTime, isWorthSharing, mannerOf, usualSharing } from './sharing'
import type { Sharing } from './sharing'
import { ThreadedModule } from './threads'
import type { ThreadCode } from './threads'

/** Entries of the block of addresses before those of the inputs. */
export const BLOCK_HEADER = 2

export interface ModuleCode {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly arenaBytes: number
  /** Working memory that the nodes share, that of all threads together. */
  readonly scratchBytes: number
  /** Whether `run` is for several threads. */
  readonly threaded: boolean
  readonly functions: readonly FunctionBuilder[]
}

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

class ProgramEmitter implements ProgramWriter {
  private controlFlow: ControlFlow | null = null
  private readonly envAlone: CodegenEnvironment

  constructor(
    readonly env: CodegenEnvironment,
    private readonly sharing: Sharing,
    private readonly ticks: Ticks | null,
  ) {
    this.envAlone = { ...env, threads: null }
  }

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
        return emitNamedJoint(f, node, {
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
      case 'while':
      case 'branch':
        this.controlFlow ??= namedControlFlow(this)
        return this.controlFlow.write(f, node, place, threads)
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
}

/** How nodes inside loops and branches are timed. */
interface Ticks {
  readonly numbers: ReadonlyMap<LoopNode, number>
  readonly tick: FunctionRef
}
