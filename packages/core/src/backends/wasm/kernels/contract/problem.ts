import type { Affine, Buffer, Load, Scalar } from '../../../../compiler/expr'
import type { ContractNode, Store } from '../../../../compiler/nodes'
import type { Shape } from '../../../../types/aval'
import { affinesOf } from '../../codegen/iteration'
import type { Axis } from './axes'
import { constantStride, scaleAxes, sizeOf, splitByGroup } from './axes'
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

interface Groups {
  readonly batch: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
}

function operand(load: Load, groups: Groups, free: Shape, element: Element): Operand {
  const split = splitByGroup(load.at, [groups.batch, free, groups.k])
  const [batch = [], rows = [], k = []] = split.map((axes) => scaleAxes(axes, element.bytes))
  return { source: load.source, offset: load.at.offset * element.bytes, batch, free: rows, k }
}

/**
 * Moves the last batch axes over which the right operand does not vary into the rows: one large
 * product instead of many small ones. The order of the axes of the left operand and of the result
 * stays the same.
 */
function foldBatch(groups: Groups, rhs: Load): { groups: Groups; rhs: Load } {
  const last = groups.batch.length - 1
  if (last < 0 || (rhs.at.strides[last] ?? 0) !== 0) return { groups, rhs }
  const strides = rhs.at.strides.filter((_, axis) => axis !== last)
  return foldBatch(
    {
      ...groups,
      batch: groups.batch.slice(0, last),
      m: [...groups.batch.slice(last), ...groups.m],
    },
    { ...rhs, at: { offset: rhs.at.offset, strides } },
  )
}

export function problemOf(node: ContractNode, swapped: boolean, folded: boolean): Problem | null {
  const lhs = node.lhs.value
  if (!isPlainLoad(lhs) || !isPlainLoad(node.rhs.value)) return null
  const element = elementOf(node.dtype)
  const { groups, rhs } = folded
    ? foldBatch(node, node.rhs.value)
    : { groups: node, rhs: node.rhs.value }
  const left = operand(lhs, groups, groups.m, element)
  const right = operand(rhs, groups, groups.n, element)
  const [m, n] = [sizeOf(groups.m), sizeOf(groups.n)]
  return {
    element,
    batch: groups.batch,
    rows: swapped ? n : m,
    columns: swapped ? m : n,
    depth: sizeOf(groups.k),
    a: swapped ? right : left,
    b: swapped ? left : right,
    stores: node.stores,
    linear: (at) => {
      const [, ms = [], ns = []] = splitByGroup(at, [groups.batch, groups.m, groups.n])
      const [row, column] = [constantStride(swapped ? ns : ms), constantStride(swapped ? ms : ns)]
      if (row === undefined || column === undefined) return null
      return {
        offset: at.offset,
        strides: [...at.strides.slice(0, groups.batch.length), row, column],
      }
    },
  }
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
