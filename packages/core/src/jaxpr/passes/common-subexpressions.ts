import { avalKey } from '../../types/aval'
import { type Atom, type Equation, isVar, Jaxpr, type Var } from '../ir'
import { paramKey, paramsKey } from '../key'
import { definePass, Substitution } from './pass'

/** Computes equal equations once: all primitives are pure. Barriers stay apart. */
export const shareCommonSubexpressions = definePass('common subexpressions', (jaxpr) => {
  const numbers = new Map<Var, number>()
  const numberOf = (v: Var): number => {
    let n = numbers.get(v)
    if (n === undefined) numbers.set(v, (n = numbers.size))
    return n
  }
  const atomKey = (atom: Atom): string =>
    isVar(atom) ? `v${numberOf(atom)}` : `${paramKey(atom.value)}:${avalKey(atom.aval)}`

  const seen = new Map<string, readonly Var[]>()
  const substitution = new Substitution()
  const equations: Equation[] = []
  for (const equation of jaxpr.equations) {
    const { primitive, params, outputs } = equation
    const inputs = substitution.all(equation.inputs)
    const key = `${primitive.name}${paramsKey(params)} ${inputs.map(atomKey).join(' ')}`
    const earlier = primitive.opaque ? undefined : seen.get(key)
    if (
      earlier &&
      earlier.every((v, i) => outputs[i] && avalKey(v.aval) === avalKey(outputs[i].aval))
    ) {
      outputs.forEach((v, i) => {
        const same = earlier[i]
        if (same) substitution.set(v, same)
      })
      continue
    }
    seen.set(key, outputs)
    equations.push(inputs === equation.inputs ? equation : { ...equation, inputs })
  }
  return equations.length === jaxpr.equations.length
    ? jaxpr
    : new Jaxpr(jaxpr.inputs, equations, substitution.all(jaxpr.outputs), jaxpr.name)
})
