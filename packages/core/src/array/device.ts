/** Devices: which there are, which one is current, and where programs run. */
import type { Backend } from '../backends/backend'
import { DeviceError } from '../types/errors'

export type DeviceName = 'wasm' | 'reference' | 'webgpu'

export interface DeviceDescription {
  readonly name: DeviceName
  /** Whether it is the one that programs run on unless their arrays were placed elsewhere. */
  readonly current: boolean
}

export interface WasmDeviceOptions {
  /**
   * How many threads share large programs that are compiled from now on, from 1 to 32; the
   * environment variable ADJOINT_THREADS, or the number of cores up to 8, until it is set. Pages
   * have one thread unless they are cross-origin isolated.
   */
  readonly threads?: number
}

const factories = new Map<DeviceName, () => Backend>()
const backends = new Map<DeviceName, Backend>()
let currentName: DeviceName = 'wasm'

/**
 * Makes a device known; it is created on first use. One that had the name before is replaced, and
 * its arrays stay what they are.
 */
export function registerDevice(name: DeviceName, create: () => Backend): void {
  factories.set(name, create)
  backends.delete(name)
}

export function backendNamed(name: string, op = `setDevice('${name}')`): Backend {
  const known = backends.get(name as DeviceName)
  if (known) return known
  const create = factories.get(name as DeviceName)
  if (!create) {
    if (name === 'webgpu') throw notOpen(op)
    throw new DeviceError({
      op,
      problem: `this machine has no device '${name}'`,
      rule: `devices here: ${[...factories.keys()].join(', ')}`,
      hint: 'devices() lists what can be used',
    })
  }
  const backend = create()
  backends.set(name as DeviceName, backend)
  return backend
}

export const currentBackend = (): Backend => backendNamed(currentName)

const notOpen = (op: string): DeviceError =>
  new DeviceError({
    op,
    problem: 'the webgpu device is not open, or was lost',
    rule: 'a GPU is asked for asynchronously, and its code is loaded then',
    hint: "await setDevice('webgpu') first",
  })

/**
 * Chooses the device that programs run on from now on. Arrays made before are brought over when
 * they are used; arrays placed by `devicePut` stay where they are and programs follow them.
 *
 * `await setDevice('webgpu')` loads that device and asks for a GPU: the browser's, or in Node that of
 * the package webgpu. Arrays on it are read asynchronously, by `await x.data()`.
 *
 * `setDevice('wasm', { threads: 4 })` says how many threads share large programs. Results have the
 * same bits however many there are.
 *
 * @example
 * setDevice('reference')
 * devices().find(({ current }) => current)?.name // reference
 * setDevice('wasm')
 * @throws DeviceError when this machine has no such device
 * @throws ArgumentError when the number of threads is not a whole number from 1 to 32
 */
export function setDevice(name: 'webgpu'): Promise<void>
export function setDevice(name: 'wasm', options?: WasmDeviceOptions): void
export function setDevice(name: Exclude<DeviceName, 'webgpu'>): void
export function setDevice(name: DeviceName): void | Promise<void>
export function setDevice(
  name: DeviceName,
  { threads }: WasmDeviceOptions = {},
): void | Promise<void> {
  if (name === 'webgpu') return openWebGpu().then(() => void (currentName = name))
  const backend = backendNamed(name)
  if (threads !== undefined) backend.setThreads?.(threads)
  currentName = name
}

let opening: Promise<void> | null = null

/** Opens the GPU, unless it is open. */
export async function openWebGpu(): Promise<void> {
  if (backends.has('webgpu')) return
  opening ??= (async () => {
    const { createWebGpuBackend } = await import('../backends/webgpu/index')
    const backend = await createWebGpuBackend({
      // The next setDevice opens another one.
      onLost: () => {
        if (backends.get('webgpu') === backend) backends.delete('webgpu')
      },
    })
    backends.set('webgpu', backend)
  })()
  try {
    await opening
  } finally {
    opening = null
  }
}

/** Runs `f` with another current device. */
export function withDevice<T>(name: DeviceName, f: () => T): T {
  const saved = currentName
  backendNamed(name)
  currentName = name
  try {
    return f()
  } finally {
    currentName = saved
  }
}

export const currentDeviceName = (): DeviceName => currentName

/** The devices of this machine; `webgpu` once `setDevice` has found one. */
export const devices = (): readonly DeviceDescription[] =>
  [...new Set([...factories.keys(), ...backends.keys()])].map((name) => ({
    name,
    current: name === currentName,
  }))
