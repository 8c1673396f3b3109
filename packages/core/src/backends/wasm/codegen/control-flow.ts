/**
 * Loops and branches, and the programs inside them. A page has this if one of its primitives holds
 * programs: see `kernels/control-flow.ts`.
 */
import { programsOf } from '../../../compiler/dependence'
import type { Buffer } from '../../../compiler/expr'
import type { BranchNode, LoopNode, Program, ScanNode, WhileNode } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import type { InnerPlan, Plan } from '../../../compiler/plan'
import type { FunctionBuilder, Label, Local } from '../emit/index'
import { pushOffset } from './environment'
import type { CodegenEnvironment } from './environment'
import type { ThreadCode } from './threads'

/** Where in linear memory a condition leaves its answer: the memory's first bytes are not given out. */
const FLAG_ADDRESS = 64

/** Engines allow 1000 parameters; a program with more takes them from globals. */
const MOST_PARAMETERS = 900

/** Pushes the address of a buffer. */
export type PushAddress = (buffer: Buffer) => void

/** What a node's code needs to know of the program that it stands in. */
export interface Place {
  readonly plan: Plan
  readonly arena: Local<'i32'>
  readonly push: PushAddress
}

/** Writes programs: what loops and branches ask for those inside of them. */
export interface ProgramWriter {
  readonly env: CodegenEnvironment
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
  ): void
}

export class ControlFlow {
  /** Programs inside nodes, as one thread runs them and as several do. */
  private readonly inner = {
    alone: new Map<Plan, InnerProgram>(),
    together: new Map<Plan, InnerProgram>(),
  }

  constructor(private readonly writer: ProgramWriter) {}

  write(
    f: FunctionBuilder,
    node: ScanNode | WhileNode | BranchNode,
    place: Place,
    threads: ThreadCode | null,
  ): void {
    switch (node.kind) {
      case 'scan':
        return this.scan(f, node, place, threads)
      case 'while':
        return this.while(f, node, place, threads)
      case 'branch':
        return this.branch(f, node, place, threads)
    }
  }

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
    const { module } = this.writer.env
    const count = 1 + program.inputs.length + program.outputs.length
    const inGlobals = count > MOST_PARAMETERS
    const f = module.function({
      name: this.writer.env.functionName(`${node.kind}.program`),
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
    this.writer.writeNodes(f, program, ownPlan, arena, threads, false, (buffer) => {
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
