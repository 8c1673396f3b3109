/** Lists in groups: a loop's operands are constants, carries and scanned arrays, one after another. */
import { type Atom, Jaxpr, type NDArray, Var } from '@adjoint/core/internal'
import type { ClosedProgram } from '../derived'

/** Cuts a list into parts of these sizes; what is left is the last part. */
export function cut<T>(list: readonly T[], ...sizes: readonly number[]): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = []
  let start = 0
  for (const size of sizes) {
    parts.push(list.slice(start, start + size))
    start += size
  }
  parts.push(list.slice(start))
  return parts
}

/** The entries where `flags` is true. */
export const where = <T>(list: readonly T[], flags: readonly boolean[]): T[] =>
  list.filter((_, i) => flags[i])

export const count = (flags: readonly boolean[]): number => flags.filter(Boolean).length
export const none = (length: number): readonly boolean[] => new Array<boolean>(length).fill(false)
export const every = (length: number): readonly boolean[] => new Array<boolean>(length).fill(true)
export const either = (a: readonly boolean[], b: readonly boolean[]): boolean[] =>
  a.map((flag, i) => flag || b[i])

/** The least set of carries that contains `start` and everything that `step` adds to it. */
export function carriedFixpoint(
  start: readonly boolean[],
  step: (carried: readonly boolean[]) => readonly boolean[],
): readonly boolean[] {
  let carried = start
  for (;;) {
    const next = either(carried, step(carried))
    if (next.every((flag, i) => flag === carried[i])) return carried
    carried = next
  }
}

/** The same program with inputs and outputs in another order. */
export const reordered = (
  jaxpr: Jaxpr,
  inputs: readonly Var[],
  outputs: readonly Atom[] = jaxpr.outputs,
): Jaxpr => new Jaxpr(inputs, jaxpr.equations, outputs, jaxpr.name)

/** Programs with constants of their own, as programs that all take all of the constants. */
export function joinConstants(programs: readonly ClosedProgram[]): {
  readonly jaxprs: readonly Jaxpr[]
  readonly constants: readonly NDArray[]
} {
  const constants = programs.flatMap((p) => p.constants)
  if (constants.length === 0) return { jaxprs: programs.map((p) => p.jaxpr), constants }
  let offset = 0
  const jaxprs = programs.map((program) => {
    const own = program.constants.length
    const variables = constants.map((c, k) =>
      k >= offset && k < offset + own ? program.jaxpr.inputs[k - offset] : new Var(c.aval),
    )
    offset += own
    return reordered(program.jaxpr, [...variables, ...program.jaxpr.inputs.slice(own)])
  })
  return { jaxprs, constants }
}
