/** What runs inside the browser: one large program, alone and on two threads. */
import { np, setDevice } from '@adjoint/core'
import { createWasmBackend, registerDevice, shareEverything } from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'

/** What the page reports of threads. */
export interface ThreadsReport {
  readonly isolated: boolean
  /** How many threads ran the program. */
  readonly threads: number
  /** Whether they computed what one thread computes, bit by bit. */
  readonly same: boolean
}

async function run(): Promise<ThreadsReport> {
  const backend = createWasmBackend({ threads: 2, sharing: shareEverything })
  registerDevice('wasm', () => backend)
  setDevice('wasm')
  const x = np.sin(np.arange(90_000, { dtype: 'float32' })).reshape([300, 300])
  const f = jit((y: typeof x) => np.sum(np.tanh(np.matmul(y, y.T)), { axis: 0 }))
  const alone = [...(await f(x).data())]
  // Workers start while the page waits.
  for (let waited = 0; waited < 100 && backend.runningThreads < 2; waited++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  let same = true
  for (let i = 0; i < 20; i++) {
    const together = await f(x).data()
    same &&= alone.every((value, at) => Object.is(value, together[at]))
  }
  return { isolated: globalThis.crossOriginIsolated, threads: backend.runningThreads, same }
}

Object.assign(globalThis, { adjointPage: run })
