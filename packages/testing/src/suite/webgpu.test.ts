/** The project's own equivalence suite on the WebGPU device: whole programs. `laws/webgpu.test.ts` has every primitive. */
import { setDevice } from '@adjoint/core'
import { describe, it, vi } from 'vitest'
import { equivalence } from '../equivalence'
import { suitePrograms } from './programs'

/** The test run has said so where there is no adapter: see scripts/webgpu. */
const hasGpu = process.env.ADJOINT_WEBGPU !== ''
if (hasGpu) {
  await setDevice('webgpu')
  setDevice('wasm')
}

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

describe.runIf(hasGpu)('webgpu = reference', () => {
  for (const { name, f, args, options } of suitePrograms) {
    it(name, async () => {
      await equivalence(name, f, args(), { ...options, devices: ['webgpu'] })
    })
  }
})
