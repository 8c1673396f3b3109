/** Tests that need an adapter. Where there is none, the test run has said so in one loud line. */
import { describe } from 'vitest'

/** A group of tests for machines with an adapter for the WebGPU device: see scripts/webgpu. */
export const onGpu = describe.runIf(process.env.ADJOINT_WEBGPU !== '')
