/**
 * Programs derived from programs: the jvp, batching, linearization or transpose of a jaxpr is
 * itself a jaxpr, staged once from the transformation of the jaxpr's evaluation and remembered.
 */
import { type Aval, type Jaxpr, type NDArray, stage } from '@adjoint/core/internal'

/** A staged program and the values it closes over, which are its first operands. */
export interface ClosedProgram {
  readonly jaxpr: Jaxpr
  readonly constants: readonly NDArray[]
}

/** Which of several values something is true of, as a cache key. */
export const flagsKey = (flags: readonly boolean[]): string =>
  flags.map((flag) => (flag ? '1' : '0')).join('')

/** Remembers results per jaxpr and key, as long as the jaxpr lives. */
export function derivedOnce<Args extends readonly unknown[], R extends ClosedProgram>(
  keyOf: (...args: Args) => string,
  derive: (jaxpr: Jaxpr, ...args: Args) => R,
): (jaxpr: Jaxpr, ...args: Args) => R {
  const known = new WeakMap<Jaxpr, Map<string, R>>()
  return (jaxpr, ...args) => {
    let ofJaxpr = known.get(jaxpr)
    if (!ofJaxpr) known.set(jaxpr, (ofJaxpr = new Map<string, R>()))
    const key = keyOf(...args)
    const found = ofJaxpr.get(key)
    if (found) return found
    const result = derive(jaxpr, ...args)
    // A closed-over tracer lives only as long as its transformation: such a program is not kept.
    if (result.constants.every((c) => c.owner === null)) ofJaxpr.set(key, result)
    return result
  }
}

/** `stage` for functions that also answer facts found while tracing. */
export function stageWith<Facts>(
  f: (inputs: readonly NDArray[]) => {
    readonly outputs: readonly NDArray[]
    readonly facts: Facts
  },
  inAvals: readonly Aval[],
  name: string,
  subject: string,
): ClosedProgram & { readonly facts: Facts } {
  let facts: { readonly found: Facts } | null = null
  const staged = stage(
    (inputs) => {
      const result = f(inputs)
      facts = { found: result.facts }
      return result.outputs
    },
    inAvals,
    name,
    subject,
  )
  const collected = facts as { readonly found: Facts } | null
  if (collected === null) throw new Error('staging did not run its function')
  return { ...staged, facts: collected.found }
}
