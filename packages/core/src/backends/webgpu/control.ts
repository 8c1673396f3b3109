/**
 * Loops and branches whose bodies are dispatches.
 *
 * The _control block_ is a small buffer in which the device keeps what it decides itself: the counters
 * of loops, whether a region of the program is active, and for every dispatch in a region how many
 * workgroups it has: those it needs, or none.
 */
import type { Buffer } from '../../compiler/expr'
import type { BranchNode, ScanNode, WhileNode } from '../../compiler/nodes'
import {
  type Counter,
  type Dispatch,
  KernelSource,
  type KernelSpace,
  type Place,
  PLACE_ALIGNMENT,
} from './kernel'
import { inArena, type Places, sliceOf } from './layout'
import type { Builder, DispatchStep, Step } from './program'
import { iterationsPerDispatch, residentKernel, residentWork } from './resident'

/** Iterations of a `while` that are recorded before its predicate is read back. */
const ROUND = 16

/** A part of a program that runs only while its word in the control block is not 0. */
interface Region {
  readonly active: number
  /** Workgroups of its dispatches. */
  readonly workgroups: (readonly [number, number, number])[]
  /** Where they lie in the control block; given once all are known. */
  readonly arguments: { needed: number; actual: number }
}

export class ControlFlow {
  private words = 0
  private readonly regions: Region[] = []
  private readonly enclosing: Region[] = []
  private loops = 0

  constructor(private readonly builder: Builder) {}

  /** A dispatch as a step, which runs only where the region around it is active. */
  step(dispatch: Dispatch): DispatchStep {
    const region = this.enclosing.at(-1)
    if (region === undefined) return { kind: 'dispatch', dispatch, argumentsAt: null }
    const position = region.workgroups.push(dispatch.workgroups) - 1
    return {
      kind: 'dispatch',
      dispatch,
      get argumentsAt() {
        return region.arguments.actual + 3 * position
      },
    }
  }

  /** The control block before anything has run. */
  initial(): Uint32Array<ArrayBuffer> {
    const block = new Uint32Array(this.words === 0 ? 0 : Math.max(4, this.words))
    for (const { workgroups, arguments: at } of this.regions) {
      block.set(workgroups.flat(), at.needed)
    }
    return block
  }

  steps(node: ScanNode | WhileNode | BranchNode, places: Places): readonly Step[] {
    switch (node.kind) {
      case 'scan':
        return this.scan(node, places)
      case 'while':
        return this.while(node, places)
      case 'branch':
        return this.branch(node, places)
    }
  }

  private scan(node: ScanNode, places: Places): readonly Step[] {
    return this.residentScan(node, places) ?? this.recordedScan(node, places)
  }

  private while(node: WhileNode, places: Places): readonly Step[] {
    return this.residentWhile(node, places) ?? this.recordedWhile(node, places)
  }

  // --- loops in one kernel -----------------------------------------------------------------------------

  private residentScan(node: ScanNode, places: Places): readonly Step[] | null {
    const { facts } = this.builder
    const work = residentWork(node, facts)
    if (work === null || node.length === 0) return null
    const most = iterationsPerDispatch(work)
    const flag = this.flag()
    if (node.length <= most) {
      const all = { most: node.length, counter: null, fills: true, flag }
      const dispatch = residentKernel(node, places, facts, work, all)
      return this.bindable(dispatch) ? [this.step(dispatch)] : null
    }
    // A kernel that counts iterations writes the control block, so its dispatch cannot be read there.
    if (this.enclosing.length > 0) return null
    const counter: Counter = { word: this.words++ }
    const part = { most, counter, fills: false, flag }
    const dispatch = residentKernel(node, places, facts, work, part)
    if (!this.bindable(dispatch)) return null
    return [
      ...this.moves(node.initial, node.final.map(places.of), places),
      this.set(counter, (word) => `${word} = 0u;`),
      {
        kind: 'repeat',
        times: Math.ceil(node.length / most),
        body: [this.step(dispatch)],
      },
    ]
  }

