/**
 * Stable sorting of rows by bitonic networks (Batcher 1968). What is sorted are pairs of a key and a
 * position, both words: equal keys are ordered by their positions, so the order is total and the
 * result that of any stable sort. Blocks that fit into workgroup memory are sorted there; between
 * larger ones each step of the network is a dispatch.
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
  /** A power of two, at least the length. */
  readonly padded: number
  readonly dispatches: readonly Dispatch[]
}

export function orderOf(ordering: Ordering, space: KernelSpace): Order {
  const { rows, length } = ordering
  let padded = 2
  while (padded < length) padded *= 2
  const lanes = Math.min(256, space.facts.invocations, padded / 2)
  const block = 2 * lanes
  const keys = space.scratch('uint32', rows * padded)
  const positions = space.scratch('uint32', rows * padded)
  const network: Network = { ordering, space, keys, positions, padded, lanes, block }
  const dispatches = [sortBlocks(network)]
  for (let run = 2 * block; run <= padded; run *= 2) {
    for (let distance = run / 2; distance >= block; distance /= 2)
      dispatches.push(compareAcross(network, run, distance))
    dispatches.push(mergeBlocks(network, run))
  }
  return { positions, keys, padded, dispatches }
}

interface Network {
  readonly ordering: Ordering
  readonly space: KernelSpace
  readonly keys: Buffer
  readonly positions: Buffer
  readonly padded: number
  readonly lanes: number
  /** Elements that one workgroup sorts in its memory. */
  readonly block: number
}

/** Reads keys, and sorts blocks, every second one downwards. */
function sortBlocks(network: Network): Dispatch {
  const { ordering, space, padded, block } = network
  const source = new KernelSource(
    space,
    `sort ${ordering.rows} × ${ordering.length}: blocks of ${block}`,
  )
  const shared = sharedBlock(source, network)
  eachOfBlock(source, network, (place, { row, position }) => {
    const inside = source.name('key')
    source.line(`var ${inside} = 0xffffffffu;`)
    const read = (): void => source.line(`${inside} = ${ordering.key(source, row, position)};`)
    if (ordering.length === padded) read()
    else source.block(`if (${position} < ${ordering.length})`, read)
    source.line(`${shared.keys}[${place}] = ${inside};`)
    source.line(`${shared.positions}[${place}] = u32(${position});`)
  })
  const first = blockStart(source, network)
  const run = source.name('run')
  source.block(`for (var ${run} = 2; ${run} <= ${block}; ${run} *= 2)`, () =>
    mergeRun(source, network, shared, first, { run, distance: `${run} / 2` }),
  )
  return writeBlocks(source, network, shared)
}

/** The last steps of merging runs that are longer than a block. */
function mergeBlocks(network: Network, run: number): Dispatch {
  const { space, keys, positions, block } = network
  const source = new KernelSource(space, `sort: runs of ${run} within blocks of ${block}`)
  const shared = sharedBlock(source, network)
  eachOfBlock(source, network, (place, { flat }) => {
    source.line(`${shared.keys}[${place}] = ${source.load(keys, flat)};`)
    source.line(`${shared.positions}[${place}] = ${source.load(positions, flat)};`)
  })
  const distance = String(block / 2)
  mergeRun(source, network, shared, blockStart(source, network), { run: String(run), distance })
  return writeBlocks(source, network, shared)
}

/** One step of the network between places that are at least a block apart. */
function compareAcross(network: Network, run: number, distance: number): Dispatch {
  const { ordering, space, keys, positions, padded } = network
  const source = new KernelSource(space, `sort: runs of ${run}, places ${distance} apart`)
  const size = elementwiseSize(space.facts)
  const pairs = (ordering.rows * padded) / 2
  perElement(source, pairs, size, (flat) => {
    const low = source.let(
      'low',
      `(${flat} / ${distance}) * ${2 * distance} + ${flat} % ${distance}`,
    )
    const high = source.let('high', `${low} + ${distance}`)
    const row = source.let('row', `${low} / ${padded}`)
    const read = (at: string): Entry => ({
      key: source.let('key', source.load(keys, at)),
      position: source.let('position', source.load(positions, at)),
    })
    const [a, b] = [read(low), read(high)]
    const isDown = `((${low} % ${padded}) & ${run}) != 0`
    exchangeIf(source, ordering, row, { a, b, isDown }, () => {
      const write = (at: string, { key, position }: Entry): void => {
        source.store(keys, at, key)
        source.store(positions, at, position)
      }
      write(low, b)
      write(high, a)
    })
  })
  return source.finish({ workgroupSize: size, groups: Math.ceil(pairs / size) })
}

