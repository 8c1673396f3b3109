/**
 * The `jit` primitive: a call of a staged program. Every rule transforms the program and calls the
 * result, so a function that is called twice is traced and transformed once.
 */
import {
  type Aval,
  bind,
  definePrimitive,
  evaluateOnHost,
  isLinear,
  type Jaxpr,
  type NDArray,
  type Primitive,
  pruneJaxpr,
  register,
} from '@adjoint/core/internal'
import { jvpJaxpr } from '../jvp'
import { linearizeJaxpr, residualValues } from '../linearize'
import { transposeJaxpr } from '../transpose'
import { batchJaxpr, mappedFirst } from '../vmap'
import { nonzeros, present, withZeros } from '../zeros'

export type JitParams = {
  readonly name: string
  readonly jaxpr: Jaxpr
}

/** No result has a tangent that is forced to exist. */
const free: readonly boolean[] = []

export const callJit = (
  name: string,
  jaxpr: Jaxpr,
  operands: readonly NDArray[],
): readonly NDArray[] => bind(jitPrimitive, operands, { name, jaxpr })

export const jitPrimitive: Primitive<JitParams> = register(
  definePrimitive<JitParams>({
    name: 'jit',
    abstractEval: (_operands, { jaxpr }): readonly Aval[] => jaxpr.outAvals,
    jvp: (primals, tangents, { name, jaxpr }) => {
      const program = jvpJaxpr(jaxpr, present(tangents), free)
      const results = callJit(name, program.jaxpr, [
        ...program.constants,
        ...primals,
        ...nonzeros(tangents),
      ])
      const numPrimals = jaxpr.outputs.length
      return {
        primals: results.slice(0, numPrimals),
        tangents: withZeros(results.slice(numPrimals), program.tangentOut, jaxpr.outAvals),
      }
    },
    linearize: (primals, tangentIn, { name, jaxpr }) => {
      const program = linearizeJaxpr(jaxpr, tangentIn, free)
      const results = callJit(name, program.jaxpr, [...program.constants, ...primals])
      const residuals = residualValues(program, primals, results)
      return {
        primals: results.slice(0, jaxpr.outputs.length),
        tangentOut: program.tangentOut,
        linear: (tangents) =>
          withZeros(
            program.linear.outputs.length === 0
              ? []
              : callJit(name, program.linear, [...residuals, ...nonzeros(tangents)]),
            program.tangentOut,
            jaxpr.outAvals,
          ),
      }
    },
    transpose: (cotangents, operands, { name, jaxpr }) => {
      const linear = operands.map(isLinear)
      const program = transposeJaxpr(jaxpr, linear, present(cotangents), free)
      const values = operands.filter((x): x is NDArray => !isLinear(x))
      const results = callJit(name, program.jaxpr, [
        ...program.constants,
        ...values,
        ...nonzeros(cotangents),
      ])
      const xBars = withZeros(
        results,
        program.cotangentOut,
        operands.filter(isLinear).map((x) => x.aval),
      )
      let next = 0
      return operands.map((x) => (isLinear(x) ? xBars[next++] : null))
    },
    batch: (axis, operands, dims, { name, jaxpr }) => {
      const program = batchJaxpr(
        jaxpr,
        axis,
        dims.map((dim) => dim !== null),
        free,
      )
      const outputs = callJit(name, program.jaxpr, [
        ...program.constants,
        ...mappedFirst(operands, dims),
      ])
      return { outputs, dims: program.mappedOut.map((mapped) => (mapped ? 0 : null)) }
    },
    evaluate: (operands, { jaxpr }) => evaluateOnHost(jaxpr, operands),
    lower: (context, operands, { jaxpr }) => context.inline(jaxpr, operands),
    callee: ({ jaxpr }) => jaxpr,
    prune: ({ name, jaxpr }, usedOutputs) => {
      const pruned = pruneJaxpr(jaxpr, usedOutputs)
      return pruned.jaxpr === jaxpr
        ? null
        : {
            params: { name, jaxpr: pruned.jaxpr },
            usedInputs: pruned.usedInputs,
            keptOutputs: usedOutputs,
          }
    },
  }),
)
