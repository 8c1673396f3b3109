import { ByteBuffer } from './bytes'
import { FunctionBuilder } from './function'
import type { FunctionRef, FunctionSignature, Global } from './function'
import type { ValueType } from './opcodes'
import { valueTypeCodes } from './opcodes'

export interface MemoryImport {
  readonly module?: string
  readonly name?: string
  /** Pages of 64 KiB. */
  readonly initial: number
  /** Required when the memory is shared. */
  readonly maximum?: number
  readonly shared?: boolean
}

export interface FunctionOptions extends FunctionSignature {
  /** Shown in stack traces and disassembly when the module is built for debugging. */
  readonly name?: string
  /** The name under which the function is exported; not exported when absent. */
  readonly exportName?: string
}

export interface ModuleOptions {
  /** Writes the names of functions into the module. */
  readonly debug?: boolean
}

interface FunctionImport extends FunctionRef {
  readonly module: string
}

const sections = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const

/** Collects imports, globals and functions, and writes them as one WebAssembly module. */
export class ModuleBuilder {
  private readonly types: FunctionSignature[] = []
  private readonly typeIndices = new Map<string, number>()
  private readonly imports: FunctionImport[] = []
  private readonly functions: FunctionBuilder[] = []
  private readonly globals: { readonly type: ValueType; readonly initial: number }[] = []
  private readonly exports: { readonly name: string; readonly target: FunctionRef }[] = []
  private readonly shared = new Map<string, FunctionRef>()
  private memory: MemoryImport | undefined

  constructor(private readonly options: ModuleOptions = {}) {}

  /** Imports come before functions in the index space, so import before the first function. */
  importFunction(module: string, name: string, signature: FunctionSignature): FunctionRef {
    if (this.functions.length > 0) throw new Error(`import ${module}.${name} before any function`)
    const { params, results } = signature
    const imported = { module, name, params, results, index: this.imports.length }
    this.imports.push(imported)
    return imported
  }

  importMemory(memory: MemoryImport): void {
    if (memory.shared && memory.maximum === undefined) {
      throw new Error('a shared memory needs a maximum')
    }
    this.memory = memory
  }

  /** A mutable i32 global. */
  global(initial = 0): Global {
    this.globals.push({ type: 'i32', initial })
    return { index: this.globals.length - 1, type: 'i32' }
  }

  /** A new function. Its body may also be written later, through the returned builder. */
  function(options: FunctionOptions, body?: (f: FunctionBuilder) => void): FunctionBuilder {
    const index = this.imports.length + this.functions.length
    const name = options.name ?? options.exportName ?? `f${index}`
    const f = new FunctionBuilder(index, name, options, this)
    this.functions.push(f)
    if (options.exportName !== undefined) this.exports.push({ name: options.exportName, target: f })
    body?.(f)
    return f
  }

  /** A function that all who ask for the same `key` call together. */
  sharedFunction(key: string, build: () => FunctionRef): FunctionRef {
    const known = this.shared.get(key)
    if (known) return known
    const built = build()
    this.shared.set(key, built)
    return built
  }

  /** The functions so far, in the order of their indices. */
  get defined(): readonly FunctionBuilder[] {
    return this.functions
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteBuffer(8192)
    out.raw([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
    const functionTypes = this.functions.map((f) => this.typeIndex(f))
    const importTypes = this.imports.map((f) => this.typeIndex(f))

    this.vector(out, sections.type, this.types, (section, { params, results }) => {
      section.u8(0x60)
      for (const types of [params, results]) {
        section.u32(types.length)
        for (const type of types) section.u8(valueTypeCodes[type])
      }
    })
    const importEntries = this.imports.map(({ module, name }, index) => (section: ByteBuffer) => {
      section.name(module)
      section.name(name)
      section.u8(0x00)
      section.u32(importTypes[index] ?? 0)
    })
    const { memory } = this
    if (memory) importEntries.push((section) => writeMemoryImport(section, memory))
    this.vector(out, sections.import, importEntries, (section, write) => write(section))
    this.vector(out, sections.function, functionTypes, (section, type) => section.u32(type))
    this.vector(out, sections.global, this.globals, (section, { type, initial }) => {
      section.u8(valueTypeCodes[type])
      section.u8(1)
      section.u8(0x41)
      section.s32(initial)
      section.u8(0x0b)
    })
    this.vector(out, sections.export, this.exports, (section, { name, target }) => {
      section.name(name)
      section.u8(0x00)
      section.u32(target.index)
    })
    this.vector(out, sections.code, this.functions, (section, f) => {
      const body = f.finish()
      section.u32(body.length)
      section.raw(body)
    })
    if (this.options.debug) this.writeNames(out)
    return out.toBytes()
  }

  private typeIndex({ params, results }: FunctionSignature): number {
    const key = `${params.join()}>${results.join()}`
    const known = this.typeIndices.get(key)
    if (known !== undefined) return known
    const index = this.types.length
    this.types.push({ params, results })
    this.typeIndices.set(key, index)
    return index
  }

  /** A section that holds a vector of entries; nothing at all when there are none. */
  private vector<T>(
    out: ByteBuffer,
    id: number,
    entries: readonly T[],
    write: (section: ByteBuffer, entry: T) => void,
  ): void {
    if (entries.length === 0) return
    const section = new ByteBuffer(1024)
    section.u32(entries.length)
    for (const entry of entries) write(section, entry)
    out.u8(id)
    out.u32(section.length)
    out.raw(section.toBytes())
  }

  private writeNames(out: ByteBuffer): void {
    const named: FunctionRef[] = [...this.imports, ...this.functions]
    const functions = new ByteBuffer(1024)
    functions.u32(named.length)
    for (const { index, name } of named) {
      functions.u32(index)
      functions.name(name)
    }
    const section = new ByteBuffer(1024)
    section.name('name')
    section.u8(1)
    section.u32(functions.length)
    section.raw(functions.toBytes())
    out.u8(0)
    out.u32(section.length)
    out.raw(section.toBytes())
  }
}

function writeMemoryImport(section: ByteBuffer, memory: MemoryImport): void {
  section.name(memory.module ?? 'env')
  section.name(memory.name ?? 'memory')
  section.u8(0x02)
  section.u8((memory.maximum === undefined ? 0 : 1) | (memory.shared ? 2 : 0))
  section.u32(memory.initial)
  if (memory.maximum !== undefined) section.u32(memory.maximum)
}
