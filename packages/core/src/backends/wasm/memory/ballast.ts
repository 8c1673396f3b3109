/**
 * Makes the engine see how large arrays are.
 *
 * To a garbage collector an array in linear memory is an object of a few words, so it has no reason
 * to look for dead ones, and memory would grow to the budget before it does. Ballast is address
 * space that is reserved on the host and never touched: it takes no memory, but the engine counts
 * it, and collects when much of it has come up since it last did. The blocks of dead arrays then
 * come back while they are still in the cache.
 */

/** Arrays smaller than this share a piece of ballast, because reserving one takes some microseconds. */
const PIECE = 1 << 20

/** Only resizable buffers are reserved without being filled with zeros. */
const canReserve = 'resizable' in ArrayBuffer.prototype

interface Piece {
  readonly reserved: ArrayBuffer | null
  readonly bytes: number
  /** Bytes that no small array has taken. */
  left: number
}

/** What an array holds for as long as it is in linear memory. */
export type Weight = Piece

const SPARES = 8

export class Ballast {
  /** What small arrays take their weight from. */
  private shared: Piece = { reserved: null, bytes: 0, left: 0 }
  private spares: Piece[] = []

  /** The weight of an array of this size. */
  weigh(bytes: number): Weight {
    if (bytes >= PIECE) return this.piece(bytes)
    if (bytes > this.shared.left) this.shared = this.piece(PIECE)
    this.shared.left -= bytes
    return this.shared
  }

  /**
   * Takes back the weight of an array of this size that was ended before it was collected, so that
   * programs that end their arrays themselves give no reason to collect.
   */
  giveBack(weight: Weight, bytes: number): void {
    if (bytes < PIECE) {
      weight.left += bytes
      if (weight === this.shared || weight.left < weight.bytes) return
    }
    if (this.spares.length < SPARES) this.spares.push(weight)
  }

  /** A piece that nobody has taken anything of. */
  private piece(bytes: number): Piece {
    const spare = this.spares.findIndex((piece) => piece.bytes === bytes)
    return this.spares.splice(spare, spare < 0 ? 0 : 1)[0] ?? reserved(bytes)
  }
}

const reserved = (bytes: number): Piece => ({ reserved: reserve(bytes), bytes, left: bytes })

function reserve(bytes: number): ArrayBuffer | null {
  if (!canReserve) return null
  try {
    const options: ResizableOptions = { maxByteLength: bytes }
    return Reflect.construct(ArrayBuffer, [bytes, options]) as ArrayBuffer
  } catch {
    // No address space left to reserve; arrays are then found dead when others are.
    return null
  }
}

/** The second argument of `ArrayBuffer` since ES2024. */
interface ResizableOptions {
  readonly maxByteLength: number
}
