/** Which adapter WebGPU has in a process like this one, as JSON: `node scripts/webgpu/adapter.mjs`. */
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const core = fileURLToPath(new URL('../../packages/core/package.json', import.meta.url))
try {
  const { create } = await import(pathToFileURL(createRequire(core).resolve('webgpu')).href)
  const gpu = create([])
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) throw new Error('no adapter: is there a Vulkan driver?')
  const { vendor, architecture, description, isFallbackAdapter: software } = adapter.info
  const name = [vendor, architecture, description].filter(Boolean).join(' ')
  console.log(JSON.stringify({ name, software, features: [...adapter.features] }))
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
