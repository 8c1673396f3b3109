/** What a tree of parameters consists of, as a table. */
import type { DType, Shape } from '@adjoint/core'
import { namedLeaves } from './leaf-names'

export interface SummaryRow {
  readonly path: string
  readonly shape: Shape
  readonly dtype: DType
  /** Number of elements. */
  readonly count: number
  readonly bytes: number
}

/** The rows of a summary and their totals; prints as a table. */
export interface Summary {
  readonly rows: readonly SummaryRow[]
  readonly count: number
  readonly bytes: number
  toString(): string
}

const bytesOf: Readonly<Record<DType, number>> = {
  bool: 1,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  float0: 0,
}

/**
 * A row for each array of a tree: path, shape, dtype, number of elements and of bytes. Printing it
 * prints the table.
 *
 * @param params a tree of arrays, also of tracers
 * @example
 * const { params } = linear(3, 2).init(random.key(0))
 * summary(params).count // 8
 * String(summary(params))
 * // path    shape   dtype    count  bytes
 * // ─────────────────────────────────────
 * // bias    [2]     float32      2      8
 * // weight  [3, 2]  float32      6     24
 * // ─────────────────────────────────────
 * // total                       8     32
 */
export function summary(params: unknown): Summary {
  const { leaves, names } = namedLeaves(params)
  const rows = leaves.map(({ shape, dtype, size }, i): SummaryRow => ({
    path: names[i],
    shape,
    dtype,
    count: size,
    bytes: size * bytesOf[dtype],
  }))
  const total = (field: 'count' | 'bytes'): number => rows.reduce((sum, row) => sum + row[field], 0)
  const result = { rows, count: total('count'), bytes: total('bytes') }
  return { ...result, toString: () => table(result) }
}

const grouped = (n: number): string => n.toLocaleString('en-US')

function table({ rows, count, bytes }: Omit<Summary, 'toString'>): string {
  const header = ['path', 'shape', 'dtype', 'count', 'bytes']
  const body = rows.map((row) => [
    row.path,
    `[${row.shape.join(', ')}]`,
    row.dtype,
    grouped(row.count),
    grouped(row.bytes),
  ])
  const footer = ['total', '', '', grouped(count), grouped(bytes)]
  const widths = header.map((_, column) =>
    Math.max(...[header, ...body, footer].map((cells) => cells[column].length)),
  )
  // Numbers stand at the right.
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd()
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  return [line(header), rule, ...body.map(line), rule, line(footer)].join('\n')
}
