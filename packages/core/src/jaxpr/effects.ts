/**
 * Programs that do something besides computing, such as calling back into the host.
 *
 * A compiled program cannot stop in the middle. One with effects is therefore run in parts: what
 * stands between two effects is compiled as usual, and equations that hold programs with effects
 * (loops, branches) run step by step.
 */
import type { ParamValue, Params, Primitive } from '../trace/primitive'
import { type Atom, type Equation, isVar, Jaxpr, type Var } from './ir'

const known = new WeakMap<Jaxpr, boolean>()

/** Whether running the program does something besides computing. */
export function hasEffects(jaxpr: Jaxpr): boolean {
  let answer = known.get(jaxpr)
  if (answer === undefined) {
    answer = jaxpr.equations.some(equationHasEffects)
    known.set(jaxpr, answer)
  }
  return answer
}

export const equationHasEffects = (equation: {
  readonly primitive: Primitive
  readonly params: Params
}): boolean => equation.primitive.effect || paramsHaveEffects(equation.params)

/** Asked of every equation by every pass, so no lists are made of what parameters hold. */
function paramsHaveEffects(value: Params | ParamValue): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Jaxpr) return hasEffects(value)
  if (Array.isArray(value)) {
    const list = value as readonly ParamValue[]
    for (let i = 0; i < list.length; i++) {
      const item = list[i]
      if (typeof item === 'object' && paramsHaveEffects(item)) return true
    }
    return false
  }
  const params = value as Params
  for (const name in params) {
    const param = params[name]
    if (typeof param === 'object' && paramsHaveEffects(param)) return true
  }
  return false
}

/** A program without effects to run at once, or one equation with effects. */
export type Part =
  | { readonly kind: 'pure'; readonly jaxpr: Jaxpr }
  | { readonly kind: 'effect'; readonly equation: Equation }

const partsOfJaxpr = new WeakMap<Jaxpr, readonly Part[]>()

/** The program in parts, in order. Each pure part takes variables of the parts before it. */
export function partsOf(jaxpr: Jaxpr): readonly Part[] {
  let parts = partsOfJaxpr.get(jaxpr)
  if (parts === undefined) partsOfJaxpr.set(jaxpr, (parts = divide(jaxpr)))
  return parts
}

function divide(jaxpr: Jaxpr): readonly Part[] {
  const groups: (Equation[] | Equation)[] = []
  for (const equation of jaxpr.equations) {
    const last = groups.at(-1)
    if (equationHasEffects(equation)) groups.push(equation)
    else if (Array.isArray(last)) last.push(equation)
    else groups.push([equation])
  }
  // From the back: a part answers what is read after it.
  const readLater = new Set<Atom>(jaxpr.outputs)
  const parts: Part[] = []
  for (const group of groups.reverse()) {
    const equations = Array.isArray(group) ? group : [group]
    if (Array.isArray(group)) {
      const own = new Set<Var>(group.flatMap((equation) => equation.outputs))
      const inputs = new Set<Var>()
      for (const atom of group.flatMap((equation) => equation.inputs)) {
        if (isVar(atom) && !own.has(atom)) inputs.add(atom)
      }
      const outputs = [...own].filter((v) => readLater.has(v))
      parts.push({ kind: 'pure', jaxpr: new Jaxpr([...inputs], group, outputs, jaxpr.name) })
    } else {
      parts.push({ kind: 'effect', equation: group })
    }
    for (const atom of equations.flatMap((equation) => equation.inputs)) readLater.add(atom)
  }
  return parts.reverse()
}
