/** Nodes that accumulate: reductions and contractions. */
import { Aval, type Shape, sizeOf } from '../types/aval'
import { type DType, isFloating } from '../types/dtype'
import { accumulationType } from './accumulation-type'
import type { Contraction, Monoid, Tensor } from './context'
import { accumulator, type Affine, binary, constant, convert, type Scalar } from './expr'
import { identityElement } from './identity'
import { measure } from './measure'
import type { Reduction } from './nodes'
import { alongAxis, reindexScalar, rowMajor } from './views'
import { continues, filledWith, stored, type Writer } from './writer'

/** What a contraction may evaluate while packing. */
const packingBudget = 12

export function reduce(
  w: Writer,
  monoid: Monoid,
  x: Tensor,
  axes: readonly number[],
  aval: Aval,
): Tensor {
  if (aval.size === 0) return filledWith(aval, 0)
  if (x.aval.size === 0) return filledWith(aval, identityElement(monoid, aval.dtype))
  const dtype = accumulationType(x.aval.dtype)
  const boolean = x.aval.dtype === 'bool'
  const plain = boolean && monoid === 'max' ? 'or' : boolean && monoid === 'min' ? 'and' : monoid
  const { reduced, value } = split(w, x, axes)
  return accumulate(w, { monoid: plain, value: convert(dtype, value) }, aval, reduced, dtype)
}

export function argReduce(
  w: Writer,
  which: 'max' | 'min',
  x: Tensor,
  axis: number,
  aval: Aval,
): Tensor {
  if (aval.size === 0) return filledWith(aval, 0)
  const { reduced, value } = split(w, x, [axis])
  const reduction: Reduction = {
    monoid: which === 'max' ? 'argmax' : 'argmin',
    value: convert(x.aval.dtype === 'bool' ? 'int32' : accumulationType(x.aval.dtype), value),
  }
  return accumulate(w, reduction, aval, reduced, 'int32')
}

/** `x` over its kept axes followed by the others. */
function split(
  w: Writer,
  x: Tensor,
  axes: readonly number[],
): { readonly reduced: Shape; readonly value: Scalar } {
  const tensor = w.current(x)
  const { shape } = tensor.aval
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const order = [...kept, ...axes]
  const source = shape.map((_, axis) => alongAxis(order.length, order.indexOf(axis)))
  return {
    reduced: axes.map((axis) => shape[axis]),
    value: reindexScalar(tensor.value, source, order.length),
  }
}

function accumulate(
  w: Writer,
  reduction: Reduction,
  aval: Aval,
  reduced: Shape,
  dtype: DType,
): Tensor {
  const isPosition = reduction.monoid === 'argmax' || reduction.monoid === 'argmin'
  if (sizeOf(reduced) === 1) {
    const single = reindexScalar(
      reduction.value,
      [...aval.shape.keys(), ...reduced.map(() => -1)].map((axis) =>
        axis < 0 ? { offset: 0, strides: aval.shape.map(() => 0) } : alongAxis(aval.ndim, axis),
      ),
      aval.ndim,
    )
    return { aval, value: isPosition ? constant(aval.dtype, 0) : convert(aval.dtype, single) }
  }
  const target = w.newAccumulated(aval)
  w.nodes.push({
    kind: 'reduce',
    shape: aval.shape,
    reduced,
    reductions: [reduction],
    stores: [
      {
        target,
        at: rowMajor(aval.shape),
        offsets: [],
        value: convert(aval.dtype, accumulator(dtype, 0)),
      },
    ],
  })
  return stored(target, aval)
}

export function contract(w: Writer, { batch, m, n, k, lhs, rhs, aval }: Contraction): Tensor {
  if (aval.size === 0) return filledWith(aval, 0)
  const depth = sizeOf(k)
  if (depth === 0) return filledWith(aval, 0)
  const dtype = contractionType(lhs.aval.dtype, rhs.aval.dtype, aval.dtype)
  const spread = batch.length + m.length + n.length
  if (depth === 1 || (sizeOf(m) === 1 && sizeOf(n) === 1)) {
    // An outer product has nothing to accumulate and a dot product has one result: plain loops do.
    const full = new Aval([...batch, ...m, ...n, ...k], dtype)
    const axes = (from: number, shape: Shape): Affine[] =>
      shape.map((_, i) => alongAxis(full.ndim, from + i))
    const kAxes = axes(spread, k)
    const over = (x: Tensor, source: readonly Affine[]): Scalar =>
      convert(dtype, reindexScalar(w.cheapIfRepeated(x, full.size).value, source, full.ndim))
    const left = over(lhs, [...axes(0, batch), ...axes(batch.length, m), ...kAxes])
    const right = over(rhs, [...axes(0, batch), ...axes(batch.length + m.length, n), ...kAxes])
    const product = binary('mul', dtype, left, right)
    return accumulate(w, { monoid: 'sum', value: product }, aval, k, dtype)
  }
  const operands = [lhs, rhs].map((x) => ({ value: convert(dtype, packable(w, x).value) }))
  const target = w.newAccumulated(aval)
  w.nodes.push({
    kind: 'contract',
    dtype,
    batch,
    m,
    n,
    k,
    lhs: operands[0],
    rhs: operands[1],
    stores: [
      {
        target,
        at: rowMajor(aval.shape),
        offsets: [],
        value: convert(aval.dtype, accumulator(dtype, 0)),
      },
    ],
  })
  return stored(target, aval)
}

/**
 * What is packed is evaluated once or more per element, so it must be cheap; and work on the
 * result of another contraction is better done there, where it is free of loads.
 */
function packable(w: Writer, x: Tensor): Tensor {
  const tensor = w.current(x)
  const { cost } = measure(tensor.value)
  if (cost === 0) return tensor
  return cost > packingBudget || continues(tensor, w.epilogues)
    ? w.materializeBehind(tensor)
    : tensor
}

function contractionType(lhs: DType, rhs: DType, result: DType): 'float32' | 'float64' | 'int32' {
  if (lhs === 'float64' || rhs === 'float64' || result === 'float64') return 'float64'
  return isFloating(lhs) || isFloating(rhs) || isFloating(result) ? 'float32' : 'int32'
}
