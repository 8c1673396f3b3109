/**
 * Reductions. The elements that belong to one result are divided among the invocations of a
 * workgroup, which meet in a tree (where they lie one after the other), or one invocation goes through
 * them (where neighbouring results lie next to each other). Where there are few results, segments are
 * reduced first and the segments' states afterwards. The order of operations depends on nothing but
 * shapes, so results are the same every time.
 */
import type { Buffer } from '../../compiler/expr'
import type { ReduceNode } from '../../compiler/nodes'
import { loadsOf } from '../../compiler/views'
import { type Shape, sizeOf } from '../../types/aval'
import type { DType } from '../../types/dtype'
import { coreSize, elementwiseSize, perElement, unflattened } from './elements'
import { type Dispatch, KernelSource, type KernelSpace } from './kernel'
import { writeStores } from './map'
import { type State, stateOf } from './monoids'
import { registerType, fromWord, toWord } from './words'
import { ScalarCode } from './wgsl/scalar'

/** Results for which a device has enough to do without dividing them further. */
const ENOUGH_RESULTS = 2048
/** Results, or segments of them, for which a few cores have enough to do. */
const ENOUGH_ON_CORES = 64
/** Elements that are combined before they join the others, so that errors of sums stay small. */
const BLOCK = 32
/** Up to this many elements are not worth a second dispatch. */
const WHOLE = 256

export function reduceKernel(node: ReduceNode, space: KernelSpace): readonly Dispatch[] {
  const results = sizeOf(node.shape)
  const length = sizeOf(node.reduced)
  if (results === 0) return []
  if (space.facts.software) {
    const wanted = Math.ceil(ENOUGH_ON_CORES / results)
    const segments = length <= WHOLE ? 1 : Math.min(wanted, Math.ceil(length / WHOLE))
    return inSegments(node, space, segments, byInvocation)
  }
  if (!alongRows(node) || length <= 2 * BLOCK) {
    const wanted = results >= ENOUGH_RESULTS ? 1 : Math.ceil(ENOUGH_RESULTS / results)
    const segments = length <= WHOLE ? 1 : Math.min(wanted, Math.ceil(length / BLOCK))
    return inSegments(node, space, segments, byInvocation)
  }
  const workgroup = workgroupFor(length, space)
  const wanted = results >= 256 ? 1 : Math.ceil(256 / results)
  const segments = Math.min(wanted, Math.ceil(length / (workgroup * BLOCK)))
  return inSegments(node, space, segments, byWorkgroup)
}

/** Whether the elements of one result lie next to each other, rather than neighbouring results. */
function alongRows({ shape, reduced, reductions }: ReduceNode): boolean {
  let votes = 0
  for (const { at } of loadsOf(reductions.map((r) => r.value))) {
    const inner = lastMoving(at.strides, shape.length, reduced)
    const outer = lastMoving(at.strides, 0, shape)
    if (inner !== 0 && (outer === 0 || Math.abs(inner) <= Math.abs(outer))) votes++
    else votes--
  }
  return votes >= 0
}

/** The stride along the last axis of a group that has more than one element. */
function lastMoving(strides: readonly number[], start: number, group: Shape): number {
  for (let axis = group.length - 1; axis >= 0; axis--) {
    if (group[axis] > 1) return strides[start + axis]
  }
  return 0
}

/** Invocations of a workgroup that goes through so many elements. */
export function workgroupFor(length: number, { facts }: KernelSpace): number {
  let size = 32
  while (size < 256 && size * 8 < length && size * 2 <= facts.invocations) size *= 2
  return Math.min(size, facts.invocations)
}

/** How one kernel of a reduction divides its work: results, each in segments. */
export interface Division {
  readonly results: number
  readonly segments: number
  /** Elements of a result, and of a segment; the last one may have fewer. */
  readonly length: number
  readonly segmentLength: number
}

type Kernel = (source: KernelSource, division: Division, part: Part) => Dispatch

/** What a kernel of a reduction reads and writes. */
export interface Part {
  readonly states: readonly State[]
  /** The states' registers of element `position` of result `result`. */
  read(code: { readonly result: string; readonly position: string }): readonly string[]
  /** Takes the finished registers of a result's segment. */
  finish(registers: readonly string[], result: string, segment: string): void
}

