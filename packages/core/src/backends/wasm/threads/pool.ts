/**
 * The workers of a device, and how a program is run on all of them.
 *
 * A job is a few words in linear memory: which program, where its addresses are, how many threads.
 * Workers sleep on the number of the job. They compile what they have not seen from a copy of the
 * module in linear memory, so that nothing ever waits for an event loop to turn.
 */
import { DeviceError } from '../../../types/errors'
import { usualSharing } from '../codegen/sharing'
import type { Sharing } from '../codegen/sharing'
import type { LinearMemory } from '../memory/memory'
import { control, LINE, MOST_THREADS } from './control'
import { maySleep, startWorker } from './host'
import type { WorkerHandle } from './host'

/** A compiled program for several threads. */
export interface ThreadedProgram {
  readonly name: string
  readonly code: Uint8Array
  readonly run: (block: number, thread: number, threads: number, maySleep: number) => void
}

type State =
  /** No workers yet, or not any more. */
  | { readonly kind: 'none' }
  /** The engine could not start workers: programs run on one thread for good. */
  | { readonly kind: 'impossible' }
  | { readonly kind: 'started'; readonly crew: Crew }
  /** A worker ended although it should not have; the next program says so. */
  | { readonly kind: 'failed'; readonly reason: string }

/** Workers that were started together. */
interface Crew {
  readonly workers: readonly WorkerHandle[]
  /** Programs that the workers have. */
  readonly loaded: WeakMap<ThreadedProgram, number>
  forgotten: number[]
  working: boolean
}

/** Milliseconds that other workers have to notice that one has failed. */
const TIME_TO_LEAVE = 1000

export class WorkerPool {
  private state: State = { kind: 'none' }
  private readonly mainMaySleep = maySleep() ? 1 : 0
  private nextProgram = 1
  private crews = 0
  private readonly collected = new FinalizationRegistry<number>((program) => {
    if (this.state.kind === 'started') this.state.crew.forgotten.push(program)
  })

  /** `threads` counts the calling thread. */
  constructor(
    private readonly memory: LinearMemory,
    private count: number,
    readonly sharing: Sharing = usualSharing,
  ) {}

  /** How many threads run a large program once all workers are there. */
  get threads(): number {
    return this.memory.isShared ? Math.min(this.count, MOST_THREADS) : 1
  }

  /** How many threads would run a program now. */
  get running(): number {
    return this.isReady() ? this.threads : 1
  }

  /** Changes how many threads there are; programs compiled before keep to the number they know. */
  resize(threads: number): void {
    if (threads === this.count) return
    this.count = threads
    if (this.state.kind === 'started') this.dismiss(this.state.crew)
    if (this.state.kind !== 'impossible') this.state = { kind: 'none' }
  }

  /** Starts the workers unless they are there. They take some 30 ms, in which programs run alone. */
  start(): void {
    if (this.state.kind !== 'none' || this.threads < 2) return
    this.resetWords()
    const workers: WorkerHandle[] = []
    const number = ++this.crews
    Atomics.store(this.memory.words, control.crew >>> 2, number)
    const crew: Crew = { workers, loaded: new WeakMap(), forgotten: [], working: false }
    this.state = { kind: 'started', crew }
    try {
      for (let thread = 1; thread < this.threads; thread++) {
        const worker = startWorker(
          { memory: this.memory.memory, thread, crew: number, at: control },
          () => this.isReady(),
          (reason) => this.ended(crew, thread, reason),
        )
        if (worker === null) throw new Error('there are no workers here')
        workers.push(worker)
      }
    } catch {
      this.dismiss(crew)
      this.state = { kind: 'impossible' }
    }
  }

  /**
   * Runs a program on all threads, or on this one as long as the workers are not there.
   *
   * @throws DeviceError when a worker has ended; the next call starts new ones
   */
  run(program: ThreadedProgram, block: number, most: number): void {
    if (this.state.kind === 'failed') {
      const { reason } = this.state
      this.state = { kind: 'none' }
      throw workerFailed(program.name, reason)
    }
    if (this.state.kind === 'none') this.start()
    const { state } = this
    if (state.kind !== 'started' || !this.isReady() || this.threads > most) {
      program.run(block, 0, 1, 0)
      return
    }
    this.runTogether(program, block, state.crew)
  }

