/** Products of vectors, matrices and tensors. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { DType } from '../../types/dtype'
import { ArgumentError, ShapeError } from '../../types/errors'
import { range } from '../../types/shape'
import { canonicalAxis, checkOptions } from '../arguments'
import { type ArrayLike, asArray, operandReports, promote, signature } from '../promotion'
import {
  arrange,
  dropBroadcastAxes,
  inCommonType,
  type Labelled,
  multiplyLabelled,
} from './contraction'
import { multiply, subtract } from './elementwise'
import { moveaxis } from './shape'

export interface ProductOptions {
  /** The dtype to accumulate and answer in. */
  readonly preferredElementType?: DType
}

const batchLabel = (fromEnd: number): string => `batch${fromEnd}`

function contractingSizesDiffer(
  op: string,
  a: NDArray,
  b: NDArray,
  axisA: number,
  axisB: number,
): ShapeError {
  const transposedFits = b.ndim === 2 && b.shape[1] === a.shape[axisA]
  return new ShapeError({
    op: signature(op, 2),
    problem: 'contracting dimensions differ',
    operands: operandReports([a, b], (i) =>
      i === 0 ? `axis ${axisA} is ${a.shape[axisA]}` : `axis ${axisB} is ${b.shape[axisB]}`,
    ),
    rule: `a.shape[${axisA}] === b.shape[${axisB}]`,
    hint: transposedFits
      ? `b.T has shape [${[...b.shape].reverse().join(',')}]`
      : 'transpose or reshape an operand so that these sizes agree',
  })
}

function requireAxes(op: string, operands: readonly NDArray[]): void {
  if (operands.every((x) => x.ndim > 0)) return
  throw new ShapeError({
    op: signature(op, operands.length),
    problem: 'an operand is a scalar',
    operands: operandReports(operands),
    rule: 'every operand has at least one axis',
    hint: 'np.multiply scales by a scalar',
  })
}

function requireCommonBatch(left: NDArray, right: NDArray): void {
  const [p, q] = [left, right].map((x) => x.shape.slice(0, -2).reverse())
  const fromEnd = p.findIndex((n, i) => i < q.length && n !== q[i] && n !== 1 && q[i] !== 1)
  if (fromEnd < 0) return
  throw new ShapeError({
    op: 'matmul(a, b)',
    problem: 'batch dimensions cannot be broadcast together',
    operands: operandReports([left, right], (i) => {
      const axis = [left, right][i].ndim - 3 - fromEnd
      return `axis ${axis} is ${[p, q][i][fromEnd]}`
    }),
    rule: 'all axes before the last two are equal, aligned at the last, or one of them is 1',
    hint: 'add axes of size 1 with np.expandDims or x.get(..., null) where the batches should align',
  })
}

const productKeys = ['preferredElementType'] as const

/**
 * The matrix product. Leading axes are batch axes, broadcast together; a vector on the left is a
 * row, on the right a column, and its axis does not appear in the result.
 *
 * @throws ShapeError when the last axis of `a` and the second last of `b` differ in size
 * @example
 * np.matmul(np.ones([2, 3]), np.ones([3, 4])).shape // [2, 4]
 */
export function matmul(x: ArrayLike, y: ArrayLike, options: ProductOptions = {}): NDArray {
  checkOptions('matmul', options, productKeys)
  const given = [asArray('matmul', x), asArray('matmul', y)]
  requireAxes('matmul', given)
  const [left, right] = given
  const axisB = right.ndim === 1 ? 0 : right.ndim - 2
  if (left.shape[left.ndim - 1] !== right.shape[axisB]) {
    throw contractingSizesDiffer('matmul', left, right, left.ndim - 1, axisB)
  }
  const rank = Math.max(left.ndim, right.ndim)
  const batchOf = (a: NDArray): string[] =>
    range(Math.max(0, a.ndim - 2)).map((axis) => batchLabel(a.ndim - axis))
  const leftLabels = [...batchOf(left), ...(left.ndim === 1 ? ['k'] : ['m', 'k'])]
  const rightLabels = [...batchOf(right), ...(right.ndim === 1 ? ['k'] : ['k', 'n'])]
  requireCommonBatch(left, right)
  const order = [
    ...range(rank - 2 > 0 ? rank - 2 : 0).map((axis) => batchLabel(rank - axis)),
    ...(left.ndim === 1 ? [] : ['m']),
    ...(right.ndim === 1 ? [] : ['n']),
  ]
  return inCommonType('matmul', given, ([a, b]) => {
    const [p, q] = dropBatchAxes({ x: a, labels: leftLabels }, { x: b, labels: rightLabels })
    const product = multiplyLabelled(p, q, (l) => l !== 'k', options.preferredElementType ?? null)
    return arrange(product, order)
  })
}

