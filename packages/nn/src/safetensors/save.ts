/** Saving trees of arrays as safetensors. */
import { ArgumentError, tree } from '@adjoint/core'
import { checkOptions, NDArray } from '@adjoint/core/internal'
import { leafNames } from '../leaf-names'
import { bytesOfArray } from './elements'
import { type FileTask, fileTask, SafetensorsError } from './error'
import { calledOn, localPath, nodeFiles, replaceFile } from './files'
import { encodeHeader, formatOf, layOut, type TensorType } from './header'

export interface SaveOptions {
  /** Facts about the file, as text. `{ format: 'pt' }` is what some Python programs insist on. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Where a file is written to: a path or file URL in Node, a stream of bytes anywhere. */
export type SafetensorsTarget = string | URL | WritableStream<Uint8Array>

/**
 * Saves a tree of arrays: parameters, or everything that a training run needs to go on, such as
 * `{ params, optState, key, step }`. Numbers and booleans are saved as scalars. The tensors are named
 * by their paths, `params.layers.0.weight`.
 *
 * A file that is already there stays as it is until the new one is complete and on the disk. Arrays
 * are read one after the other, so do not donate them meanwhile.
 *
 * @param target a path or file URL in Node, or a WritableStream
 * @param value a tree of arrays
 * @returns a task: await it, or call it for a TaskEither's result
 * @throws SafetensorsError when two paths spell the same name, or when the file cannot be written
 * @example
 * import { tmpdir } from 'node:os'
 * const path = `${tmpdir()}/run.safetensors`
 * await saveSafetensors(path, { params: { w: np.ones([2]) }, key: random.key(0), step: 7 })
 */
export function saveSafetensors(
  target: SafetensorsTarget,
  value: unknown,
  options: SaveOptions = {},
): FileTask<void> {
  const op = calledOn('saveSafetensors', target)
  checkOptions(op, options, ['metadata'])
  return fileTask(op, async () => {
    const chunks = chunksOf(op, value, options)
    if (typeof target === 'string' || target instanceof URL) {
      const { fs, path } = localPath(op, target, await nodeFiles(op))
      await replaceFile(fs, path, chunks)
    } else {
      await writeStream(target, chunks)
    }
  })
}

/**
 * The bytes of a safetensors file, for a download, a database or a request.
 *
 * @param value a tree of arrays, as for `saveSafetensors`
 * @example
 * const blob = new Blob([await encodeSafetensors({ w: np.ones([2]) })])
 */
export function encodeSafetensors(
  value: unknown,
  options: SaveOptions = {},
): FileTask<Uint8Array<ArrayBuffer>> {
  const op = 'encodeSafetensors'
  checkOptions(op, options, ['metadata'])
  return fileTask(op, async () => {
    const parts: Uint8Array[] = []
    for await (const chunk of chunksOf(op, value, options)) parts.push(chunk)
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  })
}

async function writeStream(
  stream: WritableStream<Uint8Array>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const writer = stream.getWriter()
  try {
    for await (const chunk of chunks) await writer.write(chunk)
    await writer.close()
  } catch (error) {
    await writer.abort(error).catch(() => undefined)
    throw error
  }
}

/** The header, then the elements of one tensor after the other. */
async function* chunksOf(
  op: string,
  value: unknown,
  { metadata = {} }: SaveOptions,
): AsyncGenerator<Uint8Array> {
  const leaves = savedLeaves(op, value)
  const entries = layOut(leaves.map(({ type }) => type))
  yield encodeHeader(op, entries, metadata)
  const byName = new Map(leaves.map((leaf) => [leaf.type.name, leaf]))
  for (const { name } of entries) {
    const leaf = byName.get(name)
    if (leaf) yield await leaf.bytes()
  }
}

interface SavedLeaf {
  readonly type: TensorType
  readonly bytes: () => Promise<Uint8Array> | Uint8Array
}

function savedLeaves(op: string, value: unknown): readonly SavedLeaf[] {
  const { leaves, structure } = tree.flatten(value)
  const names = leafNames(structure)
  return leaves.map((leaf, i): SavedLeaf => {
    const name = names[i]
    if (leaf instanceof NDArray) {
      const format = formatOf(leaf.dtype)
      if (format === undefined) {
        throw new SafetensorsError({
          op,
          problem: `${name} is of dtype ${leaf.dtype}, which has no elements`,
          operands: [{ name, aval: leaf.aval }],
        })
      }
      return {
        type: { name, format, shape: leaf.shape },
        bytes: () => bytesOfArray(op, leaf),
      }
    }
    if (typeof leaf === 'number') {
      // Every JavaScript number is a double.
      return {
        type: { name, format: 'F64', shape: [] },
        bytes: () => new Uint8Array(Float64Array.of(leaf).buffer),
      }
    }
    if (typeof leaf === 'boolean') {
      return {
        type: { name, format: 'BOOL', shape: [] },
        bytes: () => Uint8Array.of(Number(leaf)),
      }
    }
    throw new ArgumentError({
      op,
      problem: `${name} is a ${typeof leaf}, which is not an array`,
      path: name,
      rule: 'the leaves of the tree are arrays, numbers or booleans',
      hint: 'text can go into the metadata',
    })
  })
}
