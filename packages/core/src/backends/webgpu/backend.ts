/** The WebGPU device: programs become compute kernels, arrays buffers of the GPU. */
import { lower } from '../../compiler/compile'
import type { Jaxpr } from '../../jaxpr/ir'
import type { Aval } from '../../types/aval'
import type { DType } from '../../types/dtype'
import { elementData } from '../../types/element'
import { DeletedArrayError, DeviceError, DTypeError } from '../../types/errors'
import type { CompileOptions, DeviceData, Executable, Storage } from '../backend'
import { Ballast } from '../wasm/memory/ballast'
import { requestAdapter } from './adapter'
import { GpuRuntime } from './device'
import { type StorageOwner, WebGpuExecutable } from './executable'
import type { DeviceFacts } from './kernel'
import { arrayBytes, formOf, layoutOn, wordsOf } from './layout'
import { gpuRows } from './rows'
import { GpuStorage, type Residence } from './storage'
import { fromWords, packed, toWords, unpacked } from './words'

export interface WebGpuBackendOptions {
  /** Called when the device was lost: its arrays are gone, and it takes no more programs. */
  readonly onLost?: () => void
  /** Less than what the adapter has, so that its limits can be met with small programs. */
  readonly limits?: Partial<DeviceFacts>
}

export class WebGpuBackend implements StorageOwner {
  readonly name = 'webgpu'
  private readonly collected: FinalizationRegistry<Residence>
  private readonly ballast = new Ballast()

  constructor(readonly runtime: GpuRuntime) {
    this.collected = new FinalizationRegistry((residence) => this.giveBack(residence))
  }

  supports(dtype: DType): boolean {
    return dtype !== 'float64'
  }

  fromHost(aval: Aval, data: DeviceData): Storage {
    const { runtime } = this
    runtime.requireAlive()
    const { facts } = runtime
    const block = runtime.pool.acquire(arrayBytes(aval, facts), aval, 'fromHost')
    // A block from the pool has no work before it, so nothing is overtaken.
    const words = formOf(aval.dtype, facts) === 'halves' ? packed(data) : toWords(aval.dtype, data)
    if (aval.size > 0) runtime.device.queue.writeBuffer(block.buffer, 0, words)
    const outcomes = block.outcome.matters ? [block.outcome] : []
    return new GpuStorage(this, aval, { block }, outcomes)
  }

  filled(aval: Aval, element: number): Storage {
    return this.fromHost(aval, elementData(aval.dtype, aval.size).fill(element))
  }

  read(storage: Storage): DeviceData {
    throw new DeviceError({
      op: 'dataSync',
      problem: 'arrays on a GPU cannot be read synchronously',
      operands: [{ name: 'array', aval: storage.aval, note: 'on webgpu' }],
      rule: 'the GPU answers later: reading is asynchronous',
      hint: 'use await x.data() and work with the typed array, or compute on another device',
    })
  }

  async readAsync(storage: Storage): Promise<DeviceData> {
    const { aval, residence, outcomes } = this.usable(storage, 'data')
    const { block } = residence
    if (block === null) throw new Error('storage without memory')
    // The copy takes its turn now: what happens to the array afterwards does not matter.
    const form = formOf(aval.dtype, this.runtime.facts)
    const [words] = await Promise.all([
      this.runtime.read(block.buffer, wordsOf(aval.size, form)),
      ...outcomes.map((outcome) => outcome.check()),
    ])
    return form === 'halves' ? unpacked(words, aval.size) : fromWords(aval.dtype, words)
  }

  compile(jaxpr: Jaxpr, { donated, name }: CompileOptions): Executable {
    this.runtime.requireAlive()
    requireWords(jaxpr, name)
    const planned = lower(jaxpr, { donated, layout: layoutOn(this.runtime.facts), rows: gpuRows })
    return new WebGpuExecutable(this, this.runtime, jaxpr, planned, name, donated)
  }

  release(storage: Storage): void {
    if (!(storage instanceof GpuStorage) || storage.deleted) return
    storage.deleted = true
    if (storage.weight !== null) {
      this.ballast.giveBack(storage.weight, arrayBytes(storage.aval, this.runtime.facts))
    }
    storage.weight = null
    this.giveBack(storage.residence)
  }

  track(handle: object, storage: Storage): void {
    if (!(storage instanceof GpuStorage)) return
    storage.weight ??= this.ballast.weigh(arrayBytes(storage.aval, this.runtime.facts))
    this.collected.register(handle, storage.residence)
  }

  usable(storage: Storage, op: string): GpuStorage {
    if (!(storage instanceof GpuStorage) || storage.backend !== this) {
      throw new Error('storage of another device')
    }
    this.runtime.requireAlive()
    if (storage.deleted) {
      throw new DeletedArrayError({
        op,
        problem: 'the array was disposed of or donated to a compiled program',
        operands: [{ name: 'array', aval: storage.aval }],
        rule: 'an array can be used until it is disposed of or donated',
        hint: 'use the result that took its place, or do not donate it',
      })
    }
    return storage
  }

  private giveBack(residence: Residence): void {
    const { block } = residence
    if (block === null) return
    residence.block = null
    this.runtime.release(block)
  }
}

/** Nothing in a program, inside or out, may need 64 bits. */
function requireWords(jaxpr: Jaxpr, name: string): void {
  const op = name || 'compile'
  for (const { primitive, inputs, outputs } of jaxpr.equations) {
    const wide = [...inputs, ...outputs].find(({ aval }) => aval.dtype === 'float64')
    if (wide === undefined) continue
    throw new DTypeError({
      op,
      problem: `the webgpu device has no float64, which ${primitive.name} computes with`,
      operands: [{ name: 'x', aval: wide.aval }],
      rule: 'WGSL computes in 32 bits',
      hint: "compute in float32, or run the program on the 'wasm' device",
    })
  }
}

/**
 * The GPU of this machine.
 *
 * @throws DeviceError where there is none
 */
export async function createWebGpuBackend({
  onLost,
  limits,
}: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  const adapter = await requestAdapter("setDevice('webgpu')")
  const runtime = await GpuRuntime.open(adapter, limits ?? {}, () => onLost?.())
  return new WebGpuBackend(runtime)
}
