/** Says which adapter the WebGPU tests will use, and its features: `node scripts/webgpu/adapter.mjs`. */
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const core = fileURLToPath(new URL('../../packages/core/package.json', import.meta.url))
try {
  const { create } = await import(pathToFileURL(createRequire(core).resolve('webgpu')).href)
  const gpu = create([])
  const adapter = await gpu.requestAdapter()
  if (adapter === null) throw new Error('no adapter: is there a Vulkan driver?')
  const { vendor, architecture, description } = adapter.info
  console.log([vendor, architecture, description].filter(Boolean).join(' '))
  console.log([...adapter.features].join(' '))
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
