/**
 * Where a program's buffers lie, in words of the arena and of its arrays.
 *
 * Temporaries have one word for every element. Arrays of float16 have two bytes where the device can
 * write them one by one (`DeviceFacts.halves`).
 */
import type { Buffer } from '../../compiler/expr'
import type { LoopNode, Program } from '../../compiler/nodes'
import type { InnerPlan, MemoryLayout, Plan } from '../../compiler/plan'
import type { DType } from '../../types/dtype'
import {
  type Counter,
  type DeviceFacts,
  type Form,
  type Place,
  PLACE_ALIGNMENT,
  type Resource,
} from './kernel'

/** How an array's elements lie in memory. */
export const formOf = (dtype: DType, { halves }: Pick<DeviceFacts, 'halves'>): Form =>
  halves && dtype === 'float16' ? 'halves' : 'words'

/** Words of so many elements. */
export const wordsOf = (size: number, form: Form): number =>
  form === 'halves' ? Math.ceil(size / 2) : size

/** Bytes of an array, a whole number of words. */
export const arrayBytes = (
  { dtype, size }: Pick<Buffer, 'dtype' | 'size'>,
  facts: Pick<DeviceFacts, 'halves'>,
): number => 4 * wordsOf(size, formOf(dtype, facts))

/** Bindings begin at multiples of 256 bytes. */
export const layoutOn = (facts: Pick<DeviceFacts, 'halves'>): MemoryLayout => ({
  byteSize: (buffer) => buffer.size * 4,
  arrayBytes: (buffer) => arrayBytes(buffer, facts),
  alignment: PLACE_ALIGNMENT * 4,
})

/** The places of one program's buffers. */
export class Places {
  private readonly known = new Map<Buffer, Place>()

  constructor(
    private readonly program: Program,
    private readonly plan: Plan,
    /** Where the program's temporaries begin in the arena, in words. */
    private readonly arena: number,
    /** Where its inputs and outputs lie. */
    inputs: readonly Place[],
    outputs: readonly Place[],
  ) {
    program.inputs.forEach((b, i) => this.known.set(b, inputs[i]))
    program.outputs.forEach((b, i) => this.known.set(b, outputs[i]))
  }

  readonly of = (buffer: Buffer): Place => {
    let place = this.known.get(buffer)
    if (place === undefined) this.known.set(buffer, (place = this.planned(buffer)))
    return place
  }

  private planned(buffer: Buffer): Place {
    const placement = this.plan.placements.get(buffer)
    if (placement?.kind !== 'arena') {
      throw new Error(`a buffer without a place: ${this.program.nodes.map((n) => n.kind).join()}`)
    }
    return inArena(this.arena + placement.offset / 4, buffer.size)
  }

  innerPlan(node: LoopNode): InnerPlan {
    const inner = this.plan.inner.get(node)
    if (inner === undefined) throw new Error('a loop without a plan')
    return inner
  }

  /** Of the programs inside a node, which run one at a time and so share memory. */
  inner(
    node: LoopNode,
    which: number,
    program: Program,
    inputs: readonly Place[],
    outputs: readonly Place[],
  ): Places {
    const { arena, programs } = this.innerPlan(node)
    return new Places(program, programs[which], this.arena + arena / 4, inputs, outputs)
  }

  /** Where the body of a loop writes the next value of a carry that lies in `current`. */
  nextCarry(node: LoopNode, carry: number, current: Place, size: number): Place {
    const { inPlace, scratch } = this.innerPlan(node).carries[carry]
    return inPlace || scratch === null ? current : inArena(this.arena + scratch / 4, size)
  }
}

export const inArena = (offset: number, words: number): Place => ({
  resource: 'arena',
  offset,
  words,
  form: 'words',
  base: [],
})

export const wholeArray = (resource: Resource, words: number, form: Form): Place => ({
  resource,
  offset: 0,
  words,
  form,
  base: [],
})

/** The part of an array that belongs to one iteration of a loop. */
export const sliceOf = (place: Place, counter: Counter, stride: number): Place => ({
  ...place,
  base: stride === 0 ? place.base : [...place.base, { counter, stride }],
})
