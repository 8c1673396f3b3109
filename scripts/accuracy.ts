/**
 * `pnpm docs:accuracy`: writes docs/accuracy.md, the errors of the elementary and special functions
 * as the WebAssembly device computes them on this machine.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { format } from 'prettier'
import { wasmFeatures } from '../packages/core/src/backends/wasm/emit/index.ts'
import {
  measureAccuracy,
  measuredFunctions,
} from '../packages/core/src/backends/wasm/math/testing/accuracy.ts'
import type { MeasuredFunction } from '../packages/core/src/backends/wasm/math/testing/accuracy.ts'

const SAMPLES = { f32: 200_000, f64: 3_000 }

const remarks: Partial<Record<MeasuredFunction, string>> = {
  lgamma: 'for x < 0 in units of max(1, \\|f\\|): the zeros there are no floats',
  digamma: 'for x < 0 in units of max(1, \\|f\\|): the zeros there are no floats',
  rem: 'exact',
}

const argument = (at: readonly number[]): string => at.map((x) => x.toPrecision(6)).join(', ')

function row(f: MeasuredFunction): string {
  const cells = (['f32', 'f64'] as const).map((type) => {
    const modes = wasmFeatures().relaxed ? [true, false] : [false]
    const [first, ...others] = modes.map((relaxed) =>
      measureAccuracy(f, type, { relaxed }, SAMPLES[type]),
    )
    if (!first) throw new Error('there is at least one mode')
    const worst = others.reduce((a, b) => (b.ulp > a.ulp ? b : a), first)
    return worst.ulp === 0 ? '0 | ' : `${worst.ulp.toFixed(2)} | ${argument(worst.at)}`
  })
  return `| ${f} | ${cells.join(' | ')} | ${remarks[f] ?? ''} |`
}

const page = `# Accuracy of functions

The largest error that was found, in units in the last place of the exact result (0.5 is correct
rounding), and where. Arguments cover the whole range of each format, densely where a function has
structure and next to the points where it is hard. f64 is compared with values computed in integers
of any precision, f32 with f64. Both ways to compile are measured, with fused multiply-add (relaxed
SIMD) and without; the worse of the two is shown.

Written by \`pnpm docs:accuracy\`; the tests hold the functions to bounds close to these.

| function | f32 | at | f64 | at | |
| --- | --- | --- | --- | --- | --- |
${measuredFunctions.map(row).join('\n')}

Infinities, NaN, −0 and subnormal numbers keep their meaning everywhere. Arguments of sine, cosine
and tangent may be of any size.
`

const formatted = await format(page, { parser: 'markdown', printWidth: 100 })
writeFileSync(resolve(import.meta.dirname, '../docs/accuracy.md'), formatted)
