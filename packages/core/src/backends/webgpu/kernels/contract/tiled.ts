/**
 * Products in tiles. A workgroup computes a square of the result; each invocation keeps 4×4 sums in
 * registers, or 8×8: four squares of 4×4 that are half a tile apart, so that neighbouring invocations
 * read neighbouring vectors. Blocks of both operands go through workgroup memory, evaluated on the way, so that an
 * operand may be any expression: a window of an image, a transposed or a scaled matrix. Every
 * invocation brings one vector of four rows (or columns) at one k per block, or two.
 */
import { unflattened } from '../../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../../kernel'
import { ScalarCode } from '../../wgsl/scalar'
import { title } from './direct'
import type { Problem, Side } from './problem'
import type { Strategy, TileSize } from './strategy'
import { sumsOf, writeBlock } from './sums'
import { vectorLoad } from './vectors'

/** Elements of a vector. */
const WIDTH = 4

interface Tile {
  readonly size: number
  /** Invocations of the workgroup, and along one side of the tile. */
  readonly lanes: number
  readonly side: number
  /** Vectors of an invocation along each side: 1 or 2. */
  readonly parts: number
  /** Steps of k per block. */
  readonly depth: number
}

const tileOf = (size: TileSize, registers: number): Tile => {
  const side = size / registers
  return { size, lanes: side * side, side, parts: registers / WIDTH, depth: side }
}

export function contractTiled(
  problem: Problem,
  space: KernelSpace,
  { tile: size, registers, splits }: Extract<Strategy, { readonly kind: 'tiled' }>,
): readonly Dispatch[] {
  const { node, batch, rows, columns, depth, type } = problem
  const tile = tileOf(size, registers)
  const sums = sumsOf(problem, space, splits)
  const source = new KernelSource(
    space,
    `${title(problem)}, tiles of ${size} by ${registers}×${registers}`,
  )
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
  const parts = Array.from({ length: tile.parts }, (_, part) => part)
  const squares = parts.flatMap((down) => parts.map((right) => ({ down, right })))
  const sums4 = squares.map(() => source.name('sum'))
  for (const sum of sums4) source.line(`var ${sum}: array<vec4<${type}>, ${WIDTH}>;`)
  const row = source.let('lane_row', `lane / ${tile.side}u`)
  const column = source.let('lane_column', `lane % ${tile.side}u`)
  const start = splits === 1 ? '0' : `${split} * ${perSplit}`
  source.block(`for (var ${k0} = ${start}; ${k0} < ${end}; ${k0} += ${tile.depth})`, () => {
    loadLeft()
    loadRight()
    source.line('workgroupBarrier();')
    const step = source.name('step')
    source.block(`for (var ${step} = 0u; ${step} < ${tile.depth}u; ${step}++)`, () => {
      const vectors = (block: string, at: string): readonly string[] =>
        parts.map((part) =>
          source.let('v', `${block}[${step} * ${pitch(tile)}u + ${at} + ${part * tile.side}u]`),
        )
      const [a, b] = [vectors('left_block', row), vectors('right_block', column)]
      for (const [square, { down, right }] of squares.entries())
        for (const [i, component] of ['x', 'y', 'z', 'w'].entries())
          source.line(`${sums4[square]}[${i}] += ${a[down]}.${component} * ${b[right]};`)
    })
    source.line('workgroupBarrier();')
  })

  const lineOf = (first: string, lane: string, part: number): string =>
    source.let('first', `${first} + (i32(${lane}) + ${part * tile.side}) * ${WIDTH}`)
  for (const [square, { down, right }] of squares.entries()) {
    writeBlock(source, problem, sums, {
      sum: sums4[square],
      firstRow: lineOf(firstRow, row, down),
      firstColumn: lineOf(firstColumn, column, right),
      batch: rest,
      batchIndex,
      split,
      ragged: { rows: rows % size !== 0, columns: columns % size !== 0 },
    })
  }
  const groups = across * down * splits * batch
  return [source.finish({ workgroupSize: tile.lanes, groups }), ...sums.after]
}

/** Vectors from one k to the next in workgroup memory: one more, so that columns of banks differ. */
const pitch = (tile: Tile): number => tile.parts * tile.side + 1

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
  const lane = source.let('block_vector', isAlongK ? slow : fast)
  const fits = length % tile.size === 0
  const isWhole = depth % tile.depth === 0
  const whole =
    fits && !isAlongK ? vectorLoad(source, side, node.batch.length, node.k, 'free') : null
  const parts = Array.from({ length: tile.parts }, (_, part) => {
    const vector = part === 0 ? lane : source.let('block_vector', `${lane} + ${part * tile.side}`)
    const place = source.let('block_place', `${step} * ${pitch(tile)} + ${vector}`)
    const lines = Array.from({ length: WIDTH }, (_, i) =>
      source.let('line', `${first} + ${vector} * ${WIDTH} + ${i}`),
    )
    return { place, lines, indices: lines.map((line) => unflattened(source, line, side.free)) }
  })
  const writePart = (k: string, { place, lines, indices }: (typeof parts)[number]): void => {
    const block = source.name('block')
    source.line(`var ${block} = vec4<${type}>();`)
    const read = (): void => {
      const along = unflattened(source, k, node.k)
      if (whole !== null) {
        const code = new ScalarCode(source, [...batchIndex, ...indices[0], ...along])
        const address = code.address(whole.at)
        source.line(`${block} = ${whole.text(address)};`)
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
  return () => {
    const k = source.let('at', `${k0} + ${step}`)
    for (const part of parts) writePart(k, part)
  }
}
