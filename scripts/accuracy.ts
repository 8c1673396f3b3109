/**
 * `pnpm docs:accuracy`: writes docs/accuracy.md, the errors of the elementary and special functions
 * as the WebAssembly and WebGPU devices compute them on this machine.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { format } from 'prettier'
import { wasmFeatures } from '../packages/core/src/backends/wasm/emit/index.ts'
import {
  measureAccuracy,
  measuredFunctions,
} from '../packages/core/src/backends/wasm/math/testing/accuracy.ts'
import type { MeasuredFunction } from '../packages/core/src/backends/wasm/math/testing/accuracy.ts'
import { NodeRunner } from '../packages/core/src/backends/webgpu/kernels/run-node.fixture.ts'
import { measureOnGpu } from '../packages/core/src/backends/webgpu/wgsl/math/testing/accuracy.ts'
import { packagedDriver } from './webgpu/driver.ts'

// The packaged driver, whose roundings the page tells of, is found through variables that a process
// starts with.
const variables = packagedDriver()
if (Object.keys(variables).length > 0) {
  const { status } = spawnSync(process.execPath, [...process.execArgv, import.meta.filename], {
    env: { ...process.env, ...variables },
    stdio: 'inherit',
  })
  process.exit(status ?? 1)
}

const runner = await NodeRunner.open()

const SAMPLES = { f32: 200_000, f64: 3_000 }

const remarks: Partial<Record<MeasuredFunction, string>> = {
  lgamma: 'for x < 0 in units of max(1, \\|f\\|): the zeros there are no floats',
  digamma: 'for x < 0 in units of max(1, \\|f\\|): the zeros there are no floats',
  rem: 'exact',
}

const argument = (at: readonly number[]): string => at.map((x) => x.toPrecision(6)).join(', ')

async function row(f: MeasuredFunction): Promise<string> {
  const gpu = await measureOnGpu(runner, f, SAMPLES.f32)
  const onGpu = gpu.ulp === 0 ? '0 | ' : `${gpu.ulp.toFixed(2)} | ${argument(gpu.at)}`
  const cells = (['f32', 'f64'] as const).map((type) => {
    const modes = wasmFeatures().relaxed ? [true, false] : [false]
    const [first, ...others] = modes.map((relaxed) =>
      measureAccuracy(f, type, { relaxed }, SAMPLES[type]),
    )
    if (!first) throw new Error('there is at least one mode')
    const worst = others.reduce((a, b) => (b.ulp > a.ulp ? b : a), first)
    return worst.ulp === 0 ? '0 | ' : `${worst.ulp.toFixed(2)} | ${argument(worst.at)}`
  })
  return `| ${f} | ${cells.join(' | ')} | ${onGpu} | ${remarks[f] ?? ''} |`
}

const adapter = runner.description
const rows: string[] = []
for (const f of measuredFunctions) rows.push(await row(f))

const page = `# Accuracy of functions

The largest error that was found, in units in the last place of the exact result (0.5 is correct
rounding), and where. Arguments cover the whole range of each format, densely where a function has
structure and next to the points where it is hard. f64 is compared with values computed in integers
of any precision, f32 with f64. Both ways to compile are measured, with fused multiply-add (relaxed
SIMD) and without; the worse of the two is shown.

Written by \`pnpm docs:accuracy\`; the tests hold the functions to bounds close to these.

| function | f32 | at | f64 | at | f32 on WebGPU | at | |
| --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

Infinities, NaN, −0 and subnormal numbers keep their meaning everywhere. Arguments of sine, cosine
and tangent may be of any size.

On WebGPU, numbers below 2^-126 may count as zero: WGSL leaves that to the device. So it does with
the rounding of division (2.5 units) and of square roots, and the last three columns are what a
device says that rounds both well (\`${adapter}\`); elsewhere up to about two units come on top.
Whole quotients are exact everywhere. The tests compare devices with
[\`deviceTolerance\`](../packages/testing/src/tolerance.ts), the same on every device.
`

const formatted = await format(page, { parser: 'markdown', printWidth: 100 })
writeFileSync(resolve(import.meta.dirname, '../docs/accuracy.md'), formatted)
// Dawn would keep the process alive.
process.exit(0)
