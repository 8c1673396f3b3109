/** Where WebGPU comes from: the browser, or the package `webgpu` in Node. */
import { DeviceError } from '../../types/errors'

/**
 * Node's `GPU` objects. Dawn ends with the object that `create` returned, and everything made with
 * it too, so they are kept for the life of the process.
 */
const kept: GPU[] = []

export async function requestAdapter(op: string): Promise<GPUAdapter> {
  const gpu = await findGpu(op)
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) {
    throw new DeviceError({
      op,
      problem: 'WebGPU is here, but it has no adapter',
      rule: 'an adapter is a GPU with its driver, or a software driver',
      hint: inNode()
        ? 'install a Vulkan driver, or name one in VK_ICD_FILENAMES before the process starts'
        : 'chrome://gpu, or about:support in Firefox, say why',
    })
  }
  return adapter
}

/** Whether WGSL has a feature that is part of the language, not of an adapter. */
export function languageHas(feature: string): boolean {
  const gpu = typeof navigator === 'object' && 'gpu' in navigator ? navigator.gpu : kept[0]
  return gpu?.wgslLanguageFeatures.has(feature) ?? false
}

async function findGpu(op: string): Promise<GPU> {
  if (typeof navigator === 'object' && 'gpu' in navigator) return navigator.gpu
  const [first] = kept
  if (first !== undefined) return first
  if (!inNode()) {
    throw new DeviceError({
      op,
      problem: 'this browser has no WebGPU',
      rule: 'WebGPU is in Chrome and Edge from 113, Safari from 26, Firefox from 141, on secure pages',
      hint: "stay on the 'wasm' device, which runs everywhere",
    })
  }
  const create = await nodeBinding(op)
  const gpu = create([])
  kept.push(gpu)
  return gpu
}

async function nodeBinding(op: string): Promise<(flags: readonly string[]) => GPU> {
  // A name that bundlers cannot see through: pages must not be asked to have the package.
  const name = ['web', 'gpu'].join('')
  try {
    const binding: unknown = await import(/* @vite-ignore */ /* webpackIgnore: true */ name)
    if (hasCreate(binding)) return binding.create
    throw new Error('the package has no function create')
  } catch (cause) {
    throw new DeviceError({
      op,
      problem: 'the package webgpu could not be loaded',
      rule: 'Node has no WebGPU of its own; the optional package webgpu brings it',
      hint: 'npm install webgpu',
      cause,
    })
  }
}

interface Binding {
  create(this: void, flags: readonly string[]): GPU
}

const hasCreate = (binding: unknown): binding is Binding =>
  typeof binding === 'object' &&
  binding !== null &&
  'create' in binding &&
  typeof binding.create === 'function'

const inNode = (): boolean =>
  typeof process === 'object' && typeof process.versions === 'object' && 'node' in process.versions
