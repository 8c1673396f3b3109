/**
 * A Vulkan driver for machines without a GPU: SwiftShader, which the package @sparticuz/chromium
 * carries as a compressed archive. It is unpacked once, into node_modules/.cache.
 *
 * The dynamic loader reads its variables when a process starts, so they are set for child processes.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync } from 'node:zlib'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The variables that a process needs to find a driver; none where the machine's own is to be used. */
export function driverVariables(): Record<string, string> {
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
