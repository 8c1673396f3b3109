/** `scatter` (assignment), `scatter-mul`, `scatter-min` and `scatter-max`. */
import type { NDArray } from '../array/ndarray'
import type { Shape } from '../types/aval'
import { DifferentiationError } from '../types/errors'
import { sizeOf } from '../types/aval'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isLinear,
  isZero,
  type JvpRule,
  nonlinear,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { add, div, mul, sub } from './arithmetic'
import { eq } from './comparison'
import { addTangents, full, instantiate, onesLike, zerosLike } from './constants'
import { broadcastInDim, reshape } from './movement'
import {
  gatherBack,
  scatterAdd,
  scatterFields,
  type ScatterOptions,
  type ScatterParams,
  scatterParams,
} from './gather'
import { operation, type Operation } from './operation'
import { select } from './select'
import { iota } from './slicing'

type ScatterOperation = Operation<
  [operand: NDArray, indices: NDArray, updates: NDArray, options: ScatterOptions],
  ScatterParams
>
type BindScatter = (
  operand: NDArray,
  indices: NDArray,
  updates: NDArray,
  params: ScatterParams,
) => NDArray

const callable = (primitive: Primitive<ScatterParams>, apply: BindScatter): ScatterOperation =>
  operation(primitive, (operand, indices, updates, options) =>
    apply(operand, indices, updates, scatterParams(options)),
  )

function needsUniqueIndices(name: string): DifferentiationError {
  return new DifferentiationError({
    op: name,
    problem: 'its derivative is known only where no two updates meet',
    rule: 'uniqueIndices is true',
    hint: 'pass uniqueIndices: true if the indices are distinct',
  })
}

// --- scatter: the last update wins ------------------------------------------------------------------------

const bindScatter: BindScatter = (operand, indices, updates, params) =>
  bind1(scatterPrimitive, [operand, indices, updates], params)

/** 1, 2, 3, … for the index vectors, the same for all elements of one window. */
function updateIds(updates: NDArray, windowDims: readonly number[]): NDArray {
  const shape: Shape = updates.shape.map((size, axis) => (windowDims.includes(axis) ? 1 : size))
  const count = iota({ dtype: 'int32', shape: [sizeOf(shape)], dimension: 0 })
  const ids = reshape(add(count, onesLike(count)), { newSizes: shape })
  return broadcastInDim(ids, {
    shape: updates.shape,
    broadcastDimensions: shape.map((_, axis) => axis),
  })
}

const scatterPrimitive: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
  ...scatterFields('scatter', 'set', (_old, update) => update, bindScatter),
  /**
   * With distinct indices ẏ is the same scatter of tangents. Otherwise the scatter is first turned into
   * a sum: each update scatters its number, the numbers that survive name the updates that won, and the
   * masked updates are added to the masked operand, for values and tangents alike (as JAX does).
   */
  jvp: ([operand, indices, updates], [operandDot, , updatesDot], params) => {
    if (params.uniqueIndices || (isZero(operandDot) && isZero(updatesDot))) {
      const y = bindScatter(operand, indices, updates, params)
      if (isZero(operandDot) && isZero(updatesDot)) return { primals: [y], tangents: [zeroLike(y)] }
      const yDot = bindScatter(instantiate(operandDot), indices, instantiate(updatesDot), params)
      return { primals: [y], tangents: [yDot] }
    }
    const ids = updateIds(updates, params.dimensionNumbers.updateWindowDims)
    const winners = bindScatter(full(operand.shape, 0, 'int32'), indices, ids, params)
    const untouched = eq(winners, zerosLike(winners))
    const won = eq(ids, gatherBack(winners, indices, updates, params))
    const merged = (base: NDArray, added: NDArray): NDArray =>
      scatterAdd(
        select(untouched, base, zerosLike(base)),
        indices,
        select(won, added, zerosLike(added)),
        params,
      )
    return {
      primals: [merged(operand, updates)],
      tangents: [merged(instantiate(operandDot), instantiate(updatesDot))],
    }
  },
  transpose: (cotangents, operands, params) => {
    const [yBar] = cotangents
    const [operand, indices, updates] = operands
    if (isLinear(indices)) return nonlinear(cotangents, operands, params)
    if (isZero(yBar)) return operands.map((o) => (isLinear(o) ? zeroLike(o) : null))
    if (!params.uniqueIndices) throw needsUniqueIndices('scatter')
    const written = { aval: updates.aval }
    const zeros = full(written.aval.shape, 0, yBar.dtype, yBar.aval.weakType)
    return [
      isLinear(operand) ? bindScatter(yBar, indices, zeros, params) : null,
      null,
      isLinear(updates) ? gatherBack(yBar, indices, written, params) : null,
    ]
  },
})

