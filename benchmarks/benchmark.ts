/** One run over some cases: who takes part, what was measured, on what. */
import { cpus } from 'node:os'
import { type Case, gpuPeerNames, type PeerName, peerNames } from './case'
import type { Gpu } from './gpu'
import type { Adapter } from './peers/node-gpu'
import { bestOf, type Limits, limitsOfMachine, limitsText } from './limits'
import { type Measurement, Peers } from './measure'
import { PeerUnavailable, Remote } from './remote'
import { table } from './report'

export interface BenchmarkOptions {
  readonly cases: readonly Case[]
  /** Without a list, every peer that is there. */
  readonly peers?: readonly PeerName[]
  readonly threads: number
  readonly samples: number
  /** The GPU that programs run on; without one they run on the processor. */
  readonly gpu?: Gpu
}

export interface Report {
  readonly machine: {
    readonly processor: string
    readonly node: string
    readonly threads: number
    /** The GPU, where it is one that was measured. */
    readonly gpu?: Adapter
    /** Versions of those who took part. */
    readonly peers: Readonly<Partial<Record<PeerName, string>>>
  }
  /** What one core of the machine can do, where programs run on one thread of it. */
  readonly limits?: Limits
  readonly samples: number
  readonly measurements: readonly Measurement[]
}

/** A GPU, and whether it is one. */
export const adapterName = ({ name, software }: Adapter): string =>
  software ? `${name}, a software driver` : name

/** The peers that answer; of those that were asked for by name, all must. */
async function available(
  wanted: readonly PeerName[] | undefined,
  threads: number,
  gpu: Gpu | undefined,
): Promise<ReadonlyMap<PeerName, string>> {
  const versions = new Map<PeerName, string>()
  for (const peer of wanted ?? (gpu === undefined ? peerNames : gpuPeerNames)) {
    try {
      const remote = await Remote.start(peer, threads, gpu)
      versions.set(peer, remote.version)
      remote.stop()
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error
      console.log(`without ${peer}: ${error.message}`)
      if (wanted === undefined) continue
      console.error(`${peer} was asked for; ADJOINT_BENCH_PYTHON names an interpreter that has it`)
      process.exit(2)
    }
  }
  return versions
}

/** Measures, and prints each case when it is done. */
export async function runBenchmark(options: BenchmarkOptions): Promise<Report> {
  const { threads, samples, gpu } = options
  const versions = await available(options.peers, threads, gpu)
  const machine = {
    processor: cpus()[0]?.model ?? 'unknown processor',
    node: process.version,
    threads,
    ...(gpu === undefined ? {} : { gpu: { name: gpu.name, software: gpu.software } }),
    peers: Object.fromEntries(versions),
  }
  console.log(`${machine.processor}, Node ${machine.node}, threads: ${threads}`)
  if (gpu !== undefined) console.log(`on ${adapterName(gpu)}`)
  console.log([...versions].map(([peer, version]) => `${peer} ${version}`).join(', '))
  console.log(`medians of up to ${samples} interleaved samples, time of one run\n`)

  // Of one core: what several together can do is another question.
  const limitsNow = gpu === undefined && threads === 1 ? limitsOfMachine() : null
  const limits = limitsNow?.()
  const chosen = [...versions.keys()]
  const peers = new Peers(chosen, {
    threads,
    gpu,
    samples,
    sampleMilliseconds: 100,
    warmUpMilliseconds: 300,
    budgetMilliseconds: 2500,
  })
  const { head, row } = table({
    peers: chosen,
    threads,
    goals: gpu === undefined,
    limits,
    markdown: false,
  })
  console.log(head)
  const measurements: Measurement[] = []
  for (const benchmark of options.cases) {
    const measurement = await peers.measure(benchmark)
    measurements.push(measurement)
    console.log(row(benchmark, measurement))
  }
  peers.stop()
  for (const { case: name, failures } of measurements) {
    for (const [peer, why] of Object.entries(failures)) console.log(`${name}, ${peer}: ${why}`)
  }
  if (!limits || !limitsNow) return { machine, samples, measurements }
  const limitsSeen = bestOf(limits, limitsNow())
  console.log(`\nlimits of one core\n${limitsText(limitsSeen)}`)
  return { machine, limits: limitsSeen, samples, measurements }
}
