/**
 * Medians of interleaved samples: A B A B …, so that whatever else the machine does falls on all
 * peers alike.
 */
import type { Case, Numbers, Peer, Program } from './case'
import { peers } from './case'

export interface MeasureOptions {
  readonly samples: number
  /** How long one sample lasts at least; a short program runs many times in it. */
  readonly sampleMilliseconds: number
  readonly warmUpMilliseconds: number
  /** A program that took this long is measured no further, once it has three samples. */
  readonly budgetMilliseconds: number
  readonly peers: readonly Peer[]
}

export interface Measurement {
  readonly case: string
  /** Milliseconds of one run, by peer. */
  readonly medians: Readonly<Partial<Record<Peer, number>>>
  /** Half the distance between the quartiles, relative to the median. */
  readonly spreads: Readonly<Partial<Record<Peer, number>>>
}

async function timeOf(program: Program, runs: number): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < runs; i++) {
    const pending = program.run()
    if (pending) await pending
  }
  return performance.now() - started
}

/** Runs until warm; answers how many runs make a sample. */
async function warmUp(program: Program, options: MeasureOptions): Promise<number> {
  const end = performance.now() + options.warmUpMilliseconds
  let runs = 1
  let time = 0
  do {
    time = await timeOf(program, runs)
    if (time < options.sampleMilliseconds) {
      const wanted = options.sampleMilliseconds / Math.max(time, 1e-3)
      runs = Math.ceil(runs * Math.min(wanted, 10))
    }
  } while (performance.now() < end || time < options.sampleMilliseconds / 2)
  return runs
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.round(q * (sorted.length - 1))]

/** Throws when the peers do not compute the same. */
function requireAgreement(benchmark: Case, results: ReadonlyMap<Peer, Numbers>): void {
  const [[first, expected], ...others] = results
  const largest = Array.from(expected).reduce((m, x) => Math.max(m, Math.abs(x)), 0)
  for (const [peer, actual] of others) {
    const worst = Array.from(expected).reduce((m, x, i) => Math.max(m, Math.abs(x - actual[i])), 0)
    if (actual.length !== expected.length || !(worst <= benchmark.tolerance * largest)) {
      throw new Error(
        `${benchmark.name}: ${peer} and ${first} differ by ${worst}, the largest number being ${largest}`,
      )
    }
  }
}

export async function measure(benchmark: Case, options: MeasureOptions): Promise<Measurement> {
  const programs = new Map<Peer, Program>()
  const results = new Map<Peer, Numbers>()
  for (const peer of peers.filter((p) => options.peers.includes(p))) {
    const program = await benchmark.programs[peer]?.()
    if (!program) continue
    programs.set(peer, program)
    results.set(peer, await program.result())
  }
  if (programs.size === 0) return { case: benchmark.name, medians: {}, spreads: {} }
  requireAgreement(benchmark, results)

  const runs = new Map<Peer, number>()
  for (const [peer, program] of programs) runs.set(peer, await warmUp(program, options))
  const times = new Map<Peer, number[]>([...programs.keys()].map((peer) => [peer, []]))
  for (let i = 0; i < options.samples; i++) {
    for (const [peer, program] of programs) {
      const [count, soFar] = [runs.get(peer) ?? 1, times.get(peer) ?? []]
      const spent = soFar.reduce((sum, time) => sum + time * count, 0)
      if (soFar.length >= 3 && spent > options.budgetMilliseconds) continue
      soFar.push((await timeOf(program, count)) / count)
    }
  }

  const medians: Partial<Record<Peer, number>> = {}
  const spreads: Partial<Record<Peer, number>> = {}
  for (const [peer, each] of times) {
    const sorted = each.toSorted((a, b) => a - b)
    const median = quantile(sorted, 0.5)
    medians[peer] = median
    spreads[peer] = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 / median
  }
  return { case: benchmark.name, medians, spreads }
}
