/**
 * `pnpm equivalence`: every primitive and a dozen whole programs on every device of this machine,
 * compared with the reference; writes reports/equivalence.html and reports/equivalence.json.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { createWasmBackend, registerDevice } from '../../packages/core/src/internal.ts'
import { html } from './html.ts'
import { type CaseResult, runSuite } from './run.ts'
import type { DeviceName } from '../../packages/core/src/index.ts'

/** A device in one of its settings. */
interface Setting {
  readonly label: string
  readonly device: DeviceName
  readonly prepare: () => void | Promise<void>
}

const settings: readonly Setting[] = [
  {
    label: 'wasm without relaxed SIMD',
    device: 'wasm',
    prepare: () => registerDevice('wasm', () => createWasmBackend({ relaxedSimd: false })),
  },
  {
    label: 'wasm',
    device: 'wasm',
    prepare: () => registerDevice('wasm', () => createWasmBackend()),
  },
]

const quiet = !process.stdout.isTTY
const results: CaseResult[] = []
for (const { label, device, prepare } of settings) {
  await prepare()
  results.push(
    ...(await runSuite(device, label, (done, total) => {
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
process.exitCode = results.every(({ agrees }) => agrees) ? 0 : 1
