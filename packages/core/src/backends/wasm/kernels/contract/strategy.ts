import type { Axis } from './axes'
import { constantStride } from './axes'
import type { Operand, Problem } from './problem'
import { hasContiguousStores, isLinear } from './problem'

/** Tiles of one width, from one position of an axis to another. */
export interface Phase {
  readonly from: number
  readonly to: number
  readonly width: number
  /** How many of a tile's rows or columns exist. */
  readonly valid: number
}

/** How the packed panels of an operand are filled. */
export type PackMode = 'copy' | 'transpose' | 'gather'

export interface PackedSource {
  readonly kind: 'packed'
  readonly mode: PackMode
}

/** Read where it lies. `segment` positions in a row have one stride, `row`. */
export interface DirectSource {
  readonly kind: 'direct'
  readonly segment: number
  readonly row: number
  readonly step: number
  /** When k is two axes: the length of a run, and the bytes from the end of one to the next. */
  readonly runs: { readonly length: number; readonly gap: number } | null
}

export type Source = PackedSource | DirectSource

export interface Strategy {
  /** Columns in vectors with A splatted, or vectors along k that are summed at the end. */
  readonly kernel: 'outer' | 'dot'
  readonly a: Source
  readonly b: Source
  readonly rowPhases: readonly Phase[]
  readonly columnPhases: readonly Phase[]
  /** Positions in one segment of rows; the phases of the rows cover a segment. */
  readonly segment: number
  readonly blockRows: number
  readonly blockColumns: number
  readonly blockDepth: number
}

const BLOCK_ROWS = 240
const BLOCK_COLUMNS = 1024
const BLOCK_DEPTH = 320
/** A depth up to this is not cut; a longer one is cut into equal parts. */
const WHOLE_DEPTH = 448
/** Up to so many columns packing A costs more than it saves. */
const COLUMNS_UNPACKED = 256
/** Up to so many rows packing B costs more than it saves. */
const ROWS_UNPACKED = 64
/** An operand of so many bytes stays in the first cache in any order. */
const CACHE_BYTES = 16384
/**
 * A B beyond this size that is read in place is read in order, some rows of k at a time, so that
 * memory is prefetched; the sums stay in the cache in the meantime.
 */
const STREAM_BYTES = 131072
const STREAM_DEPTH = 24
/** A B beyond this size is not in the second-level cache. */
const STREAMED_DOTS_BYTES = 2 ** 20
/** Above this many rows a dot product per element reads B too often. */
const DOT_ROWS = 3

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step

/**
 * Of several ways to see a contraction, the one whose stores are contiguous along the columns,
 * which go in vectors; where the stores allow any, few rows and many columns.
 */
export function chooseProblem(candidates: readonly Problem[]): Problem | undefined {
  const cost = (problem: Problem): number =>
    (isLinear(problem) ? 0 : 8) +
    (hasContiguousStores(problem) ? 0 : 4) +
    (problem.rows < 4 ? problem.rows - 4 : 0)
  const [first, ...others] = candidates
  return others.reduce((best, next) => (best && cost(next) < cost(best) ? next : best), first)
}

export function choose(problem: Problem, relaxed: boolean): Strategy {
  const { element, rows, columns, depth, a, b } = problem
  const { bytes, lanes } = element
  const columnStep = columns === 1 ? bytes : constantStride(b.free)
  const bStep = constantStride(b.k)
  const bInPlace = columnStep === bytes && bStep !== undefined
  const dot =
    rows <= DOT_ROWS &&
    bStep === bytes &&
    depth >= lanes &&
    columnStep !== undefined &&
    (columns === 1 || columnStep !== bytes)
  if (dot) return dotStrategy(problem, columnStep, bStep)

  const bDirect = bInPlace && rows <= ROWS_UNPACKED
  // A product that is added in a second instruction needs a register for itself.
  const tallest = relaxed && element.fusedOp ? 6 : 4
  const vectors = bDirect && rows < 4 && columns >= 4 * lanes ? ([8, 4, 3][rows - 1] ?? 2) : 2
  const columnPhases = phasesOfColumns(columns, vectors * lanes, lanes)
  const direct = directRows(a)
  const aDirect =
    direct !== null &&
    (direct.segment >= 4 || direct.segment === rows) &&
    depth > 0 &&
    (direct.step === bytes
      ? columns <= COLUMNS_UNPACKED
      : columns <= 2 * vectors * lanes || rows * depth * bytes <= CACHE_BYTES) &&
    // B is cut along k where A's runs end.
    (direct.runs === null || direct.runs.length <= WHOLE_DEPTH)
  const streamed = bDirect && !(aDirect && direct.runs) && depth * columns * bytes > STREAM_BYTES
  const aSource: Source = aDirect ? direct : { kind: 'packed', mode: packMode(a, tallest, bytes) }
  const segment = aDirect ? direct.segment : rows
  const rowPhases = phasesOfRows(segment, tallest, segment < rows || rows <= BLOCK_ROWS)
  const tall = rowPhases[0]?.width ?? tallest
  const segmentsPerBlock = Math.max(1, Math.floor(BLOCK_ROWS / segment))
  return {
    kernel: 'outer',
    a: aSource,
    b: bDirect
      ? { kind: 'direct', segment: columns, row: bytes, step: bStep, runs: null }
      : { kind: 'packed', mode: packMode(b, vectors * lanes, bytes) },
    rowPhases,
    columnPhases,
    segment,
    blockRows:
      segment < rows ? segmentsPerBlock * segment : roundUp(Math.min(BLOCK_ROWS, rows), tall),
    blockColumns: roundUp(Math.min(BLOCK_COLUMNS, columns), vectors * lanes),
    blockDepth: streamed
      ? STREAM_DEPTH
      : depthOfBlock(depth, aDirect ? (direct.runs?.length ?? 1) : 1),
  }
}

