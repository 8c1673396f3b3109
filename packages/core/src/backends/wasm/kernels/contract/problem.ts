import type { Affine, Buffer, Load, Scalar } from '../../../../compiler/expr'
import type { ContractNode, Store } from '../../../../compiler/nodes'
import type { Shape } from '../../../../types/aval'
import { affinesOf } from '../../codegen/iteration'
import type { Axis } from './axes'
import { constantStride, mergeAxes, scaleAxes, sizeOf } from './axes'
import type { Element } from './element'
import { elementOf } from './element'

/** Where an operand lies: bytes, as a sum of one part per group of axes. */
export interface Operand {
  readonly source: Buffer
  readonly offset: number
  readonly batch: readonly Axis[]
  /** The rows of the left operand, the columns of the right one. */
  readonly free: readonly Axis[]
  readonly k: readonly Axis[]
}

/**
 * A contraction as a batched matrix product: rows from `a`, columns from `b`. `swapped` says that
 * the node's right operand gives the rows.
 */
export interface Problem {
  readonly element: Element
  /** The axes of the batch; what follows them in `linear` is row and column. */
  readonly batch: Shape
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly a: Operand
  readonly b: Operand
  readonly stores: readonly Store[]
  /**
   * An address over the node's index as one over `[...batch, row, column]`; null where rows or
   * columns do not advance by one step.
   */
  linear(at: Affine): Affine | null
}

/** A load whose address is affine alone: such an operand is read in place or packed directly. */
export const isPlainLoad = (value: Scalar): value is Load =>
  value.kind === 'load' && value.offsets.length === 0

/** The axes of the result, `[...batch, ...m, ...n]`, by the part that they play in the product. */
export interface Arrangement {
  readonly batch: readonly number[]
  readonly m: readonly number[]
  readonly n: readonly number[]
}

/**
 * The ways to divide the axes, the one with the largest products first. Leading axes of m or n may
 * be taken as axes of the batch, since one operand simply does not vary along them; last axes of
 * the batch may be taken into m where the right operand does not vary.
 */
export function arrangementsOf(node: ContractNode): Arrangement[] {
  const rhs = node.rhs.value
  const shape = [...node.batch, ...node.m, ...node.n]
  const axes = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1)
  const firstN = node.batch.length + node.m.length
  const [store] = node.stores
  const outer = (x: number, y: number): number =>
    Math.abs(store?.at.strides[y] ?? 0) - Math.abs(store?.at.strides[x] ?? 0)
  const [left, right] = [
    axes.filter((axis) => axis < firstN),
    axes.filter((axis) => axis >= firstN),
  ]
  const varies = (axis: number): boolean =>
    axis < node.batch.length && (!isPlainLoad(rhs) || rhs.at.strides[axis] !== 0)
  // What follows the last axis of the batch that matters to both sides may be rows.
  const needed = left.reduce((count, axis, i) => (varies(axis) ? i + 1 : count), 0)
  const found: Arrangement[] = []
  for (let fromN = 0; fromN <= Math.max(0, right.length - 1); fromN++) {
    for (let fromM = needed; fromM <= Math.max(needed, left.length - 1); fromM++) {
      found.push({
        batch: [...left.slice(0, fromM), ...right.slice(0, fromN)],
        m: left.slice(fromM).sort(outer),
        n: right.slice(fromN).sort(outer),
      })
    }
  }
  return found
}

