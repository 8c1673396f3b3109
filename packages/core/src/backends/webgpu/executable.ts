/** A program compiled for one GPU. */
import type { PlannedProgram } from '../../compiler/compile'
import { programCost } from '../../compiler/cost'
import { printProgram } from '../../compiler/print'
import type { Jaxpr } from '../../jaxpr/ir'
import { printJaxpr } from '../../jaxpr/print'
import type { Aval } from '../../types/aval'
import { type AdjointError, ArgumentError } from '../../types/errors'
import type { Backend, CostSummary, Executable, Storage, TextFormat } from '../backend'
import { USAGE } from './constants'
import type { GpuRuntime, Pipeline } from './device'
import { arrayBytes } from './layout'
import type { Block } from './memory'
import { Outcome } from './outcome'
import { arraysOf, type DispatchStep, type ProgramCode, programCode, type Step } from './program'
import { type PreparedStep, Recording } from './recording'
import { GpuStorage } from './storage'

/** What an executable asks of its backend. */
export interface StorageOwner extends Backend {
  usable(storage: Storage, op: string): GpuStorage
}

export class WebGpuExecutable implements Executable {
  readonly inAvals: readonly Aval[]
  readonly outAvals: readonly Aval[]
  private readonly code: ProgramCode
  private readonly prepared = new Map<DispatchStep, PreparedStep>()
  private readonly pipelines: readonly Pipeline[]
  /** Whether all kernels are compiled, or known not to be. */
  private ready = false
  private failed = false
  private readonly compiled: Promise<void>
  /** Whether a call waits for the device before it is done. */
  private readonly waits: boolean
  /** For each output, the number of the array that holds it. */
  private readonly arrays: readonly number[]
  private readonly control: GPUBuffer | null
  private disposed = false

  constructor(
    private readonly owner: StorageOwner,
    private readonly runtime: GpuRuntime,
    private readonly jaxpr: Jaxpr,
    private readonly planned: PlannedProgram,
    private readonly name: string,
    private readonly donated: readonly boolean[],
  ) {
    this.inAvals = jaxpr.inAvals
    this.outAvals = jaxpr.outAvals
    this.code = programCode(planned, runtime.facts)
    this.arrays = arraysOf(planned)
    for (const step of dispatchesOf(this.code.steps)) {
      const pipeline = runtime.pipeline(step.dispatch)
      this.prepared.set(step, { step, pipeline, groups: new Map() })
    }
    this.pipelines = [...new Set([...this.prepared.values()].map(({ pipeline }) => pipeline))]
    this.compiled = Promise.all(this.pipelines.map((each) => each.ready)).then(() => {
      this.ready = true
      this.failed = this.pipelines.some(({ outcome }) => outcome.failed)
    })
    this.ready = this.pipelines.every(({ compiled }) => compiled !== null)
    this.waits = hasUntil(this.code.steps)
    this.control = controlBlock(runtime, this.code)
  }

  run(inputs: readonly Storage[]): readonly Storage[] {
    const { runtime, owner, donated } = this
    const op = this.name || 'run'
    if (this.disposed) {
      throw new ArgumentError({
        op,
        problem: 'the compiled program was disposed of',
        hint: 'compile the function again',
      })
    }
    runtime.requireAlive()
    const own = inputs.map((storage) => owner.usable(storage, op))
    const call = this.allocate(own, op)
    const outcomes = this.outcomesOf(own)
    if (runtime.stream.busy || !this.ready || this.waits) outcomes.push(this.enqueue(call, op))
    else this.runAtOnce(call, op)
    // One for all: along a chain of calls there would be more and more.
    const outcome = Outcome.ofAll(outcomes)
    const results = call.results.map((block, i) => {
      const all = outcome === null ? [] : [outcome]
      if (block.outcome.matters) all.push(block.outcome)
      return new GpuStorage(owner, this.outAvals[i], { block }, all)
    })
    own.forEach((storage, i) => {
      if (donated[i]) owner.release(storage)
    })
    return results
  }

  /** Memory for the results: of their own, or that of donated inputs. */
  private allocate(own: readonly GpuStorage[], op: string): Call {
    const { runtime } = this
    const arrays = own.map(blockOf)
    const copies: Call['copies'][number][] = []
    const acquired: Block[] = []
    const results: Block[] = []
    const taken: GpuStorage[] = []
    try {
      this.outAvals.forEach((aval, i) => {
        const array = this.arrays[i]
        const source = array < own.length ? own[array] : null
        const from = source === null ? null : blockOf(source)
        // An array that is passed twice can be taken over only once nobody else reads it.
        if (
          source !== null &&
          from !== null &&
          arrays.filter((block) => block === from).length === 1
        ) {
          taken.push(source)
          results.push(from)
          return
        }
        const to = runtime.pool.acquire(arrayBytes(aval, runtime.facts), aval, op)
        acquired.push(to)
        if (from !== null) copies.push({ from, to, bytes: arrayBytes(aval, runtime.facts) })
        arrays[array] = to
        results.push(to)
      })
    } catch (error) {
      for (const block of acquired) runtime.pool.release(block)
      throw error
    }
    for (const source of taken) source.residence.block = null
    return { arrays, results, copies }
  }

