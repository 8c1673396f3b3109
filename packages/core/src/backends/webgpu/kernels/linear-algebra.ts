/** Dense factorisations: a workgroup per matrix, whose invocations share the rows of each step. */
import type { CholeskyNode, TriangularSolveNode } from '../../../compiler/nodes'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'
import { requireMath } from '../wgsl/math/index'

function workgroupFor(work: number, { facts }: KernelSpace): number {
  let size = 32
  while (size < 256 && size < work && size * 2 <= facts.invocations) size *= 2
  return Math.min(size, facts.invocations)
}

/** Runs the body for `first ≤ i < end` divided among the invocations of the workgroup. */
function shared(
  source: KernelSource,
  size: number,
  first: string,
  end: string,
  body: (i: string) => void,
): void {
  const i = source.name('i')
  source.block(`for (var ${i} = ${first} + i32(lane); ${i} < ${end}; ${i} += ${size})`, () =>
    body(i),
  )
}

const barrier = (source: KernelSource): void => source.line('storageBarrier();')

/**
 * Cholesky–Banachiewicz by columns: a column less the products of those before it, over the root of
 * its first element.
 */
export function choleskyKernel(node: CholeskyNode, space: KernelSpace): readonly Dispatch[] {
  const { n, batch } = node
  if (n * batch === 0) return []
  const source = new KernelSource(space, `cholesky of ${batch} × [${n},${n}]`)
  const size = workgroupFor(n, space)
  const base = source.let('base', `i32(group) * ${n * n}`)
  const at = (row: string, column: string): string => `${base} + ${row} * ${n} + ${column}`
  const column = source.name('column')
  source.block(`for (var ${column} = 0; ${column} < ${n}; ${column}++)`, () => {
    shared(source, size, '0', String(n), (row) => {
      source.block(`if (${row} < ${column})`, () => {
        source.store(node.target, at(row, column), '0.0')
        source.line('continue;')
      })
      const sum = source.name('sum')
      source.line(`var ${sum} = ${source.load(node.source, at(row, column))};`)
      const k = source.name('k')
      source.block(`for (var ${k} = 0; ${k} < ${column}; ${k}++)`, () => {
        const x = source.load(node.target, at(row, k))
        const y = source.load(node.target, at(column, k))
        source.line(`${sum} -= ${x} * ${y};`)
      })
      source.store(node.target, at(row, column), sum)
    })
    barrier(source)
    const root = `sqrt_f32(${source.load(node.target, at(column, column))})`
    requireMath(root, (name, code) => source.define(name, code))
    const pivot = source.let('pivot', root)
    barrier(source)
    shared(source, size, column, String(n), (row) => {
      const value = source.let('value', source.load(node.target, at(row, column)))
      source.store(
        node.target,
        at(row, column),
        `select(${value} / ${pivot}, ${pivot}, ${row} == ${column})`,
      )
    })
    barrier(source)
  })
  return [source.finish({ workgroupSize: size, groups: batch })]
}

/** Columns of right-hand sides that one workgroup takes. */
const COLUMNS = 16

/**
 * Substitution by rows: a row that is known is taken off all that follow. Right-hand sides are
 * independent and are divided among workgroups.
 */
export function triangularSolveKernel(
  node: TriangularSolveNode,
  space: KernelSpace,
): readonly Dispatch[] {
  const { n, columns, batch, lower, transpose, unitDiagonal } = node
  if (n * columns * batch === 0) return []
  const source = new KernelSource(space, `triangular solve of ${batch} × [${n},${columns}]`)
  const width = Math.min(COLUMNS, columns)
  const blocks = Math.ceil(columns / width)
  const size = workgroupFor(n * width, space)
  const matrix = source.let('matrix', blocks === 1 ? 'i32(group)' : `i32(group) / ${blocks}`)
  const first = blocks === 1 ? '0' : source.let('first', `(i32(group) % ${blocks}) * ${width}`)
  const own =
    columns % width === 0
      ? String(width)
      : source.let('own', `min(${width}, ${columns} - ${first})`)
  const place = (row: string, column: string): string =>
    `(${matrix} * ${n} + ${row}) * ${columns} + ${first} + ${column}`
  const element = (row: string, column: string): string => {
    const [i, j] = transpose ? [column, row] : [row, column]
    return source.load(node.a, `(${matrix} * ${n} + ${i}) * ${n} + ${j}`)
  }
  shared(source, size, '0', `${n} * ${own}`, (e) => {
    const at = source.let('at', place(`${e} / ${own}`, `${e} % ${own}`))
    source.store(node.target, at, source.load(node.b, at))
  })
  barrier(source)
  const step = source.name('step')
  const forward = lower !== transpose
  source.block(`for (var ${step} = 0; ${step} < ${n}; ${step}++)`, () => {
    const row = source.let('row', forward ? step : `${n - 1} - ${step}`)
    if (!unitDiagonal) {
      const pivot = source.let('pivot', element(row, row))
      shared(source, size, '0', own, (column) => {
        const at = source.let('at', place(row, column))
        source.store(node.target, at, `${source.load(node.target, at)} / ${pivot}`)
      })
      barrier(source)
    }
    shared(source, size, '0', `(${n - 1} - ${step}) * ${own}`, (e) => {
      const distance = source.let('distance', `1 + ${e} / ${own}`)
      const other = source.let('other', `${row} ${forward ? '+' : '-'} ${distance}`)
      const column = source.let('column', `${e} % ${own}`)
      const at = source.let('at', place(other, column))
      const known = source.load(node.target, place(row, column))
      source.store(
        node.target,
        at,
        `${source.load(node.target, at)} - ${element(other, row)} * ${known}`,
      )
    })
    barrier(source)
  })
  return [source.finish({ workgroupSize: size, groups: batch * blocks })]
}
