/**
 * Makes the engine see how large arrays are.
 *
 * To a garbage collector an array in linear memory is an object of a few words, so it has no reason
 * to look for dead ones, and memory would grow to the budget before it does. Ballast is address
 * space that is reserved on the host and never touched: it takes no memory, but the engine counts
 * it, and collects when much of it has come up since it last did. The blocks of dead arrays then
 * come back while they are still in the cache.
 */

/** Small arrays share a piece of ballast, because reserving one takes some microseconds. */
const PIECE = 1 << 20

/** Only resizable buffers are reserved without being filled with zeros. */
const canReserve = 'resizable' in ArrayBuffer.prototype

interface Piece {
  readonly reserved: ArrayBuffer | null
  readonly bytes: number
  left: number
}

/** What an array holds for as long as it is in linear memory. */
export type Weight = Readonly<Piece>

const SPARES = 8

export class Ballast {
  private piece: Piece = { reserved: null, bytes: 0, left: 0 }
  private spares: Weight[] = []

  /** The weight of an array of this size. */
  weigh(bytes: number): Weight {
    const spare = this.spares.findIndex((weight) => weight.bytes === bytes)
    if (spare >= 0) return this.spares.splice(spare, 1)[0] ?? this.piece
    if (bytes <= this.piece.left) {
      this.piece.left -= bytes
      return this.piece
    }
    const size = Math.max(bytes, PIECE)
    const piece = { reserved: reserve(size), bytes: size, left: size - bytes }
    if (bytes < PIECE) this.piece = piece
    return piece
  }

  /** Takes back the weight of an array that was ended before it was collected. */
  giveBack(weight: Weight): void {
    if (weight.left === 0 && weight !== this.piece && this.spares.length < SPARES) {
      this.spares.push(weight)
    }
  }
}

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
