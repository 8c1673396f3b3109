/** The project's own equivalence suite on the WebGPU device: every primitive, and whole programs. */
import { setDevice } from '@adjoint/core'
import { describe, it, vi } from 'vitest'
import { equivalence } from '../equivalence'
import { primitiveCases } from './primitives'
import { suitePrograms } from './programs'

/** The test run has said so where there is no adapter: see scripts/webgpu. */
const hasGpu = process.env.ADJOINT_WEBGPU !== ''
if (hasGpu) {
  await setDevice('webgpu')
  setDevice('wasm')
}

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

/** The first call of each primitive: a software driver is slow, and `pnpm equivalence` tries more. */
const firstCalls = primitiveCases('webgpu', 1)

describe.runIf(hasGpu)('webgpu = reference', () => {
  for (const { name, f, args, options } of [...firstCalls, ...suitePrograms]) {
    it(name, async () => {
      await equivalence(name, f, args(), { ...options, devices: ['webgpu'] })
    })
  }
})
