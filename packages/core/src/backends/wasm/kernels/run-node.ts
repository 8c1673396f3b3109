/** Runs one node in a module of its own, for tests and measurements. */
import type { Buffer } from '../../../compiler/expr'
import type { Cells } from '../../../compiler/interpret'
import { allocateCells, cellsAt, interpret, separateMemory } from '../../../compiler/interpret'
import type { LoopNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { bytesOf, kindOf } from '../../../types/dtype'
import type { CodegenEnvironment, NodeEmitter } from '../codegen/environment'
import { buffersOf, READ_SLACK } from '../codegen/environment'
import type { WasmFeatures } from '../emit/index'
import { ModuleBuilder, wasmFeatures } from '../emit/index'

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array

let nextBuffer = 0
export const newBuffer = (dtype: DType, size: number): Buffer => ({ id: nextBuffer++, dtype, size })

const view = (memory: ArrayBuffer, { dtype, size }: Buffer, at: number): NumberArray => {
  switch (dtype) {
    case 'float32':
      return new Float32Array(memory, at, size)
    case 'float64':
      return new Float64Array(memory, at, size)
    case 'int32':
      return new Int32Array(memory, at, size)
    case 'uint32':
      return new Uint32Array(memory, at, size)
    case 'int16':
      return new Int16Array(memory, at, size)
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(memory, at, size)
    case 'int8':
      return new Int8Array(memory, at, size)
    default:
      return new Uint8Array(memory, at, size)
  }
}

export interface CompiledNode {
  /** The buffer's elements, in the module's memory. */
  data(buffer: Buffer): NumberArray
  cells(buffer: Buffer): Cells
  run(): void
  readonly codeBytes: number
}

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64

/**
 * Memory is filled with a value that would show if it were read as data, and what follows each
 * buffer is checked after every run.
 */
export function compileNode<Node extends LoopNode>(
  emit: NodeEmitter<Node>,
  node: Node,
  features: WasmFeatures = wasmFeatures(),
): CompiledNode {
  const module = new ModuleBuilder({ debug: true })
  const scratch = module.global(0)
  let scratchBytes = 0
  let functions = 0
  const env: CodegenEnvironment = {
    module,
    features,
    scratch: (bytes) => {
      scratchBytes = Math.max(scratchBytes, bytes)
      return scratch
    },
    functionName: (kind) => `${kind}${functions++}`,
    threads: null,
  }
  const f = emit(module, node, env)
  const buffers = buffersOf(node)
  const places = new Map<number, number>()
  let end = 1024
  for (const buffer of buffers) {
    places.set(buffer.id, end)
    end = align(end + buffer.size * bytesOf(buffer.dtype) + READ_SLACK)
  }
  const scratchAt = end
  end += align(scratchBytes)
  module.importMemory({ initial: Math.ceil((end + 64) / 65536) })
  module.function({ exportName: 'run', params: [], results: [] }, (run) => {
    run.i32Const(scratchAt).globalSet(scratch)
    for (const buffer of buffers) run.i32Const(places.get(buffer.id) ?? 0)
    run.call(f)
  })
  const bytes = module.finish()
  const memory = new WebAssembly.Memory({ initial: Math.ceil((end + 64) / 65536) })
  const content = new Uint8Array(memory.buffer)
  content.fill(0xff)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
  const { run } = exports
  if (typeof run !== 'function') throw new Error('the module exports no function')
  return {
    codeBytes: bytes.length,
    data: (buffer) => view(memory.buffer, buffer, places.get(buffer.id) ?? 0),
    cells: (buffer) =>
      cellsAt(buffer.dtype, memory.buffer, places.get(buffer.id) ?? 0, buffer.size),
    run: () => {
      run()
      for (const buffer of buffers) {
        const after = (places.get(buffer.id) ?? 0) + buffer.size * bytesOf(buffer.dtype)
        for (let i = after; i < after + READ_SLACK; i++) {
          if (content[i] !== 0xff) throw new Error(`buffer ${buffer.id} was written past its end`)
        }
      }
      for (let i = end; i < end + 64; i++) {
        if (content[i] !== 0xff) throw new Error('working memory was written past its end')
      }
    },
  }
}

export interface Comparison {
  readonly relaxed?: boolean
  /** Bound of the difference, relative to the size of the value or to 1; 0 for identity. */
  readonly tolerance: number
  /**
   * Fills a buffer; by default with sixteenths between -1 and 1, whose products sum up exactly,
   * with small integers, or with truth values.
   */
  readonly fill?: (buffer: Buffer, cells: Cells) => void
}

/** Runs a node as code and through the interpreter on the same data, and compares every buffer. */
export function expectAsInterpreted<Node extends LoopNode>(
  emit: NodeEmitter<Node>,
  node: Node,
  { relaxed, tolerance, fill = fillRandomly }: Comparison,
): void {
  const compiled = compileNode(emit, node, relaxed === undefined ? wasmFeatures() : { relaxed })
  const places = new Map<Buffer, Cells>()
  const mine = new Map<Buffer, Cells>()
  for (const buffer of buffersOf(node)) {
    const cells = allocateCells(buffer.dtype, buffer.size)
    fill(buffer, cells)
    places.set(buffer, cells)
    const own = compiled.cells(buffer)
    for (let i = 0; i < buffer.size; i++) own.set(i, cells.get(i))
    mine.set(buffer, own)
  }
  compiled.run()
  interpret({ inputs: [], outputs: [], nodes: [node], temporaries: [] }, separateMemory(places))
  for (const [buffer, expected] of places) {
    const actual = mine.get(buffer)
    for (let i = 0; i < buffer.size; i++) {
      const x = actual?.get(i) ?? NaN
      const y = expected.get(i)
      const bound = tolerance * Math.max(1, Math.abs(y))
      if (Object.is(x, y) || (tolerance > 0 && x === y) || Math.abs(x - y) < bound) continue
      throw new Error(
        `element ${i} of buffer ${buffer.id} is ${x}, not ${y}: ${JSON.stringify(node)}`,
      )
    }
  }
}

let state = 12345
export const nextRandom = (): number => {
  state = (Math.imul(state, 1103515245) + 12345) | 0
  return ((state >>> 8) & 0xffff) / 0x10000
}

export function fillRandomly({ dtype }: Buffer, cells: Cells): void {
  for (let i = 0; i < cells.size; i++) {
    const x = nextRandom()
    if (dtype === 'bool') cells.set(i, x < 0.5 ? 0 : 1)
    else if (kindOf(dtype) === 'float') cells.set(i, Math.floor(32 * x) / 16 - 1)
    else cells.set(i, Math.floor((kindOf(dtype) === 'int' ? 2 * x - 1 : x) * 100))
  }
}
