/**
 * Linear memory as a cache of arrays.
 *
 * An array's elements are in a *cell*, and a cell is in linear memory or in an ArrayBuffer of the
 * host. Blocks return to the heap when a cell is released, or when its array was collected. Where
 * collection does not come round (finalizers do not run inside a synchronous loop), reaching the
 * budget moves the cells that were used longest ago to the host, whose memory the engine counts
 * and collects by itself. Moving back happens on the next use.
 *
 * For that to work nothing here may keep a cell alive once its array is gone: linear memory knows
 * cells through their *residences*, which point to their cell only while it is here.
 */
import { OutOfMemoryError } from '../../../types/errors'
import type { Described } from '../../../types/errors'
import { READ_SLACK } from '../codegen/environment'
import { ALIGNMENT, Heap } from './heap'
import type { Block } from './heap'

const PAGE = 65536
/** The start of memory is for the driver: the flag of conditions, and blocks of addresses. */
const RESERVED = PAGE
/** Where the block of addresses of a call is written, and how many entries there is room for. */
export const CALL_BLOCK = { address: 1024, entries: (RESERVED - 1024) / 4 } as const

/** What a collected array leaves behind: enough to return its block, but not its cell. */
export class Residence {
  block: Block | null = null
  cell: Cell | null = null
}

export class Cell {
  /** The elements while they are not in linear memory. */
  host: Uint8Array<ArrayBuffer> | null = null
  lastUse = 0
  readonly residence = new Residence()

  constructor(readonly bytes: number) {}
}

export interface MemoryOptions {
  /** The most bytes of linear memory to use. */
  readonly budget: number
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
  readonly memory = new WebAssembly.Memory({ initial: RESERVED / PAGE })
  private readonly heap = new Heap()
  private readonly residents = new Set<Residence>()
  private readonly budget: number
  private clock = 0
  /** Cells used since then stay where they are. */
  private pinnedSince = 1
  private bytesView = new Uint8Array(this.memory.buffer)
  private wordsView = new Int32Array(this.memory.buffer)
  private working: Block | null = null

  constructor({ budget }: MemoryOptions) {
    this.budget = Math.floor(Math.min(budget, 65536 * PAGE) / PAGE) * PAGE
  }

  /** All of linear memory. Ask again after anything that may allocate: growing detaches views. */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.bytesView.length === 0) this.refresh()
    return this.bytesView
  }

  get words(): Int32Array<ArrayBuffer> {
    if (this.wordsView.length === 0) this.refresh()
    return this.wordsView
  }

  get use(): MemoryUse {
    return {
      used: this.heap.used,
      reserved: this.memory.buffer.byteLength,
      budget: this.budget,
      cells: this.residents.size,
    }
  }

  // ---- cells ----------------------------------------------------------------------------------

  /** Cells used from here on stay in linear memory until the next call. */
  beginUse(): void {
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
    cell.lastUse = this.clock
    const { block } = cell.residence
    if (block) return block.address
    const { host } = cell
    const taken = this.take(cell.bytes, what)
    this.settle(cell, taken)
    if (host) this.bytes.set(host, taken.address)
    cell.host = null
    return taken.address
  }

  /** The elements, wherever they are; valid until the next allocation. */
  view(cell: Cell): Uint8Array<ArrayBuffer> {
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
      this.residents.delete(residence)
      residence.block = null
      residence.cell = null
      this.settle(cell, block)
    } else cell.host = old.host
    old.host = null
    return cell
  }

  release(cell: Cell): void {
    cell.host = null
    this.vacate(cell.residence)
  }

  /** Returns the block of a cell that may be gone. */
  vacate(residence: Residence): void {
    const { block } = residence
    residence.block = null
    residence.cell = null
    if (!block) return
    this.residents.delete(residence)
    this.heap.release(block)
  }

  private settle(cell: Cell, block: Block): void {
    const { residence } = cell
    residence.block = block
    residence.cell = cell
    cell.lastUse = this.clock
    this.residents.add(residence)
  }

  /** Moves a cell's elements to the host. */
  private evict(residence: Residence): void {
    const { block, cell } = residence
    if (!block || !cell) return
    cell.host = this.bytes.slice(block.address, block.address + cell.bytes)
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

  // ---- blocks -----------------------------------------------------------------------------------

  private take(bytes: number, what: Described): Block {
    const needed = bytes + READ_SLACK
    const block = this.heap.allocate(needed) ?? this.takeWithMore(needed)
    if (block) return block
    throw new OutOfMemoryError({
      op: 'allocate',
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
    for (const { block, cell } of this.residents) {
      if (block && cell && cell.lastUse >= this.pinnedSince) sum += block.size
    }
    return sum
  }

  /** Grows memory up to the budget, then moves cells to the host until a block is free. */
  private takeWithMore(bytes: number): Block | null {
    if (bytes > this.budget) return null
    if (this.grow(bytes)) {
      const block = this.heap.allocate(bytes)
      if (block) return block
    }
    const movable = [...this.residents]
      .filter(({ cell }) => cell !== null && cell.lastUse < this.pinnedSince)
      .sort((a, b) => (a.cell?.lastUse ?? 0) - (b.cell?.lastUse ?? 0))
    // Some more than needed at once, since looking for the oldest ones takes time.
    const enough = Math.max(bytes, this.budget / 8)
    let moved = 0
    for (const residence of movable) {
      if (moved >= enough) {
        const block = this.heap.allocate(bytes)
        if (block) return block
      }
      moved += residence.block?.size ?? 0
      this.evict(residence)
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
