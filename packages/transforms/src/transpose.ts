/**
 * Transposition: a linear program run backwards.
 *
 * Cotangents flow from outputs to inputs; each equation contributes to its linear operands by its
 * transpose rule, and what reaches a variable from several uses is added up. Cotangents that are
 * known to be zero are never computed with.
 */
import {
  addTangents,
  type Atom,
  bind,
  type Equation,
  instantiate,
  isVar,
  isZero,
  type Jaxpr,
  LinearOperand,
  makeScalar,
  type NDArray,
  type Tangent,
  type TransposeOperand,
  isLinear,
  type Var,
  Zero,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import { nonzeros, present, withZeros } from './zeros'

/**
 * Cotangents of the linear operands, from cotangents of the results.
 *
 * @param operands a value for each input, or a `LinearOperand` where a cotangent is wanted
 * @returns per operand: its cotangent, or null where the operand is a value
 */
export function backwardPass(
  jaxpr: Jaxpr,
  operands: readonly TransposeOperand[],
  cotangents: readonly Tangent[],
): readonly (Tangent | null)[] {
  const values = new Map<Var, NDArray>()
  jaxpr.inputs.forEach((v, i) => {
    const operand = operands[i]
    if (!isLinear(operand)) values.set(v, operand)
  })
  const operandOf = (atom: Atom): TransposeOperand => {
    if (!isVar(atom)) return makeScalar(atom.value, atom.aval)
    return values.get(atom) ?? new LinearOperand(atom.aval)
  }

  // Forwards: what does not depend on the linear inputs is simply computed.
  const linear: Equation[] = []
  for (const equation of jaxpr.equations) {
    const inputs = equation.inputs.map(operandOf)
    if (inputs.some(isLinear)) {
      linear.push(equation)
      continue
    }
    const results = bind(equation.primitive, inputs as readonly NDArray[], equation.params)
    equation.outputs.forEach((v, i) => values.set(v, results[i]))
  }

  // Backwards.
  const accumulated = new Map<Var, Tangent>()
  const accumulate = (atom: Atom, cotangent: Tangent): void => {
    if (!isVar(atom) || isZero(cotangent)) return
    const known = accumulated.get(atom)
    accumulated.set(atom, known ? addTangents(known, cotangent) : cotangent)
  }
  jaxpr.outputs.forEach((atom, i) => {
    if (isVar(atom) && !values.has(atom)) accumulate(atom, cotangents[i])
  })
  for (let i = linear.length - 1; i >= 0; i--) {
    const { primitive, inputs, outputs, params } = linear[i]
    const yBars = outputs.map((v) => accumulated.get(v) ?? new Zero(v.aval))
    for (const v of outputs) accumulated.delete(v)
    if (yBars.every(isZero)) continue
    const xBars = primitive.transpose(yBars, inputs.map(operandOf), params)
    inputs.forEach((atom, k) => {
      const xBar = xBars[k]
      if (xBar !== null && isVar(atom) && !values.has(atom)) accumulate(atom, xBar)
    })
  }
  return jaxpr.inputs.map((v, i) =>
    isLinear(operands[i]) ? (accumulated.get(v) ?? new Zero(v.aval)) : null,
  )
}

export interface TransposedProgram extends ClosedProgram {
  /** For each linear input, whether its cotangent may be nonzero, and so is an output. */
  readonly cotangentOut: readonly boolean[]
}

/**
 * The transpose of a program, as a program.
 *
 * Inputs: the values of the operands that are not linear, then the cotangents that may be nonzero.
 * Outputs: the cotangents of the linear operands, those that may be nonzero or are forced.
 *
 * @param linear which operands a cotangent is wanted for
 * @param cotangentIn which results have a cotangent
 * @param forceOut per linear operand, whether it gets a cotangent even where that is zero
 */
export const transposeJaxpr = derivedOnce(
  (linear: readonly boolean[], cotangentIn: readonly boolean[], forceOut: readonly boolean[]) =>
    `${flagsKey(linear)}|${flagsKey(cotangentIn)}|${flagsKey(forceOut)}`,
  (jaxpr, linear, cotangentIn, forceOut): TransposedProgram => {
    const valueAvals = jaxpr.inAvals.filter((_, i) => !linear[i])
    const outAvals = jaxpr.outAvals
    const staged = stageWith(
      (inputs) => {
        let next = 0
        const operands = jaxpr.inAvals.map((aval, i) =>
          linear[i] ? new LinearOperand(aval) : inputs[next++],
        )
        const yBars = withZeros(inputs.slice(next), cotangentIn, outAvals)
        const xBars = backwardPass(jaxpr, operands, yBars).filter((x): x is Tangent => x !== null)
        const forced = xBars.map((x, i) => (forceOut[i] ? instantiate(x) : x))
        return { outputs: nonzeros(forced), facts: present(forced) }
      },
      [...valueAvals, ...outAvals.filter((_, i) => cotangentIn[i])],
      'transpose',
      jaxpr.name,
    )
    return { jaxpr: staged.jaxpr, constants: staged.constants, cotangentOut: staged.facts }
  },
)
