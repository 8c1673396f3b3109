/**
 * `pnpm bench:tune` tries every way to divide matrix products among the workgroups of the GPU, and
 * prints how fast each is: `strategy.ts` of the contraction kernels should choose the fastest.
 *
 *   pnpm bench:tune [--software] [--sizes 512x512x512,128x10x256]
 *
 * Sizes are rows, columns and the length of the sums. The driver is found through variables that a
 * process starts with, so the measuring is done in another one.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { adapterName } from './benchmark'
import { findGpu } from './gpu'

const { values: flags } = parseArgs({
  options: { software: { type: 'boolean', default: false }, sizes: { type: 'string' } },
})

function refuse(problem: string): never {
  console.error(problem)
  process.exit(2)
}

/** Squares, and products of the models' training steps. */
const usual = {
  gpu: '256x256x256,512x512x512,1024x1024x1024,2048x2048x2048,4096x4096x4096,128x512x784,784x512x128,1024x384x128,128x512x1024,50176x16x9',
  software: '64x64x64,128x128x128',
}

const gpu = findGpu({ software: flags.software })
if (gpu === null) refuse('WebGPU finds no adapter here, not even that of the software driver')
const sizes = flags.sizes ?? (gpu.software ? usual.software : usual.gpu)
if (!sizes.split(',').every((size) => /^[1-9]\d*(x[1-9]\d*){2}$/.test(size))) {
  refuse('--sizes is a list like 512x512x512,128x10x256: rows, columns, length of the sums')
}
console.log(`on ${adapterName(gpu)}; GFLOP/s, the best of several samples; * is what is chosen`)
const { status } = spawnSync(
  process.execPath,
  [...process.execArgv, fileURLToPath(new URL('tune-contractions.ts', import.meta.url)), sizes],
  { stdio: 'inherit', env: { ...process.env, ...gpu.variables } },
)
process.exit(status ?? 1)
