/** A program compiled for one linear memory. */
import type { PlannedProgram } from '../../compiler/compile'
import { programCost } from '../../compiler/cost'
import type { LoopNode } from '../../compiler/nodes'
import type { Jaxpr } from '../../jaxpr/ir'
import type { Aval } from '../../types/aval'
import { bytesOf } from '../../types/dtype'
import { ArgumentError, DeletedArrayError } from '../../types/errors'
import type { CostSummary, Executable, Storage } from '../backend'
import { emitProgram } from './codegen/program'
import type { ModuleCode } from './codegen/program'
import { READ_SLACK } from './codegen/environment'
import { BLOCK_HEADER } from './codegen/program'
import type { WasmFeatures } from './emit/index'
import { CALL_BLOCK, Cell, SMALL_BYTES, SmallCell } from './memory/memory'
import type { LinearMemory } from './memory/memory'
import { WasmStorage } from './storage'
import type { StorageOwner } from './storage'
import type { ThreadedProgram, WorkerPool } from './threads/pool'

export const byteSizeOf = (aval: Aval): number => aval.size * bytesOf(aval.dtype)

/** Takes the address of the block of addresses. */
export type Entry = (block: number) => void

export class WasmExecutable implements Executable {
  readonly inAvals: readonly Aval[]
  readonly outAvals: readonly Aval[]
  readonly code: ModuleCode
  private readonly outputBytes: readonly number[]
  /** Offsets in working memory. */
  private readonly scratchOffset: number
  private readonly blockOffset: number | null
  /** Where small arrays lie during a call: inputs, then outputs; −1 for all others. */
  private readonly smallOffsets: readonly number[]
  private readonly workingBytes: number
  /** Null once the program was disposed of. */
  private entry: Entry | null

  constructor(
    readonly owner: StorageOwner,
    private readonly memory: LinearMemory,
    private readonly pool: WorkerPool,
    readonly jaxpr: Jaxpr,
    readonly planned: PlannedProgram,
    readonly name: string,
    private readonly donated: readonly boolean[],
    readonly features: WasmFeatures,
  ) {
    this.inAvals = jaxpr.inAvals
    this.outAvals = jaxpr.outAvals
    this.outputBytes = this.outAvals.map(byteSizeOf)
    this.code = this.emit(planned)
    // Working memory is the arena, what nodes share, copies of small arrays, and the addresses of a
    // call that has very many of them.
    let end = this.code.arenaBytes
    const reserve = (bytes: number): number => {
      if (bytes === 0) return 0
      const start = end === 0 ? 0 : align(end + READ_SLACK)
      end = start + bytes
      return start
    }
    this.scratchOffset = reserve(this.code.scratchBytes)
    const sizes = [...this.inAvals.map(byteSizeOf), ...this.outputBytes]
    this.smallOffsets = sizes.map((bytes) => (bytes <= SMALL_BYTES ? reserve(bytes) : -1))
    const entries = BLOCK_HEADER + sizes.length
    this.blockOffset = entries > CALL_BLOCK.entries ? reserve(4 * entries) : null
    this.workingBytes = end
    this.entry = this.load(this.code)
  }

  /** The code of this program, or of a part of it. */
  emit(planned: PlannedProgram, clock?: ReadonlyMap<LoopNode, number>): ModuleCode {
    const { threads, sharing } = this.pool
    const sharedMemory = this.memory.isShared
    const options = { sharedMemory, threads, sharing, ...(clock ? { clock } : {}) }
    return emitProgram(planned, this.features, options)
  }

  load({ bytes, threaded }: ModuleCode, clock?: (node: number) => void): Entry {
    const { memory, pool } = this
    const module = new WebAssembly.Module(bytes)
    const env = { memory: memory.memory, ...(clock ? { clock } : {}) }
    const { exports } = new WebAssembly.Instance(module, { env })
    const { run } = exports
    if (typeof run !== 'function') throw new Error('a program exports its entry')
    if (!threaded) return (block) => void run(block)
    const program: ThreadedProgram = {
      name: this.name || 'program',
      code: bytes,
      run: (block, thread, count, maySleep) => void run(block, thread, count, maySleep),
    }
    pool.start()
    const { threads } = pool
    return (block) => pool.run(program, block, threads)
  }

  run(inputs: readonly Storage[]): readonly Storage[] {
    return this.runThrough(this.entry, inputs)
  }

