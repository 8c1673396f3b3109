import type { FunctionBuilder, Local } from '../../emit'
import type { Element } from './element'
import { multiplyAdd } from './element'
import type { KernelBody } from './kernel'

/** One tile of a product: `rows` by `vectors` accumulators that stay in registers. */
export interface MicroKernel {
  readonly element: Element
  readonly relaxed: boolean
  readonly rows: number
  readonly vectors: number
  /** Bytes from one row of A to the next, and from one k to the next. */
  readonly aRow: number
  readonly aStep: number
  /** Bytes from one k of B to the next; the columns of the tile lie side by side. */
  readonly bStep: number
  /** When A's k axis is cut into runs: the steps in each, and the bytes between runs. */
  readonly runs: { readonly length: number; readonly gap: number } | null
}

/**
 * Columns in vectors, rows splatted. With runs, `k` counts runs instead of steps.
 *
 * V8 has 15 vector registers to give: 12 accumulators, two columns of B and one splat of A is the
 * largest tile that spills nothing. The loop over k is left to the engine to unroll, because older
 * versions hoist the loads of an unrolled body and spill.
 */
export const microKernel =
  ({ element, relaxed, rows, vectors, aRow, aStep, bStep, runs }: MicroKernel): KernelBody =>
  (f, { a, b, k }) => {
    const sums = Array.from({ length: rows }, () =>
      Array.from({ length: vectors }, () => f.local('v128')),
    )
    const columns = Array.from({ length: vectors }, () => f.local('v128'))
    const splat = f.local('v128')

    const step = (): void => {
      columns.forEach((column, j) =>
        f
          .get(b)
          .load('v128.load', 16 * j, 0)
          .set(column),
      )
      sums.forEach((row, i) => {
        loadAt(f, a, i * aRow, () => f.load(element.loadSplat, Math.max(0, i * aRow)))
        f.set(splat)
        row.forEach((sum, j) => {
          const column = columns[j]
          if (column) multiplyAdd(f, element, relaxed, splat, column, sum)
        })
      })
      f.add(a, aStep).add(b, bStep)
    }
    f.get(k).if(() => {
      if (runs === null) countDown(f, k, step)
      else {
        const inner = f.local('i32')
        countDown(f, k, () => {
          f.i32Const(runs.length).set(inner)
          countDown(f, inner, step)
          f.add(a, runs.gap)
        })
      }
    })
    return sums
  }

/** Repeats the body while the count, which is not zero at first, goes down to zero. */
function countDown(f: FunctionBuilder, count: Local<'i32'>, body: () => void): void {
  f.loop((again) => {
    body()
    f.get(count).i32Const(1).op('i32.sub').tee(count).brIf(again)
  })
}

/** Immediate offsets are unsigned, so a negative distance is added to the address beforehand. */
function loadAt(f: FunctionBuilder, base: Local<'i32'>, distance: number, load: () => void): void {
  f.get(base)
  if (distance < 0) f.i32Const(distance).op('i32.add')
  load()
}
