/** Starts main.ts in a process that finds a driver for the WebGPU device. */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { driverVariables } from '../webgpu/driver.ts'

const { status } = spawnSync(
  process.execPath,
  ['--import', './scripts/run-source.mjs', resolve(import.meta.dirname, 'main.ts')],
  { stdio: 'inherit', env: { ...process.env, ...driverVariables() } },
)
process.exitCode = status ?? 1