/** Only batch axes broadcast; m, k and n may be 1 by right. */
function dropBatchAxes(a: Labelled, b: Labelled): [Labelled, Labelled] {
  const [p, q] = dropBroadcastAxes([a, b].map(protectMatrixAxes))
  return [restoreMatrixAxes(p, a), restoreMatrixAxes(q, b)]
}
const isBatch = (label: string): boolean => label.startsWith('batch')
const protectMatrixAxes = (operand: Labelled, index: number): Labelled => ({
  x: operand.x,
  labels: operand.labels.map((l) => (isBatch(l) ? l : `${l}${index}`)),
})
const restoreMatrixAxes = (operand: Labelled, original: Labelled): Labelled => ({
  x: operand.x,
  labels: [...operand.labels.filter(isBatch), ...original.labels.filter((l) => !isBatch(l))],
})

/** NumPy's `dot`: scalars multiply, otherwise the last axis of `a` meets the second last of `b`. */
export function dot(x: ArrayLike, y: ArrayLike, options: ProductOptions = {}): NDArray {
  checkOptions('dot', options, productKeys)
  const [a, b] = [asArray('dot', x), asArray('dot', y)]
  if (a.ndim === 0 || b.ndim === 0) return multiply(a, b)
  const axisB = b.ndim === 1 ? 0 : b.ndim - 2
  if (a.shape[a.ndim - 1] !== b.shape[axisB])
    throw contractingSizesDiffer('dot', a, b, a.ndim - 1, axisB)
  return tensordot(a, b, [[a.ndim - 1], [axisB]], options)
}

/** Sum of products over the last axes. */
export function inner(x: ArrayLike, y: ArrayLike, options: ProductOptions = {}): NDArray {
  checkOptions('inner', options, productKeys)
  const [a, b] = [asArray('inner', x), asArray('inner', y)]
  if (a.ndim === 0 || b.ndim === 0) return multiply(a, b)
  if (a.shape[a.ndim - 1] !== b.shape[b.ndim - 1])
    throw contractingSizesDiffer('inner', a, b, a.ndim - 1, b.ndim - 1)
  return tensordot(a, b, [[-1], [-1]], options)
}

/** Every element of `a` times every element of `b`, both flattened. */
export function outer(x: ArrayLike, y: ArrayLike): NDArray {
  const [a, b] = [asArray('outer', x), asArray('outer', y)]
  return multiply(
    prim.reshape(a, { newSizes: [a.size, 1] }),
    prim.reshape(b, { newSizes: [1, b.size] }),
  )
}

/** The dot product of the flattened operands. */
export function vdot(x: ArrayLike, y: ArrayLike, options: ProductOptions = {}): NDArray {
  checkOptions('vdot', options, productKeys)
  const [a, b] = [asArray('vdot', x), asArray('vdot', y)]
  if (a.size !== b.size) {
    throw new ShapeError({
      op: 'vdot(a, b)',
      problem: `the operands have ${a.size} and ${b.size} elements`,
      operands: operandReports([a, b]),
      rule: 'vdot flattens both, which then have the same number of elements',
    })
  }
  const flat = (v: NDArray): NDArray => prim.reshape(v, { newSizes: [v.size] })
  return tensordot(flat(a), flat(b), 1, options)
}

/** The dot product along one axis, with the other axes broadcast together. */
export function vecdot(
  x: ArrayLike,
  y: ArrayLike,
  axisOrOptions: number | { readonly axis?: number } = -1,
): NDArray {
  const axis =
    typeof axisOrOptions === 'number'
      ? axisOrOptions
      : (checkOptions('vecdot', axisOrOptions, ['axis']).axis ?? -1)
  const [a, b] = [asArray('vecdot', x), asArray('vecdot', y)]
  requireAxes('vecdot', [a, b])
  const [p, q] = [moveaxis(a, axis, -1), moveaxis(b, axis, -1)]
  if (p.shape[p.ndim - 1] !== q.shape[q.ndim - 1])
    throw contractingSizesDiffer('vecdot', p, q, p.ndim - 1, q.ndim - 1)
  const row = prim.expandDims(p, [p.ndim - 1])
  const column = prim.expandDims(q, [q.ndim])
  const product = matmul(row, column)
  return prim.squeeze(product, { dimensions: [product.ndim - 2, product.ndim - 1] })
}

type TensordotAxes = number | readonly [number | readonly number[], number | readonly number[]]

