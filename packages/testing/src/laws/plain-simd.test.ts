/**
 * Engines without relaxed SIMD multiply and add in two roundings. The walk over the registry on a
 * WebAssembly device that does so too: other kernels, the same laws.
 */
import { np, setDevice } from '@adjoint/core'
import {
  checkPasses,
  createWasmBackend,
  registerDevice,
  registeredPrimitives,
} from '@adjoint/core/internal'
import { primitiveSamples } from '@adjoint/core/samples'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devicesAgree, programs, runs as runsOf } from '../random-programs.fixture'
import { compiledBatchedGradientIsReference, compiledIsReference, runs } from './laws.fixture'

// Test files do not share modules, and the device is made on first use: only this file is concerned.
registerDevice('wasm', () => createWasmBackend({ relaxedSimd: false }))

beforeAll(() => {
  checkPasses(true)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  setDevice('wasm')
})

it('the device uses no relaxed instruction, where the other one does', () => {
  setDevice('wasm')
  const text = jit((x: ReturnType<typeof np.zeros>) => np.matmul(x, x))
    .lower(np.zeros([32, 32]))
    .text('wat')
  setDevice('reference')
  expect(text).toMatch(/f32x4\.mul/)
  expect(text).not.toMatch(/relaxed/)
})

it('random programs compute what they compute on the reference', () => {
  fc.assert(fc.property(programs(2, 1), devicesAgree), runsOf(15))
})

const sampled = registeredPrimitives().flatMap((primitive) => {
  const samples = primitiveSamples.get(primitive.name)
  return samples ? [[primitive.name, primitive, samples] as const] : []
})

describe.each(sampled)('%s', (name, primitive, samples) => {
  // The same floating instructions serve both, so derivatives need trying only where sums of
  // products are: their kernels are what relaxed SIMD changes.
  const contracts = name === 'dot_general' || name === 'conv_general_dilated'
  it('compiled = reference, also at the edges of the domain', () => {
    fc.assert(
      fc.property(samples.edges, (sample) => compiledIsReference(primitive, sample)),
      runs,
    )
  })
  if (contracts) {
    it('the compiled gradient of a batch = the reference one', () => {
      fc.assert(
        fc.property(samples.smooth, (sample) =>
          compiledBatchedGradientIsReference(primitive, sample),
        ),
        runs,
      )
    })
  }
})