function inSegments(
  node: ReduceNode,
  space: KernelSpace,
  segments: number,
  kernel: Kernel,
): readonly Dispatch[] {
  const results = sizeOf(node.shape)
  const length = sizeOf(node.reduced)
  const states = node.reductions.map(stateOf)
  const whole = (n: number): Division => ({ results, segments: 1, length: n, segmentLength: n })
  const title = `reduce [${node.reduced.join()}] for [${node.shape.join()}]`
  const source = new KernelSource(space, title)
  const read: Part['read'] = (code) => readElements(source, node, code)
  const store = (target: KernelSource, registers: readonly string[], result: string): void =>
    storeResults(target, node, registers, result)
  if (segments === 1) {
    const finish: Part['finish'] = (registers, result) => store(source, registers, result)
    return [kernel(source, whole(length), { states, read, finish })]
  }
  const segmentLength = Math.ceil(length / segments)
  const used = Math.ceil(length / segmentLength)
  const scratch = states.flatMap((s) => s.dtypes.map((d) => space.scratch(d, used * results)))
  const first = kernel(
    source,
    { results, segments: used, length, segmentLength },
    {
      states,
      read,
      finish: (registers, result, segment) =>
        scratch.forEach((buffer, i) =>
          source.store(buffer, `${segment} * ${results} + ${result}`, registers[i]),
        ),
    },
  )
  const second = new KernelSource(space, `${title}: ${used} segments`)
  const finish: Part['finish'] = (registers, result) => store(second, registers, result)
  const readScratch: Part['read'] = ({ result, position }) =>
    scratch.map((buffer: Buffer) =>
      second.let('s', second.load(buffer, `${position} * ${results} + ${result}`)),
    )
  const isLong = used > BLOCK && results < ENOUGH_RESULTS && !space.facts.software
  const joined = isLong ? byWorkgroup : byInvocation
  return [first, joined(second, whole(used), { states, read: readScratch, finish })]
}

/** The stores of a reduction at one result, whose states are finished. */
export function storeResults(
  source: KernelSource,
  node: ReduceNode,
  registers: readonly string[],
  result: string,
): void {
  const states = node.reductions.map(stateOf)
  const finished = states.map((state, i) => registers[startOf(states, i) + state.result])
  const index = unflattened(source, result, node.shape)
  writeStores(source, node.stores, new ScalarCode(source, index, finished))
}

export function readElements(
  source: KernelSource,
  { shape, reduced, reductions }: ReduceNode,
  { result, position }: { readonly result: string; readonly position: string },
): readonly string[] {
  const index = [...unflattened(source, result, shape), ...unflattened(source, position, reduced)]
  const code = new ScalarCode(source, index)
  return reductions.flatMap(({ monoid, value }) => {
    const register = code.value(value)
    return monoid === 'argmax' || monoid === 'argmin' ? [register, position] : [register]
  })
}

const startOf = (states: readonly State[], i: number): number =>
  states.slice(0, i).reduce((n, s) => n + s.dtypes.length, 0)

/** One invocation per result and segment; neighbouring invocations have neighbouring results. */
const byInvocation: Kernel = (source, division, part) => {
  const { results, segments } = division
  const { facts } = source.space
  const size = facts.software ? coreSize(results * segments) : elementwiseSize(facts)
  perElement(source, results * segments, size, (flat) => {
    const result = segments === 1 ? flat : source.let('r', `${flat} % ${results}`)
    const segment = segments === 1 ? '0' : source.let('s', `${flat} / ${results}`)
    const registers = walk(source, division, part, { result, segment, first: '0', step: 1 })
    part.finish(registers, result, segment)
  })
  return source.finish({
    workgroupSize: size,
    groups: Math.ceil((results * segments) / size),
  })
}

/** One workgroup per result and segment. */
const byWorkgroup: Kernel = (source, division, part) => {
  const { results, segments, segmentLength } = division
  const size = workgroupFor(segmentLength, source.space)
  const group = source.let('g', 'i32(group)')
  const result = segments === 1 ? group : source.let('r', `${group} / ${segments}`)
  const segment = segments === 1 ? '0' : source.let('s', `${group} % ${segments}`)
  const own = walk(source, division, part, { result, segment, first: 'i32(lane)', step: size })
  meet(source, part.states, own, size, (registers) => part.finish(registers, result, segment))
  return source.finish({ workgroupSize: size, groups: results * segments })
}

/** Combines the states of all invocations of a workgroup; one of them finishes. */
export function meet(
  source: KernelSource,
  states: readonly State[],
  own: readonly string[],
  size: number,
  finish: (registers: readonly string[]) => void,
): void {
  const dtypes = states.flatMap((s) => s.dtypes)
  const shared = dtypes.map((_, i) => `shared${i}`)
  for (const name of shared) {
    source.define(name, `var<workgroup> ${name}: array<u32, ${size}>;`)
  }
  const put = (at: string, values: readonly string[]): void =>
    values.forEach((v, i) => source.line(`${shared[i]}[${at}] = ${toWord(dtypes[i], v)};`))
  const take = (at: string): readonly string[] =>
    dtypes.map((d, i) => source.let('t', fromWord(d, `${shared[i]}[${at}]`)))
  if (source.space.facts.subgroups) {
    const first = meetInSubgroups(source, states, own, size)
    source.block('if (sub_lane == 0u)', () => put('sub_group', first))
    source.line('workgroupBarrier();')
    source.block('if (lane == 0u)', () => {
      const total = variablesOf(source, dtypes, take('0'))
      const i = source.name('i')
      source.block(`for (var ${i} = 1u; ${i} < sub_count; ${i}++)`, () => {
        const joined = combined(source, states, total, take(i))
        total.forEach((name, slot) => source.line(`${name} = ${joined[slot]};`))
      })
      finish(total)
    })
    return
  }
  put('lane', own)
  const half = source.name('half')
  source.block(`for (var ${half} = ${size / 2}u; ${half} > 0u; ${half} >>= 1u)`, () => {
    source.line('workgroupBarrier();')
    source.block(`if (lane < ${half})`, () => {
      put('lane', combined(source, states, take('lane'), take(`lane + ${half}`)))
    })
  })
  source.block('if (lane == 0u)', () => finish(take('0')))
}

