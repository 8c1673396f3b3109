/**
 * Gives out pieces of linear memory.
 *
 * Two-level segregated fit (Masmano, Ripoll, Crespo and Real 2004): free blocks are kept in lists by
 * size class, four classes to each power of two, with bit maps of the lists that are not empty, so
 * that taking and returning a block takes a constant time. Neighbouring free blocks are joined.
 */

/** Addresses and sizes are multiples of this. */
export const ALIGNMENT = 64

/**
 * Large blocks are longer than whole pages by a fixed part of one, so that arrays which follow each
 * other begin at places of a page far apart. Processors compare the last twelve bits of addresses to
 * find out whether a load needs what a store before it writes: where a result lies a few cache lines
 * behind its operand in their pages, every load waits for a store that has nothing to do with it.
 */
const LARGE = 32 * 1024
const PAGE = 4096
const SHIFT = 19 * ALIGNMENT

function sizeFor(bytes: number): number {
  const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT)
  return size < LARGE ? size : size + ((PAGE + SHIFT - (size % PAGE)) % PAGE)
}

/** A piece of memory; `size` is what was set aside, not what was asked for. */
export interface Block {
  readonly address: number
  readonly size: number
}

class HeapBlock implements Block {
  free = false
  /** Neighbours in memory. */
  before: HeapBlock | null = null
  after: HeapBlock | null = null
  /** Neighbours in the list of a size class. */
  previous: HeapBlock | null = null
  next: HeapBlock | null = null

  constructor(
    public address: number,
    public size: number,
  ) {}
}

const CLASSES_PER_POWER = 4
/** Up to 2^32 bytes in units of 64. */
const POWERS = 27

const powerOf = (units: number): number => 31 - Math.clz32(units)

/** The class of a free block: sizes in it are at least its lower end. */
function classOf(units: number): number {
  const power = powerOf(units)
  if (power < 2) return power * CLASSES_PER_POWER
  return power * CLASSES_PER_POWER + ((units >>> (power - 2)) & (CLASSES_PER_POWER - 1))
}

/** The first class all of whose blocks are large enough. */
function classFor(units: number): number {
  const power = powerOf(units)
  if (power < 2) return classOf(units)
  const rounded = units + (1 << (power - 2)) - 1
  return classOf(rounded)
}

export class Heap {
  private readonly lists = new Array<HeapBlock | null>(POWERS * CLASSES_PER_POWER).fill(null)
  /** A bit for each class of a power of two that has free blocks. */
  private readonly filled = new Uint8Array(POWERS)
  private last: HeapBlock | null = null
  private usedBytes = 0

  /** Bytes that are given out. */
  get used(): number {
    return this.usedBytes
  }

  /** Adds memory from `start` to `end`; it must follow what was added before. */
  extend(start: number, end: number): void {
    if (end - start < ALIGNMENT) return
    const added = new HeapBlock(start, end - start)
    added.before = this.last
    if (this.last) this.last.after = added
    this.last = added
    this.usedBytes += added.size
    this.release(added)
  }

  /** A block of at least `bytes`, or null when there is none. */
  allocate(bytes: number): Block | null {
    const size = sizeFor(bytes)
    const units = size / ALIGNMENT
    const block = this.find(classFor(units)) ?? this.findFitting(classOf(units), size)
    if (!block) return null
    this.unlist(block)
    if (block.size > size) this.split(block, size)
    this.usedBytes += block.size
    return block
  }

  release(given: Block): void {
    if (!(given instanceof HeapBlock) || given.free) throw new Error('a block is released twice')
    this.usedBytes -= given.size
    let block = given
    const { before, after } = block
    if (after?.free) {
      this.unlist(after)
      this.join(block, after)
    }
    if (before?.free) {
      this.unlist(before)
      this.join(before, block)
      block = before
    }
    this.list(block)
  }

  private find(from: number): HeapBlock | null {
    const firstPower = Math.floor(from / CLASSES_PER_POWER)
    let mask = 0xf << (from % CLASSES_PER_POWER)
    for (let power = firstPower; power < POWERS; power++) {
      const candidates = (this.filled[power] ?? 0) & mask
      if (candidates !== 0) {
        const lowest = 31 - Math.clz32(candidates & -candidates)
        return this.lists[power * CLASSES_PER_POWER + lowest] ?? null
      }
      mask = 0xf
    }
    return null
  }

  /** A block of the class below, some of which are large enough. */
  private findFitting(at: number, size: number): HeapBlock | null {
    let block = this.lists[at] ?? null
    while (block && block.size < size) block = block.next
    return block
  }

  private split(block: HeapBlock, size: number): void {
    const rest = new HeapBlock(block.address + size, block.size - size)
    block.size = size
    rest.before = block
    rest.after = block.after
    if (block.after) block.after.before = rest
    else this.last = rest
    block.after = rest
    this.list(rest)
  }

  /** The second follows the first in memory and vanishes into it. */
  private join(first: HeapBlock, second: HeapBlock): void {
    first.size += second.size
    first.after = second.after
    if (second.after) second.after.before = first
    else this.last = first
  }

  private list(block: HeapBlock): void {
    const at = classOf(block.size / ALIGNMENT)
    const head = this.lists[at] ?? null
    block.free = true
    block.previous = null
    block.next = head
    if (head) head.previous = block
    this.lists[at] = block
    const power = Math.floor(at / CLASSES_PER_POWER)
    this.filled[power] = (this.filled[power] ?? 0) | (1 << (at % CLASSES_PER_POWER))
  }

  private unlist(block: HeapBlock): void {
    const at = classOf(block.size / ALIGNMENT)
    if (block.previous) block.previous.next = block.next
    else {
      this.lists[at] = block.next
      if (!block.next) {
        const power = Math.floor(at / CLASSES_PER_POWER)
        this.filled[power] = (this.filled[power] ?? 0) & ~(1 << (at % CLASSES_PER_POWER))
      }
    }
    if (block.next) block.next.previous = block.previous
    block.free = false
    block.previous = null
    block.next = null
  }
}
