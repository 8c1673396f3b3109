/** Runs single nodes on the WebGPU adapter of the machine, for tests. */
import type { Buffer } from '../../../compiler/expr'
import type { Cells } from '../../../compiler/interpret'
import { allocateCells, interpret, separateMemory } from '../../../compiler/interpret'
import type { LoopNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { isFloating, kindOf } from '../../../types/dtype'
import { roundToDType } from '../../../types/float-formats'
import { buffersOf } from '../../wasm/codegen/environment'
import { languageHas, requestAdapter } from '../adapter'
import { COMPUTE_STAGE, MAP_READ, USAGE } from '../constants'
import type { DeviceFacts, Dispatch, NodeKernel } from '../kernel'
import { KernelSpace, PLACE_ALIGNMENT, type Place } from '../kernel'

let nextBuffer = 1
export const newBuffer = (dtype: DType, size: number): Buffer => ({ id: nextBuffer++, dtype, size })

export class NodeRunner {
  private constructor(
    private readonly device: GPUDevice,
    readonly facts: DeviceFacts,
    /** What the adapter says it is. */
    readonly description: string,
  ) {}

  static async open(): Promise<NodeRunner> {
    const adapter = await requestAdapter('test')
    const { limits } = adapter
    const requiredFeatures = (['subgroups'] as const).filter((name) => adapter.features.has(name))
    const device = await adapter.requestDevice({
      requiredFeatures,
      requiredLimits: {
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      },
    })
    const facts: DeviceFacts = {
      storageBuffers: device.limits.maxStorageBuffersPerShaderStage,
      invocations: device.limits.maxComputeInvocationsPerWorkgroup,
      workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
      workgroups: device.limits.maxComputeWorkgroupsPerDimension,
      bindingBytes: device.limits.maxStorageBufferBindingSize,
      subgroups: device.features.has('subgroups') && languageHas('subgroup_id'),
      software: adapter.info.isFallbackAdapter,
      halves: false,
      residentLoops: true,
    }
    const { vendor, architecture, description } = adapter.info
    return new NodeRunner(device, facts, description || `${vendor} ${architecture}`)
  }

  /** Runs a node on the given words and answers what all its buffers hold afterwards. */
  async run<N extends LoopNode>(
    kernel: NodeKernel<N>,
    node: N,
    content: ReadonlyMap<Buffer, Uint32Array<ArrayBuffer>>,
    facts: DeviceFacts = this.facts,
  ): Promise<ReadonlyMap<Buffer, Uint32Array>> {
    const { device } = this
    const buffers = buffersOf(node)
    // Buffers of their own, or where those would be too many, ranges of the arena.
    const together = buffers.length + 1 > facts.storageBuffers
    const offsets = new Map<number, number>()
    let end = 0
    for (const { id, size } of buffers) {
      offsets.set(id, end)
      end += Math.ceil(size / PLACE_ALIGNMENT) * PLACE_ALIGNMENT
    }
    const place = (buffer: Buffer): Place =>
      together
        ? {
            resource: 'arena',
            offset: offsets.get(buffer.id) ?? 0,
            words: buffer.size,
            form: 'words',
            base: [],
          }
        : {
            resource: buffers.findIndex(({ id }) => id === buffer.id),
            offset: 0,
            words: buffer.size,
            form: 'words',
            base: [],
          }
    const space = new KernelSpace(facts, place, together ? end : 0, together)
    const dispatches = kernel(node, space)
    const storage = USAGE.storage | USAGE.copySource | USAGE.copyTarget
    // What scratch memory holds must not matter.
    const arena = device.createBuffer({ size: Math.max(4, space.scratchEnd * 4), usage: storage })
    device.queue.writeBuffer(arena, 0, new Uint32Array(space.scratchEnd).fill(0x7fc0ffee))
    const memory = buffers.map((buffer) => {
      const gpu = together
        ? arena
        : device.createBuffer({ size: Math.max(1, buffer.size) * 4, usage: storage })
      const words = content.get(buffer)
      if (words !== undefined) device.queue.writeBuffer(gpu, 4 * place(buffer).offset, words)
      return gpu
    })
    device.pushErrorScope('validation')
    const encoder = device.createCommandEncoder()
    for (const dispatch of dispatches) this.encode(encoder, dispatch, memory, arena)
    const staging = buffers.map(({ size }) =>
      device.createBuffer({ size: Math.max(1, size) * 4, usage: USAGE.mapRead | USAGE.copyTarget }),
    )
    buffers.forEach((buffer, i) => {
      const from = 4 * place(buffer).offset
      encoder.copyBufferToBuffer(memory[i], from, staging[i], 0, 4 * buffer.size)
    })
    device.queue.submit([encoder.finish()])
    const error = await device.popErrorScope()
    if (error !== null) {
      throw new Error(`${error.message}\n${dispatches.map(({ wgsl }) => wgsl).join('\n')}`)
    }
    const result = new Map<Buffer, Uint32Array>()
    for (const [i, buffer] of buffers.entries()) {
      await staging[i].mapAsync(MAP_READ)
      result.set(
        buffer,
        new Uint32Array(staging[i].getMappedRange().slice(0)).slice(0, buffer.size),
      )
      staging[i].destroy()
      memory[i].destroy()
    }
    arena.destroy()
    return result
  }

  private encode(
    encoder: GPUCommandEncoder,
    { wgsl, bindings, workgroups }: Dispatch,
    memory: readonly GPUBuffer[],
    arena: GPUBuffer,
  ): void {
    const { device } = this
    const layout = device.createBindGroupLayout({
      entries: bindings.map(({ access }, binding) => ({
        binding,
        visibility: COMPUTE_STAGE,
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      })),
    })
    const pipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code: wgsl }), entryPoint: 'main' },
    })
    const group = device.createBindGroup({
      layout,
      entries: bindings.map(({ resource, offset, words }, binding) => ({
        binding,
        resource: {
          buffer: typeof resource === 'number' ? memory[resource] : arena,
          offset: offset * 4,
          size: Math.max(1, words) * 4,
        },
      })),
    })
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, group)
    pass.dispatchWorkgroups(...workgroups)
    pass.end()
  }
}

