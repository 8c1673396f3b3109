/**
 * The walk over the registry on a WebAssembly device that shares even the smallest loops between two
 * threads: the same laws. That results have the same bits on one thread is tested in the backend.
 */
import { np, setDevice } from '@adjoint/core'
import {
  checkPasses,
  createWasmBackend,
  registerDevice,
  registeredPrimitives,
  shareEverything,
} from '@adjoint/core/internal'
import { primitiveSamples } from '@adjoint/core/samples'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devicesAgree, programs, runs as runsOf } from '../random-programs.fixture'
import { compiledBatchedGradientIsReference, compiledIsReference, runs } from './laws.fixture'

const backend = createWasmBackend({ threads: 2, sharing: shareEverything })
// Test files do not share modules, and the device is made on first use: only this file is concerned.
registerDevice('wasm', () => backend)

beforeAll(() => {
  checkPasses(true)
  setDevice('wasm')
  const until = performance.now() + 20_000
  while (backend.runningThreads < 2 && performance.now() < until) np.arange(100).add(1)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  backend.setThreads(1)
})

it('the device has two threads, and programs meet at barriers', () => {
  expect(backend.runningThreads).toBe(2)
  setDevice('wasm')
  const text = jit((x: ReturnType<typeof np.zeros>) => np.matmul(x, x))
    .lower(np.zeros([32, 32]))
    .text('wat')
  setDevice('reference')
  expect(text).toMatch(/memory\.atomic\.wait32/)
})

it('random programs compute what they compute on the reference', () => {
  fc.assert(fc.property(programs(2, 1), devicesAgree), runsOf(15))
})

const sampled = registeredPrimitives().flatMap((primitive) => {
  const samples = primitiveSamples.get(primitive.name)
  return samples ? [[primitive.name, primitive, samples] as const] : []
})

describe.each(sampled)('%s', (_name, primitive, samples) => {
  it('compiled = reference, also at the edges of the domain', () => {
    fc.assert(
      fc.property(samples.edges, (sample) => compiledIsReference(primitive, sample)),
      runs,
    )
  })
  it('the compiled gradient of a batch = the reference one', () => {
    fc.assert(
      fc.property(samples.smooth, (sample) =>
        compiledBatchedGradientIsReference(primitive, sample),
      ),
      runs,
    )
  })
})
