/**
 * Sums of products over labelled axes: the one mechanism behind `einsum`, `matmul`, `tensordot` and
 * their kin. A label names an axis; two operands that share a label are multiplied along it.
 */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { DType } from '../../types/dtype'
import { type ArrayLike, asArray, convert, promoteDTypes, toBool } from '../promotion'

/** An array whose axes have names; a name stands at most once. */
export interface Labelled {
  readonly x: NDArray
  readonly labels: readonly string[]
}

/** Sums away the axes whose label is not wanted. */
export function sumOut({ x, labels }: Labelled, isWanted: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (isWanted(label) ? [] : [axis]))
  if (axes.length === 0) return { x, labels }
  return { x: prim.reduceSum(x, { axes }), labels: labels.filter(isWanted) }
}

/** The product of two operands, summed over every label that is not wanted afterwards. */
export function multiplyLabelled(
  a: Labelled,
  b: Labelled,
  isWanted: (label: string) => boolean,
  preferredElementType: DType | null = null,
): Labelled {
  const left = sumOut(a, (l) => isWanted(l) || b.labels.includes(l))
  const right = sumOut(b, (l) => isWanted(l) || a.labels.includes(l))
  const shared = left.labels.filter((l) => right.labels.includes(l))
  const batch = shared.filter(isWanted)
  const contracted = shared.filter((l) => !isWanted(l))
  const axesIn = (operand: Labelled, labels: readonly string[]): number[] =>
    labels.map((l) => operand.labels.indexOf(l))
  const x = prim.dotGeneral(left.x, right.x, {
    dimensionNumbers: [
      [axesIn(left, contracted), axesIn(right, contracted)],
      [axesIn(left, batch), axesIn(right, batch)],
    ],
    preferredElementType,
  })
  const free = (operand: Labelled): string[] => operand.labels.filter((l) => !shared.includes(l))
  return { x, labels: [...batch, ...free(left), ...free(right)] }
}

/** Puts the axes in this order. */
export const arrange = ({ x, labels }: Labelled, order: readonly string[]): NDArray =>
  prim.transpose(x, { permutation: order.map((label) => labels.indexOf(label)) })

/** Drops axes of size 1 where another operand has more elements: broadcasting without copies. */
export function dropBroadcastAxes(operands: readonly Labelled[]): Labelled[] {
  const sizes = new Map<string, number>()
  for (const { x, labels } of operands) {
    labels.forEach((l, axis) => sizes.set(l, Math.max(sizes.get(l) ?? 0, x.shape[axis])))
  }
  return operands.map(({ x, labels }) => {
    const dimensions = labels.flatMap((l, axis) =>
      x.shape[axis] === 1 && sizes.get(l) !== 1 ? [axis] : [],
    )
    return {
      x: prim.squeeze(x, { dimensions }),
      labels: labels.filter((_, axis) => !dimensions.includes(axis)),
    }
  })
}

/**
 * Runs a computation of sums of products in a common dtype. Truth values are counted as integers,
 * and the answer is whether there is any.
 */
export function inCommonType(
  op: string,
  args: readonly ArrayLike[],
  compute: (operands: readonly NDArray[]) => NDArray,
): NDArray {
  const operands = promoteDTypes(
    op,
    args.map((arg) => asArray(op, arg)),
  )
  if (operands[0].dtype !== 'bool') return compute(operands)
  return toBool(compute(operands.map((x) => convert(x, 'int32'))))
}
