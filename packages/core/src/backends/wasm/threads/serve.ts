/** What a worker does for as long as it lives. */
import type { control } from './control'

/** What a worker is given when it starts. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory
  /** Its number: 1 or more, since the thread that uses the library is number 0. */
  readonly thread: number
  /** Which workers it belongs to. */
  readonly crew: number
  /** The address of every control word. */
  readonly at: typeof control
}

/**
 * Waits for jobs and does its share of them, for ever.
 *
 * This function may refer to nothing outside of itself: where a worker cannot be started from a
 * file, it is started from this function's text.
 */
export function serve({ memory, thread, crew, at }: WorkerStart): void {
  type Run = (block: number, thread: number, threads: number, maySleep: number) => void
  const words = new Int32Array(memory.buffer, 0, at.end >>> 2)
  const read = (address: number): number => Atomics.load(words, address >>> 2)
  const add = (address: number, amount: number): number => Atomics.add(words, address >>> 2, amount)
  const programs = new Map<number, Run>()

  /** A copy of some bytes of memory, since engines do not compile or decode what is shared. */
  const copy = (start: number, bytes: number): Uint8Array<ArrayBuffer> => {
    // That memory has grown is seen in the first turn of a loop, if not before.
    while (memory.buffer.byteLength < start + bytes);
    return new Uint8Array(memory.buffer, start, bytes).slice()
  }

  const load = (): Run => {
    const code = copy(read(at.code), read(at.codeBytes))
    const module = new WebAssembly.Module(code)
    // Only thread 0 asks what time it is.
    const env = { memory, clock: () => undefined }
    const { run } = new WebAssembly.Instance(module, { env }).exports
    if (typeof run !== 'function') throw new Error('a program exports its entry')
    return run as Run
  }

  const forget = (): void => {
    const numbers = copy(read(at.forgotten), 4 * read(at.forgottenCount))
    for (const program of new Int32Array(numbers.buffer)) programs.delete(program)
  }

  /**
   * Milliseconds to turn before it sleeps: the next job often comes at once, or when garbage has been
   * collected, and who sleeps may wake on the core that has the job's other threads. Where turning
   * was in vain it is shorter the next time, since it may be these threads whose core it takes.
   */
  let patience = 4

  const nextJob = (done: number): number => {
    const until = performance.now() + patience
    do {
      for (let turn = 0; turn < 200; turn++) {
        const job = read(at.job)
        if (job !== done) {
          patience = Math.min(4, 2 * patience)
          return job
        }
      }
    } while (performance.now() < until)
    patience = Math.max(0.1, patience / 4)
    Atomics.wait(words, at.job >>> 2, done)
    return read(at.job)
  }

  const isDismissed = (): boolean => read(at.crew) !== crew
  if (isDismissed()) return
  let job = read(at.job)
  add(at.ready, 1)
  try {
    for (;;) {
      const next = nextJob(job)
      if (next === job) continue
      job = next
      if (isDismissed()) return
      if (read(at.forgottenCount) > 0) forget()
      const program = read(at.program)
      let run = programs.get(program)
      if (run === undefined) programs.set(program, (run = load()))
      run(read(at.block), thread, read(at.threads), 1)
    }
  } catch (error) {
    // Whoever waits at a barrier must not do so for ever.
    if (isDismissed()) return
    if (Atomics.compareExchange(words, at.failed >>> 2, 0, thread) === 0) {
      const room = new Uint8Array(at.beats - at.message)
      const { written } = new TextEncoder().encodeInto(String(error), room)
      new Uint8Array(memory.buffer).set(room, at.message)
      Atomics.store(words, at.messageBytes >>> 2, written)
    }
    add(at.beats + 64 * thread + 4, 1)
    add(at.left, 1)
    Atomics.notify(words, at.generation >>> 2)
    throw error
  }
}
