/**
 * `pnpm bench:record` measures everything on one thread and on two, and how time grows with the
 * work, and puts tables and pictures into `README.md`. Only on a machine that does nothing else.
 *
 *   pnpm bench:record [--samples 11] [--only two-threads,growth]
 *
 * `--only` measures these parts and takes the others from the last time; with nothing behind it,
 * everything is drawn and written again.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { type BenchmarkOptions, type Report, runBenchmark } from './benchmark'
import { type PeerName, peerNames } from './case'
import { cases, growth } from './cases'
import { drawGrowth, drawRatios } from './chart'
import { limitNames, unitOf } from './limits'
import { duration, table } from './report'

const { values: flags } = parseArgs({
  options: {
    samples: { type: 'string', default: '11' },
    only: { type: 'string', default: 'one-thread,two-threads,growth' },
  },
})

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

async function writeFormatted(path: string, text: string): Promise<void> {
  writeFileSync(path, await format(text, { ...(await resolveConfig(path)), filepath: path }))
}

async function report(name: string, options: BenchmarkOptions): Promise<Report> {
  const path = file(`results/${name}.json`)
  if (!flags.only.split(',').includes(name)) return JSON.parse(readFileSync(path, 'utf8')) as Report
  const measured = await runBenchmark(options)
  await writeFormatted(path, JSON.stringify(measured))
  return measured
}

const peersOf = ({ machine }: Report): PeerName[] =>
  peerNames.filter((peer) => machine.peers[peer] !== undefined)

function about({ machine, samples }: Report): string {
  const versions = peersOf({ machine, samples, measurements: [] })
    .filter((peer) => peer !== 'adjoint')
    .map((peer) => `${peer} ${machine.peers[peer]}`)
  const threads = machine.threads === 1 ? 'one thread' : `${machine.threads} threads`
  const beside = versions.length === 0 ? '' : `; ${versions.join(', ')}`
  return `${machine.processor}, Node ${machine.node}, ${threads}; medians of up to ${samples} samples${beside}.`
}

function caseTable(report: Report): string {
  const { limits } = report
  const { threads } = report.machine
  const peers = peersOf(report)
  const { head, row } = table({ peers, threads, goals: true, limits, markdown: true })
  const measured = new Map(report.measurements.map((m) => [m.case, m]))
  const rows = cases.flatMap((benchmark) => {
    const measurement = measured.get(benchmark.name)
    return measurement === undefined ? [] : [row(benchmark, measurement)]
  })
  return [head, ...rows].join('\n')
}

/** What the fractions of a table are fractions of. */
const aboutLimits = ({ limits }: Report): string =>
  limits === undefined
    ? ''
    : `\n\nLimits of one core in this run: ${limitNames
        .map((name) => `${name} ${limits[name].toFixed(1)} ${unitOf(name)}`)
        .join(', ')}.`

function growthTable({ measurements }: Report): string {
  const measured = new Map(measurements.map((m) => [m.case, m.medians.adjoint]))
  const lines = growth.map(({ name, of, cases: each }) => {
    const cells = each.map(({ name: n, amount }) => `${amount}: ${duration(measured.get(n))}`)
    return `| ${name} | ${of} | ${cells.join(', ')} |`
  })
  return ['| program | what grows | time of ours |', '| --- | --- | --- |', ...lines].join('\n')
}

/** Puts text between `<!-- name -->` and `<!-- end of name -->`. */
function replaceSection(page: string, name: string, text: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const [from, to] = [page.indexOf(start), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`README.md has no section ${start} … ${end}`)
  return `${page.slice(0, from + start.length)}\n\n${text}\n\n${page.slice(to)}`
}

mkdirSync(file('results'), { recursive: true })
const samples = Number(flags.samples)
const one = await report('one-thread', { cases, threads: 1, samples })
const two = await report('two-threads', { cases, threads: 2, samples })
const grown = await report('growth', {
  cases: growth.flatMap((series) => series.cases),
  // Those who compile, beside each other; the others would take an hour.
  peers: peersOf(one).filter((peer) => ['adjoint', 'jax-js', 'jax'].includes(peer)),
  threads: 1,
  samples: Math.min(samples, 3),
})
await drawRatios(file('results/one-thread.svg'), one)
await drawRatios(file('results/two-threads.svg'), two)
await drawGrowth(file('results/growth.svg'), grown, growth)

const readme = file('README.md')
const sections: readonly (readonly [string, Report, string])[] = [
  ['one-thread', one, caseTable(one)],
  ['two-threads', two, caseTable(two)],
  ['growth', grown, growthTable(grown)],
]
const page = sections.reduce(
  (text, [name, measured, rows]) =>
    replaceSection(
      text,
      name,
      `${about(measured)}${aboutLimits(measured)}\n\n![${name}](results/${name}.svg)\n\n${rows}`,
    ),
  readFileSync(readme, 'utf8'),
)
await writeFormatted(readme, page)
process.exit()
