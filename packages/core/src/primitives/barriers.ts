/** Identities that stop something: derivatives, or the passes that look through equations. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import {
  definePrimitive,
  isLinear,
  isZero,
  type Params,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { unary, zeroDerivative } from './elementwise'
import { operation, type Operation, type UnaryOperation } from './operation'
import { anyDType, uniform } from './pointwise'

/** The identity, through which no derivative passes. */
export const stopGradient: UnaryOperation = unary('stop_gradient', {
  dtypes: anyDType,
  evaluate: uniform((x) => x),
  tangent: zeroDerivative,
  lower: (x) => x,
})

const bindBarrier = (...operands: readonly NDArray[]): readonly NDArray[] =>
  bind(barrierPrimitive, operands, {})

const barrierPrimitive: Primitive = definePrimitive({
  name: 'optimization_barrier',
  abstractEval: (operands) => operands,
  // The tangents that are not zero stay together behind a barrier of their own.
  jvp: (primals, tangents) => {
    const outputs = bindBarrier(...primals)
    const passed = [...bindBarrier(...tangents.filter((t): t is NDArray => !isZero(t)))]
    return {
      primals: outputs,
      tangents: tangents.map((t, i) => (isZero(t) ? zeroLike(outputs[i]) : (passed.shift() ?? t))),
    }
  },
  transpose: (cotangents, operands) => {
    const passed = [...bindBarrier(...cotangents.filter((t): t is NDArray => !isZero(t)))]
    const bars = cotangents.map((t) => (isZero(t) ? t : (passed.shift() ?? t)))
    return operands.map((x, i) => (isLinear(x) ? bars[i] : null))
  },
  batch: (_axis, operands, dims) => ({ outputs: bindBarrier(...operands), dims }),
  evaluate: (operands) => operands,
  lower: (_context, operands) => operands,
  opaque: true,
})

/** The operands unchanged, all of them at once: what is computed from them is not shared with before. */
export const optimizationBarrier: Operation<readonly NDArray[], Params, readonly NDArray[]> =
  operation(barrierPrimitive, bindBarrier)
