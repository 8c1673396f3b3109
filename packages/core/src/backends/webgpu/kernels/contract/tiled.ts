/**
 * Products in tiles. A workgroup computes a square of the result; each invocation keeps 4×4 sums in
 * registers. Blocks of both operands go through workgroup memory, evaluated on the way, so that an
 * operand may be any expression: a window of an image, a transposed or a scaled matrix. Every
 * invocation brings one vector of four rows (or columns) at one k per block.
 */
import type { Load } from '../../../../compiler/expr'
import type { Shape } from '../../../../types/aval'
import { unflattened } from '../../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../../kernel'
import { ScalarCode } from '../../wgsl/scalar'
import { title } from './direct'
import type { Problem, Side } from './problem'
import { sumsOf } from './sums'

/** Rows and columns of one invocation. */
const REGISTERS = 4

interface Tile {
  readonly size: number
  /** Invocations of the workgroup, and along one side of the tile. */
  readonly lanes: number
  readonly side: number
  /** Steps of k per block. */
  readonly depth: number
}

const tileOf = (size: 32 | 64): Tile => {
  const side = size / REGISTERS
  return { size, lanes: side * side, side, depth: side }
}

export function contractTiled(
  problem: Problem,
  space: KernelSpace,
  size: 32 | 64,
  splits: number,
): readonly Dispatch[] {
  const { node, batch, rows, columns, depth, type } = problem
  const tile = tileOf(size)
  const sums = sumsOf(problem, space, splits)
  const source = new KernelSource(space, `${title(problem)}, tiles of ${size}`)
  const across = Math.ceil(columns / size)
  const down = Math.ceil(rows / size)

  // --- which tile
  let rest = source.let('g', 'i32(group)')
  const digit = (base: number, prefix: string): string => {
    if (base === 1) return '0'
    const name = source.let(prefix, `${rest} % ${base}`)
    rest = source.let('g', `${rest} / ${base}`)
    return name
  }
  const firstColumn = source.let('first_column', `${digit(across, 'tile')} * ${size}`)
  const firstRow = source.let('first_row', `${digit(down, 'tile')} * ${size}`)
  const split = digit(splits, 'split')
  const batchIndex = unflattened(source, rest, node.batch)

  // --- the loop over blocks
  const blocks = Math.ceil(depth / tile.depth)
  const perSplit = Math.ceil(blocks / splits) * tile.depth
  const end =
    splits === 1 ? String(depth) : source.let('end', `min(${depth}, (${split} + 1) * ${perSplit})`)
  const load = (
    name: string,
    side: Side,
    first: string,
    length: number,
    k0: string,
  ): (() => void) =>
    blockLoader(source, problem, tile, { name, side, first, length, k0, end, batchIndex })
  const k0 = source.name('k')
  const loadLeft = load('left_block', problem.left, firstRow, rows, k0)
  const loadRight = load('right_block', problem.right, firstColumn, columns, k0)
  const sum = source.name('sum')
  source.line(`var ${sum}: array<vec4<${type}>, ${REGISTERS}>;`)
  const row = source.let('lane_row', `lane / ${tile.side}u`)
  const column = source.let('lane_column', `lane % ${tile.side}u`)
  const start = splits === 1 ? '0' : `${split} * ${perSplit}`
  source.block(`for (var ${k0} = ${start}; ${k0} < ${end}; ${k0} += ${tile.depth})`, () => {
    loadLeft()
    loadRight()
    source.line('workgroupBarrier();')
    const step = source.name('step')
    source.block(`for (var ${step} = 0u; ${step} < ${tile.depth}u; ${step}++)`, () => {
      const a = source.let('a', `left_block[${step} * ${pitch(tile)}u + ${row}]`)
      const b = source.let('b', `right_block[${step} * ${pitch(tile)}u + ${column}]`)
      for (const [i, component] of ['x', 'y', 'z', 'w'].entries())
        source.line(`${sum}[${i}] += ${a}.${component} * ${b};`)
    })
    source.line('workgroupBarrier();')
  })

  // --- the results
  const i = source.name('i')
  const j = source.name('j')
  source.block(`for (var ${i} = 0; ${i} < ${REGISTERS}; ${i}++)`, () => {
    const r = source.let('row', `${firstRow} + i32(${row}) * ${REGISTERS} + ${i}`)
    if (rows % size !== 0) source.line(`if (${r} >= ${rows}) { break; }`)
    const m = unflattened(source, r, node.m)
    source.block(`for (var ${j} = 0; ${j} < ${REGISTERS}; ${j}++)`, () => {
      const c = source.let('column', `${firstColumn} + i32(${column}) * ${REGISTERS} + ${j}`)
      if (columns % size !== 0) source.line(`if (${c} >= ${columns}) { break; }`)
      const n = unflattened(source, c, node.n)
      const value = source.let('value', `${sum}[${i}][${j}]`)
      const flat = { batch: batch === 1 ? '0' : rest, row: r, column: c }
      sums.write(source, value, { batch: batchIndex, m, n, flat, split })
    })
  })
  const groups = across * down * splits * batch
  return [source.finish({ workgroupSize: tile.lanes, groups }), ...sums.after]
}

