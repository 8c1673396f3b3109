/**
 * Chains along rows (softmax, normalisations and their gradients): a workgroup takes a row through all
 * steps. What only the steps read stays in workgroup memory. On a driver without a GPU an invocation
 * takes a row by itself, as there a barrier costs more than what is between two of them.
 */
import { rootsOf } from '../../compiler/dependence'
import type { Buffer } from '../../compiler/expr'
import type { MapNode, ReduceNode, RowsNode, RowStep } from '../../compiler/nodes'
import { type RowLimits, rowWise } from '../../compiler/rows'
import { innerOf } from '../../compiler/spaces'
import { loadsOf } from '../../compiler/views'
import { sizeOf } from '../../types/aval'
import { coreSize, unflattened } from './elements'
import { type Counter, type Dispatch, KernelSource, type KernelSpace } from './kernel'
import { writeStores } from './map'
import { type State, stateOf } from './monoids'
import { meet, readElements, storeResults, walk, workgroupFor } from './reduce'
import { ScalarCode } from './wgsl/scalar'

/** Rows that a workgroup can share, and that are not so long that the device would be idle. */
export const gpuRows: RowLimits = { shortest: 32, bytes: 2 ** 16, apply: rowWise }

export function rowsKernel(node: RowsNode, space: KernelSpace): readonly Dispatch[] {
  const rows = sizeOf(node.shape)
  if (rows === 0) return []
  const source = new KernelSource(space, `${rows} rows, ${node.steps.length} steps`)
  if (space.facts.software && rows >= ROWS_PER_CORES) return rowsByInvocation(node, source, rows)
  const row = source.let('row', 'i32(group)')
  const counter: Counter = { word: -1 }
  space.counters.set(counter, row)
  for (const buffer of keepLocals(node, space)) space.scratchFor(buffer, counter, rows)
  const size = workgroupFor(rowLength(node), space)
  writeRow(source, node, row, size)
  return [source.finish({ workgroupSize: size, groups: rows })]
}

/** Rows that occupy a few cores, whose vectors are of four invocations. */
const ROWS_PER_CORES = 16

function rowsByInvocation(node: RowsNode, source: KernelSource, rows: number): readonly Dispatch[] {
  const { space } = source
  const row = source.name('row')
  const counter: Counter = { word: -1 }
  space.counters.set(counter, row)
  for (const buffer of node.locals) space.scratchFor(buffer, counter, rows)
  const size = coreSize(rows)
  source.line(`let ${row} = i32(group * ${size}u + lane);`)
  if (rows % size !== 0) source.line(`if (${row} >= ${rows}) { return; }`)
  const alone: Share = { lane: '0', size: 1 }
  for (const step of node.steps) {
    if (step.kind === 'map') mapRow(source, node, step, row, alone)
    else {
      const states = step.reductions.map(stateOf)
      storeResults(source, step, reduceRow(source, step, states, row, alone), row)
    }
  }
  return [source.finish({ workgroupSize: size, groups: Math.ceil(rows / size) })]
}

/** Which elements of a row an invocation takes: every `size`th, from `lane` on. */
interface Share {
  readonly lane: string
  readonly size: number
}

const reduceRow = (
  source: KernelSource,
  step: ReduceNode,
  states: readonly State[],
  row: string,
  { lane, size }: Share,
): readonly string[] => {
  const length = sizeOf(step.reduced)
  const division = { results: 1, segments: 1, length, segmentLength: length }
  const read = (at: { readonly result: string; readonly position: string }) =>
    readElements(source, step, at)
  return walk(
    source,
    division,
    { states, read },
    { result: row, segment: '0', first: lane, step: size },
  )
}

/** Elements along the longest step. */
export const rowLength = (node: RowsNode): number =>
  Math.max(...node.steps.map((step) => sizeOf(innerOf(step, node.shape))))

/** Buffers of one row that are longer stay in storage, which caches them as well. */
const LONGEST_SHARED = 1024
/** Bytes of workgroup memory that reductions may need. */
const REDUCING = 4 * 256 * 4

/** Words of workgroup memory that the buffers of one row need, or null if they do not fit. */
export function sharedWords({ locals }: RowsNode): number | null {
  if (locals.some(({ size }) => size > LONGEST_SHARED)) return null
  return locals.reduce((words, { size }) => words + Math.max(1, size), 0)
}

/** Keeps buffers of one row in workgroup memory, and answers those that it has no room for. */
export function keepLocals({ locals }: RowsNode, space: KernelSpace): readonly Buffer[] {
  let left = space.facts.workgroupBytes - REDUCING
  return locals.filter((buffer) => {
    const bytes = 4 * Math.max(1, buffer.size)
    if (buffer.size > LONGEST_SHARED || bytes > left) return true
    left -= bytes
    space.shared.set(buffer, `kept${space.shared.size}`)
    return false
  })
}

/** The steps of one row, of which all invocations of a workgroup do a part. */
export function writeRow(source: KernelSource, node: RowsNode, row: string, size: number): void {
  const share: Share = { lane: 'i32(lane)', size }
  for (const [i, step] of node.steps.entries()) {
    if (step.kind === 'map') mapRow(source, node, step, row, share)
    else {
      const states = step.reductions.map(stateOf)
      meet(source, states, reduceRow(source, step, states, row, share), size, (registers) =>
        storeResults(source, step, registers, row),
      )
    }
    source.line('workgroupBarrier();')
    if (isReadLater(node, i, source.space)) source.line('storageBarrier();')
  }
}

function mapRow(
  source: KernelSource,
  { shape }: RowsNode,
  step: MapNode,
  row: string,
  { lane, size }: Share,
): void {
  const inner = innerOf(step, shape)
  const e = source.name('e')
  source.block(`for (var ${e} = ${lane}; ${e} < ${sizeOf(inner)}; ${e} += ${size})`, () => {
    const index = [...unflattened(source, row, shape), ...unflattened(source, e, inner)]
    writeStores(source, step.stores, new ScalarCode(source, index))
  })
}

/** Whether later steps read from storage what a step writes there. */
function isReadLater({ steps }: RowsNode, i: number, space: KernelSpace): boolean {
  const written = steps[i].stores.map(({ target }) => target)
  const inStorage = (b: Buffer): boolean => written.includes(b) && !space.shared.has(b)
  const loads = (step: RowStep) => loadsOf(rootsOf(step))
  return steps.slice(i + 1).some((step) => loads(step).some(({ source }) => inStorage(source)))
}