export function problemOf(
  node: ContractNode,
  { batch, m, n }: Arrangement,
  swapped: boolean,
): Problem | null {
  const lhs = node.lhs.value
  const rhs = node.rhs.value
  if (!isPlainLoad(lhs) || !isPlainLoad(rhs)) return null
  const element = elementOf(node.dtype)
  const shape = [...node.batch, ...node.m, ...node.n]
  const [batches, firstN] = [node.batch.length, node.batch.length + node.m.length]
  // An operand's stride along an axis of the result.
  const lhsStride = (axis: number): number => (axis < firstN ? (lhs.at.strides[axis] ?? 0) : 0)
  const rhsStride = (axis: number): number => {
    if (axis < batches) return rhs.at.strides[axis] ?? 0
    return axis < firstN ? 0 : (rhs.at.strides[axis - node.m.length] ?? 0)
  }
  const axesOf = (axes: readonly number[], stride: (axis: number) => number): Axis[] =>
    mergeAxes(axes.map((axis) => ({ size: shape[axis] ?? 1, stride: stride(axis) })))
  const inBytes = (axes: readonly Axis[]): Axis[] => scaleAxes(axes, element.bytes)
  const lhsK = lhs.at.strides.slice(firstN)
  const rhsK = rhs.at.strides.slice(batches + node.n.length)
  const order = orderOfK(node, lhsK, rhsK)
  const kAxes = (strides: readonly number[]): Axis[] =>
    mergeAxes(order.map((axis) => ({ size: node.k[axis] ?? 1, stride: strides[axis] ?? 0 })))
  const operand = (
    { source, at }: Load,
    free: readonly number[],
    stride: (axis: number) => number,
    k: readonly number[],
  ): Operand => ({
    source,
    offset: at.offset * element.bytes,
    batch: inBytes(axesOf(batch, stride)),
    free: inBytes(axesOf(free, stride)),
    k: inBytes(kAxes(k)),
  })
  const left = operand(lhs, m, lhsStride, lhsK)
  const right = operand(rhs, n, rhsStride, rhsK)
  const sizes = (axes: readonly number[]): Shape => axes.map((axis) => shape[axis] ?? 1)
  const [rows, columns] = swapped ? [n, m] : [m, n]
  return {
    element,
    batch: sizes(batch),
    rows: sizeOf(sizes(rows)),
    columns: sizeOf(sizes(columns)),
    depth: sizeOf(node.k),
    a: swapped ? right : left,
    b: swapped ? left : right,
    stores: node.stores,
    linear: ({ offset, strides }) => {
      const stride = (axis: number): number => strides[axis] ?? 0
      const [row, column] = [rows, columns].map((axes) => constantStride(axesOf(axes, stride)))
      if (row === undefined || column === undefined) return null
      return { offset, strides: [...batch.map(stride), row, column] }
    },
  }
}

/**
 * The terms of a sum may come in any order: the axes of k are taken as they lie in the memory of
 * the larger operand, so that they merge into long runs there.
 */
function orderOfK(
  { m, n, k }: ContractNode,
  lhsK: readonly number[],
  rhsK: readonly number[],
): number[] {
  const strides = sizeOf(m) >= sizeOf(n) ? lhsK : rhsK
  const axes = k.map((_, axis) => axis).filter((axis) => k[axis] !== 1)
  return axes.sort((x, y) => Math.abs(strides[y] ?? 0) - Math.abs(strides[x] ?? 0))
}

/** Whether everything that the stores touch is linear in the rows and columns of a tile. */
export const isLinear = (problem: Problem): boolean =>
  affinesOf({ shape: [], values: [], stores: problem.stores }).every(
    (at) => problem.linear(at) !== null,
  )

export const hasContiguousStores = (problem: Problem): boolean =>
  problem.columns === 1 ||
  problem.stores.every(({ at }) => problem.linear(at)?.strides.at(-1) === 1)

/** The accumulator itself, stored as it is, with columns side by side. */
export function plainStore(problem: Problem): { target: Buffer; at: Affine } | null {
  const [store, ...others] = problem.stores
  if (!store || others.length > 0 || store.offsets.length > 0) return null
  if (store.value.kind !== 'accumulator' || store.target.dtype !== problem.element.dtype)
    return null
  const at = problem.linear(store.at)
  return at && at.strides.at(-1) === 1 ? { target: store.target, at } : null
}
