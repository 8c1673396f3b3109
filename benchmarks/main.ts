/**
 * `pnpm bench` measures every case.
 *
 *   pnpm bench [--case mlp-adam,exp] [--peers adjoint,jax-js] [--samples 15] [--json FILE] [--markdown]
 *   pnpm bench --list
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Case, type Peer, peers } from './case'
import { elementwiseCases } from './cases/elementwise'
import { lorenzCases } from './cases/lorenz'
import { matmulCases } from './cases/matmul'
import { mlpCases } from './cases/mlp'
import { overheadCases } from './cases/overhead'
import { measure, type Measurement } from './measure'

const allCases: readonly Case[] = [
  ...mlpCases,
  ...matmulCases,
  ...elementwiseCases,
  ...overheadCases,
  ...lorenzCases,
]

const { values: flags } = parseArgs({
  options: {
    case: { type: 'string' },
    peers: { type: 'string', default: peers.join(',') },
    samples: { type: 'string', default: '15' },
    json: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

function refuse(problem: string): never {
  console.error(problem)
  process.exit(2)
}

/** The names in a comma-separated list, each of which must be known. */
function chosen<Name extends string>(list: string, known: readonly Name[], kind: string): Name[] {
  const names = list.split(',')
  const unknown = names.find((name) => !known.includes(name as Name))
  if (unknown !== undefined) refuse(`no ${kind} '${unknown}'; there are ${known.join(', ')}`)
  return known.filter((name) => names.includes(name))
}

if (flags.list) {
  for (const { name, what } of allCases) console.log(`${name.padEnd(14)}${what}`)
  process.exit()
}
const names = allCases.map(({ name }) => name)
const chosenNames = flags.case === undefined ? names : chosen(flags.case, names, 'case')
const chosenPeers = chosen(flags.peers, peers, 'peer')
const samples = Number(flags.samples)
if (!Number.isInteger(samples) || samples < 1) refuse('--samples is a whole number above 0')

const machine = `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, one thread`
console.log(machine)
console.log(`medians of up to ${samples} interleaved samples, time of one run\n`)

const line = ([name, ...cells]: readonly string[]): string =>
  flags.markdown
    ? `| ${[name, ...cells].join(' | ')} |`
    : name.padEnd(14) + cells.map((text) => text.padStart(14)).join('')
const others = chosenPeers.filter((peer) => peer !== 'adjoint')
const header = ['case', 'adjoint', 'rate', ...others.flatMap((peer) => [peer, '× adjoint'])]
console.log(line(header))
if (flags.markdown) console.log(line(header.map((_, i) => (i === 0 ? '---' : '---:'))))

function rate({ flops, bytes }: Case, milliseconds: number): string {
  if (flops !== undefined) return `${(flops / milliseconds / 1e6).toFixed(1)} GFLOP/s`
  return bytes === undefined ? '' : `${(bytes / milliseconds / 1e6).toFixed(1)} GB/s`
}

/** Three digits and a unit. */
function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '–'
  const [value, unit] =
    milliseconds >= 1
      ? [milliseconds, 'ms']
      : milliseconds >= 1e-3
        ? [milliseconds * 1e3, 'µs']
        : [milliseconds * 1e6, 'ns']
  return `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} ${unit}`
}

function row(benchmark: Case, { medians }: Measurement): string {
  const { adjoint } = medians
  const time = (peer: Peer): string => duration(medians[peer])
  const ratio = (peer: Peer): string => {
    const other = medians[peer]
    return other === undefined || adjoint === undefined ? '' : (other / adjoint).toFixed(2)
  }
  const ours = [time('adjoint'), adjoint === undefined ? '' : rate(benchmark, adjoint)]
  return line([benchmark.name, ...ours, ...others.flatMap((peer) => [time(peer), ratio(peer)])])
}

const measurements: Measurement[] = []
for (const benchmark of allCases.filter(({ name }) => chosenNames.includes(name))) {
  const measurement = await measure(benchmark, {
    samples,
    sampleMilliseconds: 20,
    warmUpMilliseconds: 400,
    budgetMilliseconds: 8000,
    peers: chosenPeers,
  })
  measurements.push(measurement)
  console.log(row(benchmark, measurement))
}

if (flags.json !== undefined) {
  const file = resolve(process.env['INIT_CWD'] ?? process.cwd(), flags.json)
  writeFileSync(file, `${JSON.stringify({ machine, samples, measurements }, null, 2)}\n`)
}
