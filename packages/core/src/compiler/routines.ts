/**
 * Nodes with an algorithm of their own: cumulative operations, sorting, scattering, linear algebra.
 * Their operands lie in memory, in dtypes of at least 32 bits where they are computed with.
 */
import { Aval, sizeOf, withDType } from '../types/aval'
import { accumulationType } from './accumulation-type'
import type { CumulativeMonoid, Scatter, Tensor, WindowGeometry } from './context'
import { type Affine, binary, constant, convert, type Scalar } from './expr'
import { alongAxis, reindexScalar, rowMajor } from './views'
import { filledWith, stored, type Writer } from './writer'

export function cumulative(
  w: Writer,
  monoid: CumulativeMonoid,
  x: Tensor,
  axis: number,
  reverse: boolean,
): Tensor {
  const { aval } = x
  if (aval.size === 0) return filledWith(aval, 0)
  const wide = w.converted(x, accumulationType(aval.dtype))
  const target = w.newBuffer(wide.aval)
  w.nodes.push({
    kind: 'cumulative',
    monoid,
    outer: sizeOf(aval.shape.slice(0, axis)),
    length: aval.shape[axis],
    inner: sizeOf(aval.shape.slice(axis + 1)),
    reverse,
    source: w.inMemory(wide),
    target,
  })
  return w.converted(stored(target, wide.aval), aval.dtype)
}

const reordered = (x: Tensor, aval: Aval, source: readonly Affine[]): Tensor => ({
  aval,
  value: reindexScalar(x.value, source, aval.ndim),
})

export function sort(
  w: Writer,
  operands: readonly Tensor[],
  axis: number,
  numKeys: number,
): readonly Tensor[] {
  const { shape } = operands[0].aval
  if (sizeOf(shape) === 0) return operands
  const order = [...shape.keys()].filter((a) => a !== axis).concat(axis)
  const moved = order.map((a) => shape[a])
  const toLast = shape.map((_, a) => alongAxis(shape.length, order.indexOf(a)))
  const fromLast = order.map((a) => alongAxis(shape.length, a))
  const avals = operands.map((x) => new Aval(moved, x.aval.dtype, x.aval.weakType))
  const sources = operands.map((x, i) => w.inMemory(reordered(x, avals[i], toLast)))
  const targets = avals.map((aval) => w.newBuffer(aval))
  w.nodes.push({
    kind: 'sort',
    rows: sizeOf(shape) / shape[axis],
    length: shape[axis],
    numKeys,
    sources,
    targets,
  })
  return targets.map((target, i) => reordered(stored(target, avals[i]), operands[i].aval, fromLast))
}

export function scatter(
  w: Writer,
  { operand, updates, position, inBounds, combine }: Scatter,
): Tensor {
  const { aval } = operand
  if (aval.size === 0 || updates.aval.size === 0) return operand
  const update = w.apartFrom(operand, updates)
  const target = w.newBuffer(aval)
  w.fill(target, w.current(operand))
  const memory = rowMajor(aval.shape)
  let flat: Scalar = constant('int32', 0)
  position.forEach((p, axis) => {
    const stride = constant('int32', memory.strides[axis])
    flat = binary('add', 'int32', flat, binary('mul', 'int32', p, stride))
  })
  w.nodes.push({
    kind: 'scatter',
    shape: updates.aval.shape,
    target,
    position: flat,
    inBounds:
      inBounds !== null && inBounds.kind === 'const' && Number(inBounds.value) === 1
        ? null
        : inBounds,
    update: convert(aval.dtype, update.value),
    combine,
  })
  return stored(target, aval)
}

export function selectAndScatterAdd(
  w: Writer,
  which: 'max' | 'min',
  operand: Tensor,
  source: Tensor,
  geometry: WindowGeometry,
): Tensor {
  const { aval } = operand
  if (aval.size === 0) return filledWith(aval, 0)
  const dtype = accumulationType(aval.dtype)
  const wide = new Aval(aval.shape, dtype)
  const target = w.newBuffer(wide)
  w.fill(target, filledWith(wide, 0))
  if (source.aval.size > 0) {
    w.nodes.push({
      kind: 'selectAndScatter',
      which,
      operandShape: aval.shape,
      sourceShape: source.aval.shape,
      geometry,
      operand: w.inMemory(w.converted(operand, dtype)),
      source: w.inMemory(w.converted(source, dtype)),
      target,
    })
  }
  return w.converted(stored(target, wide), aval.dtype)
}

export function cholesky(w: Writer, x: Tensor): Tensor {
  const { aval } = x
  if (aval.size === 0) return filledWith(aval, 0)
  const wide = w.converted(x, accumulationType(aval.dtype))
  const n = aval.shape[aval.ndim - 1]
  const target = w.newBuffer(wide.aval)
  w.nodes.push({
    kind: 'cholesky',
    batch: aval.size / (n * n),
    n,
    source: w.inMemory(wide),
    target,
  })
  return w.converted(stored(target, wide.aval), aval.dtype)
}

export function triangularSolve(
  w: Writer,
  a: Tensor,
  b: Tensor,
  options: {
    readonly lower: boolean
    readonly transpose: boolean
    readonly unitDiagonal: boolean
  },
): Tensor {
  const { aval } = b
  if (aval.size === 0) return filledWith(aval, 0)
  const dtype = accumulationType(aval.dtype)
  const n = aval.shape[aval.ndim - 2]
  const columns = aval.shape[aval.ndim - 1]
  const wide = withDType(aval, dtype)
  const target = w.newBuffer(wide)
  w.nodes.push({
    kind: 'triangularSolve',
    batch: aval.size / (n * columns),
    n,
    columns,
    ...options,
    a: w.inMemory(w.converted(a, dtype)),
    b: w.inMemory(w.converted(b, dtype)),
    target,
  })
  return w.converted(stored(target, wide), aval.dtype)
}
