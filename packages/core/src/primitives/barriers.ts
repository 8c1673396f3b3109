/** Identities that stop something: derivatives, or the passes that look through equations. */
import type { NDArray } from '../array/ndarray'
import { bind } from '../trace/interpreter'
import { definePrimitive, isLinear, type Params, type Primitive } from '../trace/primitive'
import { unary, zeroDerivative } from './elementwise'
import { instantiate } from './constants'
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
  // The tangents stay together behind a barrier of their own.
  jvp: (primals, tangents) => ({
    primals: bindBarrier(...primals),
    tangents: bindBarrier(...tangents.map(instantiate)),
  }),
  transpose: (cotangents, operands) => {
    const yBars = bindBarrier(...cotangents.map(instantiate))
    return operands.map((x, i) => (isLinear(x) ? yBars[i] : null))
  },
  batch: (_axis, operands, dims) => ({ outputs: bindBarrier(...operands), dims }),
  evaluate: (operands) => operands,
  lower: (_context, operands) => operands,
  opaque: true,
})

/** The operands unchanged, all of them at once: what is computed from them is not shared with before. */
export const optimizationBarrier: Operation<
  readonly NDArray[],
  Params,
  readonly NDArray[]
> = operation(barrierPrimitive, bindBarrier)

