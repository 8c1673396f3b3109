/** A compiled program that leaves: one `.wasm` file, and a few lines that run it. */
import {
  type Aval,
  ArgumentError,
  type DType,
  type Executable,
  type NDArray,
  readSync,
  type Shape,
  standaloneOf,
  type tree,
} from '@adjoint/core/internal'
import { loader } from './loader'

export interface ExportOptions {
  /**
   * Whether the program may use relaxed SIMD, whose multiply-add rounds once. It is faster, needs
   * Node 22 or a browser of 2025, and its results differ in the last bits between machines. False
   * unless given.
   */
  readonly relaxedSimd?: boolean
}

/** A tree whose leaves are positions in a list of arrays. */
export type ManifestTree =
  number | null | readonly ManifestTree[] | { readonly [key: string]: ManifestTree }

/** An array of the program, and where in its memory it lies. */
export interface ManifestArray {
  readonly shape: Shape
  readonly dtype: DType
  readonly address: number
}

/** What there is to know of an exported program; a section of the file itself. */
export interface Manifest {
  readonly name: string
  /** The list of arguments, static ones left out. */
  readonly arguments: ManifestTree
  readonly result: ManifestTree
  readonly inputs: readonly ManifestArray[]
  readonly outputs: readonly ManifestArray[]
  /** Arrays that the function closed over. Their elements are in the file. */
  readonly constants: readonly ManifestArray[]
  readonly memory: {
    readonly pages: number
    readonly block: number
    readonly words: readonly number[]
  }
}

export interface Exported {
  /** The file: program, constants and manifest. */
  readonly wasm: Uint8Array<ArrayBuffer>
  /** A JavaScript module whose `load` takes the file and answers `{ run, manifest }`. */
  readonly loader: string
  readonly manifest: Manifest
}

export interface ExportSource {
  readonly op: string
  readonly name: string
  readonly executable: Executable
  /** The program's first inputs. */
  readonly constants: readonly NDArray[]
  readonly argumentStructure: tree.TreeStructure
  readonly resultStructure: tree.TreeStructure
}

export function exportProgram(source: ExportSource, options: ExportOptions): Exported {
  const { op, executable, constants } = source
  const standalone = standaloneOf(executable, { relaxedSimd: options.relaxedSimd ?? false })
  if (standalone === null) {
    throw new ArgumentError({
      op: `${op}.lower(…).export`,
      problem: 'programs of this device cannot leave it',
      rule: 'an exported program is a WebAssembly module',
      hint: "compile for the device 'wasm': jit(f, { device: 'wasm' })",
    })
  }
  const { code, inputs, outputs, pages, block, words } = standalone
  const at = (avals: readonly Aval[], addresses: readonly number[]): ManifestArray[] =>
    avals.map(({ shape, dtype }, i) => ({ shape, dtype, address: addresses[i] }))
  const all = at(executable.inAvals, inputs)
  const manifest: Manifest = {
    name: source.name,
    arguments: positions(op, source.argumentStructure),
    result: positions(op, source.resultStructure),
    inputs: all.slice(constants.length),
    outputs: at(executable.outAvals, outputs),
    constants: all.slice(0, constants.length),
    memory: { pages, block, words },
  }
  const data = constants.map((x) => {
    const { buffer, byteOffset, byteLength } = readSync(x, `${op}.lower(…).export`)
    return new Uint8Array(buffer, byteOffset, byteLength)
  })
  const wasm = joined([
    ...withoutNames(code),
    ...customSection('adjoint.manifest', [new TextEncoder().encode(JSON.stringify(manifest))]),
    ...customSection('adjoint.constants', data),
  ])
  return { wasm, loader, manifest }
}

/** The tree with the positions of its leaves. */
function positions(op: string, structure: tree.TreeStructure): ManifestTree {
  let next = 0
  const visit = (s: tree.TreeStructure): ManifestTree => {
    switch (s.kind) {
      case 'leaf':
        return next++
      case 'none':
        return null
      case 'tuple':
        return s.children.map(visit)
      case 'dict':
        return Object.fromEntries(s.keys.map((key, i) => [key, visit(s.children[i])]))
      case 'class':
        throw new ArgumentError({
          op: `${op}.lower(…).export`,
          problem: 'an argument or result is an instance of a class',
          rule: 'a manifest describes lists, plain objects, null and arrays',
          hint: 'take the instance apart inside the function',
        })
    }
  }
  return visit(structure)
}

// --- sections of a module (WebAssembly Core Specification, 5.5) ----------------------------------------

type Bytes = Uint8Array

const CUSTOM = 0

/** Unsigned LEB128. */
function sizeBytes(size: number): Bytes {
  const bytes: number[] = []
  let rest = size
  do {
    const low = rest & 0x7f
    rest >>>= 7
    bytes.push(rest === 0 ? low : low | 0x80)
  } while (rest !== 0)
  return Uint8Array.from(bytes)
}

const sizeOf = (parts: readonly Bytes[]): number => parts.reduce((n, part) => n + part.length, 0)

function joined(parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(sizeOf(parts))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function customSection(name: string, contents: readonly Bytes[]): readonly Bytes[] {
  const nameBytes = new TextEncoder().encode(name)
  const body = [sizeBytes(nameBytes.length), nameBytes, ...contents]
  return [Uint8Array.of(CUSTOM), sizeBytes(sizeOf(body)), ...body]
}

/** The module without its custom sections, which hold the names of its functions. */
function withoutNames(code: Bytes): readonly Bytes[] {
  const header = 8
  const kept: Bytes[] = [code.subarray(0, header)]
  let at = header
  while (at < code.length) {
    const start = at
    const id = code[at++]
    let [size, shift, byte] = [0, 0, 0]
    do {
      byte = code[at++]
      size |= (byte & 0x7f) << shift
      shift += 7
    } while (byte & 0x80)
    at += size
    if (id !== CUSTOM) kept.push(code.subarray(start, at))
  }
  return kept
}