/**
 * The state of a whole subgroup, in each of its invocations: they exchange registers in a butterfly,
 * without a barrier. All reductions commute.
 */
function meetInSubgroups(
  source: KernelSource,
  states: readonly State[],
  own: readonly string[],
  size: number,
): readonly string[] {
  source.enable('subgroups')
  const dtypes = states.flatMap((s) => s.dtypes)
  const total = variablesOf(source, dtypes, own)
  const distance = source.name('distance')
  const head = `for (var ${distance} = 1u; ${distance} < min(sub_size, ${size}u); ${distance} <<= 1u)`
  source.block(head, () => {
    const others = dtypes.map((d, i) => {
      const word = source.let('word', toWord(d, total[i]))
      return source.let('t', fromWord(d, `subgroupShuffleXor(${word}, ${distance})`))
    })
    const joined = combined(source, states, total, others)
    total.forEach((name, slot) => source.line(`${name} = ${joined[slot]};`))
  })
  return total
}

/** Names variables that hold these registers. */
function variablesOf(
  source: KernelSource,
  dtypes: readonly DType[],
  values: readonly string[],
): readonly string[] {
  return dtypes.map((dtype, i) => {
    const name = source.name('state')
    source.line(`var ${name}: ${registerType(dtype)} = ${values[i]};`)
    return name
  })
}

/**
 * Goes through the elements `first, first + step, …` of a segment, by blocks: a block's state joins
 * the others' when it is complete.
 */
export function walk(
  source: KernelSource,
  { segments, length, segmentLength }: Division,
  part: Pick<Part, 'states' | 'read'>,
  {
    result,
    segment,
    first,
    step,
  }: {
    readonly result: string
    readonly segment: string
    readonly first: string
    readonly step: number
  },
): readonly string[] {
  const dtypes = part.states.flatMap((s) => s.dtypes)
  const variables = (prefix: string): readonly string[] => {
    const code = new ScalarCode(source, [])
    const empty = part.states.flatMap((s) => s.empty.map((e) => code.value(e)))
    return dtypes.map((d, i) => {
      const name = source.name(prefix)
      source.line(`var ${name}: ${registerType(d)} = ${empty[i]};`)
      return name
    })
  }
  const assign = (names: readonly string[], values: readonly string[]): void =>
    names.forEach((name, i) => source.line(`${name} = ${values[i]};`))
  const start = segments === 1 ? first : `${segment} * ${segmentLength} + ${first}`
  const end =
    segments === 1 ? String(length) : `min(${length}, (${segment} + 1) * ${segmentLength})`
  const steps = Math.ceil(segmentLength / step)
  const total = variables('total')
  if (steps <= 2 * BLOCK) {
    loop(source, { start, end, step }, (position) => {
      const element = part.read({ result, position })
      assign(total, combined(source, part.states, total, element))
    })
    return total
  }
  loop(source, { start, end, step: step * BLOCK }, (from) => {
    const state = variables('block')
    const until = `min(${end}, ${from} + ${step * BLOCK})`
    loop(source, { start: from, end: until, step }, (position) => {
      const element = part.read({ result, position })
      assign(state, combined(source, part.states, state, element))
    })
    assign(total, combined(source, part.states, total, state))
  })
  return total
}

function loop(
  source: KernelSource,
  { start, end, step }: { readonly start: string; readonly end: string; readonly step: number },
  body: (position: string) => void,
): void {
  const limit = source.let('end', end)
  const k = source.name('k')
  source.block(`for (var ${k} = ${start}; ${k} < ${limit}; ${k} += ${step})`, () => body(k))
}

/** The registers of two states joined, `left` standing before `right`. */
function combined(
  source: KernelSource,
  states: readonly State[],
  left: readonly string[],
  right: readonly string[],
): readonly string[] {
  let at = 0
  return states.flatMap(({ dtypes, combine }) => {
    const own = [...left.slice(at, at + dtypes.length), ...right.slice(at, at + dtypes.length)]
    at += dtypes.length
    const code = new ScalarCode(source, [], own)
    return combine.map((e) => code.value(e))
  })
}