interface Entry {
  readonly key: string
  readonly position: string
}

interface Shared {
  readonly keys: string
  readonly positions: string
}

function sharedBlock(source: KernelSource, { block }: Network): Shared {
  const shared = { keys: 'block_keys', positions: 'block_positions' }
  for (const name of Object.values(shared))
    source.define(name, `var<workgroup> ${name}: array<u32, ${block}>;`)
  return shared
}

/** The row of the workgroup's block, and its first place in that row. */
function blockStart(
  source: KernelSource,
  { padded, block }: Network,
): { readonly row: string; readonly place: string } {
  const blocks = padded / block
  return {
    row: blocks === 1 ? 'i32(group)' : `i32(group) / ${blocks}`,
    place: blocks === 1 ? '0' : source.let('start', `(i32(group) % ${blocks}) * ${block}`),
  }
}

function eachOfBlock(
  source: KernelSource,
  network: Network,
  body: (
    place: string,
    at: { readonly row: string; readonly position: string; readonly flat: string },
  ) => void,
): void {
  const { lanes, block, padded } = network
  const { row, place: start } = blockStart(source, network)
  for (let half = 0; half < 2; half++) {
    const place = source.let('place', half === 0 ? 'i32(lane)' : `i32(lane) + ${lanes}`)
    const position = start === '0' ? place : source.let('position', `${start} + ${place}`)
    const name = source.let('row', row)
    body(place, { row: name, position, flat: `${name} * ${padded} + ${position}` })
  }
  if (block !== 2 * lanes) throw new Error('a block has two elements per invocation')
}

/** All steps of merging runs of a length, from a distance down to 1, in workgroup memory. */
function mergeRun(
  source: KernelSource,
  { ordering }: Network,
  shared: Shared,
  start: { readonly row: string; readonly place: string },
  { run, distance }: { readonly run: string; readonly distance: string },
): void {
  const step = source.name('distance')
  source.block(`for (var ${step} = ${distance}; ${step} > 0; ${step} /= 2)`, () => {
    source.line('workgroupBarrier();')
    const low = source.let('low', `(i32(lane) / ${step}) * 2 * ${step} + i32(lane) % ${step}`)
    const high = source.let('high', `${low} + ${step}`)
    const row = source.let('row', start.row)
    const read = (at: string): Entry => ({
      key: source.let('key', `${shared.keys}[${at}]`),
      position: source.let('position', `${shared.positions}[${at}]`),
    })
    const [a, b] = [read(low), read(high)]
    const isDown = `((${start.place} + ${low}) & ${run}) != 0`
    exchangeIf(source, ordering, row, { a, b, isDown }, () => {
      const write = (at: string, { key, position }: Entry): void => {
        source.line(`${shared.keys}[${at}] = ${key};`)
        source.line(`${shared.positions}[${at}] = ${position};`)
      }
      write(low, b)
      write(high, a)
    })
  })
}

/** Runs `exchange` where the pair does not stand in the wanted order. */
function exchangeIf(
  source: KernelSource,
  { tie, length }: Ordering,
  row: string,
  { a, b, isDown }: { readonly a: Entry; readonly b: Entry; readonly isDown: string },
  exchange: () => void,
): void {
  const isAfter = source.name('is_after')
  source.line(`var ${isAfter} = ${a.key} > ${b.key};`)
  source.block(`if (${a.key} == ${b.key})`, () => {
    source.line(`${isAfter} = ${a.position} > ${b.position};`)
    if (tie === null) return
    // Places past the end come last, and have nothing to be compared.
    source.block(`if (max(${a.position}, ${b.position}) < ${length}u)`, () => {
      const [p, q] = [source.let('p', `i32(${a.position})`), source.let('q', `i32(${b.position})`)]
      const before = source.let('before', tie(source, row, p, q))
      const after = source.let('after', tie(source, row, q, p))
      source.line(`${isAfter} = ${after} || (!${before} && ${isAfter});`)
    })
  })
  source.block(`if (${isAfter} != (${isDown}))`, exchange)
}

function writeBlocks(source: KernelSource, network: Network, shared: Shared): Dispatch {
  const { keys, positions, padded, block, lanes, ordering } = network
  source.line('workgroupBarrier();')
  eachOfBlock(source, network, (place, { flat }) => {
    source.store(keys, flat, `${shared.keys}[${place}]`)
    source.store(positions, flat, `${shared.positions}[${place}]`)
  })
  return source.finish({ workgroupSize: lanes, groups: (ordering.rows * padded) / block })
}
