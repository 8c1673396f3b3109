/** Sorting: the order of each row is found first, then every operand is gathered in it. */
import type { Buffer } from '../../../compiler/expr'
import type { SortNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { elementwiseSize, perElement } from '../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'
import { registerType } from '../words'
import { orderOf } from './ordering'

export function sortKernel(node: SortNode, space: KernelSpace): readonly Dispatch[] {
  const { rows, length, numKeys, sources, targets } = node
  if (rows * length === 0) return []
  const [first, ...others] = sources.slice(0, numKeys)
  const { positions, padded, dispatches } = orderOf(
    {
      rows,
      length,
      key: (source, row, position) => sortable(source, first, `${row} * ${length} + ${position}`),
      tie:
        others.length === 0
          ? null
          : (source, row, a, b) => comesBefore(source, others, `${row} * ${length}`, a, b),
    },
    space,
  )
  const gathers = sources.map((from, i) => {
    const source = new KernelSource(space, `sort: operand ${i} in order`)
    const size = elementwiseSize(space.facts)
    perElement(source, rows * length, size, (flat) => {
      const row = source.let('row', `${flat} / ${length}`)
      const place = `${row} * ${padded} + ${flat} % ${length}`
      const at = source.let('at', `${row} * ${length} + i32(${source.load(positions, place)})`)
      source.storeWord(targets[i], flat, source.word(from, at))
    })
    return source.finish({ workgroupSize: size, groups: Math.ceil((rows * length) / size) })
  })
  return [...dispatches, ...gathers]
}

/** An element as a word that is ordered as the elements are: NaN last, −0 equal to 0. */
function sortable(source: KernelSource, buffer: Buffer, address: string): string {
  const word = source.let('word', source.word(buffer, address))
  return sortableWord(source, buffer.dtype, word)
}

function sortableWord(source: KernelSource, dtype: DType, word: string): string {
  switch (registerType(dtype)) {
    case 'i32':
      return `(${word} ^ 0x80000000u)`
    case 'f32':
      source.define(
        'sortable_float',
        `fn sortable_float(word: u32) -> u32 {
  let size = word & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return 0xffffffffu;
  }
  // Negative numbers count down; both zeros are in the middle.
  return select(0x80000000u + size, 0x80000000u - size, word > 0x80000000u);
}`,
      )
      return `sortable_float(${word})`
    default:
      return word
  }
}

/** Whether one element stands before another by the remaining keys, the first that differs deciding. */
function comesBefore(
  source: KernelSource,
  keys: readonly Buffer[],
  base: string,
  a: string,
  b: string,
): string {
  const result = source.name('before')
  source.line(`var ${result} = false;`)
  const compare = ([key, ...others]: readonly Buffer[]): void => {
    const x = source.let('x', sortable(source, key, `${base} + ${a}`))
    const y = source.let('y', sortable(source, key, `${base} + ${b}`))
    source.line(`${result} = ${x} < ${y};`)
    if (others.length > 0) source.block(`if (${x} == ${y})`, () => compare(others))
  }
  compare(keys)
  return result
}