/** Sums products over pairs of axes: the last `n` with the first `n`, or those listed. */
export function tensordot(
  x: ArrayLike,
  y: ArrayLike,
  axesOrOptions: TensordotAxes | (ProductOptions & { readonly axes?: TensordotAxes }) = 2,
  rest: ProductOptions = {},
): NDArray {
  const isPair = (v: typeof axesOrOptions): v is TensordotAxes =>
    typeof v === 'number' || Array.isArray(v)
  const axes: TensordotAxes = isPair(axesOrOptions) ? axesOrOptions : (axesOrOptions.axes ?? 2)
  const options = isPair(axesOrOptions) ? rest : axesOrOptions
  checkOptions<ProductOptions & { readonly axes?: TensordotAxes }>('tensordot', options, [
    'axes',
    ...productKeys,
  ])
  const [a, b] = [asArray('tensordot', x), asArray('tensordot', y)]
  const listOf = (v: number | readonly number[]): readonly number[] =>
    typeof v === 'number' ? [v] : v
  if (typeof axes === 'number' && (axes > a.ndim || axes > b.ndim || axes < 0)) {
    throw new ShapeError({
      op: 'tensordot(a, b, axes)',
      problem: `cannot contract ${axes} axes`,
      operands: operandReports([a, b]),
      rule: 'axes is at most the rank of each operand',
    })
  }
  const [left, right] =
    typeof axes === 'number'
      ? [range(a.ndim - axes, a.ndim), range(axes)]
      : [
          listOf(axes[0]).map((axis) => canonicalAxis('tensordot', axis, a)),
          listOf(axes[1]).map((axis) => canonicalAxis('tensordot', axis, b)),
        ]
  if (left.length !== right.length) {
    throw new ArgumentError({
      op: 'tensordot(a, b, axes)',
      problem: `${left.length} axes of a are paired with ${right.length} axes of b`,
      operands: operandReports([a, b]),
      rule: 'axes pairs each axis of a with one of b',
    })
  }
  const odd = left.findIndex((axis, i) => a.shape[axis] !== b.shape[right[i]])
  if (odd >= 0) throw contractingSizesDiffer('tensordot', a, b, left[odd], right[odd])
  const labelsOf = (v: NDArray, name: string, contracted: readonly number[]): string[] =>
    range(v.ndim).map((axis) => {
      const pair = contracted.indexOf(axis)
      return pair >= 0 ? `k${pair}` : `${name}${axis}`
    })
  return inCommonType('tensordot', [a, b], ([p, q]) => {
    const product = multiplyLabelled(
      { x: p, labels: labelsOf(p, 'a', left) },
      { x: q, labels: labelsOf(q, 'b', right) },
      (l) => !l.startsWith('k'),
      options.preferredElementType ?? null,
    )
    return product.x
  })
}

/** The Kronecker product: every element of `a` replaced by its product with all of `b`. */
export function kron(x: ArrayLike, y: ArrayLike): NDArray {
  const [a, b] = [asArray('kron', x), asArray('kron', y)]
  const rank = Math.max(a.ndim, b.ndim)
  const padded = (v: NDArray): number[] => [...range(rank - v.ndim).map(() => 1), ...v.shape]
  const [p, q] = [padded(a), padded(b)]
  const interleaved = multiply(
    prim.reshape(a, { newSizes: p.flatMap((n) => [n, 1]) }),
    prim.reshape(b, { newSizes: q.flatMap((n) => [1, n]) }),
  )
  return prim.reshape(interleaved, { newSizes: p.map((n, i) => n * q[i]) })
}

export interface CrossOptions {
  readonly axis?: number
  readonly axisa?: number
  readonly axisb?: number
  readonly axisc?: number
}

/** The vector product of vectors of 3 (or 2) components, along the last axis unless told. */
export function cross(x: ArrayLike, y: ArrayLike, options: CrossOptions = {}): NDArray {
  checkOptions('cross', options, ['axis', 'axisa', 'axisb', 'axisc'])
  const axisOf = (own: number | undefined): number => options.axis ?? own ?? -1
  const a = moveaxis(x, axisOf(options.axisa), -1)
  const b = moveaxis(y, axisOf(options.axisb), -1)
  const [n, m] = [a.shape[a.ndim - 1], b.shape[b.ndim - 1]]
  if (![2, 3].includes(n) || ![2, 3].includes(m)) {
    throw new ShapeError({
      op: 'cross(a, b)',
      problem: `vectors of ${n} and ${m} components`,
      operands: operandReports([a, b]),
      rule: 'a cross product has 2 or 3 components',
    })
  }
  const component = (v: NDArray, i: number): NDArray =>
    prim.squeeze(prim.sliceInAxis(v, v.ndim - 1, i, i + 1), { dimensions: [v.ndim - 1] })
  const area = (i: number, j: number): NDArray =>
    subtract(multiply(component(a, i), component(b, j)), multiply(component(a, j), component(b, i)))
  if (n === 2 && m === 2) return area(0, 1)
  const third = (v: NDArray): NDArray =>
    v.shape[v.ndim - 1] === 3
      ? v
      : prim.pad(v, prim.full([], 0, v.dtype, v.aval.weakType), {
          paddingConfig: v.shape.map((_, i) => [0, i === v.ndim - 1 ? 1 : 0, 0] as const),
        })
  if (n !== m) return cross(third(a), third(b), { axisc: options.axis ?? options.axisc })
  const parts = promote('cross', [area(1, 2), area(2, 0), area(0, 1)])
  const stacked = prim.concatenate(
    parts.map((v) => prim.expandDims(v, [v.ndim])),
    { dimension: parts[0].ndim },
  )
  return moveaxis(stacked, -1, axisOf(options.axisc))
}
