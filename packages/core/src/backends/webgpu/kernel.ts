/**
 * What generators of kernels work with: where a program's buffers lie, and a kernel being written.
 *
 * See docs/design/webgpu.md for how the parts fit together.
 */
import type { Buffer } from '../../compiler/expr'
import type { LoopNode } from '../../compiler/nodes'
import type { DType } from '../../types/dtype'
import { requireMath } from './wgsl/math/index'
import { fromWord, toWord } from './words'

/** What a kernel may use of the adapter. */
export interface DeviceFacts {
  /** Storage buffers that one kernel may bind. */
  readonly storageBuffers: number
  /** Invocations of one workgroup. */
  readonly invocations: number
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number
  /** Workgroups along one dimension of a dispatch. */
  readonly workgroups: number
  /** Bytes of one binding. */
  readonly bindingBytes: number
  /** Subgroups, and their numbers in a workgroup. */
  readonly subgroups: boolean
  /** Elements of two bytes in storage, each with an address of its own (`shader-f16`). */
  readonly halves: boolean
  /** A driver without a GPU: waiting for each other is dear for its invocations. */
  readonly software: boolean
  /** Whether loops of little work become one kernel. */
  readonly residentLoops: boolean
}

/**
 * What a range belongs to: the program's arena, its control block, one of its arrays (inputs, then
 * outputs that have memory of their own).
 */
export type Resource = 'arena' | 'control' | number

/** A number that only the device knows: which iteration of a loop runs. */
export interface Counter {
  /** Its word in the control block. */
  readonly word: number
}

/** One word for every element, or two bytes, which is for float16 alone. */
export type Form = 'words' | 'halves'

/** A range of words of a GPU buffer, moved by counters of the loops around. */
export interface Place {
  readonly resource: Resource
  /** In words, a multiple of 64. */
  readonly offset: number
  readonly words: number
  readonly form: Form
  readonly base: readonly { readonly counter: Counter; readonly stride: number }[]
}

/** Offsets of bindings are multiples of this many words: what WebGPU asks for by default. */
export const PLACE_ALIGNMENT = 64

export interface Binding {
  readonly resource: Resource
  /** In words. */
  readonly offset: number
  /** The control block is always bound whole. */
  readonly words: number
  readonly form: Form
  readonly access: 'read' | 'read_write'
}

export interface Dispatch {
  readonly wgsl: string
  /** In the order of their numbers. */
  readonly bindings: readonly Binding[]
  readonly workgroups: readonly [number, number, number]
}

export type NodeKernel<N extends LoopNode> = (node: N, space: KernelSpace) => readonly Dispatch[]

/** Where buffers lie while a node is turned into dispatches. */
export class KernelSpace {
  private readonly scratched = new Map<Buffer, Place>()
  private scratchWords = 0

  constructor(
    readonly facts: DeviceFacts,
    private readonly placeOf: (buffer: Buffer) => Place,
    /** Where scratch memory begins in the arena, in words. */
    private readonly scratchStart: number,
    /** Binds the arena once, whole, instead of range by range: fewer bindings. */
    readonly wholeArena: boolean = false,
    /** WGSL names of counters that are variables of the kernel; others are read from the control block. */
    readonly counters: Map<Counter, string> = new Map(),
  ) {}

  /** Names of arrays in workgroup memory, for buffers that lie there. */
  readonly shared = new Map<Buffer, string>()

  place(buffer: Buffer): Place {
    return this.scratched.get(buffer) ?? this.placeOf(buffer)
  }

  /** A buffer for the duration of the node. It holds whatever was there. */
  scratch(dtype: DType, size: number): Buffer {
    const buffer: Buffer = { id: -1 - this.scratched.size, dtype, size }
    this.scratched.set(buffer, {
      resource: 'arena',
      offset: this.scratchStart + this.scratchWords,
      words: size,
      form: 'words',
      base: [],
    })
    this.scratchWords += Math.ceil(size / PLACE_ALIGNMENT) * PLACE_ALIGNMENT
    return buffer
  }

  /** Keeps a buffer in scratch memory, once for each value of a counter below `count`. */
  scratchFor(buffer: Buffer, counter: Counter, count: number): void {
    const all = this.scratch(buffer.dtype, buffer.size * count)
    const base = [{ counter, stride: buffer.size }]
    this.scratched.set(buffer, { ...this.place(all), base })
  }

  /** Where the node's scratch memory ends, in words. */
  get scratchEnd(): number {
    return this.scratchStart + this.scratchWords
  }
}

interface OpenBinding {
  readonly variable: string
  readonly resource: Resource
  readonly offset: number
  readonly form: Form
  words: number
  written: boolean
  vectors: boolean
}

/** Workgroups per row of a dispatch that is too large for one dimension. */
const ROW = 32768

/**
 * One kernel being written. The body is that of an entry point in which `group: u32` is the flat
 * number of the workgroup and `lane: u32` the number of the invocation in it.
 */
