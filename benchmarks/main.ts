/**
 * `pnpm bench` measures every case of the table, for this project and every peer that is there.
 *
 *   pnpm bench [--case mlp,exp] [--peers adjoint,jax] [--threads 2] [--samples 15]
 *              [--growth] [--json FILE] [--chart FILE]
 *   pnpm bench --list
 *
 * JAX, PyTorch and NumPy are looked for in `python3`, or in the interpreter that
 * `ADJOINT_BENCH_PYTHON` names.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runBenchmark } from './benchmark'
import { peerNames } from './case'
import { cases, growth } from './cases'
import { drawGrowth, drawRatios } from './chart'

const { values: flags } = parseArgs({
  options: {
    case: { type: 'string' },
    peers: { type: 'string' },
    threads: { type: 'string', default: '1' },
    samples: { type: 'string', default: '15' },
    growth: { type: 'boolean', default: false },
    json: { type: 'string' },
    chart: { type: 'string' },
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

function positive(flag: 'threads' | 'samples'): number {
  const value = Number(flags[flag])
  if (!Number.isInteger(value) || value < 1) refuse(`--${flag} is a whole number above 0`)
  return value
}

/** A file named on the command line is where the command was given. */
const fileOf = (name: string): string => resolve(process.env['INIT_CWD'] ?? process.cwd(), name)

const all = flags.growth ? growth.flatMap((series) => series.cases) : cases
if (flags.list) {
  for (const { name, what } of all) console.log(`${name.padEnd(18)}${what}`)
  process.exit()
}
const names = all.map(({ name }) => name)
const wanted = flags.case === undefined ? names : chosen(flags.case, names, 'case')

const report = await runBenchmark({
  cases: all.filter(({ name }) => wanted.includes(name)),
  peers: flags.peers === undefined ? undefined : chosen(flags.peers, peerNames, 'peer'),
  threads: positive('threads'),
  samples: positive('samples'),
})
if (flags.json !== undefined) {
  writeFileSync(fileOf(flags.json), `${JSON.stringify(report, null, 2)}\n`)
}
if (flags.chart !== undefined) {
  const file = fileOf(flags.chart)
  await (flags.growth ? drawGrowth(file, report, growth) : drawRatios(file, report))
}
process.exit()
