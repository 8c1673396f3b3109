/** Before all tests: is there an adapter for the WebGPU device? */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export function setup(): void {
  const probe = fileURLToPath(new URL('./adapter.mjs', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [probe], { encoding: 'utf8' })
  const [adapter = '', features = ''] = status === 0 ? stdout.trim().split('\n') : []
  process.env.ADJOINT_WEBGPU = adapter
  process.env.ADJOINT_WEBGPU_FEATURES = features
  if (status === 0) {
    const missing = ['shader-f16', 'subgroups'].filter((name) => !features.split(' ').includes(name))
    if (missing.length > 0) {
      const names = missing.join(' and ').toUpperCase()
      console.error(`\n######## ${names} NOT TESTED: ${adapter} has no such feature ########\n`)
    }
    return
  }
  const why = stderr.trim().split('\n')[0] ?? 'unknown'
  console.error(`\n######## WEBGPU IS NOT TESTED: ${why} ########\n`)
  if (process.env.ADJOINT_REQUIRE_WEBGPU === '1') {
    throw new Error(`WebGPU has to be tested here (ADJOINT_REQUIRE_WEBGPU=1), but: ${why}`)
  }
}
