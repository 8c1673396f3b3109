/** A GPU device with all that its programs share: the stream of work, memory, and pipelines. */
import { AdjointError, DeviceError } from '../../types/errors'
import { languageHas } from './adapter'
import { COMPUTE_STAGE, MAP_READ, USAGE } from './constants'
import type { Binding, DeviceFacts, Dispatch } from './kernel'
import { type Block, BufferPool } from './memory'
import { Outcome } from './outcome'
import { Stream } from './stream'

/** A compiled kernel. */
export interface Pipeline {
  readonly layout: GPUBindGroupLayout
  /** Null until the device has compiled it. */
  compiled: GPUComputePipeline | null
  /** Fulfilled when it is compiled or has failed. */
  readonly ready: Promise<void>
  readonly outcome: Outcome
}

/** Limits worth asking for: all that the adapter has. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const

const FEATURES = ['subgroups', 'shader-f16'] as const

export class GpuRuntime {
  readonly stream = new Stream()
  readonly pool: BufferPool
  readonly facts: DeviceFacts
  /** Why the device is gone, once it is. */
  lost: DeviceError | null = null
  /** How many kernels were compiled, and how often work was submitted. */
  readonly counts = { pipelines: 0, submits: 0, dispatches: 0 }
  private readonly pipelines = new Map<string, Pipeline>()
  private readonly layouts = new Map<string, GPUBindGroupLayout>()
  private readonly staging: GPUBuffer[] = []
  /** Errors that no scope caught: a bug, told to whoever reads next. */
  private uncaught: DeviceError | null = null
  private arenaBlock: Block | null = null
  private readonly aligned: number

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: GPUAdapter,
    restricted: Partial<DeviceFacts>,
    onLost: () => void,
  ) {
    const { limits, features } = device
    this.facts = {
      storageBuffers: limits.maxStorageBuffersPerShaderStage,
      invocations: Math.min(
        limits.maxComputeInvocationsPerWorkgroup,
        limits.maxComputeWorkgroupSizeX,
      ),
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      workgroups: limits.maxComputeWorkgroupsPerDimension,
      bindingBytes: limits.maxStorageBufferBindingSize,
      subgroups: features.has('subgroups') && languageHas('subgroup_id'),
      halves: features.has('shader-f16'),
      software: adapter.info.isFallbackAdapter,
      residentLoops: true,
      ...restricted,
    }
    this.aligned = limits.minStorageBufferOffsetAlignment
    this.pool = new BufferPool(device)
    void device.lost.then(({ reason, message }) => {
      this.lost = new DeviceError({
        op: 'webgpu',
        problem: `the device was lost: ${message || reason}`,
        rule: 'arrays on a lost device are gone; other devices are as they were',
        hint: "await setDevice('webgpu') takes a new device",
      })
      onLost()
    })
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault?.()
      this.uncaught ??= new DeviceError({
        op: 'webgpu',
        problem: `the device refused a command: ${event.error.message}`,
        hint: 'this is a bug of the library; please report it with the program',
      })
    })
  }

  static async open(
    adapter: GPUAdapter,
    restricted: Partial<DeviceFacts>,
    onLost: () => void,
  ): Promise<GpuRuntime> {
    const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]))
    const requiredFeatures = FEATURES.filter((name) => adapter.features.has(name))
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures })
    return new GpuRuntime(device, adapter, restricted, onLost)
  }

  /** Offsets of bindings are multiples of this many bytes. */
  get alignment(): number {
    return this.aligned
  }

  requireAlive(): void {
    if (this.lost !== null) throw this.lost
  }

  // --- kernels -------------------------------------------------------------------------------------

  /** The kernel of this source; equal sources are compiled once, and many at the same time. */
  pipeline({ wgsl, bindings }: Dispatch): Pipeline {
    const known = this.pipelines.get(wgsl)
    if (known !== undefined) return known
    this.counts.pipelines++
    const { device } = this
    const layout = this.layout(bindings)
    const compiling = device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code: wgsl }), entryPoint: 'main' },
    })
    const done = compiling.then(
      (compiled): AdjointError | null => {
        pipeline.compiled = compiled
        return null
      },
      (cause: unknown) =>
        new DeviceError({
          op: 'webgpu',
          problem: `the device refused a kernel: ${String(cause)}`,
          rule: wgsl,
          hint: 'this is a bug of the library; please report it with the program',
          cause,
        }),
    )
    const pipeline: Pipeline = {
      layout,
      compiled: null,
      ready: done.then(() => undefined),
      outcome: new Outcome(done),
    }
    this.pipelines.set(wgsl, pipeline)
    return pipeline
  }

  private layout(bindings: readonly Binding[]): GPUBindGroupLayout {
    const key = bindings.map(({ access }) => (access === 'read' ? 'r' : 'w')).join('')
    let layout = this.layouts.get(key)
    if (layout === undefined) {
      layout = this.device.createBindGroupLayout({
        entries: bindings.map(({ access }, binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
        })),
      })
      this.layouts.set(key, layout)
    }
    return layout
  }

  submit(encoder: GPUCommandEncoder): void {
    this.counts.submits++
    this.device.queue.submit([encoder.finish()])
  }

  // --- memory ----------------------------------------------------------------------------------------

  /** Memory for the temporaries of a program: programs run one after the other and share it. */
  arena(words: number, op: string): Block | null {
    if (words === 0) return null
    const bytes = words * 4
    if (this.arenaBlock !== null && this.arenaBlock.bytes >= bytes) return this.arenaBlock
    if (this.arenaBlock !== null) this.pool.release(this.arenaBlock)
    this.arenaBlock = null
    const largest = this.device.limits.maxBufferSize
    this.arenaBlock = this.pool.acquire(bytes, `${bytes} bytes of temporaries`, op, largest)
    return this.arenaBlock
  }

  /** Gives a block back once all work that was enqueued before has been handed over. */
  release(block: Block): void {
    this.stream.enqueue(() => {
      this.pool.release(block)
      return null
    })
  }

  /** The first words of a buffer, as they are when all work enqueued before is done. */
  async read(source: GPUBuffer, words: number): Promise<Uint32Array<ArrayBuffer>> {
    if (words === 0) return new Uint32Array(0)
    const bytes = words * 4
    const staging = this.stagingBuffer(bytes)
    await new Promise<void>((resolve) => {
      this.stream.enqueue(() => {
        const encoder = this.device.createCommandEncoder()
        encoder.copyBufferToBuffer(source, 0, staging, 0, bytes)
        this.submit(encoder)
        resolve()
        return null
      })
    })
    return this.mapped(staging, bytes)
  }

  /** The beginning of a staging buffer that commands were submitted to fill. It is given back. */
  async mapped(staging: GPUBuffer, bytes: number): Promise<Uint32Array<ArrayBuffer>> {
    try {
      await staging.mapAsync(MAP_READ, 0, bytes)
    } catch (cause) {
      throw await this.explained(cause, 'data')
    }
    const words = new Uint32Array(staging.getMappedRange(0, bytes).slice(0))
    staging.unmap()
    this.giveBack(staging)
    const uncaught = this.takeUncaught()
    if (uncaught !== null) throw uncaught
    return words
  }

  stagingBuffer(bytes: number): GPUBuffer {
    const at = this.staging.findIndex(({ size }) => size >= bytes && size <= 4 * bytes + 1024)
    if (at >= 0) {
      const [known] = this.staging.splice(at, 1)
      if (known !== undefined) return known
    }
    for (const old of this.staging.splice(8)) old.destroy()
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(bytes)))
    return this.device.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyTarget })
  }

  /** Why the device did not do something: its loss may be told after what it made fail. */
  async explained(cause: unknown, op: string): Promise<AdjointError> {
    if (cause instanceof AdjointError) return cause
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 100))])
    return (
      this.lost ??
      this.takeUncaught() ??
      new DeviceError({
        op,
        problem: `the device failed: ${String(cause)}`,
        hint: 'this is a bug of the library; please report it with the program',
        cause,
      })
    )
  }

  giveBack(staging: GPUBuffer): void {
    this.staging.push(staging)
  }

  private takeUncaught(): DeviceError | null {
    const { uncaught } = this
    this.uncaught = null
    return uncaught
  }
}
