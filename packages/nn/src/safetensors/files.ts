/** Files, where there are any: what Node has of them, and how one takes the place of another. */
import { DeviceError } from '@adjoint/core'

/** The part of `node:fs/promises` that is used. */
export interface FileSystem {
  open(path: string, flags: string, mode?: number): Promise<FileHandle>
  rename(from: string, to: string): Promise<void>
  rm(path: string, options: { readonly force: boolean }): Promise<void>
  realpath(path: string): Promise<string>
  stat(path: string): Promise<{ readonly mode: number }>
}

export interface FileHandle {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): Promise<{ readonly bytesWritten: number }>
  stat(): Promise<{ readonly size: number; isFile(): boolean }>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface NodeFiles {
  readonly fs: FileSystem
  fileURLToPath(url: URL): string
}

/**
 * Node's modules. Their names are values here, because a bundler for browsers follows every import
 * that it can read.
 */
export async function nodeFiles(op: string): Promise<NodeFiles> {
  if (typeof process === 'undefined' || typeof process.versions?.node !== 'string') {
    throw new DeviceError({
      op,
      problem: 'there are no files here',
      rule: 'paths are for Node',
      hint: 'load from (await fetch(url)).body or a Blob, save to a WritableStream or encodeSafetensors',
    })
  }
  const [files, url] = ['node:fs/promises', 'node:url']
  const fs = (await import(/* @vite-ignore */ files)) as FileSystem
  const { fileURLToPath } = (await import(/* @vite-ignore */ url)) as NodeFiles
  return { fs, fileURLToPath }
}

export const localPath = (
  op: string,
  target: string | URL,
  { fs, fileURLToPath }: NodeFiles,
): { readonly fs: FileSystem; readonly path: string } => {
  if (typeof target === 'string') return { fs, path: target }
  if (target.protocol === 'file:') return { fs, path: fileURLToPath(target) }
  throw new DeviceError({
    op,
    problem: `cannot open ${target.href}`,
    rule: 'URLs of files begin with file:',
    hint: 'pass the body of a fetch to load from the network',
  })
}

/** An operation with the file that it was called on, where that has a name. */
export function calledOn(op: string, file: unknown): string {
  if (typeof file === 'string') return `${op}('${file}')`
  if (file instanceof URL) return `${op}('${file.href}')`
  return typeof File !== 'undefined' && file instanceof File ? `${op}('${file.name}')` : op
}

let files = 0

/**
 * Writes a file in such a way that there is always a whole one under this path: the old one until
 * the new one is complete and on the disk, then the new one. A crash may leave a `.tmp` file behind.
 * Whoever may not read the old one may not read the new one either.
 *
 * Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), for why each step is needed.
 */
export async function replaceFile(
  fs: FileSystem,
  path: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  // A link goes on pointing to where it does.
  const target = await fs.realpath(path).catch(() => path)
  const unique = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${++files}`
  const temporary = `${target}.${unique}.tmp`
  const before = await fs.stat(target).catch(() => null)
  try {
    const handle = await fs.open(temporary, 'wx', before === null ? 0o666 : before.mode & 0o777)
    try {
      for await (const chunk of chunks) await writeWhole(handle, chunk)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, target)
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncDirectory(fs, target)
}

/** Node writes at most 2 GB at a time. */
const MOST_AT_ONCE = 2 ** 30

async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const most = Math.min(chunk.length - written, MOST_AT_ONCE)
    written += (await handle.write(chunk, written, most)).bytesWritten
  }
}

/** The new name lasts once the directory is on the disk. Some systems cannot open directories. */
async function syncDirectory(fs: FileSystem, target: string): Promise<void> {
  const directory = /^.*[\\/]/.exec(target)?.[0] ?? '.'
  const handle = await fs.open(directory, 'r').catch(() => null)
  if (handle === null) return
  await handle.sync().catch(() => undefined)
  await handle.close()
}
