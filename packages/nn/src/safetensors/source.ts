/** Where bytes come from: a file, a buffer, a Blob, a stream. Read once, from front to back. */
import { ArgumentError } from '@adjoint/core'
import { localPath, nodeFiles } from './files'

/**
 * A file's path or file URL (in Node), or its bytes: a buffer, a Blob (a `File` is one), or a stream
 * such as the body of a `fetch`.
 */
export type SafetensorsSource =
  string | URL | ArrayBuffer | ArrayBufferView | Blob | ReadableStream<Uint8Array>

export interface ByteSource {
  /** The bytes there are; null when only the end of a stream will tell. */
  readonly size: number | null
  /** The next bytes, in a buffer of their own; fewer than asked for at the end. */
  read(length: number): Promise<Uint8Array<ArrayBuffer>>
  skip(length: number): Promise<void>
  close(): Promise<void>
}

export async function openSource(op: string, source: SafetensorsSource): Promise<ByteSource> {
  if (typeof source === 'string' || source instanceof URL) return openFile(op, source)
  if (source instanceof ArrayBuffer) return bufferSource(new Uint8Array(source))
  if (ArrayBuffer.isView(source)) {
    return bufferSource(new Uint8Array(source.buffer, source.byteOffset, source.byteLength))
  }
  if (typeof Blob !== 'undefined' && source instanceof Blob) return blobSource(source)
  if (typeof ReadableStream !== 'undefined' && source instanceof ReadableStream) {
    return streamSource(source.getReader())
  }
  throw new ArgumentError({
    op,
    problem: `cannot read from ${source === null ? 'null' : `a ${typeof source}`}`,
    rule: 'a source is a path, a file URL, a buffer, a Blob or a ReadableStream of bytes',
    hint: 'of a Response take the body',
  })
}

const bufferSource = (bytes: Uint8Array): ByteSource => {
  let at = 0
  return {
    size: bytes.length,
    read: (length) => {
      const part = Uint8Array.from(bytes.subarray(at, at + length))
      at += part.length
      return Promise.resolve(part)
    },
    skip: (length) => {
      at += length
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}

const blobSource = (blob: Blob): ByteSource => {
  let at = 0
  return {
    size: blob.size,
    read: async (length) => {
      const part = new Uint8Array(await blob.slice(at, at + length).arrayBuffer())
      at += part.length
      return part
    },
    skip: (length) => {
      at += length
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}

/** Keeps what has arrived, never room for what is only promised. */
function streamSource(reader: ReadableStreamDefaultReader<Uint8Array>): ByteSource {
  let rest: Uint8Array = new Uint8Array(0)
  /** The next bytes that have arrived, at most so many; none at the end. */
  const next = async (length: number): Promise<Uint8Array> => {
    while (rest.length === 0) {
      const { done, value } = await reader.read()
      if (done) return rest
      rest = value
    }
    const part = rest.subarray(0, length)
    rest = rest.subarray(part.length)
    return part
  }
  const pieces = async (length: number, visit: (part: Uint8Array) => void): Promise<number> => {
    let arrived = 0
    while (arrived < length) {
      const part = await next(length - arrived)
      if (part.length === 0) break
      visit(part)
      arrived += part.length
    }
    return arrived
  }
  return {
    size: null,
    read: async (length) => {
      const parts: Uint8Array[] = []
      const bytes = new Uint8Array(await pieces(length, (part) => parts.push(part)))
      let at = 0
      for (const part of parts) {
        bytes.set(part, at)
        at += part.length
      }
      return bytes
    },
    skip: async (length) => {
      await pieces(length, () => undefined)
    },
    close: () => reader.cancel(),
  }
}

/** Node reads at most 2 GB at a time. */
const MOST_AT_ONCE = 2 ** 30

async function openFile(op: string, source: string | URL): Promise<ByteSource> {
  const { fs, path } = localPath(op, source, await nodeFiles(op))
  const handle = await fs.open(path, 'r')
  const status = await handle.stat()
  if (!status.isFile()) {
    await handle.close()
    throw new ArgumentError({ op, problem: 'that is not a file' })
  }
  let at = 0
  return {
    size: status.size,
    read: async (length) => {
      const bytes = new Uint8Array(length)
      let filled = 0
      while (filled < length) {
        const most = Math.min(length - filled, MOST_AT_ONCE)
        const { bytesRead } = await handle.read(bytes, filled, most, at)
        if (bytesRead === 0) break
        filled += bytesRead
        at += bytesRead
      }
      return filled === length ? bytes : bytes.slice(0, filled)
    },
    skip: (length) => {
      at += length
      return Promise.resolve()
    },
    close: () => handle.close(),
  }
}