export class KernelSource {
  private readonly lines: string[] = []
  private readonly prelude: string[] = []
  private readonly definitions = new Map<string, string>()
  private readonly bindings: OpenBinding[] = []
  private readonly bases = new Map<string, string>()
  private readonly names = new Map<string, number>()
  private readonly extensions = new Set<string>()
  private depth = 1

  constructor(
    readonly space: KernelSpace,
    /** What the kernel does: a comment in the code. */
    private readonly title: string,
  ) {}

  /** An identifier that nothing else has. */
  name(prefix: string): string {
    const n = this.names.get(prefix) ?? 0
    this.names.set(prefix, n + 1)
    return `${prefix}${n}`
  }

  /** Adds a declaration at module scope, once per key. */
  define(key: string, code: string): void {
    if (!this.definitions.has(key)) this.definitions.set(key, code)
  }

  /** Asks for a language extension that the device is known to have. */
  enable(extension: 'subgroups' | 'f16'): void {
    this.extensions.add(extension)
  }

  /** Appends a statement. */
  line(code: string): void {
    this.lines.push('  '.repeat(this.depth) + code)
  }

  /** `head { body }` */
  block(head: string, body: () => void): void {
    this.line(`${head} {`)
    this.depth++
    body()
    this.depth--
    this.line('}')
  }

  /** Names an expression. */
  let(prefix: string, expression: string): string {
    const name = this.name(prefix)
    this.line(`let ${name} = ${expression};`)
    return name
  }

  /** The element at an address (an i32 expression, in elements), as a register of the buffer's dtype. */
  load(buffer: Buffer, address: string): string {
    const element = this.element(buffer, address, false)
    return element.form === 'halves'
      ? this.fromHalf(element.text)
      : fromWord(buffer.dtype, element.text)
  }

  /** Writes a register of the buffer's dtype. */
  store(buffer: Buffer, address: string, value: string): void {
    const { form, text } = this.element(buffer, address, true)
    const memory = form === 'halves' ? this.toHalf(value) : toWord(buffer.dtype, value)
    this.line(`${text} = ${memory};`)
  }

  /** The word at an address, as it is. */
  word(buffer: Buffer, address: string): string {
    const { form, text } = this.element(buffer, address, false)
    return form === 'halves' ? `bitcast<u32>(${this.fromHalf(text)})` : text
  }

  /** Writes a word as it is. */
  storeWord(buffer: Buffer, address: string, word: string): void {
    const { form, text } = this.element(buffer, address, true)
    const memory = form === 'halves' ? this.toHalf(`bitcast<f32>(${word})`) : word
    this.line(`${text} = ${memory};`)
  }

  // Halves are moved as bits, because WGSL lets a device lose NaNs and small numbers in conversions.

  private fromHalf(reference: string): string {
    return this.math(`f16_from_bits(bitcast<u32>(vec2<f16>(${reference}, 0.0h)))`)
  }

  private toHalf(register: string): string {
    return this.math(`bitcast<vec2<f16>>(f16_to_bits(${register})).x`)
  }

  private math(text: string): string {
    requireMath(text, (name, code) => this.define(name, code))
    return text
  }

  /** An element in memory, as a reference. */
  private element(
    buffer: Buffer,
    address: string,
    written: boolean,
  ): { readonly text: string; readonly form: Form } {
    const shared = this.space.shared.get(buffer)
    if (shared !== undefined) {
      this.define(shared, `var<workgroup> ${shared}: array<u32, ${Math.max(1, buffer.size)}>;`)
      return { text: `${shared}[${address}]`, form: 'words' }
    }
    const { binding, base } = this.bound(this.space.place(buffer), written)
    const at = plus(base, address)
    const { variable, vectors, form } = binding
    return {
      text: vectors ? `${variable}[(${at}) >> 2u][(${at}) & 3]` : `${variable}[${at}]`,
      form,
    }
  }

  /**
   * Binds a buffer as vectors of four words, for `vector`. False where that cannot be: the buffer is
   * bound already, shares its binding, or does not start at a multiple of four.
   */
  asVectors(buffer: Buffer): boolean {
    const place = this.space.place(buffer)
    if (place.form === 'halves') return false
    if (this.space.wholeArena && place.resource === 'arena') return false
    if (place.base.some(({ stride }) => stride % 4 !== 0)) return false
    const known = this.find(place)
    if (known !== undefined) return known.vectors
    this.open(place).vectors = true
    return true
  }

  /** Four words, at an address in units of four elements: a reference of type `vec4<u32>`. */
  vector(buffer: Buffer, address: string, written: boolean): string {
    const { binding, base } = this.bound(this.space.place(buffer), written)
    if (!binding.vectors) throw new Error('the buffer is not bound as vectors')
    return `${binding.variable}[${base === '' ? address : `((${base}) >> 2u) + ${address}`}]`
  }