  /** Runs by another entry than the program's own, which takes the same block of addresses. */
  runThrough(entry: Entry | null, inputs: readonly Storage[]): readonly Storage[] {
    const { memory, jaxpr, planned } = this
    if (entry === null || this.entry === null) {
      throw new ArgumentError({
        op: this.name || 'run',
        problem: 'the compiled program was disposed of',
        hint: 'compile the function again',
      })
    }
    memory.beginUse(this.name || 'run')
    const { smallOffsets, outputBytes } = this
    const own: WasmStorage[] = []
    for (const storage of inputs) own.push(this.usable(storage))
    const working = memory.workingMemory(this.workingBytes)
    const addresses: number[] = []
    for (const { cell, aval } of own) {
      const offset = smallOffsets[addresses.length] ?? -1
      addresses.push(cell instanceof Cell ? memory.locate(cell, aval) : working + offset)
    }

    const { outputStorage } = planned.plan
    const created: (Cell | null)[] = []
    try {
      for (let i = 0; i < outputBytes.length; i++) {
        const offset = smallOffsets[own.length + i] ?? -1
        const source = outputStorage[i] ?? null
        const reused = source === null ? undefined : own[source]
        let cell: Cell | null = null
        // An array that is passed twice can be taken over only once nobody else reads it.
        if (reused && own.indexOf(reused) === own.lastIndexOf(reused)) {
          addresses.push(addresses[source ?? 0] ?? 0)
        } else if (offset >= 0) {
          addresses.push(working + offset)
        } else {
          cell = memory.create(outputBytes[i] ?? 0, jaxpr.outputs[i]?.aval ?? 'a result')
          addresses.push(cell.residence.block?.address ?? 0)
        }
        created.push(cell)
      }
    } catch (error) {
      for (const cell of created) if (cell) memory.release(cell)
      throw error
    }

    const block = this.blockOffset === null ? CALL_BLOCK.address : working + this.blockOffset
    const { words } = memory
    const at = block >>> 2
    words[at] = working
    words[at + 1] = working + this.scratchOffset
    for (let i = 0; i < addresses.length; i++) words[at + BLOCK_HEADER + i] = addresses[i] ?? 0
    for (let i = 0; i < own.length; i++) {
      const { cell } = present(own[i])
      if (cell instanceof Cell) continue
      const start = (addresses[i] ?? 0) >>> 2
      for (let k = 0; k < cell.words.length; k++) words[start + k] = cell.words[k] ?? 0
    }
    try {
      entry(block)
    } catch (error) {
      // What was donated may be written over in part.
      for (const cell of created) if (cell) memory.release(cell)
      for (let i = 0; i < own.length; i++) if (this.donated[i]) this.owner.release(present(own[i]))
      throw error
    }

    const results: Storage[] = []
    for (let i = 0; i < created.length; i++) {
      const address = addresses[own.length + i] ?? 0
      const cell =
        created[i] ?? this.result(address, outputBytes[i] ?? 0, own[outputStorage[i] ?? -1])
      results.push(new WasmStorage(this.owner, present(this.outAvals[i]), cell))
    }
    for (let i = 0; i < own.length; i++) if (this.donated[i]) this.owner.release(present(own[i]))
    return results
  }

  /** A result that has no block of its own: a small one, or one that takes over an input's. */
  private result(
    address: number,
    bytes: number,
    source: WasmStorage | undefined,
  ): Cell | SmallCell {
    if (source && source.cell instanceof Cell) return this.memory.transfer(source.cell)
    const { words } = this.memory
    const start = address >>> 2
    const end = start + ((bytes + 3) >>> 2)
    const copy: number[] = []
    for (let k = start; k < end; k++) copy.push(words[k] ?? 0)
    return new SmallCell(bytes, copy)
  }

  private usable(storage: Storage): WasmStorage {
    if (!(storage instanceof WasmStorage) || storage.backend !== this.owner) {
      throw new Error('storage of another device')
    }
    if (storage.deleted) {
      throw new DeletedArrayError({
        op: this.name || 'run',
        problem: 'an argument was disposed of or donated to a compiled program',
        operands: [{ name: 'array', aval: storage.aval }],
        rule: 'an array can be used until it is disposed of or donated',
        hint: 'use the result that took its place, or do not donate it',
      })
    }
    return storage
  }

  cost(): CostSummary {
    const { program, plan } = this.planned
    return { ...programCost(program, plan), codeBytes: this.code.bytes.length }
  }

  dispose(): void {
    this.entry = null
  }
}

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64

const present = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('a program with fewer arrays than it was compiled for')
  return value
}
