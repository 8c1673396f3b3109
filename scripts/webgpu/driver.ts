/**
 * The driver that tests and the equivalence report use: that of the machine's GPU, or on machines
 * without one SwiftShader, which the package @sparticuz/chromium carries as a compressed archive. It is
 * unpacked once, into node_modules/.cache.
 *
 * The dynamic loader reads its variables when a process starts, so they are set for child processes.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync } from 'node:zlib'

const root = fileURLToPath(new URL('../../', import.meta.url))

type Variables = Readonly<Record<string, string>>

/** What a process sees of WebGPU. */
export interface AdapterFacts {
  readonly name: string
  /** A driver without a GPU. */
  readonly software: boolean
  readonly features: readonly string[]
}

/** The adapter of a process with these variables, or why it has none. */
export function adapterWith(variables: Variables): AdapterFacts | string {
  const probe = fileURLToPath(new URL('./adapter.mjs', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [probe], {
    env: { ...process.env, ...variables },
    encoding: 'utf8',
  })
  if (status === 0) return JSON.parse(stdout) as AdapterFacts
  return stderr.trim().split('\n').at(-1) || `the probe ended with ${status}`
}

/**
 * The variables that a process needs to find its driver: none for the machine's own GPU, as long as it
 * has one, else those of the packaged driver. `VK_ICD_FILENAMES` names another driver, and
 * `ADJOINT_WEBGPU_DRIVER=software` asks for the packaged one.
 */
export function driverVariables(): Variables {
  const packaged = packagedDriver()
  if (process.env.ADJOINT_WEBGPU_DRIVER === 'software' || !hasDriver()) return packaged
  return gpuVariables(packaged) ?? packaged
}

/** How a process finds the machine's GPU: as it is, or with the Vulkan loader of the packaged driver. */
export function gpuVariables({ LD_LIBRARY_PATH }: Variables): Variables | null {
  const attempts: Variables[] = [{}]
  if (LD_LIBRARY_PATH !== undefined) attempts.push({ LD_LIBRARY_PATH })
  for (const variables of attempts) {
    const found = adapterWith(variables)
    if (typeof found !== 'string' && !found.software) return variables
  }
  return null
}

/** Whether a Vulkan driver is installed: asking for an adapter takes a second, looking does not. */
function hasDriver(): boolean {
  const { HOME, XDG_DATA_HOME, XDG_DATA_DIRS } = process.env
  const data = XDG_DATA_DIRS?.split(':') ?? ['/usr/local/share', '/usr/share']
  const own = XDG_DATA_HOME ?? (HOME === undefined ? undefined : join(HOME, '.local/share'))
  const folders = ['/usr/local/etc', '/etc', ...(own === undefined ? [] : [own]), ...data]
  return folders.some((folder) => {
    try {
      return readdirSync(join(folder, 'vulkan/icd.d')).some((name) => name.endsWith('.json'))
    } catch {
      return false
    }
  })
}

/** The variables for the packaged driver; none where there is no such driver, or another one is named. */
export function packagedDriver(): Variables {
  const usual = process.platform === 'linux' && process.arch === 'x64'
  if (!usual || process.env.VK_ICD_FILENAMES !== undefined) return {}
  const folder = unpacked()
  const { LD_LIBRARY_PATH } = process.env
  return {
    LD_LIBRARY_PATH: LD_LIBRARY_PATH ? `${folder}:${LD_LIBRARY_PATH}` : folder,
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
  }
}

function unpacked(): string {
  const entry = createRequire(join(root, 'package.json')).resolve('@sparticuz/chromium')
  const home = dirname(dirname(entry))
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    readonly version: string
  }
  const folder = join(root, 'node_modules', '.cache', 'adjoint', `swiftshader-${version}`)
  if (existsSync(folder)) return folder
  // Under another name until it is complete: several processes may do this at the same time.
  const partial = `${folder}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  const archive = brotliDecompressSync(readFileSync(join(home, 'bin', 'swiftshader.tar.br')))
  for (const { name, content } of tarEntries(archive)) writeFileSync(join(partial, name), content)
  try {
    renameSync(partial, folder)
  } catch {
    // Another process was faster.
    rmSync(partial, { recursive: true })
  }
  return folder
}

/** The files of a tar archive: blocks of 512 bytes, a header each with name and size (in octal). */
function* tarEntries(archive: Buffer): Generator<{ name: string; content: Buffer }> {
  const text = (from: number, length: number): string =>
    archive.toString('latin1', from, from + length).replace(/\0.*$/s, '')
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const size = Number.parseInt(text(at + 124, 12), 8)
    const isFile = archive[at + 156] === 0 || archive[at + 156] === 0x30
    if (isFile) yield { name: text(at, 100), content: archive.subarray(at + 512, at + 512 + size) }
    at += 512 + 512 * Math.ceil(size / 512)
  }
}
