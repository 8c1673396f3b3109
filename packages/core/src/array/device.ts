/** Devices: which there are, which one is current, and where programs run. */
import type { Backend } from '../backends/backend'
import { DeviceError } from '../types/errors'

export type DeviceName = 'wasm' | 'reference' | 'webgpu'

export interface DeviceDescription {
  readonly name: DeviceName
  /** Whether it is the one that programs run on unless their arrays were placed elsewhere. */
  readonly current: boolean
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

/**
 * Chooses the device that programs run on from now on. Arrays made before are brought over when
 * they are used; arrays placed by `devicePut` stay where they are and programs follow them.
 *
 * @example
 * setDevice('reference')
 * devices().find(({ current }) => current)?.name // reference
 * setDevice('wasm')
 * @throws DeviceError when this machine has no such device
 */
export function setDevice(name: DeviceName): void {
  backendNamed(name)
  currentName = name
}

/** Runs `f` with another current device. */
export function withDevice<T>(name: DeviceName, f: () => T): T {
  const saved = currentName
  setDevice(name)
  try {
    return f()
  } finally {
    currentName = saved
  }
}

export const currentDeviceName = (): DeviceName => currentName

/** The devices of this machine. */
export const devices = (): readonly DeviceDescription[] =>
  [...factories.keys()].map((name) => ({ name, current: name === currentName }))
