/** Starting workers, in Node and in browsers. */
import { serve } from './serve'
import type { WorkerStart } from './serve'

/** A running worker, as far as we need it. */
export interface WorkerHandle {
  terminate(): void
}

/** Called when a worker ends or cannot start: never more than once for each. */
export type OnEnd = (reason: string) => void

/** `process.getBuiltinModule` is there from Node 20.16 on; other engines may lack any part of it. */
const builtins = typeof process === 'object' ? process.getBuiltinModule?.bind(process) : undefined

/** Cores that this process may use. */
export const coreCount = (): number =>
  builtins?.('node:os')?.availableParallelism() ??
  (typeof navigator === 'object' ? navigator.hardwareConcurrency : undefined) ??
  1

/** Whether this thread may sleep; a page's own thread may not. */
export const maySleep = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0)
    return true
  } catch {
    return false
  }
}

/**
 * Starts a worker, or answers null where that is not possible at all. `isReady` says whether it has
 * counted itself as ready since.
 */
export function startWorker(
  start: WorkerStart,
  isReady: () => boolean,
  onEnd: OnEnd,
): WorkerHandle | null {
  const workers = builtins?.('node:worker_threads')
  if (workers) return startInNode(workers.Worker, start, onEnd)
  if (typeof Worker === 'function') return startInBrowser(start, isReady, onEnd)
  return null
}

/** `serve` as a script of its own. Some tools that transform sources wrap functions in `__name`. */
const script = (call: string): string =>
  `const __name = (f) => f; const serve = ${String(serve)}; ${call}`

type NodeWorker = ReturnType<typeof process.getBuiltinModule<'node:worker_threads'>>['Worker']

function startInNode(NodeWorker: NodeWorker, start: WorkerStart, onEnd: OnEnd): WorkerHandle {
  const code = script("serve(require('node:worker_threads').workerData)")
  const worker = new NodeWorker(code, {
    eval: true,
    workerData: start,
    // Loaders and flags of the main program are no business of the worker's, and slow its start.
    execArgv: [],
    env: {},
    name: 'adjoint',
  })
  // The process may end while workers wait.
  worker.unref()
  once(onEnd, (end) => {
    worker.on('error', (error) => end(String(error)))
    worker.on('exit', (code) => end(`it ended with code ${code}`))
  })
  return { terminate: () => void worker.terminate() }
}

/**
 * From the file beside this one, which bundlers find by this very expression. Where they did not, or
 * where scripts come from another origin, from the text of `serve`.
 */
function startInBrowser(
  start: WorkerStart,
  isReady: () => boolean,
  onEnd: OnEnd,
): WorkerHandle | null {
  let current: Worker | null = null
  const begin = (worker: Worker, onFailure: OnEnd): void => {
    current = worker
    once(onFailure, (end) => {
      worker.addEventListener('error', (event) => {
        event.preventDefault()
        worker.terminate()
        end(event.message || 'its script could not be loaded')
      })
      worker.addEventListener('messageerror', () => end('it could not take shared memory'))
    })
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker takes none
    worker.postMessage(start)
  }
  const fromText = (): void => {
    const text = script('addEventListener("message", ({ data }) => serve(data), { once: true })')
    const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
    begin(new Worker(url), onEnd)
  }
  try {
    try {
      const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
      begin(worker, (reason) => (isReady() ? onEnd(reason) : tryOr(fromText, onEnd)))
    } catch {
      fromText()
    }
  } catch {
    return null
  }
  return { terminate: () => current?.terminate() }
}

function once(onEnd: OnEnd, listen: (end: OnEnd) => void): void {
  let ended = false
  listen((reason) => {
    if (ended) return
    ended = true
    onEnd(reason)
  })
}

function tryOr(action: () => void, onEnd: OnEnd): void {
  try {
    action()
  } catch (error) {
    onEnd(String(error))
  }
}
