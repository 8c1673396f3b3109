/** The devices that a machine has. */
import { type AdjointError, DeviceError, type DeviceName } from '@adjoint/core'
import { openWebGpu } from '@adjoint/core/internal'

/** All that are compared with the reference. */
export const everyDevice: readonly DeviceName[] = ['wasm', 'webgpu']

/** A device that cannot run a program here. */
export interface NotCompared {
  readonly device: DeviceName
  readonly reason: string
}

/** What was wrong and what would help, in one line. */
export function reasonOf({ message, hint }: AdjointError): string {
  const [problem] = message.split('\n')
  return hint === undefined ? problem : `${problem} (${hint})`
}

/**
 * Opens the GPU where it is wanted. One that was named must be there; otherwise a machine may lack it.
 *
 * @throws DeviceError where a GPU that was named cannot be had
 */
export async function openDevices(
  wanted: readonly DeviceName[],
  named: boolean,
): Promise<{ readonly open: readonly DeviceName[]; readonly missing: readonly NotCompared[] }> {
  if (!wanted.includes('webgpu')) return { open: wanted, missing: [] }
  try {
    await openWebGpu()
    return { open: wanted, missing: [] }
  } catch (error) {
    if (named || !(error instanceof DeviceError)) throw error
    const device = 'webgpu'
    return {
      open: wanted.filter((name) => name !== device),
      missing: [{ device, reason: reasonOf(error) }],
    }
  }
}
