/** Choosing between arrays element by element, and clamping. */
import type { NDArray } from '../array/ndarray'
import type { Tensor } from '../compiler/context'
import * as expr from '../compiler/expr'
import { Aval, shapesEqual } from '../types/aval'
import { ShapeError } from '../types/errors'
import { bind1 } from '../trace/interpreter'
import {
  type BatchRule,
  definePrimitive,
  isLinear,
  isZero,
  nonlinear,
  type Params,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { and } from './bitwise'
import { gt, lt } from './comparison'
import { fullLike, instantiate, sumTangents, zerosLike } from './constants'
import { broadcastInDim, withMappedAxis } from './movement'
import { operation, type Operation } from './operation'
import { anyDType, checkPointwise } from './pointwise'
import { allocateHost, hostArray, type HostArray } from './strided'

/**
 * Batching where some operands may be scalars beside arrays of one shape: all operands get the mapped
 * axis in front, and mapped scalars are spread over the arrays.
 */
const batchWithScalars =
  (apply: (operands: readonly NDArray[]) => NDArray): BatchRule<Params> =>
  (axis, operands, dims) => {
    const laneShapes = operands.map((x, i) => x.shape.filter((_, a) => a !== dims[i]))
    const shape = laneShapes.find((s) => s.length > 0) ?? []
    const aligned = operands.map((x, i) => {
      const isScalar = laneShapes[i].length < shape.length
      // An unmapped scalar beside arrays stays one: it is the same for all lanes.
      if (isScalar && dims[i] === null) return x
      const front = withMappedAxis(x, dims[i], axis.size, 0)
      return isScalar
        ? broadcastInDim(front, { shape: [axis.size, ...shape], broadcastDimensions: [0] })
        : front
    })
    return { outputs: [apply(aligned)], dims: [0] }
  }

const broadcastScalar = (
  context: { reindex: (x: Tensor, aval: Aval, source: readonly []) => Tensor },
  x: Tensor,
  shape: readonly number[],
): Tensor =>
  x.aval.ndim === 0 && shape.length > 0
    ? context.reindex(x, new Aval(shape, x.aval.dtype, x.aval.weakType), [])
    : x

/** Reads a scalar as if it had been broadcast. */
const reader = (x: HostArray): ((i: number) => number) =>
  x.aval.ndim === 0 ? () => x.data[0] : (i) => x.data[i]

// --- select_n ---------------------------------------------------------------------------------------------

const bindSelectN = (which: NDArray, ...cases: readonly NDArray[]): NDArray =>
  bind1(selectPrimitive, [which, ...cases], {})

const selectPrimitive: Primitive = definePrimitive({
  name: 'select_n',
  abstractEval: ([which, ...cases]) => {
    checkPointwise('select_n', cases, anyDType)
    const [first] = cases
    const shapeFits = which.ndim === 0 || shapesEqual(which.shape, first.shape)
    const dtypeFits = which.dtype === 'int32' || (which.dtype === 'bool' && cases.length <= 2)
    if (!shapeFits || !dtypeFits) {
      throw new ShapeError({
        op: 'select_n',
        problem: shapeFits
          ? `${which.dtype} cannot choose between ${cases.length} cases`
          : 'the selector and the cases have different shapes',
        operands: [which, ...cases].map((aval, i) => ({
          name: i === 0 ? 'which' : `case ${i - 1}`,
          aval,
        })),
        rule: 'which is bool (two cases) or int32, and a scalar or shaped like the cases',
      })
    }
    return [
      new Aval(
        first.shape,
        first.dtype,
        cases.every((c) => c.weakType),
      ),
    ]
  },
  // Linear in the cases together: ẏ = select(which, ẋ₀, ẋ₁, …).
  jvp: ([which, ...cases], [, ...dots]) => {
    const y = bindSelectN(which, ...cases)
    const yDot: Tangent = dots.every(isZero)
      ? zeroLike(y)
      : bindSelectN(which, ...dots.map(instantiate))
    return { primals: [y], tangents: [yDot] }
  },
  transpose: ([yBar], operands, params) => {
    const [which, ...cases] = operands
    if (isLinear(which)) return nonlinear([yBar], operands, params)
    const pulled = cases.map((operand, i) => {
      if (!isLinear(operand)) return null
      if (isZero(yBar)) return zeroLike(operand)
      const zeros = zerosLike(yBar)
      return bindSelectN(which, ...cases.map((_, j) => (i === j ? yBar : zeros)))
    })
    return [null, ...pulled]
  },
  batch: batchWithScalars(([which, ...cases]) => bindSelectN(which, ...cases)),
  evaluate: ([which, ...cases], _params, [aval]) => {
    const choose = reader(which)
    const data = allocateHost(aval.dtype, aval.size)
    const last = cases.length - 1
    for (let i = 0; i < data.length; i++) {
      data[i] = cases[Math.min(Math.max(choose(i), 0), last)].data[i]
    }
    return [hostArray(aval, data)]
  },
  lower: (context, [which, ...cases], _params, [aval]) => [
    context.map(
      aval,
      (selector, ...values) => {
        const [onFalse, onTrue = onFalse] = values
        if (selector.dtype === 'bool') return expr.select(selector, onTrue, onFalse)
        // A chain of tests from the last case down: case i where selector <= i.
        return values.reduceRight((rest, value, i) =>
          expr.select(expr.binary('le', 'bool', selector, expr.constant('int32', i)), value, rest),
        )
      },
      broadcastScalar(context, which, aval.shape),
      ...cases,
    ),
  ],
})

/** `cases[which]`, element by element; a bool `which` chooses case 1 where it is true. */
export const selectN: Operation<[which: NDArray, ...cases: readonly NDArray[]], Params> = operation(
  selectPrimitive,
  bindSelectN,
)

/** `onTrue` where the condition holds, `onFalse` elsewhere. */
export const select = (condition: NDArray, onTrue: NDArray, onFalse: NDArray): NDArray =>
  selectN(condition, onFalse, onTrue)

// --- clamp ------------------------------------------------------------------------------------------------

const bindClamp = (low: NDArray, x: NDArray, high: NDArray): NDArray =>
  bind1(clampPrimitive, [low, x, high], {})

const clampPrimitive: Primitive = definePrimitive({
  name: 'clamp',
  abstractEval: (operands) => {
    const [low, x, high] = operands
    const fits = [low, high].every((bound) => bound.ndim === 0 || shapesEqual(bound.shape, x.shape))
    if (!fits) {
      throw new ShapeError({
        op: 'clamp',
        problem: 'a bound has another shape than the operand',
        operands: ['low', 'x', 'high'].map((name, i) => ({ name, aval: operands[i] })),
        rule: 'bounds are scalars or shaped like x',
      })
    }
    checkPointwise(
      'clamp',
      operands.map((o) => new Aval(x.shape, o.dtype)),
      anyDType,
    )
    return [
      new Aval(
        x.shape,
        x.dtype,
        operands.every((o) => o.weakType),
      ),
    ]
  },
  // Each operand passes its tangent where it is the one that decides, strictly (JAX's convention).
  jvp: ([low, x, high], dots) => {
    const y = bindClamp(low, x, high)
    const [lows, highs] = [low, high].map((bound) =>
      bound.ndim === x.ndim
        ? bound
        : broadcastInDim(bound, { shape: x.shape, broadcastDimensions: [] }),
    )
    const decides = [
      () => and(gt(lows, x), lt(lows, highs)),
      () => and(gt(x, lows), lt(x, highs)),
      () => lt(highs, x),
    ]
    const parts = dots.map((dot, i): Tangent => {
      if (isZero(dot)) return zeroLike(y)
      const spread = broadcastInDim(dot, {
        shape: x.shape,
        broadcastDimensions: dot.shape.map((_, axis) => axis),
      })
      return select(decides[i](), spread, fullLike(spread, 0))
    })
    return { primals: [y], tangents: [sumTangents(parts, y)] }
  },
  transpose: nonlinear,
  batch: batchWithScalars(([low, x, high]) => bindClamp(low, x, high)),
  evaluate: ([low, x, high], _params, [aval]) => {
    const [lowAt, highAt] = [reader(low), reader(high)]
    const data = allocateHost(aval.dtype, aval.size)
    for (let i = 0; i < data.length; i++) {
      data[i] = Math.min(Math.max(x.data[i], lowAt(i)), highAt(i))
    }
    return [hostArray(aval, data)]
  },
  lower: (context, [low, x, high], _params, [aval]) => [
    context.map(
      aval,
      (lowest, value, highest) => {
        const [max, min] =
          aval.dtype === 'bool' ? (['or', 'and'] as const) : (['max', 'min'] as const)
        return expr.binary(min, aval.dtype, expr.binary(max, aval.dtype, value, lowest), highest)
      },
      broadcastScalar(context, low, aval.shape),
      x,
      broadcastScalar(context, high, aval.shape),
    ),
  ],
})

/** `min(max(x, low), high)`; the bounds are scalars or shaped like `x`. */
export const clamp: Operation<[low: NDArray, x: NDArray, high: NDArray], Params> = operation(
  clampPrimitive,
  bindClamp,
)
