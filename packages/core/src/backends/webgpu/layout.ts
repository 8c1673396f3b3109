/** Where a program's buffers lie, in words of the arena and of its arrays. */
import type { Buffer } from '../../compiler/expr'
import type { LoopNode, Program } from '../../compiler/nodes'
import type { InnerPlan, MemoryLayout, Plan } from '../../compiler/plan'
import { type Counter, type Place, PLACE_ALIGNMENT, type Resource } from './kernel'

/** One word for every element; bindings begin at multiples of 256 bytes. */
export const wordLayout: MemoryLayout = {
  byteSize: (buffer) => buffer.size * 4,
  alignment: PLACE_ALIGNMENT * 4,
}

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
  base: [],
})

export const wholeArray = (resource: Resource, words: number): Place => ({
  resource,
  offset: 0,
  words,
  base: [],
})

/** The part of an array that belongs to one iteration of a loop. */
export const sliceOf = (place: Place, counter: Counter, stride: number): Place => ({
  ...place,
  base: stride === 0 ? place.base : [...place.base, { counter, stride }],
})
