/** The WebAssembly device: programs become modules over one linear memory. */
import { lower } from '../../compiler/compile'
import type { Jaxpr } from '../../jaxpr/ir'
import type { Aval } from '../../types/aval'
import type { DType } from '../../types/dtype'
import { elementData } from '../../types/element'
import { DeletedArrayError } from '../../types/errors'
import type { Backend, CompileOptions, DeviceData, Executable, Storage } from '../backend'
import type { Sharing } from './codegen/sharing'
import { wasmFeatures } from './emit/index'
import { byteSizeOf, WasmExecutable } from './executable'
import { namedFusion } from './kernels/named'
import { Cell, LinearMemory, SMALL_BYTES, SmallCell } from './memory/memory'
import type { MemoryUse, Residence } from './memory/memory'
import { WasmStorage } from './storage'
import { threadCount } from './threads/count'
import { WorkerPool } from './threads/pool'

export interface WasmBackendOptions {
  /** The most bytes of linear memory for arrays and temporaries; 2 GiB unless given. */
  readonly memoryBudget?: number
  /**
   * Whether to use relaxed SIMD, whose multiply-add rounds once, where the engine has it; true
   * unless given. Without it results are the same on every machine.
   */
  readonly relaxedSimd?: boolean
  /**
   * How many threads run large programs, from 1 to 32. Unless given: the environment variable
   * ADJOINT_THREADS, or the number of cores up to 8. One where the engine has no shared memory.
   */
  readonly threads?: number
  /** What is worth sharing between threads; what measurements say unless given. */
  readonly sharing?: Sharing
}

const DEFAULT_BUDGET = 2 ** 31
const FILLED_AT_ONCE = 2 ** 14

export class WasmBackend implements Backend {
  readonly name = 'wasm'
  private readonly memory: LinearMemory
  private readonly pool: WorkerPool
  private readonly collected: FinalizationRegistry<Residence>

  constructor(private readonly options: WasmBackendOptions = {}) {
    const memory = new LinearMemory({
      budget: options.memoryBudget ?? DEFAULT_BUDGET,
      shared: true,
    })
    this.memory = memory
    this.pool = new WorkerPool(memory, threadCount(options.threads), options.sharing)
    this.collected = new FinalizationRegistry((residence) => memory.collected(residence))
  }

  supports(_dtype: DType): boolean {
    return true
  }

  fromHost(aval: Aval, data: DeviceData): Storage {
    const bytes = byteSizeOf(aval)
    const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    if (bytes <= SMALL_BYTES) {
      copyElements(smallBytes, source, aval.dtype)
      const words = Array.from(smallWords.subarray(0, Math.ceil(bytes / 4)))
      return new WasmStorage(this, aval, new SmallCell(bytes, words))
    }
    this.memory.beginUse('allocate')
    const cell = this.memory.create(bytes, aval)
    copyElements(this.memory.view(cell), source, aval.dtype)
    return new WasmStorage(this, aval, cell)
  }

  /** Written where the array will be: a copy on the host would touch as much fresh memory again. */
  filled(aval: Aval, element: number): Storage {
    const bytes = byteSizeOf(aval)
    const few = Math.min(aval.size, SMALL_BYTES)
    const first = elementData(aval.dtype, few).fill(element)
    if (bytes <= SMALL_BYTES) return this.fromHost(aval, first)
    this.memory.beginUse('allocate')
    const cell = this.memory.create(bytes, aval)
    const view = this.memory.view(cell)
    view.set(new Uint8Array(first.buffer))
    // What is there is copied behind itself, as much at a time as the first-level cache holds.
    let done = first.byteLength
    while (done < bytes) {
      const count = Math.min(done, FILLED_AT_ONCE, bytes - done)
      view.copyWithin(done, 0, count)
      done += count
    }
    return new WasmStorage(this, aval, cell)
  }

  read(storage: Storage): DeviceData {
    const { aval, cell } = this.own(storage)
    if (cell instanceof Cell) return typedCopy(aval.dtype, this.memory.view(cell))
    smallWords.set(cell.words)
    return typedCopy(aval.dtype, smallBytes.subarray(0, cell.bytes))
  }

  readAsync(storage: Storage): Promise<DeviceData> {
    return Promise.resolve(this.read(storage))
  }

  compile(jaxpr: Jaxpr, { donated, name }: CompileOptions): Executable {
    const planned = lower(jaxpr, { donated, ...namedFusion() })
    const features = wasmFeatures()
    const relaxed = features.relaxed && this.options.relaxedSimd !== false
    return new WasmExecutable(this, this.memory, this.pool, jaxpr, planned, name, donated, {
      ...features,
      relaxed,
    })
  }

  release(storage: Storage): void {
    if (!(storage instanceof WasmStorage) || storage.deleted) return
    storage.deleted = true
    if (storage.cell instanceof Cell) this.memory.release(storage.cell)
  }

  track(handle: object, storage: Storage): void {
    if (!(storage instanceof WasmStorage) || !(storage.cell instanceof Cell)) return
    this.collected.register(handle, storage.cell.residence)
  }

  /** How many threads a large program would run on now: one until the workers have started. */
  get runningThreads(): number {
    return this.pool.running
  }

  /**
   * Changes how many threads run programs that are compiled from now on.
   *
   * @throws ArgumentError for anything but a whole number from 1 to 32
   */
  setThreads(threads: number): void {
    this.pool.resize(threadCount(threads))
  }

  /** How much memory is in use. */
  memoryUse(): MemoryUse {
    return this.memory.use
  }

  private own(storage: Storage): WasmStorage {
    if (!(storage instanceof WasmStorage) || storage.backend !== this) {
      throw new Error('storage of another device')
    }
    if (storage.deleted) {
      throw new DeletedArrayError({
        op: 'read',
        problem: 'the array was disposed of or donated to a compiled program',
        operands: [{ name: 'array', aval: storage.aval }],
        rule: 'an array can be used until it is disposed of or donated',
        hint: 'read it before, or keep the result that took its place',
      })
    }
    return storage
  }
}

/** Where bytes become words and words bytes. */
const smallBytes = new Uint8Array(SMALL_BYTES)
const smallWords = new Int32Array(smallBytes.buffer)

function copyElements(target: Uint8Array, source: Uint8Array, dtype: DType): void {
  target.set(source)
  // In memory a bool is 0 or 1, whatever bytes the caller had.
  if (dtype !== 'bool') return
  for (let i = 0; i < source.length; i++) if (target[i] !== 0) target[i] = 1
}

/** A copy of the bytes as users see the dtype: narrow floats as their bits. */
function typedCopy(dtype: DType, bytes: Uint8Array): DeviceData {
  const { buffer } = new Uint8Array(bytes)
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer)
    case 'float32':
      return new Float32Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'uint32':
      return new Uint32Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(buffer)
    case 'int8':
      return new Int8Array(buffer)
    case 'bool':
    case 'uint8':
    case 'float0':
      return new Uint8Array(buffer)
  }
}

export const createWasmBackend = (options?: WasmBackendOptions): WasmBackend =>
  new WasmBackend(options)
