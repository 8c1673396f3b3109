/**
 * Stable sorting of rows. What is sorted are pairs of a key and a position, both words: equal keys are
 * ordered by their positions, so the order is total and the result that of any stable sort. Blocks
 * that fit into workgroup memory are sorted there by a bitonic network (Batcher 1968). Then runs are
 * merged two by two: every element finds its place by a binary search in the other run.
 */
import type { Buffer } from '../../../compiler/expr'
import { elementwiseSize, perElement } from '../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'

export interface Ordering {
  readonly rows: number
  readonly length: number
  /** The word by which an element is ordered first, smaller ones standing before. */
  key(source: KernelSource, row: string, position: string): string
  /**
   * Whether the element at position `a` stands before that at `b`, the keys being equal: a
   * condition, or null where positions decide.
   */
  tie: ((source: KernelSource, row: string, a: string, b: string) => string) | null
}

export interface Order {
  /** uint32, `[rows, padded]`: the position of the element that comes at each place. */
  readonly positions: Buffer
  /** Its key, in the same order. */
  readonly keys: Buffer
  /** At least the length; what is behind it has positions beyond it. */
  readonly padded: number
  readonly dispatches: readonly Dispatch[]
}

/** Words in the order of elements. */
interface Entries {
  readonly keys: Buffer
  readonly positions: Buffer
}

export function orderOf(ordering: Ordering, space: KernelSpace): Order {
  const { rows, length } = ordering
  const lanesAtMost = Math.min(256, space.facts.invocations)
  let block = 2
  while (block < length && block < 2 * lanesAtMost) block *= 2
  const padded = Math.ceil(length / block) * block
  const entries = (): Entries => ({
    keys: space.scratch('uint32', rows * padded),
    positions: space.scratch('uint32', rows * padded),
  })
  let current = entries()
  const dispatches = [sortBlocks(ordering, space, { padded, block, to: current })]
  if (block < padded) {
    let other = entries()
    for (let run = block; run < padded; run *= 2) {
      dispatches.push(merge(ordering, space, { padded, run, from: current, to: other }))
      ;[current, other] = [other, current]
    }
  }
  return { ...current, padded, dispatches }
}

interface Entry {
  readonly key: string
  readonly position: string
}

/** Whether `a` stands before `b`: the name of a bool. */
function comesBefore(
  source: KernelSource,
  { tie, length }: Ordering,
  row: string,
  a: Entry,
  b: Entry,
): string {
  const result = source.name('is_before')
  source.line(`var ${result} = ${a.key} < ${b.key};`)
  source.block(`if (${a.key} == ${b.key})`, () => {
    source.line(`${result} = ${a.position} < ${b.position};`)
    if (tie === null) return
    // Places past the end come last, and have nothing to be compared.
    source.block(`if (max(${a.position}, ${b.position}) < ${length}u)`, () => {
      const [p, q] = [source.let('p', `i32(${a.position})`), source.let('q', `i32(${b.position})`)]
      const before = source.let('before', tie(source, row, p, q))
      const after = source.let('after', tie(source, row, q, p))
      source.line(`${result} = ${before} || (!${after} && ${result});`)
    })
  })
  return result
}