// --- numbers as words -------------------------------------------------------------------------------

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

export function toWordOf(dtype: DType, x: number): number {
  if (!isFloating(dtype)) return x >>> 0
  float[0] = roundToDType(x, dtype)
  return word[0]
}

export function fromWordOf(dtype: DType, bits: number): number {
  if (!isFloating(dtype)) return kindOf(dtype) === 'int' ? bits | 0 : bits
  word[0] = bits
  return float[0]
}

export const wordsOf = (dtype: DType, values: Iterable<number>): Uint32Array<ArrayBuffer> =>
  Uint32Array.from(values, (x) => toWordOf(dtype, x))

export const numbersOf = (dtype: DType, words: Uint32Array): number[] =>
  Array.from(words, (bits) => fromWordOf(dtype, bits))

// --- comparison with the plain interpreter ------------------------------------------------------------

let state = 12345
export const nextRandom = (): number => {
  state = (Math.imul(state, 1103515245) + 12345) | 0
  return ((state >>> 8) & 0xffff) / 0x10000
}

/** Sixteenths between -1 and 1, whose products sum up exactly; small integers; truth values. */
export function randomNumber({ dtype }: Buffer): number {
  const x = nextRandom()
  if (dtype === 'bool') return x < 0.5 ? 0 : 1
  if (isFloating(dtype)) return Math.floor(32 * x) / 16 - 1
  return Math.floor((kindOf(dtype) === 'int' ? 2 * x - 1 : x) * 100)
}

export interface Expected {
  /** Bound of the difference, relative to the size of the value or to 1; 0 for identity. */
  readonly tolerance: number
  readonly fill?: (buffer: Buffer, position: number) => number
  readonly facts?: DeviceFacts
}

/** The first difference between a node on the device and in the interpreter, or null. */
export async function differenceOf<N extends LoopNode>(
  runner: NodeRunner,
  kernel: NodeKernel<N>,
  node: N,
  { tolerance, fill = randomNumber, facts }: Expected,
): Promise<string | null> {
  const places = new Map<Buffer, Cells>()
  const content = new Map<Buffer, Uint32Array<ArrayBuffer>>()
  for (const buffer of buffersOf(node)) {
    const cells = allocateCells(buffer.dtype, buffer.size)
    for (let i = 0; i < buffer.size; i++) cells.set(i, fill(buffer, i))
    places.set(buffer, cells)
    content.set(
      buffer,
      wordsOf(
        buffer.dtype,
        Array.from({ length: buffer.size }, (_, i) => cells.get(i)),
      ),
    )
  }
  const results = await runner.run(kernel, node, content, facts)
  interpret({ inputs: [], outputs: [], nodes: [node], temporaries: [] }, separateMemory(places))
  for (const [buffer, expected] of places) {
    const words = results.get(buffer)
    for (let i = 0; i < buffer.size; i++) {
      const x = fromWordOf(buffer.dtype, words?.[i] ?? 0)
      const y = expected.get(i)
      if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue
      if (Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(y))) continue
      return `element ${i} of buffer ${buffer.id} (${buffer.dtype}) is ${x}, not ${y}`
    }
  }
  return null
}
