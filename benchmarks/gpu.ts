/** The GPU that a run measures on, or a driver that does as if. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { gpuVariables, packagedDriver } from '../scripts/webgpu/driver'
import type { Adapter } from './peers/node-gpu'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

export interface Gpu extends Adapter {
  /** What a process has to have in its environment to find it. */
  readonly variables: Readonly<Record<string, string>>
}

/** The adapter of a process with these variables, if it gets one. */
function adapterWith(variables: Readonly<Record<string, string>>): Gpu | null {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--import', path('../scripts/run-source.mjs'), path('peers/adapter.ts')],
    { env: { ...process.env, ...variables }, encoding: 'utf8' },
  )
  return status === 0 ? { ...(JSON.parse(stdout) as Adapter), variables } : null
}

/**
 * The machine's adapter: as the machine finds it, then with the Vulkan loader that comes with the
 * software driver. Without a GPU, or if `software` asks for it, the software driver itself.
 */
export function findGpu({ software }: { readonly software: boolean }): Gpu | null {
  const packaged = packagedDriver()
  return adapterWith((software ? null : gpuVariables(packaged)) ?? packaged)
}
