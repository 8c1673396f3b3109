/** What every reduction over axes shares: its shape, batching, evaluation and lowering. */
import type { NDArray } from '../array/ndarray'
import type { Monoid } from '../compiler/context'
import { type Aval, type Shape, sizeOf, withShape } from '../types/aval'
import { ArgumentError } from '../types/errors'
import { reductionMonoid } from '../types/monoid'
import { range, withoutAxes } from '../types/shape'
import type { BatchRule, EvaluateRule, LowerRule } from '../trace/primitive'
import { allocateHost, forEachStrided, hostArray, type HostArray, rowMajorStrides } from './strided'

/** The axes of an operand in which a mapped axis was inserted at `dim`. */
export const shiftAxes = (axes: readonly number[], dim: number): number[] =>
  axes.map((axis) => (axis >= dim ? axis + 1 : axis))

export function checkAxes(op: string, x: Aval, axes: readonly number[]): void {
  const valid = axes.every((a) => Number.isInteger(a) && a >= 0 && a < x.ndim)
  if (valid && new Set(axes).size === axes.length) return
  throw new ArgumentError({
    op,
    problem: `axes [${axes.join(',')}] are not distinct axes of the operand`,
    operands: [{ name: 'x', aval: x }],
    rule: 'axes are distinct and 0 <= axis < ndim',
  })
}

export function reducedAval(op: string, x: Aval, axes: readonly number[]): Aval {
  checkAxes(op, x, axes)
  return withShape(x, withoutAxes(x.shape, axes))
}

/** Where the mapped axis stands after the axes (counted without it) have been reduced away. */
export const dimAfterReduction = (dim: number, axes: readonly number[]): number =>
  dim - shiftAxes(axes, dim).filter((axis) => axis < dim).length

export const reductionBatch =
  <P extends { readonly axes: readonly number[] }>(
    reduce: (x: NDArray, params: P) => NDArray,
  ): BatchRule<P> =>
  (_axis, [x], [dim], params) => {
    if (dim === null) return { outputs: [reduce(x, params)], dims: [null] }
    const y = reduce(x, { ...params, axes: shiftAxes(params.axes, dim) })
    return { outputs: [y], dims: [dimAfterReduction(dim, params.axes)] }
  }

/** The positions of the reduced elements relative to the first one, in row-major order. */
function relativePositions(shape: Shape, axes: readonly number[]): number[] {
  const strides = rowMajorStrides(shape)
  const inner = axes.map((axis) => shape[axis])
  const positions = new Array<number>(sizeOf(inner))
  forEachStrided(
    inner,
    0,
    axes.map((axis) => strides[axis]),
    (position, flat) => {
      positions[flat] = position
    },
  )
  return positions
}

/** Calls `visit` with the positions of the elements that make up each element of the result. */
export function forEachFiber(
  x: HostArray,
  axes: readonly number[],
  visit: (base: number, relative: readonly number[], flat: number) => void,
): void {
  const sorted = [...axes].sort((a, b) => a - b)
  const strides = rowMajorStrides(x.aval.shape)
  const kept = range(x.aval.ndim).filter((axis) => !axes.includes(axis))
  const relative = relativePositions(x.aval.shape, sorted)
  forEachStrided(
    kept.map((axis) => x.aval.shape[axis]),
    0,
    kept.map((axis) => strides[axis]),
    (base, flat) => visit(base, relative, flat),
  )
}

export const evaluateReduction =
  <P extends { readonly axes: readonly number[] }>(monoid: Monoid): EvaluateRule<P> =>
  ([x], { axes }, [aval]) => {
    const { concat, empty } = reductionMonoid(monoid, aval.dtype)
    const data = allocateHost(aval.dtype, aval.size)
    // Written back after every step, so that integers wrap as they do in memory.
    forEachFiber(x, axes, (base, relative, flat) => {
      data[flat] = empty
      for (const r of relative) data[flat] = concat(data[flat], x.data[base + r])
    })
    return [hostArray(aval, data)]
  }

export const lowerReduction =
  <P extends { readonly axes: readonly number[] }>(
    monoid: Monoid,
    onBools: Monoid = monoid,
  ): LowerRule<P> =>
  (context, [x], { axes }, [aval]) => [
    context.reduce(aval.dtype === 'bool' ? onBools : monoid, x, axes, aval),
  ]
