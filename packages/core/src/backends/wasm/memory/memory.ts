/**
 * Linear memory as a cache of arrays.
 *
 * An array's elements are in a *cell*, and a cell is in linear memory or in an ArrayBuffer of the
 * host. Blocks return to the heap when a cell is released, or when its array was collected. Where
 * collection does not come round (finalizers do not run inside a synchronous loop), reaching the
 * budget moves the cells that were used longest ago to the host, whose memory the engine counts
 * and collects by itself. Moving back happens on the next use.
 *
 * Small arrays never come to live in linear memory: their elements are words on the host, which a
 * program call copies in and out. Copying 64 words costs less than setting a block aside and having
 * the engine watch for the end of the array.
 *
 * For that to work nothing here may keep a cell alive once its array is gone: linear memory knows
 * cells through their *residences*, which point to their cell only while it is here.
 */
import { OutOfMemoryError } from '../../../types/errors'
import type { Described } from '../../../types/errors'
import { READ_SLACK } from '../codegen/environment'
import { control } from '../threads/control'
import { Ballast } from './ballast'
import type { Weight } from './ballast'
import { ALIGNMENT, Heap } from './heap'
import type { Block } from './heap'

const PAGE = 65536
/** The start of memory is for the driver: flags, where threads meet, blocks of addresses. */
const RESERVED = PAGE
/** Where the block of addresses of a call is written, and how many entries there is room for. */
export const CALL_BLOCK = { address: control.end, entries: (RESERVED - control.end) / 4 } as const

/** Arrays of at most this size stay on the host. */
export const SMALL_BYTES = 256

/**
 * What a collected array leaves behind: enough to return its block, but not its cell. Those that
 * have a block form a ring, in the order of their last use.
 */
export class Residence {
  block: Block | null = null
  cell: Cell | null = null
  older: Residence = this
  newer: Residence = this
}

/** The elements of an array that lives in linear memory when it is used. */
export class Cell {
  /** The elements while they are not in linear memory. */
  host: Uint8Array<ArrayBuffer> | null = null
  lastUse = 0
  /** Held while the elements are in linear memory. */
  weight: Weight | null = null
  readonly residence = new Residence()

  constructor(readonly bytes: number) {}
}

/** The elements of a small array, as 32-bit words; the last one may be used in part only. */
export class SmallCell {
  constructor(
    readonly bytes: number,
    readonly words: readonly number[],
  ) {}
}

export interface MemoryOptions {
  /** The most bytes of linear memory to use. */
  readonly budget: number
  /** Whether threads may share the memory, where the engine can do that; false unless given. */
  readonly shared?: boolean
}

export interface MemoryUse {
  /** Bytes of linear memory that arrays and programs take. */
  readonly used: number
  /** Size of linear memory. It never shrinks. */
  readonly reserved: number
  readonly budget: number
  /** Cells in linear memory. */
  readonly cells: number
}

export class LinearMemory {
  readonly memory: WebAssembly.Memory
  private readonly heap = new Heap()
  /** Where the ring of residences begins and ends: its `newer` neighbour was used longest ago. */
  private readonly ends = new Residence()
  private residents = 0
  private readonly budget: number
  private clock = 0
  /** Cells used since then stay where they are. */
  private pinnedSince = 1
  private user = 'allocate'
  private bytesView: Uint8Array
  private wordsView: Int32Array
  private working: Block | null = null
  private readonly ballast = new Ballast()
  /** False from the time that arrays had to be moved until collected ones come back. */
  private collecting = true

  constructor({ budget, shared = false }: MemoryOptions) {
    this.budget = Math.floor(Math.min(budget, 65536 * PAGE) / PAGE) * PAGE
    const initial = RESERVED / PAGE
    this.memory =
      (shared ? sharedMemory(initial, Math.max(initial, this.budget / PAGE)) : null) ??
      new WebAssembly.Memory({ initial })
    this.bytesView = new Uint8Array(this.memory.buffer)
    this.wordsView = new Int32Array(this.memory.buffer)
  }

