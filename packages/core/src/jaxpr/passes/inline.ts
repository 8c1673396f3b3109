import { type Atom, type Equation, isVar, Jaxpr, Var } from '../ir'
import { definePass, type Pass, Substitution } from './pass'

/** The pass that writes out the calls for which `wanted` holds. */
export const inlining = (wanted: (equation: Equation) => boolean): Pass =>
  definePass('inline', (jaxpr) => inlineCalls(jaxpr, wanted))

/** Replaces equations that only call a program (jit) by the program's equations. */
export const inline: Pass = inlining(() => true)

function inlineCalls(jaxpr: Jaxpr, wanted: (equation: Equation) => boolean): Jaxpr {
  const calleeOf = (equation: Equation): Jaxpr | null =>
    wanted(equation) ? equation.primitive.callee(equation.params) : null
  if (!jaxpr.equations.some((equation) => calleeOf(equation) !== null)) return jaxpr
  const equations: Equation[] = []
  const substitution = new Substitution()
  for (const equation of jaxpr.equations) {
    const inputs = substitution.all(equation.inputs)
    const callee = calleeOf(equation)
    if (callee === null) {
      equations.push(inputs === equation.inputs ? equation : { ...equation, inputs })
      continue
    }
    // Fresh variables: the same program may be called twice.
    const local = new Map<Var, Atom>()
    callee.inputs.forEach((v, i) => {
      const argument = inputs[i]
      if (argument) local.set(v, argument)
    })
    const read = (atom: Atom): Atom => (isVar(atom) ? (local.get(atom) ?? atom) : atom)
    for (const inner of callee.equations) {
      const outputs = inner.outputs.map((v) => {
        const fresh = new Var(v.aval)
        local.set(v, fresh)
        return fresh
      })
      equations.push({ ...inner, inputs: inner.inputs.map(read), outputs })
    }
    equation.outputs.forEach((v, i) => {
      const result = callee.outputs[i]
      if (result) substitution.set(v, read(result))
    })
  }
  return new Jaxpr(jaxpr.inputs, equations, substitution.all(jaxpr.outputs), jaxpr.name)
}
