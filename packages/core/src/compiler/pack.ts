/**
 * Where in an arena blocks lie whose lifetimes are known.
 *
 * Two ways, of which the better is taken. In order of time, by best fit, is fast and mostly perfect.
 * Where it leaves gaps, the largest blocks first, each as low as those that live at the same time
 * allow: "greedy by size" of Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net
 * Inference" (2020), algorithm 3.
 */

export interface Block {
  readonly bytes: number
  /** What counts for the largest live set, where a part of the bytes may be a gap. */
  readonly liveBytes: number
  /** Node during which it begins to live. */
  readonly first: number
  /** Node after which it is not needed any more. */
  last: number
  /** Set by packing. */
  offset: number
}

export interface Packing {
  readonly arenaBytes: number
  /** Most bytes alive at one time: no packing can take less. */
  readonly peakBytes: number
}

/** Gaps of less than this share of the arena are not worth a second try. */
const WORTH_ANOTHER_TRY = 1.03
/** The second way takes time that grows with the square of this number. */
const MOST_BLOCKS_BY_SIZE = 4000

/** Gives every block its offset. `bytes` are multiples of the alignment. */
export function pack(blocks: readonly Block[], steps: number): Packing {
  const peakBytes = largestLiveSet(blocks, steps)
  const inTime = packInTime(blocks, steps)
  let [arenaBytes, offsets] = [inTime.size, inTime.offsets]
  if (arenaBytes > WORTH_ANOTHER_TRY * peakBytes && blocks.length <= MOST_BLOCKS_BY_SIZE) {
    const bySize = packBySize(blocks)
    if (bySize.size < arenaBytes) [arenaBytes, offsets] = [bySize.size, bySize.offsets]
  }
  blocks.forEach((block, i) => (block.offset = offsets[i]))
  return { arenaBytes, peakBytes }
}

function largestLiveSet(blocks: readonly Block[], steps: number): number {
  const change = new Float64Array(steps + 1)
  for (const { liveBytes, first, last } of blocks) {
    change[first] += liveBytes
    change[last + 1] -= liveBytes
  }
  let [live, most] = [0, 0]
  for (const difference of change) {
    live += difference
    most = Math.max(most, live)
  }
  return most
}

interface Layout {
  readonly size: number
  readonly offsets: readonly number[]
}

function packInTime(blocks: readonly Block[], steps: number): Layout {
  const starting = Array.from({ length: steps }, (): number[] => [])
  const ending = Array.from({ length: steps }, (): number[] => [])
  blocks.forEach(({ first, last }, i) => {
    starting[first].push(i)
    ending[last].push(i)
  })
  const offsets = new Array<number>(blocks.length).fill(0)
  const free = new FreeList()
  for (let time = 0; time < steps; time++) {
    for (const i of starting[time]) offsets[i] = free.take(blocks[i].bytes)
    for (const i of ending[time]) free.giveBack(offsets[i], blocks[i].bytes)
  }
  return { size: free.size, offsets }
}

/** Free ranges ordered by offset, neighbours joined; whatever lies behind `size` is free as well. */
class FreeList {
  size = 0
  private readonly ranges: { offset: number; bytes: number }[] = []

  take(bytes: number): number {
    if (bytes === 0) return 0
    let best = -1
    this.ranges.forEach((range, i) => {
      if (range.bytes >= bytes && (best < 0 || range.bytes < this.ranges[best].bytes)) best = i
    })
    if (best >= 0) {
      const range = this.ranges[best]
      const { offset } = range
      range.offset += bytes
      range.bytes -= bytes
      if (range.bytes === 0) this.ranges.splice(best, 1)
      return offset
    }
    // Nothing fits: grow, from a free range at the end if there is one.
    const last = this.ranges.at(-1)
    const isAtEnd = last !== undefined && last.offset + last.bytes === this.size
    const offset = isAtEnd ? last.offset : this.size
    if (isAtEnd) this.ranges.pop()
    this.size = offset + bytes
    return offset
  }

  giveBack(offset: number, bytes: number): void {
    if (bytes === 0) return
    let at = this.ranges.findIndex((range) => range.offset > offset)
    if (at < 0) at = this.ranges.length
    const [before, after] = [this.ranges[at - 1], this.ranges[at]]
    const joinsBefore = before !== undefined && before.offset + before.bytes === offset
    const joinsAfter = after !== undefined && offset + bytes === after.offset
    if (joinsBefore) {
      before.bytes += bytes
      if (joinsAfter) {
        before.bytes += after.bytes
        this.ranges.splice(at, 1)
      }
    } else if (joinsAfter) {
      after.offset = offset
      after.bytes += bytes
    } else this.ranges.splice(at, 0, { offset, bytes })
  }
}

function packBySize(blocks: readonly Block[]): Layout {
  const offsets = new Array<number>(blocks.length).fill(0)
  /** Indices of the blocks that have their place, by offset. */
  const placed: number[] = []
  let size = 0
  const order = blocks.map((_, i) => i).filter((i) => blocks[i].bytes > 0)
  order.sort((a, b) => blocks[b].bytes - blocks[a].bytes || blocks[a].first - blocks[b].first)
  for (const i of order) {
    const { bytes, first, last } = blocks[i]
    let [end, best, bestGap] = [0, -1, Infinity]
    for (const other of placed) {
      const there = blocks[other]
      if (there.first > last || there.last < first) continue
      const gap = offsets[other] - end
      if (gap >= bytes && gap < bestGap) [best, bestGap] = [end, gap]
      end = Math.max(end, offsets[other] + there.bytes)
    }
    const offset = best >= 0 ? best : end
    offsets[i] = offset
    size = Math.max(size, offset + bytes)
    let at = placed.findIndex((other) => offsets[other] > offset)
    if (at < 0) at = placed.length
    placed.splice(at, 0, i)
  }
  return { size, offsets }
}
