/** A planned program as steps: dispatches in order, and loops over them. */
import type { PlannedProgram } from '../../compiler/compile'
import { programsOf, storeRoots } from '../../compiler/dependence'
import type { Buffer } from '../../compiler/expr'
import type { LoopNode, MapNode, Program } from '../../compiler/nodes'
import { loadsOf } from '../../compiler/views'
import { OutOfMemoryError } from '../../types/errors'
import { ControlFlow } from './control'
import {
  type DeviceFacts,
  type Dispatch,
  KernelSpace,
  type Place,
  PLACE_ALIGNMENT,
  type Resource,
} from './kernel'
import { nodeKernels } from './kernels/index'
import { formOf, inArena, Places, wholeArray, wordsOf } from './layout'
import { copyKernel, mapKernel } from './map'
import { reduceKernel } from './reduce'
import { rowsKernel } from './rows'

export type Step = DispatchStep | RepeatStep | UntilStep

export interface DispatchStep {
  readonly kind: 'dispatch'
  readonly dispatch: Dispatch
  /** Word of the control block with the workgroups to run, where the device decides; null where it does not. */
  readonly argumentsAt: number | null
}

export interface RepeatStep {
  readonly kind: 'repeat'
  readonly times: number
  readonly body: readonly Step[]
}

/** Repeats `body` by rounds, reading a word of the control block after each, until it is 0. */
export interface UntilStep {
  readonly kind: 'until'
  readonly round: number
  readonly body: readonly Step[]
  readonly active: number
}

export interface ProgramCode {
  readonly steps: readonly Step[]
  readonly arenaWords: number
  /** The control block before anything has run; empty where nothing is decided on the device. */
  readonly control: Uint32Array<ArrayBuffer>
}

/** The number of the array that holds each input and output: outputs may take over an input's. */
export function arraysOf({ program, plan }: PlannedProgram): readonly number[] {
  return plan.outputStorage.map((source, i) => source ?? program.inputs.length + i)
}

export function programCode(planned: PlannedProgram, facts: DeviceFacts): ProgramCode {
  const { program, plan } = planned
  const flags = countLoops(program)
  const start = flags * PLACE_ALIGNMENT
  const scratchStart = start + Math.ceil(plan.arenaBytes / 4 / PLACE_ALIGNMENT) * PLACE_ALIGNMENT
  const arrays = arraysOf(planned)
  const arrayOf = ({ dtype, size }: Buffer, resource: number): Place => {
    const form = formOf(dtype, facts)
    return wholeArray(resource, wordsOf(size, form), form)
  }
  const controls = program.nodes.some((node) => programsOf(node).length > 0)
  const borders = new Borders(controls, scratchStart)
  const inputs = program.inputs.map((b, i) => borders.inside(b, arrayOf(b, i)))
  const outputs = program.outputs.map((b, i) => borders.inside(b, arrayOf(b, arrays[i])))
  const places = new Places(program, plan, start, inputs, outputs)
  const builder = new Builder(facts, borders.end)
  const steps = [
    ...program.inputs.flatMap((b, i) => builder.copy(arrayOf(b, i), inputs[i], b.size)),
    ...builder.program(program, places),
    ...program.outputs.flatMap((b, i) => builder.copy(outputs[i], arrayOf(b, arrays[i]), b.size)),
  ]
  return { steps, arenaWords: builder.arenaWords, control: builder.control.initial() }
}

/**
 * Programs with loops and branches work on words alone: their slices, carries and branches may lie
 * anywhere. Arrays of halves are brought to the arena at the program's beginning, and back at its end.
 */
class Borders {
  private readonly copies = new Map<Resource, Place>()

  constructor(
    private readonly controls: boolean,
    /** Where the copies end, in words of the arena. */
    public end: number,
  ) {}

  inside({ size }: Buffer, array: Place): Place {
    if (!this.controls || array.form === 'words') return array
    const known = this.copies.get(array.resource)
    if (known !== undefined) return known
    const copy = inArena(this.end, size)
    this.copies.set(array.resource, copy)
    this.end += Math.ceil(size / PLACE_ALIGNMENT) * PLACE_ALIGNMENT
    return copy
  }
}

/** Words that loops may need for their predicates. */
const countLoops = (program: Program): number =>
  program.nodes.reduce(
    (n, node) =>
      n +
      // A loop may be tried in one kernel before it becomes dispatches.
      (node.kind === 'while' || node.kind === 'scan' ? 2 : 0) +
      programsOf(node).reduce((m, p) => m + countLoops(p), 0),
    0,
  )

/** Turns programs into steps; loops and branches are `control.ts`' business. */
export class Builder {
  arenaWords: number
  readonly control: ControlFlow

  constructor(
    readonly facts: DeviceFacts,
    private readonly scratchStart: number,
  ) {
    this.arenaWords = scratchStart
    this.control = new ControlFlow(this)
  }

  program(program: Program, places: Places): readonly Step[] {
    return program.nodes.flatMap((node) => this.node(node, places))
  }

  private node(node: LoopNode, places: Places): readonly Step[] {
    switch (node.kind) {
      case 'scan':
      case 'while':
      case 'branch':
        return this.control.steps(node, places)
      case 'joint':
        return node.parts.flatMap((part) => this.node(part, places))
      default:
        return this.kernels((space) => dispatchesOf(node, space), places.of, node)
    }
  }