/** Reads keys and sorts blocks; a workgroup has two elements per invocation. */
function sortBlocks(
  ordering: Ordering,
  space: KernelSpace,
  { padded, block, to }: { readonly padded: number; readonly block: number; readonly to: Entries },
): Dispatch {
  const { rows, length } = ordering
  const lanes = block / 2
  const source = new KernelSource(space, `sort ${rows} × ${length}: blocks of ${block}`)
  const [keys, positions] = ['block_keys', 'block_positions']
  for (const name of [keys, positions])
    source.define(name, `var<workgroup> ${name}: array<u32, ${block}>;`)
  const blocks = padded / block
  const row = source.let('line', blocks === 1 ? 'i32(group)' : `i32(group) / ${blocks}`)
  const start = blocks === 1 ? '0' : source.let('start', `(i32(group) % ${blocks}) * ${block}`)
  const places = [0, lanes].map((half) => source.let('place', `i32(lane) + ${half}`))
  for (const place of places) {
    const position = source.let('position', `${start} + ${place}`)
    const key = source.name('key')
    source.line(`var ${key} = 0xffffffffu;`)
    const read = (): void => source.line(`${key} = ${ordering.key(source, row, position)};`)
    if (length === padded) read()
    else source.block(`if (${position} < ${length})`, read)
    source.line(`${keys}[${place}] = ${key};`)
    source.line(`${positions}[${place}] = u32(${position});`)
  }
  const [run, distance] = [source.name('run'), source.name('distance')]
  source.block(`for (var ${run} = 2; ${run} <= ${block}; ${run} *= 2)`, () => {
    source.block(`for (var ${distance} = ${run} / 2; ${distance} > 0; ${distance} /= 2)`, () => {
      source.line('workgroupBarrier();')
      const index = `(i32(lane) / ${distance}) * 2 * ${distance} + i32(lane) % ${distance}`
      const low = source.let('low', index)
      const high = source.let('high', `${low} + ${distance}`)
      const [a, b] = [low, high].map((at): Entry => ({
        key: source.let('key', `${keys}[${at}]`),
        position: source.let('position', `${positions}[${at}]`),
      }))
      const isBefore = comesBefore(source, ordering, row, b, a)
      // Every second run goes downwards.
      source.block(`if (${isBefore} != ((${low} & ${run}) != 0))`, () => {
        for (const [at, entry] of [
          [low, b],
          [high, a],
        ] as const) {
          source.line(`${keys}[${at}] = ${entry.key};`)
          source.line(`${positions}[${at}] = ${entry.position};`)
        }
      })
    })
  })
  source.line('workgroupBarrier();')
  for (const place of places) {
    const at = source.let('at', `${row} * ${padded} + ${start} + ${place}`)
    source.store(to.keys, at, `${keys}[${place}]`)
    source.store(to.positions, at, `${positions}[${place}]`)
  }
  return source.finish({ workgroupSize: lanes, groups: rows * blocks })
}

/** Merges neighbouring runs: an element moves up by the number of those before it in the other run. */
function merge(
  ordering: Ordering,
  space: KernelSpace,
  {
    padded,
    run,
    from,
    to,
  }: {
    readonly padded: number
    readonly run: number
    readonly from: Entries
    readonly to: Entries
  },
): Dispatch {
  const source = new KernelSource(space, `sort: merge runs of ${run}`)
  const size = elementwiseSize(space.facts)
  const count = ordering.rows * padded
  perElement(source, count, size, (flat) => {
    const row = source.let('line', `${flat} / ${padded}`)
    const place = source.let('place', `${flat} % ${padded}`)
    const base = source.let('base', `${row} * ${padded}`)
    const read = (at: string): Entry => ({
      key: source.let('key', source.load(from.keys, at)),
      position: source.let('position', source.load(from.positions, at)),
    })
    const own = read(flat)
    const isSecond = source.let('is_second', `(${place} / ${run}) % 2`)
    const pair = source.let('pair', `(${place} / ${2 * run}) * ${2 * run}`)
    const other = source.let('other', `${pair} + (1 - ${isSecond}) * ${run}`)
    const [low, high] = [source.name('low'), source.name('high')]
    source.line(`var ${low} = 0;`)
    source.line(`var ${high} = clamp(${padded} - ${other}, 0, ${run});`)
    source.block(`while (${low} < ${high})`, () => {
      const middle = source.let('middle', `(${low} + ${high}) / 2`)
      const candidate = read(source.let('at', `${base} + ${other} + ${middle}`))
      const isBefore = comesBefore(source, ordering, row, candidate, own)
      source.line(`if (${isBefore}) { ${low} = ${middle} + 1; } else { ${high} = ${middle}; }`)
    })
    const target = source.let('target_place', `${base} + ${pair} + ${place} % ${run} + ${low}`)
    source.store(to.keys, target, own.key)
    source.store(to.positions, target, own.position)
  })
  return source.finish({ workgroupSize: size, groups: Math.ceil(count / size) })
}
