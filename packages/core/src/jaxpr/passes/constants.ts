import { elementOf } from '../../types/element'
import { type Equation, isLiteral, Jaxpr, Literal } from '../ir'
import { definePass, Substitution } from './pass'

/** Computes scalar equations whose operands are all literals. */
export const foldConstants = definePass('constant folding', (jaxpr) => {
  const substitution = new Substitution()
  const equations: Equation[] = []
  for (const equation of jaxpr.equations) {
    const { primitive, params, outputs } = equation
    const inputs = substitution.all(equation.inputs)
    const [result] = outputs
    const literals = inputs.filter(isLiteral)
    const foldable =
      primitive.splat !== null &&
      !primitive.opaque &&
      outputs.length === 1 &&
      result?.aval.ndim === 0 &&
      inputs.length > 0 &&
      literals.length === inputs.length
    if (foldable && result && primitive.splat) {
      const elements = literals.map((l) => l.value)
      const avals = literals.map((l) => l.aval)
      const value = primitive.splat(elements, params, avals, result.aval)
      substitution.set(result, new Literal(elementOf(value, result.aval.dtype), result.aval))
    } else {
      equations.push(inputs === equation.inputs ? equation : { ...equation, inputs })
    }
  }
  return equations.length === jaxpr.equations.length
    ? jaxpr
    : new Jaxpr(jaxpr.inputs, equations, substitution.all(jaxpr.outputs), jaxpr.name)
})
