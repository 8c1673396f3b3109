/** The other end of a peer's process. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Case, PeerName } from './case'
import type { Gpu } from './gpu'
import type { Command } from './peers/serve'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The interpreter that JAX, PyTorch and NumPy are looked for in. */
export const python = process.env['ADJOINT_BENCH_PYTHON'] ?? 'python3'

const isPython = (peer: PeerName): boolean => ['jax', 'torch', 'numpy'].includes(peer)

/** As many threads as asked for, whatever the library takes for an order. */
function environment(threads: number, gpu: Gpu | undefined): NodeJS.ProcessEnv {
  const count = String(threads)
  return {
    ...process.env,
    ...gpu?.variables,
    ADJOINT_THREADS: count,
    OMP_NUM_THREADS: count,
    MKL_NUM_THREADS: count,
    OPENBLAS_NUM_THREADS: count,
    // On a GPU, whatever it finds first; and memory as it needs it, for there are others.
    JAX_PLATFORMS: gpu === undefined ? 'cpu' : '',
    XLA_PYTHON_CLIENT_PREALLOCATE: 'false',
    // Large results from glibc's heap instead of fresh pages each time: without this JAX takes
    // several times as long for some cases.
    MALLOC_MMAP_THRESHOLD_: '2147483647',
    MALLOC_TRIM_THRESHOLD_: '4294967295',
    PYTHONDONTWRITEBYTECODE: '1',
    TF_CPP_MIN_LOG_LEVEL: '3',
  }
}

/** Why a peer takes no part. */
export class PeerUnavailable extends Error {}

export class Remote {
  private readonly lines: AsyncIterator<string>
  private complaints = ''
  version = ''

  private constructor(
    readonly peer: PeerName,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    child.stderr.on('data', (chunk: Buffer) => {
      this.complaints = (this.complaints + chunk.toString()).slice(-2000)
    })
    // A process that ends early is noticed by the answer that does not come.
    child.stdin.on('error', () => undefined)
  }

  static async start(peer: PeerName, threads: number, gpu?: Gpu): Promise<Remote> {
    const [command, ...args] = isPython(peer)
      ? [python, path('peers/python/serve.py')]
      : [process.execPath, '--import', path('../scripts/run-source.mjs'), path('peers/serve.ts')]
    const device = gpu === undefined ? 'cpu' : 'gpu'
    const child = spawn(command, [...args, peer, String(threads), device], {
      env: environment(threads, gpu),
    })
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (error) => {
        reject(new PeerUnavailable(error.message))
      })
    })
    const remote = new Remote(peer, child)
    const { version, unavailable } = await Promise.race([remote.answer(), failed])
    if (typeof unavailable === 'string') {
      remote.stop()
      throw new PeerUnavailable(unavailable)
    }
    remote.version = String(version)
    return remote
  }

  private async answer(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await this.lines.next()
    const answer: unknown = done ? null : JSON.parse(value)
    if (typeof answer !== 'object' || answer === null) {
      throw new Error(`${this.peer} ended without an answer: ${this.complaints}`)
    }
    const record = answer as Readonly<Record<string, unknown>>
    if (typeof record['error'] === 'string') throw new Error(`${this.peer}: ${record['error']}`)
    return record
  }

  private ask(command: Command): Promise<Readonly<Record<string, unknown>>> {
    this.child.stdin.write(`${JSON.stringify(command)}\n`)
    return this.answer()
  }

  /** False when the peer has no such program. */
  async prepare({ program, size }: Case): Promise<boolean> {
    return Boolean((await this.ask({ prepare: program, size }))['prepared'])
  }

  /** Milliseconds of so many runs. */
  async time(runs: number): Promise<number> {
    return Number((await this.ask({ time: runs }))['milliseconds'])
  }

  async result(): Promise<readonly number[]> {
    return (await this.ask({ result: true }))['result'] as readonly number[]
  }

  stop(): void {
    this.child.stdin.end()
    this.child.kill()
  }
}