  private residentWhile(node: WhileNode, places: Places): readonly Step[] | null {
    const { facts } = this.builder
    const work = residentWork(node, facts)
    if (work === null) return null
    const flag = this.flag()
    const part = { most: iterationsPerDispatch(work), counter: null, fills: false, flag }
    const dispatch = residentKernel(node, places, facts, work, part)
    if (!this.bindable(dispatch)) return null
    const outer = this.enclosing.at(-1)
    const before = this.moves(node.initial, node.final.map(places.of), places)
    const region = this.region()
    const kernel = this.inside(region, () => [this.step(dispatch)])
    this.place(region)
    return [
      ...before,
      this.gate(region, outer, flag, () => 'true'),
      {
        kind: 'until',
        round: 1,
        active: region.active,
        body: [...kernel, this.gate(region, region, flag, isTrue)],
      },
    ]
  }

  private bindable({ bindings }: Dispatch): boolean {
    return bindings.length <= this.builder.facts.storageBuffers
  }

  /** A word of the arena for the predicate of a loop. */
  private flag(): Place {
    return inArena(PLACE_ALIGNMENT * this.loops++, 1)
  }

  // --- loops over dispatches -----------------------------------------------------------------------------

  private recordedScan(node: ScanNode, places: Places): readonly Step[] {
    const { length, reverse, body, constants, initial, xs, final, ys } = node
    const carries = final.map(places.of)
    const start = this.moves(initial, carries, places)
    if (length === 0) return start
    const counter: Counter = { word: this.words++ }
    const next = final.map((b, i) => places.nextCarry(node, i, carries[i], b.size))
    const slices = (buffers: readonly Buffer[]): readonly Place[] =>
      buffers.map((b) => sliceOf(places.of(b), counter, b.size / length))
    const inner = places.inner(
      node,
      0,
      body,
      [...constants.map(places.of), ...carries, ...slices(xs)],
      [...next, ...slices(ys)],
    )
    const first = reverse ? length - 1 : 0
    const step = reverse ? '- 1u' : '+ 1u'
    return [
      ...start,
      this.set(counter, (word) => `${word} = ${first}u;`),
      {
        kind: 'repeat',
        times: length,
        body: [
          ...this.builder.program(body, inner),
          ...this.advance(final, next, carries),
          this.set(counter, (word) => `${word} = ${word} ${step};`),
        ],
      },
    ]
  }

  private recordedWhile(node: WhileNode, places: Places): readonly Step[] {
    const { condition, conditionConstants, body, bodyConstants, initial, final } = node
    const carries = final.map(places.of)
    const next = final.map((b, i) => places.nextCarry(node, i, carries[i], b.size))
    const flag = this.flag()
    const test = places.inner(
      node,
      0,
      condition,
      [...conditionConstants.map(places.of), ...carries],
      [flag],
    )
    const inner = places.inner(node, 1, body, [...bodyConstants.map(places.of), ...carries], next)
    const outer = this.enclosing.at(-1)
    const before = [
      ...this.moves(initial, carries, places),
      ...this.builder.program(condition, test),
    ]
    const region = this.region()
    const repeated = this.inside(region, () => [
      ...this.builder.program(body, inner),
      ...this.advance(final, next, carries),
      ...this.builder.program(condition, test),
    ])
    this.place(region)
    return [
      ...before,
      this.gate(region, outer, flag, isTrue),
      {
        kind: 'until',
        round: ROUND,
        active: region.active,
        body: [...repeated, this.gate(region, region, flag, isTrue)],
      },
    ]
  }

