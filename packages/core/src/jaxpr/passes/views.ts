import { type Equation, isVar, Jaxpr, type Var } from '../ir'
import { definePass, Substitution } from './pass'

/**
 * The algebra of views: two transposes, reshapes, broadcasts or conversions in a row are one, and
 * one that changes nothing is none. Each primitive says itself what it composes with.
 */
export const simplifyViews = definePass('views', (jaxpr) => {
  const producers = new Map<Var, Equation>()
  const substitution = new Substitution()
  const equations: Equation[] = []
  let changed = false
  for (const original of jaxpr.equations) {
    const inputs = substitution.all(original.inputs)
    let equation: Equation = inputs === original.inputs ? original : { ...original, inputs }
    let identity = false
    while (equation.primitive.compose !== null) {
      const [operand] = equation.inputs
      if (operand === undefined) break
      const producer = isVar(operand) ? (producers.get(operand) ?? null) : null
      const answer = equation.primitive.compose(equation.params, operand.aval, producer)
      if (answer === null) break
      changed = true
      if (answer === 'identity') {
        const [result] = equation.outputs
        if (result) substitution.set(result, operand)
        identity = true
        break
      }
      if (producer === null) break
      equation = { ...equation, inputs: producer.inputs, params: answer.params }
    }
    if (identity) continue
    for (const v of equation.outputs) producers.set(v, equation)
    equations.push(equation)
  }
  return changed
    ? new Jaxpr(jaxpr.inputs, equations, substitution.all(jaxpr.outputs), jaxpr.name)
    : jaxpr
})
