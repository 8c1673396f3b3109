/**
 * Reading ahead: a chain along rows waits for memory in its first pass and computes in the others,
 * so one of these touches the cache lines of the next row. Processors fetch ahead by themselves only
 * what the current loop is about to read.
 */
import type { Affine, Buffer, Scalar } from '../../../compiler/expr'
import { loadsOf } from '../../../compiler/views'
import { bytesOf } from '../../../types/dtype'
import type { FunctionBuilder, I32Operand, Local } from '../emit/index'
import type { BufferAddresses } from './environment'

/** Bytes of an array that is not in the second-level cache. */
const LARGE = 2 ** 20
const CACHE_LINE = 64

/** What a pass is to read ahead of: rows of an array, one after the other in memory. */
export interface Ahead {
  readonly source: Buffer
  readonly at: Affine
}

/** A pass as far as reading ahead goes. */
export interface ReadingPass {
  readonly inner: readonly number[]
  readonly roots: readonly Scalar[]
  readonly cost: number
}

/**
 * For every pass what it reads ahead. An array is first read, a row at a time, by the earliest pass
 * that mentions it; the next row is touched in the pass after that which computes most.
 */
export function aheadOf(
  passes: readonly ReadingPass[],
  shape: readonly number[],
  locals: readonly Buffer[],
): readonly (readonly Ahead[])[] {
  const result: Ahead[][] = passes.map(() => [])
  const seen = new Set<Buffer>(locals)
  passes.forEach(({ inner, roots }, first) => {
    for (const { source, at, offsets } of loadsOf(roots)) {
      const isRow =
        inner.length === 1 &&
        offsets.length === 0 &&
        at.strides[shape.length] === 1 &&
        (at.strides[shape.length - 1] ?? 0) > 0 &&
        source.size * bytesOf(source.dtype) > LARGE
      if (!isRow || seen.has(source)) continue
      seen.add(source)
      const later = passes.slice(first + 1).filter((pass) => pass.inner.join() === inner.join())
      const busiest = later.reduce<ReadingPass | undefined>(
        (best, next) => (best && best.cost > next.cost ? best : next),
        undefined,
      )
      if (busiest) result[passes.indexOf(busiest)]?.push({ source, at })
    }
  })
  return result
}

/** The code of a pass that touches rows to come. */
export class ReadAhead {
  private readonly pointers: readonly { readonly ahead: Ahead; readonly local: Local<'i32'> }[]

  constructor(
    private readonly f: FunctionBuilder,
    aheads: readonly Ahead[],
    private readonly shape: readonly number[],
    private readonly addresses: BufferAddresses,
  ) {
    this.pointers = aheads.map((ahead) => ({ ahead, local: f.local('i32') }))
  }

  /** Points to the row after one; the last row of the innermost axis is followed by itself. */
  enterRow(
    row: readonly I32Operand[],
    pushAffine: (offset: number, strides: readonly number[]) => void,
  ): void {
    const { f, shape } = this
    for (const { ahead, local } of this.pointers) {
      const bytes = bytesOf(ahead.source.dtype)
      const base = this.addresses.get(ahead.source.id)
      const axis = shape.length - 1
      if (!base) throw new Error(`${f.name}: buffer ${ahead.source.id} has no address`)
      pushAffine(
        ahead.at.offset * bytes,
        ahead.at.strides.slice(0, shape.length).map((stride) => stride * bytes),
      )
      f.get(base).op('i32.add')
      f.i32Const((ahead.at.strides[axis] ?? 0) * bytes).i32Const(0)
      f.push(row[axis] ?? 0).i32Const((shape[axis] ?? 1) - 1)
      f.op('i32.lt_s').select().op('i32.add').set(local)
    }
  }

  /** Touches the lines that as many elements lie in, and moves on. */
  turn(elements: number): void {
    const { f } = this
    for (const { ahead, local } of this.pointers) {
      const bytes = elements * bytesOf(ahead.source.dtype)
      for (let line = 0; line < bytes; line += CACHE_LINE) {
        f.get(local).load('i32.load8_u', line).drop()
      }
      f.add(local, bytes)
    }
  }
}
