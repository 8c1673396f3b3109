import { type Equation, isVar, Jaxpr, type Var } from '../ir'
import { definePass } from './pass'

/** Removes equations whose results nobody uses, and unused results of loops and branches. */
export const eliminateDeadCode = definePass('dead code', (jaxpr) => {
  const live = new Set<Var>()
  for (const atom of jaxpr.outputs) if (isVar(atom)) live.add(atom)
  const kept: Equation[] = []
  for (let i = jaxpr.equations.length - 1; i >= 0; i--) {
    const equation = jaxpr.equations[i]
    if (equation === undefined || !equation.outputs.some((v) => live.has(v))) continue
    const needed = pruned(equation, live)
    for (const atom of needed.inputs) if (isVar(atom)) live.add(atom)
    kept.push(needed)
  }
  return kept.length === jaxpr.equations.length && kept.every((e, i) => e === jaxpr.equations.at(-1 - i))
    ? jaxpr
    : new Jaxpr(jaxpr.inputs, kept.reverse(), jaxpr.outputs, jaxpr.name)
})

function pruned(equation: Equation, live: ReadonlySet<Var>): Equation {
  const { primitive, params, inputs, outputs } = equation
  if (primitive.prune === 'all-or-nothing') return equation
  const used = outputs.map((v) => live.has(v))
  const answer = primitive.prune(params, used)
  if (answer === null) return equation
  return {
    primitive,
    params: answer.params,
    inputs: inputs.filter((_, i) => answer.usedInputs[i]),
    outputs: outputs.filter((_, i) => used[i]),
  }
}
