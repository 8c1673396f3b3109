/** How threads divide a contraction among themselves. */
import type { Share, ThreadCode } from '../../codegen/threads'
import type { FunctionBuilder, I32Operand, Local } from '../../emit'
import { sizeOf } from './axes'
import type { Problem } from './problem'
import type { Phase, Strategy } from './strategy'

/**
 * Along the batch or the columns threads need nothing of each other; each packs all rows of A that it
 * needs. Along the rows they share the packed panels of B, which they pack together, so that each reads
 * what another core has just written, and they meet for every block.
 */
export type Division = 'batch' | 'rows' | 'columns'

/** Panels that are packed together. */
export const PANELS = 4

/** Whether so many pieces of equal size keep threads about equally busy. */
const divides = (pieces: number, threads: number): boolean =>
  pieces >= 4 * threads || (pieces >= threads && pieces % threads === 0)

const rowPieces = ({ rows }: Problem, { rowPhases, segment }: Strategy): number =>
  segment < rows ? rows / segment : tilesOf(rowPhases)

const tilesOf = (phases: readonly Phase[]): number =>
  phases.reduce((tiles, { from, to, width }) => tiles + Math.ceil((to - from) / width), 0)

/** Columns are dealt out in groups of whole panels. */
export const columnUnit = ({ b, columnPhases }: Strategy): number =>
  (columnPhases[0]?.width ?? 1) * (b.kind === 'packed' ? PANELS : 1)

export function divisionOf(problem: Problem, strategy: Strategy, threads: number): Division {
  const batch = sizeOf(problem.batch)
  const rows = strategy.kernel === 'dot' ? 1 : rowPieces(problem, strategy)
  const columns = problem.columns / columnUnit(strategy)
  if (divides(batch, threads)) return 'batch'
  const byColumns = divides(Math.floor(columns), threads)
  const { a, b } = strategy
  // Packing A element by element takes too long to be done by every thread.
  if (byColumns && b.kind === 'packed' && (a.kind === 'direct' || a.mode !== 'gather')) {
    return 'columns'
  }
  if (divides(rows, threads)) return 'rows'
  if (byColumns) return 'columns'
  if (rows >= Math.max(columns, batch)) return 'rows'
  return columns >= batch ? 'columns' : 'batch'
}

/** Whether there is anything to divide. */
export function canDivide(problem: Problem, strategy: Strategy): boolean {
  const rows = strategy.kernel === 'dot' ? 1 : rowPieces(problem, strategy)
  const pieces = [sizeOf(problem.batch), rows, problem.columns / columnUnit(strategy)]
  return pieces.some((count) => count > 1)
}

/**
 * The rows of the calling thread: whole tiles, whole segments. `aboveDiagonal` says that the first
 * rows are the longest.
 */
export function shareOfRows(
  f: FunctionBuilder,
  threads: ThreadCode,
  { rows }: Problem,
  { rowPhases, segment }: Strategy,
  aboveDiagonal: boolean,
): Share {
  if (segment < rows) return threads.share(f, rows, segment)
  const [first, second = { width: 0, from: 0, to: 0 }] = rowPhases
  if (!first) return { from: 0, to: rows }
  if (!aboveDiagonal && second.to - second.from <= second.width) {
    return threads.share(f, rows, first.width)
  }
  // Tiles of two heights: the bounds are counted in tiles.
  const tall = (first.to - first.from) / first.width
  const tiles = tilesOf(rowPhases)
  const { from, to } = aboveDiagonal ? threads.shareOfTriangle(f, tiles) : threads.share(f, tiles)
  const rowOf = (tile: I32Operand): Local<'i32'> => {
    const row = f.local('i32')
    f.push(tile).i32Const(tall).push(tile).i32Const(tall).op('i32.lt_u').select()
    f.i32Const(first.width).op('i32.mul')
    f.push(tile).i32Const(tall).op('i32.sub').i32Const(0)
    f.push(tile).i32Const(tall).op('i32.gt_u').select()
    f.i32Const(second.width).op('i32.mul').op('i32.add').set(row)
    return row
  }
  return { from: rowOf(from), to: rowOf(to) }
}
