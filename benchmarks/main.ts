/**
 * `pnpm bench` measures every case of the table, for this project and every peer that is there.
 *
 *   pnpm bench [--case mlp,exp] [--peers adjoint,jax] [--threads 2] [--samples 15]
 *              [--growth] [--json FILE] [--chart FILE]
 *              [--device webgpu [--software]]
 *   pnpm bench --list
 *   pnpm bench --limits
 *
 * `--device webgpu` measures on the GPU, beside those who compute on it too. Without a GPU, or with
 * `--software`, a software driver takes its place: a trial, whose times say nothing about GPUs.
 *
 * JAX, PyTorch and NumPy are looked for in `python3`, or in the interpreter that
 * `ADJOINT_BENCH_PYTHON` names.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runBenchmark } from './benchmark'
import { gpuPeerNames, type PeerName, peerNames } from './case'
import { cases, growth, largeCases } from './cases'
import { drawGrowth, drawRatios } from './chart'
import { findGpu } from './gpu'
import { limitsOfMachine, limitsText } from './limits'

const { values: flags } = parseArgs({
  options: {
    case: { type: 'string' },
    peers: { type: 'string' },
    threads: { type: 'string', default: '1' },
    samples: { type: 'string', default: '15' },
    device: { type: 'string', default: 'wasm' },
    software: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    json: { type: 'string' },
    chart: { type: 'string' },
    list: { type: 'boolean', default: false },
    limits: { type: 'boolean', default: false },
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

if (!['wasm', 'webgpu'].includes(flags.device)) {
  refuse(`no device '${flags.device}'; there are wasm, webgpu`)
}
const onGpu = flags.device === 'webgpu'
const known = onGpu ? [...cases, ...largeCases] : cases
const all = flags.growth ? growth.flatMap((series) => series.cases) : known
if (flags.list) {
  for (const { name, what } of all) console.log(`${name.padEnd(18)}${what}`)
  process.exit()
}
if (flags.limits) {
  console.log(limitsText(limitsOfMachine()()))
  process.exit()
}
const names = all.map(({ name }) => name)
const asked = flags.case === undefined ? null : chosen(flags.case, names, 'case')
const peers = onGpu ? gpuPeerNames : peerNames
const gpu = onGpu ? findGpu({ software: flags.software }) : undefined
if (gpu === null) refuse('WebGPU finds no adapter here, not even that of the software driver')
/** Minutes for a software driver: only if they are asked for. */
const tooLarge = gpu?.software === true && asked === null ? largeCases : []

const report = await runBenchmark({
  cases: all.filter((one) => asked?.includes(one.name) ?? !tooLarge.includes(one)),
  peers: flags.peers === undefined ? undefined : chosen<PeerName>(flags.peers, peers, 'peer'),
  gpu,
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