/** Vectors from one k to the next in workgroup memory: one more, so that columns of banks differ. */
const pitch = (tile: Tile): number => tile.side + 1

interface Block {
  readonly name: string
  readonly side: Side
  /** The tile's first row (or column), and how many there are in all. */
  readonly first: string
  readonly length: number
  readonly k0: string
  readonly end: string
  readonly batchIndex: readonly string[]
}

/** Prepares what stays the same along k; the answer writes the code that brings a block. */
function blockLoader(
  source: KernelSource,
  { node, depth, type }: Problem,
  tile: Tile,
  { name, side, first, length, k0, end, batchIndex }: Block,
): () => void {
  source.define(name, `var<workgroup> ${name}: array<vec4<${type}>, ${tile.depth * pitch(tile)}>;`)
  // Neighbouring invocations take neighbours in memory.
  const isAlongK = side.contiguous === 'k'
  const [fast, slow] = [`i32(lane % ${tile.side}u)`, `i32(lane / ${tile.side}u)`]
  const step = source.let('block_k', isAlongK ? fast : slow)
  const vector = source.let('block_vector', isAlongK ? slow : fast)
  const place = source.let('block_place', `${step} * ${pitch(tile)} + ${vector}`)
  const lines = Array.from({ length: REGISTERS }, (_, i) =>
    source.let('line', `${first} + ${vector} * ${REGISTERS} + ${i}`),
  )
  const fits = length % tile.size === 0
  const isWhole = depth % tile.depth === 0
  const whole = fits && !isAlongK ? vectorLoad(source, side, node.batch.length, node.k) : null
  const indices = lines.map((line) => unflattened(source, line, side.free))
  return () => {
    const k = source.let('at', `${k0} + ${step}`)
    const block = source.name('block')
    source.line(`var ${block} = vec4<${type}>();`)
    const read = (): void => {
      const along = unflattened(source, k, node.k)
      if (whole !== null) {
        const code = new ScalarCode(source, [...batchIndex, ...indices[0], ...along])
        const address = code.address(whole.at)
        source.line(`${block} = bitcast<vec4<${type}>>(${whole.text(address)});`)
        return
      }
      lines.forEach((line, i) => {
        const set = (): void => {
          const code = new ScalarCode(source, [...batchIndex, ...indices[i], ...along])
          source.line(`${block}[${i}] = ${code.value(side.value)};`)
        }
        if (fits) set()
        else source.block(`if (${line} < ${length})`, set)
      })
    }
    if (isWhole) read()
    else source.block(`if (${k} < ${end})`, read)
    source.line(`${name}[${place}] = ${block};`)
  }
}

/**
 * How four neighbours are read at once: a plain load whose last free axis is contiguous, everything
 * else advancing by multiples of four.
 */
function vectorLoad(
  source: KernelSource,
  { value, free }: Side,
  batchAxes: number,
  k: Shape,
): { readonly at: Load['at']; text(address: string): string } | null {
  if (value.kind !== 'load' || value.offsets.length > 0) return null
  if (value.dtype !== 'float32' && value.dtype !== 'int32') return null
  const { at, source: buffer } = value
  const last = batchAxes + free.findLastIndex((size) => size > 1)
  const axes = batchAxes + free.length + k.length
  if (last < batchAxes || at.strides[last] !== 1 || free[last - batchAxes] % REGISTERS !== 0)
    return null
  if (at.offset % REGISTERS !== 0) return null
  for (let axis = 0; axis < axes; axis++) {
    if (axis !== last && at.strides[axis] % REGISTERS !== 0) return null
  }
  if (!source.asVectors(buffer)) return null
  return { at, text: (address) => source.vector(buffer, `((${address}) >> 2u)`, false) }
}