  private runTogether(program: ThreadedProgram, block: number, crew: Crew): void {
    const { memory } = this
    const known = crew.loaded.get(program)
    const number = known ?? this.nextProgram++
    const { words } = memory
    const lent =
      known === undefined ? memory.borrow(program.code, `the code of ${program.name}`) : null
    const { forgotten } = crew
    const list =
      forgotten.length === 0
        ? null
        : memory.borrow(new Uint8Array(Int32Array.from(forgotten).buffer), 'a list of programs')
    const write = (address: number, value: number): void => {
      words[address >>> 2] = value
    }
    write(control.program, number)
    write(control.block, block)
    write(control.threads, crew.workers.length + 1)
    write(control.code, lent?.address ?? 0)
    write(control.codeBytes, program.code.length)
    write(control.forgotten, list?.address ?? 0)
    write(control.forgottenCount, forgotten.length)
    crew.working = true
    Atomics.add(words, control.job >>> 2, 1)
    Atomics.notify(words, control.job >>> 2)
    try {
      program.run(block, 0, crew.workers.length + 1, this.mainMaySleep)
    } catch (error) {
      this.abandon(crew)
      const failed = Atomics.load(memory.words, control.failed >>> 2)
      this.state = { kind: 'none' }
      if (!(error instanceof WebAssembly.RuntimeError)) throw error
      throw workerFailed(program.name, this.failure(crew, failed), error)
    } finally {
      crew.working = false
      if (lent) memory.discard(lent)
      if (list) memory.discard(list)
    }
    crew.forgotten = []
    if (known === undefined) {
      crew.loaded.set(program, number)
      this.collected.register(program, number)
    }
  }

  /** What happened to a worker while a program was running, as a clause. */
  private failure(crew: Crew, thread: number): string {
    const { words } = this.memory
    if (thread < 1) {
      const silent = crew.workers
        .map((_, i) => i + 1)
        .filter((i) => Atomics.load(words, (control.beats + LINE * i + 4) >>> 2) === 0)
      return `no answer from worker thread ${silent.join(', ')}`
    }
    const length = Atomics.load(words, control.messageBytes >>> 2)
    const message = this.memory.bytes.slice(control.message, control.message + length)
    return `worker thread ${thread} failed: ${new TextDecoder().decode(message)}`
  }

  private isReady(): boolean {
    const { state } = this
    if (state.kind !== 'started') return false
    return Atomics.load(this.memory.words, control.ready >>> 2) >= state.crew.workers.length
  }

  private ended(crew: Crew, thread: number, reason: string): void {
    if (this.state.kind !== 'started' || this.state.crew !== crew) return
    const hadStarted = this.isReady()
    this.dismiss(crew)
    this.state = hadStarted
      ? { kind: 'failed', reason: `worker thread ${thread} ended: ${reason}` }
      : { kind: 'impossible' }
  }

  private dismiss(crew: Crew): void {
    Atomics.store(this.memory.words, control.crew >>> 2, 0)
    for (const worker of crew.workers) worker.terminate()
  }

  /** Ends the workers after one has failed, and waits until the others touch memory no more. */
  private abandon(crew: Crew): void {
    const { words } = this.memory
    Atomics.compareExchange(words, control.failed >>> 2, 0, -1)
    Atomics.notify(words, control.generation >>> 2)
    const others = crew.workers.length - 1
    const until = performance.now() + TIME_TO_LEAVE
    while (Atomics.load(words, control.left >>> 2) < others && performance.now() < until);
    this.dismiss(crew)
  }

  private resetWords(): void {
    const { words } = this.memory
    // A job that workers of before may still wait for stays as it is.
    for (let address = control.job + 4; address < control.end; address += 4) {
      Atomics.store(words, address >>> 2, 0)
    }
  }
}

const workerFailed = (op: string, problem: string, cause?: unknown): DeviceError =>
  new DeviceError({
    op,
    problem,
    rule: 'the threads of the wasm device end with the program that started them',
    hint:
      'call again: new threads are started, and arrays other than donated ones are as they were; ' +
      'with ADJOINT_THREADS=1 there is only one thread',
    cause,
  })
