/** Where the sums of a contraction go: to the stores, or to scratch memory where k was split. */
import type { Buffer } from '../../../../compiler/expr'
import { sizeOf } from '../../../../types/aval'
import { elementwiseSize, perElement, unflattened } from '../../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../../kernel'
import { writeStores } from '../../map'
import { ScalarCode } from '../../wgsl/scalar'
import type { Problem } from './problem'

/** A position in the result: names of i32 variables. */
export interface Position {
  /** One for each axis of batch, m and n. */
  readonly batch: readonly string[]
  readonly m: readonly string[]
  readonly n: readonly string[]
  /** Row and column as numbers, and the batch. */
  readonly flat: { readonly batch: string; readonly row: string; readonly column: string }
  readonly split: string
}

export interface Sums {
  write(source: KernelSource, sum: string, at: Position): void
  /** What has to run afterwards. */
  readonly after: readonly Dispatch[]
}

export function sumsOf(problem: Problem, space: KernelSpace, splits: number): Sums {
  if (splits > 1) return partialSums(problem, space, splits)
  const { stores } = problem.node
  return {
    write: (source, sum, { batch, m, n }) =>
      writeStores(source, stores, new ScalarCode(source, [...batch, ...m, ...n], [sum])),
    after: [],
  }
}

function partialSums(problem: Problem, space: KernelSpace, splits: number): Sums {
  const { node, rows, columns, type } = problem
  const results = problem.batch * rows * columns
  const parts: Buffer = space.scratch(type === 'i32' ? 'int32' : 'float32', splits * results)
  return {
    write: (source, sum, { flat, split }) => {
      const result = `(${flat.batch} * ${rows} + ${flat.row}) * ${columns} + ${flat.column}`
      source.store(parts, `${split} * ${results} + ${result}`, sum)
    },
    get after() {
      const source = new KernelSource(space, `contract: the sum of ${splits} parts`)
      const size = elementwiseSize(space.facts)
      perElement(source, results, size, (flat) => {
        const sum = source.name('sum')
        source.line(`var ${sum}: ${type} = ${type}(0);`)
        const part = source.name('part')
        source.block(`for (var ${part} = 0; ${part} < ${splits}; ${part}++)`, () =>
          source.line(`${sum} += ${source.load(parts, `${part} * ${results} + ${flat}`)};`),
        )
        const shape = [...node.batch, ...node.m, ...node.n]
        const index = unflattened(source, flat, shape)
        writeStores(source, node.stores, new ScalarCode(source, index, [sum]))
      })
      const groups = Math.ceil(sizeOf([results]) / size)
      return [source.finish({ workgroupSize: size, groups })]
    },
  }
}

/** Sums of four rows and four columns in the registers of an invocation. */
interface Block {
  /** The name of an array of four vectors, a row each. */
  readonly sum: string
  readonly firstRow: string
  readonly firstColumn: string
  readonly batch: string
  readonly batchIndex: readonly string[]
  readonly split: string
  /** Whether rows or columns may lie past the end. */
  readonly ragged: { readonly rows: boolean; readonly columns: boolean }
}

export function writeBlock(
  source: KernelSource,
  { node, batch, rows, columns }: Problem,
  sums: Sums,
  block: Block,
): void {
  const [i, j] = [source.name('i'), source.name('j')]
  source.block(`for (var ${i} = 0; ${i} < 4; ${i}++)`, () => {
    const row = source.let('row', `${block.firstRow} + ${i}`)
    if (block.ragged.rows) source.line(`if (${row} >= ${rows}) { break; }`)
    const m = unflattened(source, row, node.m)
    source.block(`for (var ${j} = 0; ${j} < 4; ${j}++)`, () => {
      const column = source.let('column', `${block.firstColumn} + ${j}`)
      if (block.ragged.columns) source.line(`if (${column} >= ${columns}) { break; }`)
      const n = unflattened(source, column, node.n)
      const value = source.let('value', `${block.sum}[${i}][${j}]`)
      const flat = { batch: batch === 1 ? '0' : block.batch, row, column }
      sums.write(source, value, { batch: block.batchIndex, m, n, flat, split: block.split })
    })
  })
}