  /** Whether threads share the memory. */
  get isShared(): boolean {
    return !(this.memory.buffer instanceof ArrayBuffer)
  }

  /** All of linear memory. Ask again after anything that may allocate: growing detaches views. */
  get bytes(): Uint8Array {
    if (this.bytesView.length === 0) this.refresh()
    return this.bytesView
  }

  get words(): Int32Array {
    if (this.wordsView.length === 0) this.refresh()
    return this.wordsView
  }

  get use(): MemoryUse {
    return {
      used: this.heap.used,
      reserved: this.memory.buffer.byteLength,
      budget: this.budget,
      cells: this.residents,
    }
  }

  // ---- cells ----------------------------------------------------------------------------------

  /** Cells used from here on stay in linear memory until the next call. Errors name who uses them. */
  beginUse(op: string): void {
    this.user = op
    this.pinnedSince = ++this.clock
  }

  /** A cell in linear memory that holds anything. `what` is the array, for errors. */
  create(bytes: number, what: Described): Cell {
    const cell = new Cell(bytes)
    this.settle(cell, this.take(bytes, what))
    return cell
  }

  /** A cell that takes over elements on the host. */
  adopt(data: Uint8Array<ArrayBuffer>): Cell {
    const cell = new Cell(data.length)
    cell.host = data
    return cell
  }

  /** The address of a cell's elements, which are brought to linear memory if they are not there. */
  locate(cell: Cell, what: Described): number {
    const { block } = cell.residence
    if (block) {
      if (cell.lastUse !== this.clock) {
        cell.lastUse = this.clock
        this.unlink(cell.residence)
        this.linkAsNewest(cell.residence)
      }
      return block.address
    }
    const { host } = cell
    const taken = this.take(cell.bytes, what)
    this.settle(cell, taken)
    if (host) this.bytes.set(host, taken.address)
    cell.host = null
    return taken.address
  }

  /** The elements, wherever they are; valid until the next allocation. */
  view(cell: Cell): Uint8Array {
    const { block } = cell.residence
    if (block) return this.bytes.subarray(block.address, block.address + cell.bytes)
    return cell.host ?? new Uint8Array(0)
  }

  /** A new cell with the block of an old one, which is released. */
  transfer(old: Cell): Cell {
    const cell = new Cell(old.bytes)
    const { residence } = old
    const { block } = residence
    if (block) {
      this.leave(residence)
      cell.weight = old.weight
      this.settle(cell, block)
    } else cell.host = old.host
    old.host = null
    old.weight = null
    return cell
  }

  release(cell: Cell): void {
    cell.host = null
    const { block } = cell.residence
    if (cell.weight && block) this.ballast.giveBack(cell.weight, block.size)
    cell.weight = null
    this.vacate(cell.residence)
  }

  /** Returns the block of an array that was collected. */
  collected(residence: Residence): void {
    this.collecting = true
    this.vacate(residence)
  }

  private vacate(residence: Residence): void {
    const { block } = residence
    if (!block) return
    this.leave(residence)
    this.heap.release(block)
  }

  private leave(residence: Residence): void {
    residence.block = null
    residence.cell = null
    this.unlink(residence)
    this.residents--
  }

  private unlink(residence: Residence): void {
    const { older, newer } = residence
    older.newer = newer
    newer.older = older
    // What leaves the ring must not keep its former neighbours.
    residence.older = residence
    residence.newer = residence
  }

  private linkAsNewest(residence: Residence): void {
    const { ends } = this
    residence.newer = ends
    residence.older = ends.older
    ends.older.newer = residence
    ends.older = residence
  }

  private settle(cell: Cell, block: Block): void {
    const { residence } = cell
    residence.block = block
    residence.cell = cell
    cell.lastUse = this.clock
    if (this.collecting) cell.weight ??= this.ballast.weigh(block.size)
    this.linkAsNewest(residence)
    this.residents++
  }

  /** Moves a cell's elements to the host. */
  private evict(residence: Residence): void {
    const { block, cell } = residence
    if (!block || !cell) return
    cell.host = this.bytes.slice(block.address, block.address + cell.bytes)
    // Finalizers do not run now, so there is nothing to be gained by collecting more.
    cell.weight = null
    this.collecting = false
    this.vacate(residence)
  }

