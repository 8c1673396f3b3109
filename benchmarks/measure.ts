/**
 * Medians of interleaved samples: A B A B …, so that whatever else the machine does falls on all
 * peers alike.
 */
import type { Case, PeerName } from './case'
import type { Gpu } from './gpu'
import { Remote } from './remote'

export interface MeasureOptions {
  readonly threads: number
  /** Where programs run on a GPU, which. */
  readonly gpu?: Gpu
  readonly samples: number
  /** How long one sample lasts at least; a short program runs many times in it. */
  readonly sampleMilliseconds: number
  readonly warmUpMilliseconds: number
  /** A program that took this long is measured no further, once it has three samples. */
  readonly budgetMilliseconds: number
}

export interface Measurement {
  readonly case: string
  /** Milliseconds of one run, by peer. */
  readonly medians: Readonly<Partial<Record<PeerName, number>>>
  /** Half the distance between the quartiles, relative to the median. */
  readonly spreads: Readonly<Partial<Record<PeerName, number>>>
  /** Why a peer that takes part has no number here. */
  readonly failures: Readonly<Partial<Record<PeerName, string>>>
}

/**
 * Pools of threads go on turning for a while after their work, OpenMP's by default for 200 ms
 * (KMP_BLOCKTIME), and would take a core from whoever is measured next. A peer alone needs no rest.
 */
const REST_MILLISECONDS = 250
const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, REST_MILLISECONDS))

/** Runs until warm; answers how many runs make a sample. */
async function warmUp(remote: Remote, options: MeasureOptions): Promise<number> {
  const end = performance.now() + options.warmUpMilliseconds
  let runs = 1
  let time = 0
  do {
    time = await remote.time(runs)
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
function requireAgreement(
  benchmark: Case,
  results: ReadonlyMap<PeerName, readonly number[]>,
): void {
  const [[first, expected], ...others] = results
  const largest = expected.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
  for (const [peer, actual] of others) {
    const worst = expected.reduce((m, x, i) => Math.max(m, Math.abs(x - actual[i])), 0)
    if (actual.length !== expected.length || !(worst <= benchmark.tolerance * largest)) {
      throw new Error(
        `${benchmark.name}: ${peer} and ${first} differ by ${worst}, the largest number being ${largest}`,
      )
    }
  }
}

function summary(
  benchmark: Case,
  times: ReadonlyMap<PeerName, readonly number[]>,
  failures: Partial<Record<PeerName, string>>,
): Measurement {
  const medians: Partial<Record<PeerName, number>> = {}
  const spreads: Partial<Record<PeerName, number>> = {}
  for (const [peer, each] of times) {
    if (each.length === 0) continue
    const sorted = each.toSorted((a, b) => a - b)
    const median = quantile(sorted, 0.5)
    medians[peer] = median
    spreads[peer] = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 / median
  }
  return { case: benchmark.name, medians, spreads, failures }
}

const reason = (error: unknown): string =>
  error instanceof Error ? error.message.split('\n')[0] : String(error)

/** Each takes a process of its own. */
const FIRST_CALLS = 3

/** Peers whose processes run already; a peer that fails is started anew. */
export class Peers {
  private readonly remotes = new Map<PeerName, Remote>()

  constructor(
    private readonly names: readonly PeerName[],
    private readonly options: MeasureOptions,
  ) {}

  private async remote(peer: PeerName): Promise<Remote> {
    let remote = this.remotes.get(peer)
    if (!remote) {
      remote = await Remote.start(peer, this.options.threads, this.options.gpu)
      this.remotes.set(peer, remote)
    }
    return remote
  }

  stop(peer?: PeerName): void {
    for (const [name, remote] of this.remotes) {
      if (peer !== undefined && name !== peer) continue
      remote.stop()
      this.remotes.delete(name)
    }
  }

  measure(benchmark: Case): Promise<Measurement> {
    return benchmark.first ? this.measureFirst(benchmark) : this.measureWarm(benchmark)
  }

  private async measureWarm(benchmark: Case): Promise<Measurement> {
    const { options } = this
    const failures: Partial<Record<PeerName, string>> = {}
    const results = new Map<PeerName, readonly number[]>()
    const running = new Map<PeerName, { readonly remote: Remote; readonly runs: number }>()
    const times = new Map<PeerName, number[]>()
    for (const peer of this.names) {
      try {
        const remote = await this.remote(peer)
        if (!(await remote.prepare(benchmark))) continue
        results.set(peer, await remote.result())
        running.set(peer, { remote, runs: await warmUp(remote, options) })
        times.set(peer, [])
      } catch (error) {
        failures[peer] = reason(error)
        results.delete(peer)
        this.stop(peer)
      }
    }
    if (running.size === 0) return summary(benchmark, times, failures)
    requireAgreement(benchmark, results)
    for (let i = 0; i < options.samples; i++) {
      for (const [peer, { remote, runs }] of running) {
        const soFar = times.get(peer) ?? []
        const spent = soFar.reduce((sum, time) => sum + time * runs, 0)
        if (soFar.length >= 3 && spent > options.budgetMilliseconds) continue
        if (running.size > 1) await rest()
        soFar.push((await remote.time(runs)) / runs)
      }
    }
    return summary(benchmark, times, failures)
  }

  /** Each sample is the first call in a process of its own. */
  private async measureFirst(benchmark: Case): Promise<Measurement> {
    const { threads, samples, gpu } = this.options
    const failures: Partial<Record<PeerName, string>> = {}
    const results = new Map<PeerName, readonly number[]>()
    const times = new Map<PeerName, number[]>()
    for (let i = 0; i < Math.min(samples, FIRST_CALLS); i++) {
      for (const peer of this.names) {
        if (failures[peer] !== undefined) continue
        const remote = await Remote.start(peer, threads, gpu)
        try {
          if (!(await remote.prepare(benchmark))) continue
          const each = times.get(peer) ?? []
          times.set(peer, each)
          each.push(await remote.time(1))
          if (i === 0) results.set(peer, await remote.result())
        } catch (error) {
          failures[peer] = reason(error)
        } finally {
          remote.stop()
        }
      }
    }
    if (results.size > 0) requireAgreement(benchmark, results)
    return summary(benchmark, times, failures)
  }
}
