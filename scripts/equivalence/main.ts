/**
 * `pnpm equivalence`: every primitive and a dozen whole programs on every device of this machine,
 * compared with the reference; writes reports/equivalence.html and reports/equivalence.json.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { np, setDevice } from '../../packages/core/src/index.ts'
import {
  backendNamed,
  createWasmBackend,
  openWebGpu,
  registerDevice,
  shareEverything,
} from '../../packages/core/src/internal.ts'
import { WebGpuBackend } from '../../packages/core/src/backends/webgpu/index.ts'
import { html } from './html.ts'
import { type CaseResult, runSuite } from './run.ts'
import type { DeviceName } from '../../packages/core/src/index.ts'

/** A device in one of its settings. */
interface Setting {
  readonly label: string
  readonly device: DeviceName
  readonly prepare: () => void | Promise<void>
}

/** A WebAssembly device that shares even the smallest loops between two threads. */
async function twoThreads(): Promise<void> {
  const backend = createWasmBackend({ threads: 2, sharing: shareEverything })
  registerDevice('wasm', () => backend)
  setDevice('wasm')
  const until = performance.now() + 20_000
  while (backend.runningThreads < 2 && performance.now() < until) {
    np.arange(100).add(1)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** What the adapter calls itself: results are those of its driver. */
function adapterName(): string {
  const backend = backendNamed('webgpu')
  if (!(backend instanceof WebGpuBackend)) throw new Error('another device is called webgpu')
  const { vendor, architecture, description } = backend.runtime.adapter.info
  return description || `${vendor} ${architecture}`
}

const settings: Setting[] = [
  {
    label: 'wasm',
    device: 'wasm',
    prepare: () => {
      registerDevice('wasm', () => createWasmBackend({ threads: 1 }))
    },
  },
  {
    label: 'wasm without relaxed SIMD',
    device: 'wasm',
    prepare: () => {
      registerDevice('wasm', () => createWasmBackend({ threads: 1, relaxedSimd: false }))
    },
  },
  { label: 'wasm on two threads', device: 'wasm', prepare: twoThreads },
]

try {
  await openWebGpu()
  settings.push({ label: `webgpu: ${adapterName()}`, device: 'webgpu', prepare: () => {} })
} catch (error) {
  console.error(`\n######## WEBGPU IS NOT COMPARED: ${String(error)} ########\n`)
}

/** How many calls of each primitive are tried. */
const CALLS = 3

const quiet = !process.stdout.isTTY
const results: CaseResult[] = []
for (const { label, device, prepare } of settings) {
  await prepare()
  results.push(
    ...(await runSuite(device, label, CALLS, (done, total) => {
      if (!quiet) process.stdout.write(`\r${label}: ${done} of ${total}`)
    })),
  )
  const own = results.filter((result) => result.device === label)
  const failed = own.filter(({ agrees }) => !agrees)
  console.log(`${quiet ? '' : '\r'}${label}: ${own.length - failed.length} of ${own.length} agree`)
  for (const { name, explanation } of failed) console.log(`\n${name}\n${explanation}`)
}

const folder = resolve(import.meta.dirname, '../../reports')
const labels = settings.map(({ label }) => label)
mkdirSync(folder, { recursive: true })
const page = resolve(folder, 'equivalence.html')
writeFileSync(page, html(results, labels))
writeFileSync(
  resolve(folder, 'equivalence.json'),
  `${JSON.stringify({ devices: labels, cases: results }, null, 2)}\n`,
)
console.log(`The report is in ${relative(process.cwd(), page)}.`)
// Threads and a GPU would keep the process.
process.exit(results.every(({ agrees }) => agrees) ? 0 : 1)