function dotStrategy(
  { element, rows, columns, depth, a }: Problem,
  columnStep: number,
  bStep: number,
): Strategy {
  const row = constantStride(a.free)
  const step = constantStride(a.k)
  // Memory answers eight streams at a time faster than four.
  const fromMemory = columns * depth * element.bytes > STREAMED_DOTS_BYTES
  const width = rows === 1 && fromMemory ? Math.max(8, element.lanes) : element.lanes
  return {
    kernel: 'dot',
    a:
      row !== undefined && step === element.bytes
        ? { kind: 'direct', segment: rows, row, step, runs: null }
        : { kind: 'packed', mode: 'gather' },
    b: { kind: 'direct', segment: columns, row: columnStep, step: bStep, runs: null },
    rowPhases: [{ from: 0, to: rows, width: rows, valid: rows }],
    columnPhases: phasesOfColumns(columns, width, element.lanes),
    segment: rows,
    blockRows: rows,
    blockColumns: roundUp(columns, width),
    blockDepth: depth,
  }
}

/** Equal blocks of k, each a multiple of `unit` long. */
function depthOfBlock(depth: number, unit: number): number {
  if (depth <= WHOLE_DEPTH) return depth
  const blocks = Math.ceil(depth / BLOCK_DEPTH)
  return roundUp(Math.ceil(depth / blocks), unit)
}

/** Full panels, then one for the columns that are left, as few vectors wide as they need. */
function phasesOfColumns(columns: number, width: number, lanes: number): Phase[] {
  const full = columns - (columns % width)
  const phases: Phase[] = []
  if (full > 0) phases.push({ from: 0, to: full, width, valid: width })
  if (full < columns) {
    const valid = columns - full
    phases.push({ from: full, to: columns, width: roundUp(valid, lanes), valid })
  }
  return phases
}

/** Tiles as tall as registers allow; where the rows are few, of nearly equal height. */
function phasesOfRows(rows: number, tallest: number, balanced: boolean): Phase[] {
  const tiles = Math.ceil(rows / tallest)
  const height = balanced ? Math.ceil(rows / tiles) : tallest
  const short = balanced ? height - 1 : rows % height
  const tall = balanced ? rows - tiles * short : Math.floor(rows / height)
  const phases: Phase[] = []
  const middle = tall * height
  if (middle > 0) phases.push({ from: 0, to: middle, width: height, valid: height })
  if (middle < rows) phases.push({ from: middle, to: rows, width: short, valid: short })
  return phases
}

/** How A can be read in place: rows at one distance, k at one distance or in equal runs. */
function directRows(a: Operand): DirectSource | null {
  const inner = a.free.at(-1) ?? { size: 1, stride: 0 }
  const [outerK, innerK] = a.k.length > 1 ? a.k.slice(-2) : [undefined, a.k[0]]
  if (a.k.length > 2) return null
  const step = innerK?.stride ?? 0
  return {
    kind: 'direct',
    segment: inner.size,
    row: inner.stride,
    step,
    runs: runsOf(outerK, innerK),
  }
}

function runsOf(outer: Axis | undefined, inner: Axis | undefined): DirectSource['runs'] {
  if (!outer || !inner) return null
  return { length: inner.size, gap: outer.stride - inner.size * inner.stride }
}

function packMode(operand: Operand, width: number, bytes: number): PackMode {
  const free = operand.free.at(-1)
  const k = operand.k.at(-1)
  if (free?.stride === bytes && (operand.free.length === 1 || free.size >= 2 * width)) return 'copy'
  if (k?.stride === bytes && (operand.k.length === 1 || k.size >= 4)) return 'transpose'
  return 'gather'
}