/** `operand` with the updates written where the indices say. */
export const scatter: ScatterOperation = callable(scatterPrimitive, bindScatter)

// --- scatter-mul ----------------------------------------------------------------------------------------------

const bindScatterMul: BindScatter = (operand, indices, updates, params) =>
  bind1(scatterMulPrimitive, [operand, indices, updates], params)

const scatterMulPrimitive: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
  ...scatterFields('scatter-mul', 'mul', (old, update) => old * update, bindScatterMul),
  // With u scattered over ones as factors s(u), y = x·s(u): ẏ = ẋ·s(u) + x·(u̇ scattered over zeros).
  jvp: ([operand, indices, updates], [operandDot, , updatesDot], params) => {
    const y = bindScatterMul(operand, indices, updates, params)
    const left: Tangent = isZero(operandDot)
      ? zeroLike(y)
      : bindScatterMul(operandDot, indices, updates, params)
    if (isZero(updatesDot)) return { primals: [y], tangents: [left] }
    if (!params.uniqueIndices) throw needsUniqueIndices('scatter-mul')
    const spread = scatterAdd(zerosLike(operand), indices, updatesDot, params)
    return { primals: [y], tangents: [addTangents(left, mul(operand, spread))] }
  },
  transpose: (cotangents, operands, params) => {
    const [yBar] = cotangents
    const [operand, indices, updates] = operands
    if (isLinear(indices) || isLinear(operand) === isLinear(updates)) {
      return nonlinear(cotangents, operands, params)
    }
    if (isZero(yBar)) return operands.map((o) => (isLinear(o) ? zeroLike(o) : null))
    if (isLinear(updates) && !isLinear(operand)) {
      if (!params.uniqueIndices) throw needsUniqueIndices('scatter-mul')
      return [null, null, gatherBack(mul(yBar, operand), indices, updates, params)]
    }
    if (isLinear(updates)) return nonlinear(cotangents, operands, params)
    return [bindScatterMul(yBar, indices, updates, params), null, null]
  },
})

/** `operand` with the elements where the indices say multiplied by the updates. */
export const scatterMul: ScatterOperation = callable(scatterMulPrimitive, bindScatterMul)

// --- scatter-min and scatter-max ------------------------------------------------------------------------------

/**
 * Everything equal to the result at its place shares the tangent evenly: the old element, if it is
 * retained, and the updates that reach it. Written as a scatter-add of differences, so that transposing
 * it needs nothing new (as JAX does).
 */
const extremumJvp =
  (apply: BindScatter): JvpRule<ScatterParams> =>
  ([operand, indices, updates], [operandDot, , updatesDot], params) => {
    const y = apply(operand, indices, updates, params)
    if (isZero(operandDot) && isZero(updatesDot)) return { primals: [y], tangents: [zeroLike(y)] }
    const [xDot, uDot] = [instantiate(operandDot), instantiate(updatesDot)]
    const read = (x: NDArray, fill = 0): NDArray => gatherBack(x, indices, updates, params, fill)
    const counted = (each: NDArray): NDArray =>
      read(scatterAdd(zerosLike(operand), indices, each, params), 1)
    const [one, zero] = [onesLike(updates), zerosLike(updates)]
    const result = read(y)
    const reaches = eq(updates, result)
    const retained = eq(read(operand), result)
    const winners = counted(select(reaches, one, zero))
    const visitors = counted(one)
    const share = div(one, select(retained, add(winners, one), winners))
    const updateWeight = select(reaches, share, zero)
    // Applied once per visitor, so divided by their number: turns ẋ into its share of itself.
    const operandWeight = div(sub(select(retained, share, zero), one), visitors)
    const change = add(mul(read(xDot), operandWeight), mul(uDot, updateWeight))
    return { primals: [y], tangents: [scatterAdd(xDot, indices, change, params)] }
  }

function extremum(
  name: 'scatter-min' | 'scatter-max',
  combine: 'min' | 'max',
  combineNumbers: (x: number, y: number) => number,
): ScatterOperation {
  const apply: BindScatter = (operand, indices, updates, params) =>
    bind1(primitive, [operand, indices, updates], params)
  const primitive: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
    ...scatterFields(name, combine, combineNumbers, apply),
    jvp: extremumJvp(apply),
    transpose: nonlinear,
  })
  return callable(primitive, apply)
}

/** The smaller of the old element and the updates that reach it. */
export const scatterMin: ScatterOperation = extremum('scatter-min', 'min', (x, y) => Math.min(x, y))
/** The larger of the old element and the updates that reach it. */
export const scatterMax: ScatterOperation = extremum('scatter-max', 'max', (x, y) => Math.max(x, y))
