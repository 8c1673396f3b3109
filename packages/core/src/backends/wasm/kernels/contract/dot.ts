import type { FunctionBuilder, LaneOp, Local } from '../../emit'
import type { Element } from './element'
import { multiplyAdd } from './element'
import type { KernelBody } from './kernel'

/** Products of a few rows with a few columns, all contiguous along k. */
export interface DotKernel {
  readonly element: Element
  readonly relaxed: boolean
  readonly rows: number
  /** The sums of so many columns of a row lie in as few vectors as hold them. */
  readonly columns: number
  /** Bytes from one row of A to the next, and from one column of B to the next. */
  readonly aRow: number
  readonly bColumn: number
}

/**
 * Vectors along k, summed at the end. Where registers allow it every product has two accumulators,
 * because one chain of additions waits for its own latency.
 */
export const dotKernel =
  ({ element, relaxed, rows, columns, aRow, bColumn }: DotKernel): KernelBody =>
  (f, { a, b, k }) => {
    const { lanes, bytes, type } = element
    const chains = rows * columns <= 4 ? 2 : 1
    const sums = Array.from({ length: rows * columns }, () =>
      Array.from({ length: chains }, () => f.local('v128')),
    )
    const tails = sums.map(() => f.local(type))
    const xs = Array.from({ length: rows }, () => f.local('v128'))
    const y = f.local('v128')
    const loadAt = (base: Local<'i32'>, distance: number, offset: number): FunctionBuilder => {
      f.get(base)
      if (distance >= 0) return f.load('v128.load', distance + offset, 0)
      return f.i32Const(distance).op('i32.add').load('v128.load', offset, 0)
    }

    const step = (used: number): void => {
      for (let chain = 0; chain < used; chain++) {
        xs.forEach((x, i) => loadAt(a, i * aRow, 16 * chain).set(x))
        for (let j = 0; j < columns; j++) {
          loadAt(b, j * bColumn, 16 * chain).set(y)
          xs.forEach((x, i) => {
            const sum = sums[i * columns + j]?.[chain]
            if (sum) multiplyAdd(f, element, relaxed, x, y, sum)
          })
        }
      }
      f.add(a, 16 * used).add(b, 16 * used)
      f.add(k, -lanes * used)
    }
    for (const used of chains > 1 ? [chains, 1] : [1]) {
      f.whileLoop(
        () =>
          f
            .get(k)
            .i32Const(lanes * used)
            .op('i32.ge_s'),
        () => step(used),
      )
    }
    f.whileLoop(
      () => f.get(k),
      () => {
        tails.forEach((tail, product) => {
          const column = product % columns
          const row = (product - column) / columns
          f.get(a)
            .i32Const(row * aRow)
            .op('i32.add')
            .load(element.load)
          f.get(b)
            .i32Const(column * bColumn)
            .op('i32.add')
            .load(element.load)
          f.op(`${type}.mul`).get(tail).op(`${type}.add`).set(tail)
        })
        f.add(a, bytes).add(b, bytes).add(k, -1)
      },
    )
    return Array.from({ length: rows }, (_, i) => {
      const results = Array.from({ length: Math.ceil(columns / lanes) }, () => f.local('v128'))
      for (let j = 0; j < columns; j++) {
        const [sum, other] = sums[i * columns + j] ?? []
        const tail = tails[i * columns + j]
        const result = results[Math.floor(j / lanes)]
        if (!sum || !tail || !result) continue
        if (other) f.get(sum).get(other).op(element.addOp).set(sum)
        f.get(result)
        sumLanes(f, element, sum)
        f.get(tail)
          .op(`${type}.add`)
          .lane(laneOp(element, 'replace'), j % lanes)
          .set(result)
      }
      return results
    })
  }

const laneOp = ({ dtype }: Element, action: 'extract' | 'replace'): LaneOp =>
  `${dtype === 'float32' ? 'f32x4' : dtype === 'float64' ? 'f64x2' : 'i32x4'}.${action}_lane`

/** Pushes the sum of the lanes, added in pairs. */
function sumLanes(f: FunctionBuilder, element: Element, x: Local<'v128'>): void {
  const half = (...lanes: readonly [number, number, number, number]): void => {
    f.get(x)
      .get(x)
      .get(x)
      .shuffle32(...lanes)
      .op(element.addOp)
      .set(x)
  }
  half(2, 3, 0, 1)
  if (element.lanes === 4) half(1, 0, 3, 2)
  f.get(x).lane(laneOp(element, 'extract'), 0)
}
