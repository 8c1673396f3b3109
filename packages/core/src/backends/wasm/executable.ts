/** A program compiled for one linear memory. */
import type { PlannedProgram } from '../../compiler/compile'
import { programCost } from '../../compiler/cost'
import { printProgram } from '../../compiler/print'
import type { Jaxpr } from '../../jaxpr/ir'
import { printJaxpr } from '../../jaxpr/print'
import type { Aval } from '../../types/aval'
import { bytesOf } from '../../types/dtype'
import { ArgumentError, DeletedArrayError } from '../../types/errors'
import type { CostSummary, Executable, Storage } from '../backend'
import { emitProgram } from './codegen/program'
import type { ModuleCode } from './codegen/program'
import { BLOCK_HEADER } from './codegen/program'
import { disassemble } from './disassemble'
import type { WasmFeatures } from './emit/index'
import { CALL_BLOCK } from './memory/memory'
import type { Cell, LinearMemory } from './memory/memory'
import { WasmStorage } from './storage'
import type { StorageOwner } from './storage'

export const byteSizeOf = (aval: Aval): number => aval.size * bytesOf(aval.dtype)

export class WasmExecutable implements Executable {
  readonly inAvals: readonly Aval[]
  readonly outAvals: readonly Aval[]
  private readonly code: ModuleCode
  private readonly outputBytes: readonly number[]
  private readonly scratchOffset: number
  private readonly workingBytes: number
  private entry: ((block: number) => void) | null

  constructor(
    private readonly owner: StorageOwner,
    private readonly memory: LinearMemory,
    private readonly jaxpr: Jaxpr,
    private readonly planned: PlannedProgram,
    private readonly name: string,
    private readonly donated: readonly boolean[],
    features: WasmFeatures,
  ) {
    this.inAvals = jaxpr.inAvals
    this.outAvals = jaxpr.outAvals
    this.outputBytes = this.outAvals.map(byteSizeOf)
    this.code = emitProgram(planned, features)
    const { arenaBytes, scratchBytes } = this.code
    const entries = BLOCK_HEADER + this.inAvals.length + this.outAvals.length
    // Arena, then working memory, then the addresses of a call that has very many of them.
    this.scratchOffset = align(arenaBytes + 16)
    this.blockOffset =
      entries > CALL_BLOCK.entries ? this.scratchOffset + align(scratchBytes) : null
    const needed = arenaBytes + scratchBytes
    this.workingBytes =
      this.blockOffset === null
        ? needed === 0
          ? 0
          : this.scratchOffset + scratchBytes
        : this.blockOffset + 4 * entries
    const module = new WebAssembly.Module(this.code.bytes)
    const { exports } = new WebAssembly.Instance(module, { env: { memory: memory.memory } })
    const { run } = exports
    if (typeof run !== 'function') throw new Error('a program exports its entry')
    this.entry = (block) => {
      run(block)
    }
  }

  private readonly blockOffset: number | null

  run(inputs: readonly Storage[]): readonly Storage[] {
    const { memory, entry, jaxpr, planned } = this
    if (entry === null) {
      throw new ArgumentError({
        op: this.name || 'run',
        problem: 'the compiled program was disposed of',
        hint: 'compile the function again',
      })
    }
    memory.beginUse()
    const count = inputs.length
    const own: WasmStorage[] = []
    for (const storage of inputs) own.push(this.usable(storage))
    const addresses: number[] = []
    for (const storage of own) addresses.push(memory.locate(storage.cell, storage.aval))
    const working = memory.workingMemory(this.workingBytes)

    const { outputStorage } = planned.plan
    const created: (Cell | null)[] = []
    try {
      for (let i = 0; i < this.outputBytes.length; i++) {
        const source = outputStorage[i] ?? null
        const aval = jaxpr.outputs[i]?.aval
        const reused = source === null ? undefined : own[source]
        // An array that is passed twice can be taken over only once nobody else reads it.
        if (reused && own.indexOf(reused) === own.lastIndexOf(reused)) {
          created.push(null)
          addresses.push(addresses[source ?? 0] ?? 0)
          continue
        }
        const cell = memory.create(this.outputBytes[i] ?? 0, aval ?? 'a result')
        created.push(cell)
        addresses.push(cell.residence.block?.address ?? 0)
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
    entry(block)

    const results: Storage[] = []
    for (let i = 0; i < created.length; i++) {
      const source = outputStorage[i]
      const cell = created[i] ?? memory.transfer(present(own[source ?? -1]).cell)
      results.push(new WasmStorage(this.owner, present(this.outAvals[i]), cell))
    }
    for (let i = 0; i < count; i++) if (this.donated[i]) this.owner.release(present(own[i]))
    return results
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

  text(format: 'jaxpr' | 'loops' | 'wat'): string {
    switch (format) {
      case 'jaxpr':
        return printJaxpr(this.jaxpr)
      case 'loops':
        return printProgram(this.planned.program, this.planned.plan, this.name || 'program')
      case 'wat':
        return disassemble(this.code.functions)
    }
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