  // ---- memory of programs -----------------------------------------------------------------------

  /**
   * The address of memory for the temporaries of a program: one piece for all programs, as large as
   * the largest needed, because they run one after the other.
   */
  workingMemory(bytes: number): number {
    if (bytes === 0) return 0
    if (this.working && this.working.size >= bytes + READ_SLACK) return this.working.address
    if (this.working) this.heap.release(this.working)
    this.working = null
    this.working = this.take(bytes, `the temporaries of a program (${bytes} bytes)`)
    return this.working.address
  }

  /** Memory for bytes that are needed until `discard`. */
  borrow(data: Uint8Array, what: Described): Block {
    const block = this.take(data.length, what)
    this.bytes.set(data, block.address)
    return block
  }

  discard(block: Block): void {
    this.heap.release(block)
  }

  // ---- blocks -----------------------------------------------------------------------------------

  private take(bytes: number, what: Described): Block {
    const needed = bytes + READ_SLACK
    const block = this.heap.allocate(needed) ?? this.takeWithMore(needed)
    if (block) return block
    throw new OutOfMemoryError({
      op: this.user,
      problem: `${String(what)} does not fit into the memory of the device`,
      operands: [
        { name: 'array', aval: what, note: `${bytes} bytes` },
        {
          name: 'memory',
          aval: `${this.budget} bytes`,
          note: `${this.pinnedBytes()} bytes are in use by the running operation`,
        },
      ],
      rule: 'the arrays of one operation and its temporaries fit into the budget together',
      hint: 'use smaller batches, or create the device with a larger budget',
    })
  }

  private pinnedBytes(): number {
    let sum = 0
    let at = this.ends.older
    while (this.isPinned(at)) {
      sum += at.block?.size ?? 0
      at = at.older
    }
    return sum
  }

  private isPinned({ cell }: Residence): boolean {
    return cell !== null && cell.lastUse >= this.pinnedSince
  }

  /** Grows memory up to the budget, then moves cells to the host until a block is free. */
  private takeWithMore(bytes: number): Block | null {
    if (bytes > this.budget) return null
    if (this.grow(bytes)) {
      const block = this.heap.allocate(bytes)
      if (block) return block
    }
    // Some more than needed at once, so that the memory that is freed is not in pieces.
    const enough = Math.max(bytes, this.budget / 8)
    let moved = 0
    for (;;) {
      const { newer: oldest } = this.ends
      if (oldest === this.ends || this.isPinned(oldest)) break
      if (moved >= enough) {
        const block = this.heap.allocate(bytes)
        if (block) return block
      }
      moved += oldest.block?.size ?? 0
      this.evict(oldest)
    }
    return this.heap.allocate(bytes)
  }

  /** More memory, as far as the budget and the engine allow; false where there is none. */
  private grow(bytes: number): boolean {
    const { byteLength } = this.memory.buffer
    const room = (this.budget - byteLength) / PAGE
    if (room < 1) return false
    const needed = Math.ceil((bytes + ALIGNMENT) / PAGE)
    const generous = Math.max(needed, Math.ceil(byteLength / PAGE / 4))
    for (const pages of new Set([Math.min(generous, room), Math.min(needed, room)])) {
      try {
        this.memory.grow(pages)
      } catch {
        // The engine has no more to give; a smaller step may still succeed.
        continue
      }
      this.heap.extend(byteLength, this.memory.buffer.byteLength)
      this.refresh()
      return true
    }
    return false
  }

  private refresh(): void {
    this.bytesView = new Uint8Array(this.memory.buffer)
    this.wordsView = new Int32Array(this.memory.buffer)
  }
}

/** Memory for several threads; null where the engine has none, or not with so large a maximum. */
function sharedMemory(initial: number, maximum: number): WebAssembly.Memory | null {
  if (typeof SharedArrayBuffer === 'undefined') return null
  try {
    return new WebAssembly.Memory({ initial, maximum, shared: true })
  } catch {
    return null
  }
}
