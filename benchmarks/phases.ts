/**
 * `pnpm bench:phases` takes first calls apart: how long tracing, the passes, lowering, fusion,
 * planning, the writing of code, the engine and the first run take.
 *
 *   pnpm bench:phases [--samples 5] [--only mlp,gpt] [--loaded]
 *
 * With `--loaded` the engine compiles the library's functions when it loads them, and not each when
 * it is first called: the difference is what a first call spends on being the first of all.
 *
 * Every sample is a process of its own, since code that has run before runs faster. What is shown is
 * the least processor time of the main thread, which other processes lengthen little. Pages are those
 * of 4 KB that the process touches for the first time, with any of its threads: all before the first
 * run, and in it. What the system takes to provide one is printed below, and is part of the times.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Size } from './case'
import type { PhasedProgram } from './peers/adjoint/first-calls'

const { values: flags } = parseArgs({
  options: {
    samples: { type: 'string', default: '5' },
    only: { type: 'string' },
    loaded: { type: 'boolean', default: false },
  },
})

const calls: Readonly<Record<string, readonly [PhasedProgram, Size]>> = {
  mlp: ['mlp', {}],
  gpt: ['gpt', {}],
  cnn: ['cnn', {}],
  '24 layers': ['gpt', { layers: 24, context: 16, batch: 1 }],
  chain: ['chain', { equations: 4000 }],
  '500 steps': ['unrolled', { steps: 500 }],
}
const columns = [
  'equations',
  'loops',
  'tracing',
  'passes',
  'lowering',
  'fusion',
  'planning',
  'code',
  'engine',
  'first run',
  'seventh run',
  'pages',
  'run pages',
]
const counts = new Set(['equations', 'loops', 'pages', 'run pages'])

const script = fileURLToPath(new URL('first-call.ts', import.meta.url))

function measured(what: 'phases' | 'runs', [program, size]: (typeof calls)[string]): object {
  const output = execFileSync(
    process.execPath,
    [
      ...process.execArgv,
      ...(flags.loaded ? ['--no-lazy'] : []),
      script,
      what,
      program,
      JSON.stringify(size),
    ],
    { encoding: 'utf8', env: { ...process.env, ADJOINT_THREADS: '1' } },
  )
  return JSON.parse(output) as object
}

/** Milliseconds to touch a page of 4 KB for the first time: the least of several arrays. */
function freshPage(): number {
  const [pageBytes, pages] = [4096, 8192]
  let best = Infinity
  for (let sample = 0; sample < 5; sample++) {
    const { buffer } = new WebAssembly.Memory({ initial: (pages * pageBytes) / 65536 })
    const bytes = new Uint8Array(buffer)
    const touchAll = (): number => {
      const started = performance.now()
      for (let at = 0; at < bytes.length; at += pageBytes) bytes[at] = 1
      return performance.now() - started
    }
    const [first, again] = [touchAll(), touchAll()]
    best = Math.min(best, (first - again) / pages)
  }
  return best
}

const line = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(15) + cells.map((cell) => cell.padStart(12)).join(''))

line('ms', columns)
for (const [name, call] of Object.entries(calls)) {
  if (flags.only !== undefined && !flags.only.split(',').includes(name)) continue
  const least = new Map<string, number>()
  for (let i = 0; i < Number(flags.samples); i++) {
    for (const what of ['phases', 'runs'] as const) {
      for (const [phase, time] of Object.entries(measured(what, call)) as [string, number][]) {
        least.set(phase, Math.min(time, least.get(phase) ?? Infinity))
      }
    }
  }
  line(
    name,
    columns.map((column) => (least.get(column) ?? NaN).toFixed(counts.has(column) ? 0 : 1)),
  )
}
console.log(`\na fresh page: ${(1e3 * freshPage()).toFixed(2)} µs`)
process.exit()
