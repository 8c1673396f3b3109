/** Workers that end, and processes that end while workers wait. */
import { execFile } from 'node:child_process'
import workerThreads from 'node:worker_threads'
import type { Worker } from 'node:worker_threads'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Recorder, scalar } from '../../../compiler/testing/programs'
import type { Jaxpr } from '../../../jaxpr/ir'
import { DeviceError } from '../../../types/errors'
import type { DeviceData } from '../../backend'
import { shareEverything } from '../codegen/sharing'
import { createWasmBackend } from '../index'
import type { WasmBackend } from '../index'
import { control } from './control'

const SIZE = 1 << 12

function doubled(): Jaxpr {
  const r = new Recorder()
  const x = r.input([SIZE])
  return r.jaxpr([r.binary('mul', x, r.broadcast(scalar(2), [SIZE], []))], 'doubled')
}

interface Started {
  readonly backend: WasmBackend
  readonly worker: Worker
  readonly words: Int32Array
  readonly run: () => DeviceData
}

/** A device with one worker, which is running. */
function start(): Started {
  const workers: Worker[] = []
  const memories: WebAssembly.Memory[] = []
  const { Worker: NodeWorker } = workerThreads
  vi.spyOn(workerThreads, 'Worker').mockImplementation(function (file, options) {
    const { memory }: { memory: WebAssembly.Memory } = (options ?? {}).workerData
    memories.push(memory)
    const worker = new NodeWorker(file, options)
    workers.push(worker)
    return worker
  })
  const backend = createWasmBackend({
    threads: 2,
    sharing: { ...shareEverything, patience: 1 },
  })
  const executable = backend.compile(doubled(), { donated: [false], name: 'doubled' })
  const [aval] = executable.inAvals
  if (!aval) throw new Error('a program with an input')
  const input = backend.fromHost(
    aval,
    Float32Array.from({ length: SIZE }, (_, i) => i),
  )
  const run = (): DeviceData => {
    const [result] = executable.run([input])
    if (!result) throw new Error('a program with a result')
    const data = backend.read(result)
    backend.release(result)
    return data
  }
  run()
  waitFor(backend)
  run()
  const [worker] = workers
  const [memory] = memories
  if (!worker || !memory) throw new Error('a worker was started')
  return { backend, worker, run, words: new Int32Array(memory.buffer) }
}

function waitFor(backend: WasmBackend): void {
  const until = performance.now() + 20_000
  while (backend.runningThreads < 2 && performance.now() < until);
  expect(backend.runningThreads).toBe(2)
}

const expected = Float32Array.from({ length: SIZE }, (_, i) => 2 * i)

/** The error names what happened, and afterwards everything is as before. */
function expectRecovery({ backend, run }: Started, problem: RegExp): void {
  let error: unknown
  try {
    run()
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(DeviceError)
  expect(String(error)).toMatch(problem)
  expect(run()).toEqual(expected)
  waitFor(backend)
  expect(run()).toEqual(expected)
  backend.setThreads(1)
}

afterEach(() => vi.restoreAllMocks())

describe('a worker that ends', () => {
  it('while nothing runs is reported by the next program', async () => {
    const started = start()
    await started.worker.terminate()
    expectRecovery(started, /doubled: worker thread 1 ended: it ended with code 1/)
  })

  it('without anybody noticing is given up after a while', () => {
    const started = start()
    void started.worker.terminate()
    expectRecovery(started, /no answer from worker thread 1/)
  })

  it('because of an error lets the others go on at once', () => {
    const started = start()
    const { words } = started
    // A job that no program belongs to.
    Atomics.store(words, control.program >>> 2, 1e6)
    Atomics.store(words, control.codeBytes >>> 2, 0)
    Atomics.add(words, control.job >>> 2, 1)
    Atomics.notify(words, control.job >>> 2)
    while (Atomics.load(words, control.left >>> 2) === 0);
    expectRecovery(started, /worker thread 1 failed: CompileError/)
  })
})

describe('a process', () => {
  it('ends by itself while workers wait', async () => {
    const program = `
      import { np } from '@adjoint/core'
      import { createWasmBackend, registerDevice } from '@adjoint/core/internal'
      const backend = createWasmBackend({ threads: 2 })
      registerDevice('wasm', () => backend)
      const x = np.arange(1_000_000, { dtype: 'float32' })
      while (backend.runningThreads < 2 && performance.now() < 15_000) np.add(x, 1).dispose()
      console.log(backend.runningThreads, np.max(np.add(x, 1)).item())
    `
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', './scripts/run-source.mjs', '--input-type=module', '-e', program],
      { cwd: `${import.meta.dirname}/../../../../../..`, timeout: 20_000 },
    )
    expect(stdout).toBe('2 1000000\n')
  }, 20_000)
})