  private branch(node: BranchNode, places: Places): readonly Step[] {
    const { index, branches, operands, targets } = node
    const outer = this.enclosing.at(-1)
    return branches.flatMap((program, which) => {
      const inner = places.inner(
        node,
        which,
        program,
        operands.map(places.of),
        targets.map(places.of),
      )
      const region = this.region()
      const steps = this.inside(region, () => [...this.builder.program(program, inner)])
      this.place(region)
      const isChosen = (source: KernelSource): string =>
        `(${source.load(indexBuffer, '0')} == ${which})`
      return [this.gate(region, outer, places.of(index), isChosen), ...steps]
    })
  }

  // --- regions -------------------------------------------------------------------------------------

  private region(): Region {
    const region = { active: this.words++, workgroups: [], arguments: { needed: 0, actual: 0 } }
    this.regions.push(region)
    return region
  }

  private inside(region: Region, make: () => readonly Step[]): readonly Step[] {
    this.enclosing.push(region)
    try {
      return make()
    } finally {
      this.enclosing.pop()
    }
  }

  /** Gives the arguments of a region their places, when all of its dispatches are known. */
  private place(region: Region): void {
    const count = 3 * region.workgroups.length
    region.arguments.needed = this.words
    region.arguments.actual = this.words + count
    this.words += 2 * count
  }

  /**
   * Makes a region active if what is around it is and the condition holds, or else sets the
   * workgroups of its dispatches to none. A gate always runs: it is what switches things off.
   */
  private gate(
    region: Region,
    around: Region | undefined,
    tested: Place,
    condition: (source: KernelSource) => string,
  ): DispatchStep {
    const source = this.source('gate', (buffer) => {
      if (buffer === flagBuffer || buffer === indexBuffer) return tested
      throw new Error('a gate reads one buffer')
    })
    const { needed, actual } = region.arguments
    const holds = condition(source)
    const outer = around === undefined ? 'true' : `${source.control(around.active)} != 0u`
    const active = source.let('active', `${outer} && ${holds}`)
    // Everyone has read the words before one of them is written.
    source.line('storageBarrier();')
    source.block('if (lane == 0u)', () => {
      source.line(`${source.control(region.active, true)} = select(0u, 1u, ${active});`)
    })
    const count = 3 * region.workgroups.length
    source.block(`for (var i = lane; i < ${count}u; i += 64u)`, () => {
      const words = source.control(`${needed}u + i`)
      source.line(`${source.control(`${actual}u + i`, true)} = select(0u, ${words}, ${active});`)
    })
    return ungated(source.finish({ workgroupSize: 64, groups: 1 }))
  }

  // --- counters and carries --------------------------------------------------------------------------

  /** A kernel that changes one word of the control block. */
  private set({ word }: Counter, statement: (word: string) => string): DispatchStep {
    const source = this.source('counter', () => {
      throw new Error('a counter is not in a buffer')
    })
    source.line(statement(source.control(word, true)))
    return ungated(source.finish({ workgroupSize: 1, groups: 1 }))
  }

  private source(title: string, placeOf: KernelSpace['place']): KernelSource {
    return new KernelSource(this.builder.space(placeOf), title)
  }

  private moves(from: readonly Buffer[], to: readonly Place[], places: Places): readonly Step[] {
    return from.flatMap((buffer, i) => this.builder.copy(places.of(buffer), to[i], buffer.size))
  }

  /** Brings over the carries that the body did not update in place. */
  private advance(
    final: readonly Buffer[],
    next: readonly Place[],
    carries: readonly Place[],
  ): readonly Step[] {
    return final.flatMap(({ size }, i) =>
      next[i] === carries[i] ? [] : this.builder.copy(next[i], carries[i], size),
    )
  }
}

const flagBuffer: Buffer = { id: -1, dtype: 'bool', size: 1 }
const indexBuffer: Buffer = { id: -2, dtype: 'int32', size: 1 }

const isTrue = (source: KernelSource): string => source.load(flagBuffer, '0')

const ungated = (dispatch: Dispatch): DispatchStep => ({
  kind: 'dispatch',
  dispatch,
  argumentsAt: null,
})