  /** What else must go well for the results to be right. */
  private outcomesOf(inputs: readonly GpuStorage[]): Outcome[] {
    const found: Outcome[] = []
    for (const { outcomes } of inputs) found.push(...outcomes)
    if (!this.ready || this.failed) for (const { outcome } of this.pipelines) found.push(outcome)
    return found
  }

  private runAtOnce(call: Call, op: string): void {
    const { recording, steps } = this.record(call, op)
    const rest = recording.run(steps).next()
    if (rest.done !== true) throw new Error('a program without loops waits for nothing')
    recording.submit()
  }

  /** Runs a call when its turn comes and its kernels are compiled; answers what becomes of it. */
  private enqueue(call: Call, op: string): Outcome {
    const { runtime } = this
    const running = new Promise<AdjointError | null>((resolve) => {
      runtime.stream.enqueue(async () => {
        try {
          await this.compiled
          const { recording, steps } = this.record(call, op)
          for (const waiting of recording.run(steps)) await waiting
          recording.submit()
          resolve(null)
        } catch (error) {
          resolve(await runtime.explained(error, op))
        }
      })
    })
    return new Outcome(running)
  }

  private record(
    { arrays, copies }: Call,
    op: string,
  ): { readonly recording: Recording; readonly steps: readonly Step[] } {
    const { runtime, code, control } = this
    runtime.requireAlive()
    const arena = runtime.arena(code.arenaWords, op)
    const recording = new Recording(runtime, this.prepared, { arrays, arena, control })
    for (const { from, to, bytes } of copies) recording.copy(from, to, bytes)
    return { recording, steps: code.steps }
  }

  text(format: TextFormat): string {
    switch (format) {
      case 'jaxpr':
        return printJaxpr(this.jaxpr)
      case 'loops':
        return printProgram(this.planned.program, this.planned.plan, this.name || 'program')
      case 'wgsl':
        return printSteps(this.code.steps)
      case 'wat':
        return `the webgpu device compiles to WGSL; it has no wat form`
    }
  }

  cost(): CostSummary {
    const { program, plan } = this.planned
    const sources = new Set([...this.prepared.keys()].map(({ dispatch }) => dispatch.wgsl))
    let codeBytes = 0
    for (const { length } of sources) codeBytes += length
    return { ...programCost(program, plan), codeBytes }
  }

  dispose(): void {
    if (this.disposed) return
    this.disposed = true
    this.runtime.stream.enqueue(() => {
      this.control?.destroy()
      return null
    })
  }
}

function controlBlock({ device }: GpuRuntime, { control }: ProgramCode): GPUBuffer | null {
  if (control.length === 0) return null
  const usage = USAGE.storage | USAGE.indirect | USAGE.copySource | USAGE.copyTarget
  const buffer = device.createBuffer({ size: control.byteLength, usage })
  device.queue.writeBuffer(buffer, 0, control)
  return buffer
}

/** The memory of one call. */
interface Call {
  /** By the number of the resource. */
  readonly arrays: readonly Block[]
  readonly results: readonly Block[]
  /** Inputs whose place a result takes, but which others read too. */
  readonly copies: readonly { readonly from: Block; readonly to: Block; readonly bytes: number }[]
}

function blockOf({ residence }: GpuStorage): Block {
  if (residence.block === null) throw new Error('storage without memory')
  return residence.block
}

function* dispatchesOf(steps: readonly Step[]): Generator<DispatchStep> {
  for (const step of steps) {
    if (step.kind === 'dispatch') yield step
    else yield* dispatchesOf(step.body)
  }
}

const hasUntil = (steps: readonly Step[]): boolean =>
  steps.some((step) => step.kind === 'until' || (step.kind === 'repeat' && hasUntil(step.body)))

function printSteps(steps: readonly Step[], indent = ''): string {
  return steps
    .map((step) => {
      if (step.kind === 'dispatch') {
        const { wgsl, workgroups } = step.dispatch
        const gate = step.argumentsAt === null ? '' : ', or none'
        return `${indent}// ${workgroups.join('×')} workgroups${gate}\n${indented(wgsl, indent)}`
      }
      const head = step.kind === 'repeat' ? `${step.times} times` : 'until its condition is false'
      return `${indent}// ${head}:\n${printSteps(step.body, `${indent}  `)}`
    })
    .join('\n')
}

const indented = (text: string, indent: string): string =>
  indent === '' ? text : text.replaceAll(/^(?=.)/gm, indent)
