/** Passes are endomorphisms of jaxprs; in sequence they form a monoid. */
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import type { ParamValue, Params } from '../../trace/primitive'
import { checkJaxpr } from '../check'
import { type Atom, type Equation, isVar, Jaxpr, type Var } from '../ir'

export interface Pass {
  readonly name: string
  readonly run: (jaxpr: Jaxpr) => Jaxpr
}

/** One pass after the other; the empty pass changes nothing. */
export const passMonoid: Monoid<Pass> = {
  concat: (first, second) => ({
    name: [first.name, second.name].filter(Boolean).join(', '),
    run: (jaxpr) => second.run(first.run(jaxpr)),
  }),
  empty: { name: '', run: (jaxpr) => jaxpr },
}

let check: ((jaxpr: Jaxpr) => void) | null = null
/** Type-check every jaxpr that a pass returns: on in the test suite, and absent from other pages. */
export function checkPasses(enabled: boolean): void {
  check = enabled ? checkJaxpr : null
}

/** A pass that runs once per jaxpr, remembered by identity, on the programs inside it first. */
export function definePass(name: string, rewrite: (jaxpr: Jaxpr) => Jaxpr): Pass {
  const done = new WeakMap<Jaxpr, Jaxpr>()
  const run = (jaxpr: Jaxpr): Jaxpr => {
    const known = done.get(jaxpr)
    if (known) return known
    const result = rewrite(mapInnerPrograms(jaxpr, run))
    check?.(result)
    done.set(jaxpr, result)
    done.set(result, result)
    return result
  }
  return { name, run }
}

/** Rewrites the programs in the equations' parameters; the same jaxpr when none changes. */
function mapInnerPrograms(jaxpr: Jaxpr, f: (jaxpr: Jaxpr) => Jaxpr): Jaxpr {
  let changed = false
  const equations: Equation[] = []
  for (const equation of jaxpr.equations) {
    const params = mapPrograms(equation.params, f)
    if (params === equation.params) equations.push(equation)
    else {
      changed = true
      equations.push({ ...equation, params })
    }
  }
  return changed ? new Jaxpr(jaxpr.inputs, equations, jaxpr.outputs, jaxpr.name) : jaxpr
}

function mapPrograms(params: Params, f: (jaxpr: Jaxpr) => Jaxpr): Params {
  let result: Record<string, ParamValue> | null = null
  for (const key in params) {
    const value = params[key]
    if (typeof value !== 'object') continue
    const mapped = mapValue(value, f)
    if (mapped !== value) (result ??= { ...params })[key] = mapped
  }
  return result ?? params
}

function mapValue(value: ParamValue, f: (jaxpr: Jaxpr) => Jaxpr): ParamValue {
  if (value instanceof Jaxpr) return f(value)
  if (!isList(value) || !holdsProgram(value)) return value
  const mapped = value.map((v) => mapValue(v, f))
  return mapped.some((v, i) => v !== value[i]) ? mapped : value
}
const isList = (value: ParamValue): value is readonly ParamValue[] => Array.isArray(value)

/** Every pass asks this of every list that is a parameter: shapes and axes mostly. */
function holdsProgram(list: readonly ParamValue[]): boolean {
  for (let i = 0; i < list.length; i++) {
    const item = list[i]
    if (typeof item === 'object' && item instanceof Jaxpr) return true
  }
  return false
}

/** Replacement of variables by atoms, followed to the end. */
export class Substitution {
  private readonly replacements = new Map<Var, Atom>()
  set(v: Var, atom: Atom): void {
    this.replacements.set(v, atom)
  }
  of(atom: Atom): Atom {
    return isVar(atom) ? (this.replacements.get(atom) ?? atom) : atom
  }
  /** The same list where nothing is replaced. */
  all(atoms: readonly Atom[]): readonly Atom[] {
    const { replacements } = this
    if (replacements.size === 0) return atoms
    for (let i = 0; i < atoms.length; i++) {
      const atom = atoms[i]
      if (atom.kind === 'var' && replacements.has(atom)) return atoms.map((a) => this.of(a))
    }
    return atoms
  }
}