  /** Dispatches that bind no more buffers than the adapter lets them. */
  kernels(make: MakeKernels, placeOf: KernelSpace['place'], node?: LoopNode): readonly Step[] {
    const ranges = this.attempt(make, placeOf, this.scratchStart, false)
    if (this.fits(ranges)) return ranges.map((dispatch) => this.control.step(dispatch))
    const whole = this.attempt(make, placeOf, this.scratchStart, true)
    if (this.fits(whole)) return whole.map((dispatch) => this.control.step(dispatch))
    if (node?.kind === 'map' && node.stores.length > 1 && separable(node, placeOf)) {
      const middle = Math.ceil(node.stores.length / 2)
      return [node.stores.slice(0, middle), node.stores.slice(middle)].flatMap((stores) => {
        const part: MapNode = { ...node, stores }
        return this.kernels((space) => mapKernel(part, space), placeOf, part)
      })
    }
    return this.staged(make, placeOf, whole)
  }

  private attempt(
    make: MakeKernels,
    placeOf: KernelSpace['place'],
    scratchStart: number,
    wholeArena: boolean,
  ): readonly Dispatch[] {
    const space = new KernelSpace(this.facts, placeOf, scratchStart, wholeArena)
    const dispatches = make(space)
    this.arenaWords = Math.max(this.arenaWords, space.scratchEnd)
    for (const { words } of dispatches.flatMap((d) => d.bindings)) {
      if (words * 4 > this.facts.bindingBytes) throw tooLarge(words, this.facts)
    }
    return dispatches
  }

  /** A space for kernels of the control flow itself. */
  space(placeOf: KernelSpace['place']): KernelSpace {
    return new KernelSpace(this.facts, placeOf, this.scratchStart)
  }

  private fits(dispatches: readonly Dispatch[]): boolean {
    return dispatches.every(({ bindings }) => bindings.length <= this.facts.storageBuffers)
  }

  /**
   * A kernel that reads or writes more arrays than it can bind works on copies of them in the arena,
   * which is one binding; what it writes is copied back. `dispatches` say which arrays it uses.
   */
  private staged(
    make: MakeKernels,
    placeOf: KernelSpace['place'],
    dispatches: readonly Dispatch[],
  ): readonly Step[] {
    const copies = new Map<Resource, { readonly array: Place; readonly copy: Place }>()
    const written = new Set<Resource>()
    let end = this.scratchStart
    for (const { resource, words, form, access } of dispatches.flatMap((d) => d.bindings)) {
      if (typeof resource !== 'number') continue
      if (access === 'read_write') written.add(resource)
      if (copies.has(resource)) continue
      const size = form === 'halves' ? 2 * words : words
      copies.set(resource, {
        array: wholeArray(resource, words, form),
        copy: inArena(end, size),
      })
      end += Math.ceil(size / PLACE_ALIGNMENT) * PLACE_ALIGNMENT
    }
    const moved = (buffer: Buffer): Place => {
      const place = placeOf(buffer)
      const staged = copies.get(place.resource)
      return staged === undefined ? place : { ...staged.copy, base: place.base }
    }
    const kernels = this.attempt(make, moved, end, true)
    return [
      ...[...copies.values()].flatMap(({ array, copy }) => this.copy(array, copy, copy.words)),
      ...kernels.map((dispatch) => this.control.step(dispatch)),
      ...[...copies].flatMap(([resource, { array, copy }]) =>
        written.has(resource) ? this.copy(copy, array, copy.words) : [],
      ),
    ]
  }

  /** Copies the first words of one place to another. */
  copy(from: Place, to: Place, size: number): readonly Step[] {
    const source: Buffer = { id: 0, dtype: 'uint32', size }
    const target: Buffer = { id: 1, dtype: 'uint32', size }
    return this.kernels(
      (space) => copyKernel({ kind: 'copy', source, target }, space),
      (b) => (b === source ? from : to),
    )
  }
}

const tooLarge = (words: number, { bindingBytes }: DeviceFacts): OutOfMemoryError =>
  new OutOfMemoryError({
    op: 'compile',
    problem: `an array inside the program has ${words * 4} bytes`,
    rule: `a kernel can bind ${bindingBytes} bytes at once on this adapter; an element takes 4`,
    hint: "use smaller arrays, or the 'wasm' device",
  })

type MakeKernels = (space: KernelSpace) => readonly Dispatch[]

/** Whether the stores of a map may run one after the other: none writes what another one reads. */
function separable({ stores }: MapNode, placeOf: KernelSpace['place']): boolean {
  return stores.every((store) => {
    const target = placeOf(store.target)
    return stores.every(
      (other) =>
        other === store ||
        loadsOf(storeRoots([other])).every(({ source }) => {
          const place = placeOf(source)
          return place.resource !== target.resource || place.offset !== target.offset
        }),
    )
  })
}

type PlainNode = Exclude<LoopNode, { readonly kind: 'scan' | 'while' | 'branch' | 'joint' }>

function dispatchesOf(node: PlainNode, space: KernelSpace): readonly Dispatch[] {
  switch (node.kind) {
    case 'map':
      return mapKernel(node, space)
    case 'reduce':
      return reduceKernel(node, space)
    case 'copy':
      return copyKernel(node, space)
    case 'rows':
      return rowsKernel(node, space)
    case 'contract':
      return nodeKernels.contract(node, space)
    case 'cumulative':
      return nodeKernels.cumulative(node, space)
    case 'sort':
      return nodeKernels.sort(node, space)
    case 'scatter':
      return nodeKernels.scatter(node, space)
    case 'selectAndScatter':
      return nodeKernels.selectAndScatter(node, space)
    case 'cholesky':
      return nodeKernels.cholesky(node, space)
    case 'triangularSolve':
      return nodeKernels.triangularSolve(node, space)
  }
}
