/**
 * A planned program as one WebAssembly module.
 *
 * Every node is a small function; the program is a function that calls them in order, and so is
 * every program inside a loop or a branch. The exported `run` takes the address of a block of
 * addresses: the arena, the working memory, the inputs, the outputs. So a call from JavaScript
 * passes one number, however many arrays take part.
 */
import type { PlannedProgram } from '../../../compiler/compile'
import { programsOf } from '../../../compiler/dependence'
import type { Buffer } from '../../../compiler/expr'
import type { BranchNode, LoopNode, Program, ScanNode, WhileNode } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import type { InnerPlan, Plan } from '../../../compiler/plan'
import { ModuleBuilder } from '../emit/index'
import type { FunctionBuilder, Label, Local, WasmFeatures } from '../emit/index'
import { shared } from '../kernels/shared'
import { buffersOf } from './environment'
import type { CodegenEnvironment } from './environment'
import { nodeKey } from './node-key'
import { emitNode } from './nodes'

/** Where in linear memory a condition leaves its answer: the memory's first bytes are not given out. */
export const FLAG_ADDRESS = 64
/** Entries of the block of addresses before those of the inputs. */
export const BLOCK_HEADER = 2

/** Engines allow 1000 parameters; a program with more takes them from globals. */
const MOST_PARAMETERS = 900

export interface ModuleCode {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly arenaBytes: number
  /** Working memory that the nodes share. */
  readonly scratchBytes: number
  readonly functions: readonly FunctionBuilder[]
}

/** Pushes the address of a buffer. */
type PushAddress = (buffer: Buffer) => void

export function emitProgram({ program, plan }: PlannedProgram, features: WasmFeatures): ModuleCode {
  const module = new ModuleBuilder({ debug: true })
  module.importMemory({ initial: 1 })
  const scratch = module.global(0)
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
  }
  const emitter = new ProgramEmitter(env)
  const body = module.function({ name: 'program', params: ['i32'], results: [] })
  const run = module.function({ name: 'run', exportName: 'run', params: ['i32'], results: [] })
  const block = body.param(0, 'i32')
  const entry = (position: number): void => {
    body.get(block).load('i32.load', 4 * position)
  }
  const arena = body.local('i32')
  entry(0)
  body.set(arena)
  emitter.writeNodes(body, program, plan, arena, (buffer) => {
    const placement = plan.placements.get(buffer)
    if (placement === undefined) throw new Error(`buffer ${buffer.id} has no place`)
    if (placement.kind === 'input') entry(BLOCK_HEADER + placement.index)
    else if (placement.kind === 'output') {
      entry(BLOCK_HEADER + program.inputs.length + placement.index)
    } else pushOffset(body, arena, placement.offset)
  })
  const address = run.param(0, 'i32')
  run.get(address).load('i32.load', 4).globalSet(scratch).get(address).call(body)
  return {
    bytes: module.finish(),
    arenaBytes: plan.arenaBytes,
    scratchBytes,
    functions: module.defined,
  }
}

function pushOffset(f: FunctionBuilder, base: Local<'i32'>, offset: number): void {
  f.get(base)
  if (offset !== 0) f.i32Const(offset).op('i32.add')
}

class ProgramEmitter {
  private readonly inner = new Map<Plan, InnerProgram>()

  constructor(private readonly env: CodegenEnvironment) {}

  writeNodes(
    f: FunctionBuilder,
    program: Program,
    plan: Plan,
    arena: Local<'i32'>,
    push: PushAddress,
  ): void {
    for (const node of program.nodes) this.writeNode(f, node, plan, arena, push)
  }

  private writeNode(
    f: FunctionBuilder,
    node: LoopNode,
    plan: Plan,
    arena: Local<'i32'>,
    push: PushAddress,
  ): void {
    switch (node.kind) {
      case 'copy':
        push(node.target)
        push(node.source)
        f.i32Const(byteSize(node.source)).memoryCopy()
        return
      case 'scan':
        return this.scan(f, node, innerPlan(plan, node), arena, push)
      case 'while':
        return this.while(f, node, innerPlan(plan, node), arena, push)
      case 'branch':
        return this.branch(f, node, innerPlan(plan, node), arena, push)
      default: {
        const { module } = this.env
        const target = shared(module, nodeKey(node), () => emitNode(module, node, this.env))
        for (const buffer of buffersOf(node)) push(buffer)
        f.call(target)
      }
    }
  }

  // ---- programs inside nodes ------------------------------------------------------------------

  /** A function of the arena's address and the addresses of the inputs and outputs. */
  private innerProgram(node: LoopNode, which: number, plan: InnerPlan): InnerProgram {
    const program = programsOf(node)[which]
    const ownPlan = plan.programs[which]
    if (!program || !ownPlan) throw new Error(`a ${node.kind} without its program ${which}`)
    const known = this.inner.get(ownPlan)
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
    this.inner.set(ownPlan, inner)
    const parameter = (position: number): Local<'i32'> => {
      const local = parameters[position]
      if (!local) throw new Error(`${f.name} has no parameter ${position}`)
      return local
    }
    const arena = parameter(0)
    this.writeNodes(f, program, ownPlan, arena, (buffer) => {
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
    plan: InnerPlan,
    arena: Local<'i32'>,
    push: PushAddress,
    endsInFinal: boolean,
  ): Carries {
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
          f.get(scratch).get(current).i32Const(bytes).memoryCopy()
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
          f.if(() => f.get(final).get(current).i32Const(bytes).memoryCopy())
        }
      },
    }
  }

  private scan(
    f: FunctionBuilder,
    node: ScanNode,
    plan: InnerPlan,
    arena: Local<'i32'>,
    push: PushAddress,
  ): void {
    const carries = this.carries(f, node, plan, arena, push, node.length % 2 === 1)
    if (node.length === 0) return carries.finish()
    const body = this.innerProgram(node, 0, plan)
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
    plan: InnerPlan,
    arena: Local<'i32'>,
    push: PushAddress,
  ): void {
    const carries = this.carries(f, node, plan, arena, push, false)
    const condition = this.innerProgram(node, 0, plan)
    const body = this.innerProgram(node, 1, plan)
    f.whileLoop(
      () => {
        pushOffset(f, arena, plan.arena)
        for (const constant of node.conditionConstants) push(constant)
        carries.pushCurrent()
        f.i32Const(FLAG_ADDRESS)
        condition.call(f)
        f.i32Const(FLAG_ADDRESS).load('i32.load8_u')
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
    plan: InnerPlan,
    arena: Local<'i32'>,
    push: PushAddress,
  ): void {
    const programs = node.branches.map((_, which) => this.innerProgram(node, which, plan))
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
