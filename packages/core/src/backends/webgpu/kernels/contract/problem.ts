/** A contraction as a batched matrix product: sizes, and where its operands run along memory. */
import type { Load, Scalar } from '../../../../compiler/expr'
import type { ContractNode } from '../../../../compiler/nodes'
import { loadsOf } from '../../../../compiler/views'
import { type Shape, sizeOf } from '../../../../types/aval'

export interface Problem {
  readonly node: ContractNode
  readonly batch: number
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** The WGSL type of sums. */
  readonly type: 'f32' | 'i32'
  readonly left: Side
  readonly right: Side
}

/** An operand over `[...batch, ...free, ...k]`. */
export interface Side {
  readonly value: Scalar
  readonly free: Shape
  /** The group of axes along which neighbours in memory are neighbours in the operand. */
  readonly contiguous: 'free' | 'k'
}

export function problemOf(node: ContractNode): Problem {
  const { batch, m, n, k, lhs, rhs } = node
  const side = (value: Scalar, free: Shape): Side => ({
    value,
    free,
    contiguous: contiguousGroup(loadsOf([value]), batch.length, free, k),
  })
  return {
    node,
    batch: sizeOf(batch),
    rows: sizeOf(m),
    columns: sizeOf(n),
    depth: sizeOf(k),
    type: node.dtype === 'int32' ? 'i32' : 'f32',
    left: side(lhs.value, m),
    right: side(rhs.value, n),
  }
}

function contiguousGroup(
  loads: readonly Load[],
  start: number,
  free: Shape,
  k: Shape,
): Side['contiguous'] {
  let votes = 0
  for (const { at } of loads) {
    const alongFree = lastStride(at.strides, start, free)
    const alongK = lastStride(at.strides, start + free.length, k)
    if (alongK !== 0 && (alongFree === 0 || alongK < alongFree)) votes++
    else votes--
  }
  return votes > 0 ? 'k' : 'free'
}

/** The distance in memory of neighbours in a group of axes; 0 where the group does not matter. */
function lastStride(strides: readonly number[], start: number, group: Shape): number {
  for (let axis = group.length - 1; axis >= 0; axis--) {
    if (group[axis] > 1) return Math.abs(strides[start + axis])
  }
  return 0
}
