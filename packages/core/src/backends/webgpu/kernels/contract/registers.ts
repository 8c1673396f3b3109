/**
 * Products in registers alone: every invocation computes 4×4 elements of the result and reads what it
 * needs itself, by vectors where memory allows. There is nothing to wait for, which suits devices that
 * run invocations one after the other.
 */
import { elementwiseSize, perElement, unflattened } from '../../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../../kernel'
import { ScalarCode } from '../../wgsl/scalar'
import { title } from './direct'
import type { Problem, Side } from './problem'
import { sumsOf, writeBlock } from './sums'
import { vectorLoad } from './vectors'

/** Rows and columns of one invocation, and steps of k that are taken together. */
const SIZE = 4

export function contractRegisters(
  problem: Problem,
  space: KernelSpace,
  splits: number,
): readonly Dispatch[] {
  const { node, batch, rows, columns, depth, type } = problem
  const sums = sumsOf(problem, space, splits)
  const source = new KernelSource(space, `${title(problem)}, in registers`)
  const across = Math.ceil(columns / SIZE)
  const down = Math.ceil(rows / SIZE)
  const count = across * down * splits * batch
  const step = depth % SIZE === 0 ? SIZE : 1
  // Vectors are bound before anything is read.
  const left = readerOf(source, problem, problem.left, rows, step)
  const right = readerOf(source, problem, problem.right, columns, step)
  const size = elementwiseSize(space.facts)
  perElement(source, count, size, (flat) => {
    let rest = flat
    const digit = (base: number, prefix: string): string => {
      if (base === 1) return '0'
      const name = source.let(prefix, `${rest} % ${base}`)
      rest = source.let('rest', `${rest} / ${base}`)
      return name
    }
    const firstColumn = source.let('first_column', `${digit(across, 'column')} * ${SIZE}`)
    const firstRow = source.let('first_row', `${digit(down, 'row')} * ${SIZE}`)
    const split = digit(splits, 'split')
    const batchIndex = unflattened(source, rest, node.batch)
    const sum = source.name('sum')
    source.line(`var ${sum}: array<vec4<${type}>, ${SIZE}>;`)
    const readLeft = left(batchIndex, firstRow)
    const readRight = right(batchIndex, firstColumn)
    const length = Math.ceil(depth / step / splits) * step
    const k = source.name('k')
    const start = splits === 1 ? '0' : `${split} * ${length}`
    const end = splits === 1 ? String(depth) : `min(${depth}, (${split} + 1) * ${length})`
    source.block(`for (var ${k} = ${start}; ${k} < ${end}; ${k} += ${step})`, () => {
      const a = readLeft(k)
      const b = readRight(k)
      for (let along = 0; along < step; along++) {
        const b0123 = b.vector(along)
        for (let i = 0; i < SIZE; i++)
          source.line(`${sum}[${i}] += ${a.element(i, along)} * ${b0123};`)
      }
    })
    writeBlock(source, problem, sums, {
      sum,
      firstRow,
      firstColumn,
      batch: rest,
      batchIndex,
      split,
      ragged: { rows: rows % SIZE !== 0, columns: columns % SIZE !== 0 },
    })
  })
  return [source.finish({ workgroupSize: size, groups: Math.ceil(count / size) }), ...sums.after]
}

/** Registers of four rows (or columns) at some steps of k. */
interface Elements {
  /** Line `i`, step `along`. */
  element(i: number, along: number): string
  /** All lines at a step. */
  vector(along: number): string
}

type Reader = (batchIndex: readonly string[], first: string) => (k: string) => Elements

function readerOf(
  source: KernelSource,
  { node, type }: Problem,
  side: Side,
  length: number,
  step: number,
): Reader {
  const { batch, k: depthAxes } = node
  const alongFree = vectorLoad(source, side, batch.length, depthAxes, 'free')
  const alongK =
    alongFree === null && step === SIZE
      ? vectorLoad(source, side, batch.length, depthAxes, 'k')
      : null
  return (batchIndex, first) => {
    // Lines past the end read the last one, and are not written.
    const lines = Array.from({ length: SIZE }, (_, i) =>
      length % SIZE === 0
        ? source.let('line', `${first} + ${i}`)
        : source.let('line', `min(${first} + ${i}, ${length - 1})`),
    )
    const indices = lines.map((line) => unflattened(source, line, side.free))
    return (k) => {
      const steps = Array.from({ length: step }, (_, i) =>
        unflattened(source, i === 0 ? k : source.let('next', `${k} + ${i}`), depthAxes),
      )
      const codeAt = (i: number, along: number): ScalarCode =>
        new ScalarCode(source, [...batchIndex, ...indices[i], ...steps[along]])
      if (alongFree !== null) {
        const { at, text } = alongFree
        const vectors = steps.map((_, along) => source.let('v', text(codeAt(0, along).address(at))))
        return {
          element: (i, along) => `${vectors[along]}[${i}]`,
          vector: (along) => vectors[along],
        }
      }
      const { at, text } = alongK ?? { at: null, text: String }
      const elements =
        at === null
          ? lines.map((_, i) => steps.map((__, along) => codeAt(i, along).value(side.value)))
          : lines.map((_, i) => {
              const vector = source.let('v', text(codeAt(i, 0).address(at)))
              return steps.map((__, along) => `${vector}[${along}]`)
            })
      return {
        element: (i, along) => elements[i][along],
        vector: (along) =>
          source.let('u', `vec4<${type}>(${elements.map((row) => row[along]).join(', ')})`),
      }
    }
  }
}
