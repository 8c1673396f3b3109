/**
 * Work that the body of a loop would do in every turn with the same result, done once before it.
 *
 * An equation is invariant if it depends on the loop's constants alone. Not all of these are worth
 * a place in memory: views and cheap expressions cost nothing where they are used, so what they are
 * made of is handed to the loop instead, and they stay in the body.
 */
import { type Equation, isVar, Jaxpr, type Var } from '../jaxpr/ir'
import type { Tensor } from './context'
import { measure } from './measure'
import { bufferOf, recomputeBudget } from './writer'

export interface Hoisted {
  /** Takes the results of what was hoisted behind its other constants. */
  readonly body: Jaxpr
  readonly results: readonly Tensor[]
}

/** `inline` lowers equations where the loop stands. Null where there is nothing to hoist. */
export function hoisted(
  body: Jaxpr,
  constants: readonly Tensor[],
  inline: (jaxpr: Jaxpr, operands: readonly Tensor[]) => readonly Tensor[],
): Hoisted | null {
  const parameters = body.inputs.slice(0, constants.length)
  const invariant = invariantEquations(body, parameters)
  if (invariant.size === 0) return null
  const known = new Set(invariant.values())
  const equations = [...known]
  const lowered = (outputs: readonly Var[]): readonly Tensor[] =>
    inline(new Jaxpr(parameters, equations, outputs, body.name), constants)

  const candidates = [...invariant.keys()]
  const given = new Set(constants.map(bufferOf))
  const tensors = new Map(lowered(candidates).map((tensor, i) => [candidates[i], tensor]))
  const isDear = (v: Var): boolean => {
    const tensor = tensors.get(v)
    if (tensor === undefined) return false
    const buffer = bufferOf(tensor)
    return buffer === null ? measure(tensor.value).cost > recomputeBudget : !given.has(buffer)
  }

  const chosen = new Set<Var>()
  const seen = new Set<Var>()
  const pending = [
    ...body.outputs,
    ...body.equations.filter((e) => !known.has(e)).flatMap((e) => e.inputs),
  ].filter(isVar)
  for (let v = pending.pop(); v !== undefined; v = pending.pop()) {
    const equation = invariant.get(v)
    if (equation === undefined || seen.has(v)) continue
    seen.add(v)
    if (isDear(v)) equation.outputs.forEach((o) => chosen.add(o))
    else pending.push(...equation.inputs.filter(isVar))
  }
  if (chosen.size === 0) return null
  const outputs = candidates.filter((v) => chosen.has(v))
  return {
    body: new Jaxpr(
      [...parameters, ...outputs, ...body.inputs.slice(constants.length)],
      body.equations.filter((e) => !e.outputs.some((v) => chosen.has(v))),
      body.outputs,
      body.name,
    ),
    // Once more for these alone: what only led to them need not be in memory.
    results: lowered(outputs),
  }
}

/** The variables that depend on nothing but the parameters, with what defines them. */
function invariantEquations(body: Jaxpr, parameters: readonly Var[]): ReadonlyMap<Var, Equation> {
  const known = new Set(parameters)
  const invariant = new Map<Var, Equation>()
  for (const equation of body.equations) {
    if (!equation.inputs.every((atom) => !isVar(atom) || known.has(atom))) continue
    for (const v of equation.outputs) {
      known.add(v)
      invariant.set(v, equation)
    }
  }
  return invariant
}