  /** A word of the control block, as a reference; the block is bound whole. */
  control(word: number | string, written = false): string {
    const place: Place = { resource: 'control', offset: 0, words: 0, form: 'words', base: [] }
    const binding = this.find(place) ?? this.open(place)
    if (written) binding.written = true
    return `${binding.variable}[${word}]`
  }

  private bound(place: Place, written: boolean): { binding: OpenBinding; base: string } {
    const binding = this.find(place) ?? this.open(place)
    if (written) binding.written = true
    let base = this.baseOf(place)
    if (binding.offset !== place.offset) base = plus(base, String(place.offset - binding.offset))
    binding.words = Math.max(binding.words, place.offset - binding.offset + place.words)
    return { binding, base }
  }

  private find(place: Place): OpenBinding | undefined {
    const offset = this.isWhole(place) ? 0 : place.offset
    return this.bindings.find(
      (b) => b.resource === place.resource && b.offset === offset && b.form === place.form,
    )
  }

  private open(place: Place): OpenBinding {
    if (place.form === 'halves') this.enable('f16')
    const binding: OpenBinding = {
      variable: this.name(typeof place.resource === 'number' ? 'b' : place.resource),
      resource: place.resource,
      offset: this.isWhole(place) ? 0 : place.offset,
      form: place.form,
      words: place.words,
      written: false,
      vectors: false,
    }
    this.bindings.push(binding)
    return binding
  }

  private isWhole(place: Place): boolean {
    return place.resource === 'arena' && this.space.wholeArena
  }

  /** What the counters of loops add to addresses in a place: hoisted to the kernel's beginning. */
  private baseOf({ base }: Place): string {
    if (base.length === 0) return ''
    const terms = base.map(({ counter, stride }) => {
      const variable = this.space.counters.get(counter)
      const value = variable ?? `bitcast<i32>(${this.control(counter.word)})`
      return { value, stride, local: variable !== undefined }
    })
    const sum = terms.map(({ value, stride }) => `${value} * ${stride}`).join(' + ')
    if (terms.some(({ local }) => local)) return `(${sum})`
    let name = this.bases.get(sum)
    if (name === undefined) {
      name = this.name('base')
      this.bases.set(sum, name)
      this.prelude.push(`  let ${name} = ${sum};`)
    }
    return name
  }

  /** The finished kernel. `groups` workgroups are dispatched, along two dimensions if need be. */
  finish({
    workgroupSize,
    groups,
  }: {
    readonly workgroupSize: number
    readonly groups: number
  }): Dispatch {
    const rows = groups > this.space.facts.workgroups ? Math.ceil(groups / ROW) : 1
    const flat = rows > 1 ? `group_id.y * ${ROW}u + group_id.x` : 'group_id.x'
    const bindings = this.bindings.map((b): Binding => ({
      resource: b.resource,
      offset: b.offset,
      words: b.words,
      form: b.form,
      // A GPU buffer is either read or written in a dispatch, and all of the arena is one.
      access: b.written || b.resource === 'arena' ? 'read_write' : 'read',
    }))
    const declarations = this.bindings.map(({ variable, vectors, form }, i) => {
      const type = form === 'halves' ? 'f16' : vectors ? 'vec4<u32>' : 'u32'
      const access = bindings[i]?.access ?? 'read'
      return `@group(0) @binding(${i}) var<storage, ${access}> ${variable}: array<${type}>;`
    })
    const parameters = [
      '@builtin(workgroup_id) group_id: vec3<u32>',
      '@builtin(local_invocation_index) lane: u32',
      ...(this.extensions.has('subgroups') ? subgroupParameters : []),
    ]
    const wgsl = [
      `// ${this.title}`,
      ...[...this.extensions].map((extension) => `enable ${extension};`),
      ...declarations,
      ...this.definitions.values(),
      `@compute @workgroup_size(${workgroupSize})`,
      `fn main(${parameters.join(', ')}) {`,
      `  let group = ${flat};`,
      // The last row of a dispatch along two dimensions may be longer than what there is to do.
      ...(rows > 1 ? [`  if (group >= ${groups}u) { return; }`] : []),
      // A zero that no compiler knows: see wgsl/math/bits.ts.
      ...(this.definitions.has('opaque_zero')
        ? [`  opaque_zero = arrayLength(&${this.bindings[0]?.variable}) >> 31u;`]
        : []),
      ...this.prelude,
      ...this.lines,
      '}',
      '',
    ].join('\n')
    return { wgsl, bindings, workgroups: rows > 1 ? [ROW, rows, 1] : [groups, 1, 1] }
  }
}

/** What a kernel knows of its subgroups when it has asked for them. */
const subgroupParameters = [
  '@builtin(subgroup_invocation_id) sub_lane: u32',
  '@builtin(subgroup_id) sub_group: u32',
  '@builtin(subgroup_size) sub_size: u32',
  '@builtin(num_subgroups) sub_count: u32',
]

/** The sum of two i32 expressions, the first of which may be empty. */
const plus = (base: string, address: string): string =>
  base === '' ? address : address === '0' ? base : `${base} + ${address}`
