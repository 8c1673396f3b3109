/** Running a program's steps: commands are recorded and submitted, and loops wait where they must. */
import type { GpuRuntime, Pipeline } from './device'
import { MAP_READ } from './constants'
import type { Binding } from './kernel'
import type { Block } from './memory'
import type { DispatchStep, Step, UntilStep } from './program'

/** A dispatch with its pipeline, and the bind groups of its last calls. */
export interface PreparedStep {
  readonly step: DispatchStep
  readonly pipeline: Pipeline
  readonly groups: Map<string, GPUBindGroup>
}

/** What the numbers of resources stand for in one call. */
export interface Memory {
  readonly arrays: readonly Block[]
  readonly arena: Block | null
  readonly control: GPUBuffer | null
}

/** Commands that are submitted at once: enough to keep a device busy while more are recorded. */
const DISPATCHES_PER_SUBMIT = 4096
const GROUPS_KEPT = 8

export class Recording {
  private encoder: GPUCommandEncoder | null = null
  private pass: GPUComputePassEncoder | null = null
  private recorded = 0

  constructor(
    private readonly runtime: GpuRuntime,
    private readonly prepared: ReadonlyMap<DispatchStep, PreparedStep>,
    private readonly memory: Memory,
  ) {}

  /** Runs the steps; a promise is yielded where the device must answer before it goes on. */
  *run(steps: readonly Step[]): Generator<Promise<void>, void> {
    for (const step of steps) {
      switch (step.kind) {
        case 'dispatch':
          this.dispatch(step)
          break
        case 'repeat':
          for (let i = 0; i < step.times; i++) yield* this.run(step.body)
          break
        case 'until':
          yield* this.until(step)
      }
    }
  }

  copy(from: Block, to: Block, bytes: number): void {
    this.commands().copyBufferToBuffer(from.buffer, 0, to.buffer, 0, bytes)
  }

  submit(): void {
    this.pass?.end()
    if (this.encoder !== null) this.runtime.submit(this.encoder)
    this.pass = null
    this.encoder = null
    this.recorded = 0
  }

  private *until({ round, body, active }: UntilStep): Generator<Promise<void>, void> {
    for (;;) {
      for (let i = 0; i < round; i++) yield* this.run(body)
      const word = this.readControl(active)
      let again = 0
      yield word.then((value) => void (again = value))
      if (again === 0) return
    }
  }

  private async readControl(word: number): Promise<number> {
    const { runtime } = this
    const staging = runtime.stagingBuffer(4)
    this.pass?.end()
    this.pass = null
    this.commands().copyBufferToBuffer(this.control, word * 4, staging, 0, 4)
    this.submit()
    await staging.mapAsync(MAP_READ, 0, 4)
    const [value] = new Uint32Array(staging.getMappedRange(0, 4))
    staging.unmap()
    runtime.giveBack(staging)
    return value
  }

  private dispatch(step: DispatchStep): void {
    const prepared = this.prepared.get(step)
    const compiled = prepared?.pipeline.compiled
    // A kernel that did not compile is told to whoever reads the results.
    if (prepared === undefined || compiled === null || compiled === undefined) return
    if (this.recorded++ >= DISPATCHES_PER_SUBMIT) this.submit()
    this.pass ??= this.commands().beginComputePass()
    const { pass } = this
    pass.setPipeline(compiled)
    pass.setBindGroup(0, this.group(prepared))
    const { dispatch, argumentsAt } = step
    if (argumentsAt === null) pass.dispatchWorkgroups(...dispatch.workgroups)
    else pass.dispatchWorkgroupsIndirect(this.control, 4 * argumentsAt)
    this.runtime.counts.dispatches++
  }

  private commands(): GPUCommandEncoder {
    this.encoder ??= this.runtime.device.createCommandEncoder()
    return this.encoder
  }

  private group({ step, pipeline, groups }: PreparedStep): GPUBindGroup {
    const { bindings } = step.dispatch
    let key = ''
    for (const { resource } of bindings) {
      if (resource === 'control') continue
      key += `${this.block(resource).id} `
    }
    let group = groups.get(key)
    if (group !== undefined) return group
    if (groups.size >= GROUPS_KEPT) groups.clear()
    group = this.runtime.device.createBindGroup({
      layout: pipeline.layout,
      entries: bindings.map((binding, i) => ({ binding: i, resource: this.range(binding) })),
    })
    groups.set(key, group)
    return group
  }

  private get control(): GPUBuffer {
    const { control } = this.memory
    if (control === null) throw new Error('a program that decides nothing has no control block')
    return control
  }

  private block(resource: Binding['resource']): Block {
    const block = typeof resource === 'number' ? this.memory.arrays[resource] : this.memory.arena
    if (block === null || block === undefined) throw new Error('a binding without memory')
    return block
  }

  private range({ resource, offset, words }: Binding): GPUBufferBinding {
    if (resource === 'control') return { buffer: this.control }
    const { buffer } = this.block(resource)
    // Whole vectors, so that a kernel may read four words at a time.
    const size = Math.max(16, Math.ceil(words / 4) * 16)
    return { buffer, offset: 4 * offset, size: Math.min(size, buffer.size - 4 * offset) }
  }
}
