/** GPU buffers, kept by size for the next array that needs one. */
import { OutOfMemoryError } from '../../types/errors'
import { USAGE } from './constants'
import { type Outcome, watched } from './outcome'

/** Memory of one array. */
export interface Block {
  readonly buffer: GPUBuffer
  readonly bytes: number
  /** What became of creating it. */
  readonly outcome: Outcome
  /** Distinguishes buffers in keys. */
  readonly id: number
  /** Whether it is in the pool. */
  free: boolean
}

const SMALLEST = 256

/** Sizes come in quarters of powers of two, so at most a fifth of a block is unused. */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST
  const power = 2 ** Math.floor(Math.log2(bytes))
  const step = Math.max(SMALLEST, power / 4)
  return Math.ceil(bytes / step) * step
}

/** Bytes that may wait in the pool: as much as is in use, and this much in any case. */
const ALWAYS_KEPT = 64 * 2 ** 20

export class BufferPool {
  private readonly spare = new Map<number, Block[]>()
  private spareBytes = 0
  private usedBytes = 0
  private made = 0

  /** The most bytes of an array: a kernel must be able to bind it. */
  private readonly largest: number

  constructor(private readonly device: GPUDevice) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits
    this.largest = Math.min(maxBufferSize, maxStorageBufferBindingSize)
  }

  acquire(
    bytes: number,
    what: { toString(): string },
    op: string,
    largest: number = this.largest,
  ): Block {
    const size = sizeClass(bytes)
    if (bytes > largest) {
      throw new OutOfMemoryError({
        op,
        problem: `no buffer of the adapter holds ${bytes} bytes`,
        operands: [{ name: 'array', aval: what }],
        rule: `a buffer has at most ${largest} bytes on this adapter; an element takes 4`,
        hint: 'use smaller arrays, or the wasm device',
      })
    }
    const held = Math.min(size, largest)
    this.usedBytes += held
    const block = this.spare.get(held)?.pop()
    if (block !== undefined) {
      this.spareBytes -= held
      block.free = false
      return block
    }
    return this.create(held, what, op)
  }

  private create(bytes: number, what: { toString(): string }, op: string): Block {
    const { made: buffer, outcome } = watched(
      this.device,
      'out-of-memory',
      (cause) =>
        new OutOfMemoryError({
          op,
          problem: `the device has no memory for ${bytes} bytes`,
          operands: [{ name: 'array', aval: what }],
          hint: 'dispose of arrays, donate arguments, or use smaller batches',
          cause,
        }),
      () =>
        this.device.createBuffer({
          size: bytes,
          usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget,
        }),
    )
    return { buffer, bytes, outcome, id: ++this.made, free: false }
  }

  /** Takes back a block that no work to come will use. */
  release(block: Block): void {
    if (block.free) return
    block.free = true
    this.usedBytes -= block.bytes
    if (
      this.spareBytes + block.bytes > Math.max(ALWAYS_KEPT, this.usedBytes) ||
      block.outcome.failed
    ) {
      block.buffer.destroy()
      return
    }
    this.spareBytes += block.bytes
    const others = this.spare.get(block.bytes)
    if (others === undefined) this.spare.set(block.bytes, [block])
    else others.push(block)
  }

  get use(): { readonly used: number; readonly spare: number } {
    return { used: this.usedBytes, spare: this.spareBytes }
  }
}
