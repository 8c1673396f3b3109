/** Before all tests: is there an adapter for the WebGPU device, and what does it have? */
import { adapterWith } from './driver.ts'

/** Tests of these run where the adapter has them. */
const OPTIONAL = ['shader-f16', 'subgroups']

export function setup(): void {
  // The variables of the driver are in the environment already: see vitest.config.ts.
  const adapter = adapterWith({})
  const found = typeof adapter !== 'string'
  process.env.ADJOINT_WEBGPU = found ? adapter.name : ''
  process.env.ADJOINT_WEBGPU_FEATURES = found ? adapter.features.join(' ') : ''
  if (found) {
    console.log(`WebGPU is tested on ${adapter.name}.`)
    const missing = OPTIONAL.filter((name) => !adapter.features.includes(name))
    if (missing.length === 0) return
    const names = missing.join(' AND ').toUpperCase()
    console.error(`\n######## NOT TESTED: ${names}, WHICH ${adapter.name} HAS NOT ########\n`)
    return
  }
  console.error(`\n######## WEBGPU IS NOT TESTED: ${adapter} ########\n`)
  if (process.env.ADJOINT_REQUIRE_WEBGPU === '1') {
    throw new Error(`WebGPU has to be tested here (ADJOINT_REQUIRE_WEBGPU=1), but: ${adapter}`)
  }
}
