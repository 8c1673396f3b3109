/** Small and skinny products: sums by one invocation each, or by a workgroup each. */
import { accumulator } from '../../../../compiler/expr'
import { elementwiseSize, perElement, unflattened } from '../../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../../kernel'
import { stateOf } from '../../monoids'
import { meet } from '../../reduce'
import { ScalarCode } from '../../wgsl/scalar'
import type { Problem } from './problem'
import { type Position, sumsOf } from './sums'

/** An invocation per element of the result, and per part of k. */
export function contractEach(
  problem: Problem,
  space: KernelSpace,
  splits: number,
): readonly Dispatch[] {
  const { depth, type } = problem
  const sums = sumsOf(problem, space, splits)
  const results = problem.batch * problem.rows * problem.columns
  const source = new KernelSource(space, title(problem))
  const size = elementwiseSize(space.facts)
  perElement(source, results * splits, size, (flat) => {
    const result = splits === 1 ? flat : source.let('r', `${flat} % ${results}`)
    const split = splits === 1 ? '0' : source.let('s', `${flat} / ${results}`)
    const at = positionOf(source, problem, result, split)
    const sum = source.name('sum')
    source.line(`var ${sum}: ${type} = ${type}(0);`)
    const length = Math.ceil(depth / splits)
    const end = splits === 1 ? String(depth) : `min(${depth}, (${split} + 1) * ${length})`
    const start = splits === 1 ? '0' : `${split} * ${length}`
    const k = source.name('k')
    source.block(`for (var ${k} = ${start}; ${k} < ${end}; ${k}++)`, () => {
      source.line(`${sum} += ${product(source, problem, at, k)};`)
    })
    sums.write(source, sum, at)
  })
  const groups = Math.ceil((results * splits) / size)
  return [source.finish({ workgroupSize: size, groups }), ...sums.after]
}

/** A workgroup per element of the result: invocations read neighbours along k, and meet at the end. */
export function contractDots(problem: Problem, space: KernelSpace): readonly Dispatch[] {
  const { depth, type } = problem
  const sums = sumsOf(problem, space, 1)
  const results = problem.batch * problem.rows * problem.columns
  const source = new KernelSource(space, title(problem))
  const size = depth >= 1024 && space.facts.invocations >= 128 ? 128 : 32
  const at = positionOf(source, problem, source.let('r', 'i32(group)'), '0')
  const sum = source.name('sum')
  source.line(`var ${sum}: ${type} = ${type}(0);`)
  const k = source.name('k')
  source.block(`for (var ${k} = i32(lane); ${k} < ${depth}; ${k} += ${size})`, () => {
    source.line(`${sum} += ${product(source, problem, at, k)};`)
  })
  const dtype = type === 'i32' ? 'int32' : 'float32'
  const states = [stateOf({ monoid: 'sum', value: accumulator(dtype, 0) })]
  meet(source, states, [sum], size, ([total]) => sums.write(source, total, at))
  return [source.finish({ workgroupSize: size, groups: results })]
}

export const title = ({ node }: Problem): string =>
  `contract [${node.batch.join()}] [${node.m.join()}]×[${node.n.join()}] over [${node.k.join()}]`

function positionOf(
  source: KernelSource,
  { node, rows, columns }: Problem,
  result: string,
  split: string,
): Position {
  const column = columns === 1 ? '0' : source.let('column', `${result} % ${columns}`)
  const above = columns === 1 ? result : source.let('above', `${result} / ${columns}`)
  const row = rows === 1 ? '0' : source.let('row', `${above} % ${rows}`)
  const batch = rows === 1 ? above : source.let('batch', `${above} / ${rows}`)
  return {
    batch: unflattened(source, batch, node.batch),
    m: unflattened(source, row, node.m),
    n: unflattened(source, column, node.n),
    flat: { batch, row, column },
    split,
  }
}

function product(
  source: KernelSource,
  { node, left, right }: Problem,
  { batch, m, n }: Position,
  k: string,
): string {
  const along = unflattened(source, k, node.k)
  const a = new ScalarCode(source, [...batch, ...m, ...along]).value(left.value)
  const b = new ScalarCode(source, [...batch, ...n, ...along]).value(right.value)
  return `${a} * ${b}`
}
