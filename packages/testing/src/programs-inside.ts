/** The programs that an equation runs: bodies of loops, branches, what a custom rule stands for. */
import {
  type Equation,
  evaluateJaxpr,
  type Jaxpr,
  type NDArray,
  type Params,
} from '@adjoint/core/internal'

/** A program that an equation ran, and on what. */
export interface InnerRun {
  /** For people: `run 3 of 16 of the body of scan`. */
  readonly place: string
  readonly jaxpr: Jaxpr
  readonly operands: readonly NDArray[]
}

/** What the parameters of an equation call a program: `the body`, `the cond`, `branch 1`. */
function roleOf(params: Params, jaxpr: Jaxpr): string {
  for (const [key, value] of Object.entries(params)) {
    if (value === jaxpr) return `the ${key === 'jaxpr' ? 'body' : key.replace(/Jaxpr$/, '')}`
    if (!Array.isArray(value)) continue
    const index = (value as readonly unknown[]).indexOf(jaxpr)
    if (index >= 0) return `${key.replace(/e?s$/, '')} ${index}`
  }
  return 'a program'
}

/** Its primitive, and the user's name of the function where there is one: `custom_jvp_call softplus`. */
const nameOf = ({ primitive, params }: Equation): string =>
  typeof params.name === 'string' && params.name !== ''
    ? `${primitive.name} ${params.name}`
    : primitive.name

/** The programs that an equation runs on these operands, in order, computed on the current device. */
export function runsInside(equation: Equation, operands: readonly NDArray[]): readonly InnerRun[] {
  const { primitive, params } = equation
  const callee = primitive.callee(params)
  if (callee) return [{ place: nameOf(equation), jaxpr: callee, operands }]
  if (!primitive.steps) return []
  const runs: Omit<InnerRun, 'place'>[] = []
  primitive.steps(operands, params, (jaxpr, given) => {
    runs.push({ jaxpr, operands: given })
    return evaluateJaxpr(jaxpr, given)
  })
  const times = (jaxpr: Jaxpr, among: readonly Omit<InnerRun, 'place'>[]): number =>
    among.filter((run) => run.jaxpr === jaxpr).length
  return runs.map(({ jaxpr, operands: given }, i) => {
    const all = times(jaxpr, runs)
    const which = `${roleOf(params, jaxpr)} of ${nameOf(equation)}`
    const place =
      all === 1 ? which : `run ${times(jaxpr, runs.slice(0, i + 1))} of ${all} of ${which}`
    return { place, jaxpr, operands: given }
  })
}
