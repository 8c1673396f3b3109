/**
 * WebGPU where libraries look for it: `navigator.gpu` and the names that browsers have. In Node they
 * come from the package `webgpu`, which belongs to `core`.
 */
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface Adapter {
  readonly name: string
  /** A driver that computes on the processor. */
  readonly software: boolean
}

interface Binding {
  create(this: void, flags: readonly string[]): GPU
  readonly globals: object
}

const isBinding = (value: unknown): value is Binding =>
  typeof value === 'object' && value !== null && 'create' in value && 'globals' in value

/** Answers the adapter that everybody gets who asks for a fast one. */
export async function provideWebGpu(): Promise<Adapter> {
  const core = fileURLToPath(import.meta.resolve('@adjoint/core/package.json'))
  const binding: unknown = await import(pathToFileURL(createRequire(core).resolve('webgpu')).href)
  if (!isBinding(binding)) throw new Error('the package webgpu is not what it was')
  Object.assign(globalThis, binding.globals)
  Object.defineProperty(navigator, 'gpu', { value: binding.create([]) })
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) throw new Error('no adapter')
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info
  return { name: description || `${vendor} ${architecture}`, software: isFallbackAdapter }
}
