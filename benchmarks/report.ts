/** Measurements as tables. */
import type { Case, PeerName } from './case'
import type { Limits } from './limits'
import type { Measurement } from './measure'

export interface TableOptions {
  readonly peers: readonly PeerName[]
  readonly threads: number
  /** Whether the goals, which are those of a processor, are shown. */
  readonly goals: boolean
  /** Of the machine, by which rates of ours are put in proportion. */
  readonly limits?: Limits
  readonly markdown: boolean
}

/** Three digits and a unit. */
export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '–'
  const [value, unit] =
    milliseconds >= 1
      ? [milliseconds, 'ms']
      : milliseconds >= 1e-3
        ? [milliseconds * 1e3, 'µs']
        : [milliseconds * 1e6, 'ns']
  return `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} ${unit}`
}

function rate({ flops, bytes, steps }: Case, milliseconds: number | undefined): string {
  if (milliseconds === undefined) return ''
  if (flops !== undefined) return `${(flops / milliseconds / 1e6).toFixed(1)} GFLOP/s`
  if (steps !== undefined) return `${duration(milliseconds / steps)} each`
  return bytes === undefined ? '' : `${(bytes / milliseconds / 1e6).toFixed(1)} GB/s`
}

/** How much of the time is what the machine needs at least. */
function ofLimit(
  { flops, bytes, limit }: Case,
  limits: Limits,
  milliseconds: number | undefined,
): string {
  if (milliseconds === undefined || limit === undefined) return ''
  const amount = limit === 'multiply-add' ? flops : bytes
  if (amount === undefined) return ''
  return `${((100 * amount) / milliseconds / 1e6 / limits[limit]).toFixed(0)}%`
}

/** What the project set itself; two threads have a goal of their own where there is one. */
const goalOf = ({ goal }: Case, threads: number): number | undefined =>
  threads > 1 ? (goal?.[1] ?? goal?.[0]) : goal?.[0]

export function table(options: TableOptions): {
  readonly head: string
  row(benchmark: Case, measurement: Measurement): string
} {
  const { threads, goals, limits, markdown } = options
  const others = options.peers.filter((peer) => peer !== 'adjoint')
  const line = ([name, ...cells]: readonly string[]): string =>
    markdown
      ? `| ${[name, ...cells].join(' | ')} |`
      : name.padEnd(16) + cells.map((text) => text.padStart(16)).join('')
  const header = [
    'case',
    'adjoint',
    'rate',
    ...(limits ? ['of limit'] : []),
    ...(goals ? ['goal'] : []),
    ...others.flatMap((p) => [p, '× adjoint']),
  ]
  const rule = line(header.map((_, i) => (i === 0 ? '---' : '---:')))
  return {
    head: markdown ? `${line(header)}\n${rule}` : line(header),
    row: (benchmark, { medians }) => {
      const { adjoint } = medians
      const ratio = (peer: PeerName): string => {
        const other = medians[peer]
        return other === undefined || adjoint === undefined ? '' : (other / adjoint).toFixed(2)
      }
      return line([
        benchmark.name,
        duration(adjoint),
        rate(benchmark, adjoint),
        ...(limits ? [ofLimit(benchmark, limits, adjoint)] : []),
        ...(goals ? [duration(goalOf(benchmark, threads))] : []),
        ...others.flatMap((peer) => [duration(medians[peer]), ratio(peer)]),
      ])
    },
  }
}
