/** How a contraction is divided among workgroups. */
import type { DeviceFacts } from '../../kernel'
import type { Problem } from './problem'

/** Rows and columns of a tile. The first and the last are for `pnpm bench:tune` to try. */
export type TileSize = 16 | 32 | 64 | 128

export type Strategy =
  /** Square tiles of the result, 4×4 or 8×8 elements to an invocation, operands brought in by blocks. */
  | {
      readonly kind: 'tiled'
      readonly tile: TileSize
      readonly registers: 4 | 8
      readonly splits: number
    }
  /** 4×4 elements to an invocation, without workgroup memory. */
  | { readonly kind: 'registers'; readonly splits: number }
  /** A workgroup per element of the result, its invocations side by side along k. */
  | { readonly kind: 'dots'; readonly splits: 1 }
  /** An invocation per element of the result. */
  | { readonly kind: 'each'; readonly splits: number }

/** Fewer rows or columns than this leave most of a tile empty. */
const SKINNY = 8
/** Products of fewer terms than this do not pay for bringing operands into workgroup memory. */
const SHALLOW = 8
/** Work so small that only the number of instructions counts. */
const SMALL = 1 << 14
/**
 * Rows and columns from which an invocation computes 8×8 elements. It reads one element from workgroup
 * memory for four products, where 4×4 reads one for two, and workgroup memory is what bounds 4×4 on
 * GPUs. But it takes about a hundred registers, and there are a quarter as many invocations: tiles of
 * 64 are workgroups of 64, so twice as many of them are wanted. Reasoned, not measured.
 */
const LARGE = 256
/** Workgroups that keep a GPU, or a few cores, busy. */
const BUSY = 256
const BUSY_CORES = 8
/** The least depth of a part when k is split. */
const SHORTEST_SPLIT = 128

export function choose(problem: Problem, facts: DeviceFacts): Strategy {
  const { batch, rows, columns, depth } = problem
  const results = batch * rows * columns
  const narrow = Math.min(rows, columns)
  const splitsFor = (workgroups: number): number =>
    splitsOf(depth, workgroups, facts.software ? BUSY_CORES : BUSY)
  if (narrow < SKINNY || depth < SHALLOW || results * depth < SMALL) {
    const wide = rows >= columns ? problem.left : problem.right
    const fits = depth >= 64 && results <= facts.workgroups * 16 && !facts.software
    if (fits && wide.contiguous === 'k') return { kind: 'dots', splits: 1 }
    return { kind: 'each', splits: splitsFor(Math.ceil(results / 64)) }
  }
  if (facts.software) return { kind: 'registers', splits: splitsFor(Math.ceil(results / 1024)) }
  const tiles = (tile: number): number => batch * Math.ceil(rows / tile) * Math.ceil(columns / tile)
  if (narrow >= LARGE && tiles(64) >= 2 * BUSY)
    return { kind: 'tiled', tile: 64, registers: 8, splits: 1 }
  const isLarge = narrow > 32 && tiles(64) >= BUSY && facts.invocations >= 256
  const tile = isLarge ? 64 : 32
  return { kind: 'tiled', tile, registers: 4, splits: splitsFor(tiles(tile)) }
}

/** In how many parts k is summed up, so that a few results still occupy the whole device. */
function splitsOf(depth: number, workgroups: number, busy: number): number {
  const wanted = Math.floor(busy / workgroups)
  return Math.max(1, Math.min(wanted, Math.floor(depth / SHORTEST_SPLIT), 64))
}
