/** Where threads must meet: what one of them reads or overwrites must have been finished by others. */
import { accessesOf } from '../../../compiler/dependence'
import type { Buffer } from '../../../compiler/expr'
import type { LoopNode } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import type { Plan } from '../../../compiler/plan'
import type { Manner } from './sharing'

/** A piece of memory; pieces of different spaces do not overlap. */
interface Piece {
  readonly space: string
  readonly from: number
  readonly to: number
}

const commonMemory: Piece = { space: 'common', from: 0, to: 1 }

interface Access {
  readonly alone: boolean
  readonly reads: readonly Piece[]
  readonly writes: readonly Piece[]
}

export class Hazards {
  private pending: Access[] = []
  private readonly pieces = new Map<Buffer, Piece>()

  /**
   * `outermost` says that inputs and outputs are different arrays, unless the plan lets one take
   * another's place. Those of a loop's body may be anything.
   */
  constructor(
    private readonly plan: Plan,
    private readonly outermost: boolean,
  ) {}

  /** Whether threads must meet before a node. From here on the node counts as done. */
  before(node: LoopNode, manner: Manner): boolean {
    const { reads, writes } = accessesOf(node)
    const pieces = (buffers: ReadonlySet<Buffer>): Piece[] =>
      [...buffers].map((buffer) => this.pieceOf(buffer))
    const alone = manner === 'alone'
    // These may use the memory that threads have in common for what lasts as long as the node.
    const common = !alone && usesCommonMemory(node)
    const next = {
      alone,
      reads: pieces(reads),
      writes: [...pieces(writes), ...(common ? [commonMemory] : [])],
    }
    const meets = this.pending.some(
      (done) =>
        !(done.alone && next.alone) &&
        (overlap(done.writes, next.reads) ||
          overlap(done.writes, next.writes) ||
          overlap(done.reads, next.writes)),
    )
    if (meets) this.pending = []
    this.pending.push(next)
    return meets
  }

  /** Whether anything was done since threads last met. From here on they have met. */
  meet(): boolean {
    const meets = this.pending.length > 0
    this.pending = []
    return meets
  }

  private pieceOf(buffer: Buffer): Piece {
    const known = this.pieces.get(buffer)
    if (known) return known
    const piece = this.locate(buffer)
    this.pieces.set(buffer, piece)
    return piece
  }

  private locate(buffer: Buffer): Piece {
    const placement = this.plan.placements.get(buffer)
    if (placement === undefined) throw new Error(`buffer ${buffer.id} has no place`)
    if (placement.kind === 'arena') {
      const from = placement.offset
      return { space: 'arena', from, to: from + Math.max(1, byteSize(buffer)) }
    }
    if (!this.outermost) return { space: 'outside', from: 0, to: 1 }
    const source =
      placement.kind === 'input'
        ? placement.index
        : (this.plan.outputStorage[placement.index] ?? null)
    return { space: source === null ? `out${placement.index}` : `in${source}`, from: 0, to: 1 }
  }
}

const usesCommonMemory = (node: LoopNode): boolean =>
  node.kind === 'contract' ||
  node.kind === 'reduce' ||
  (node.kind === 'joint' && node.parts.some(usesCommonMemory))

const overlap = (some: readonly Piece[], others: readonly Piece[]): boolean =>
  some.some((a) => others.some((b) => a.space === b.space && a.from < b.to && b.from < a.to))
