/** Which equation of a program a check blames. */
import {
  type Atom,
  type Equation,
  isVar,
  Jaxpr,
  type Literal,
  printJaxpr,
  type Var,
} from '@adjoint/core/internal'

/** An equation, in words. */
export interface EquationReport {
  /** Programs that it stands in, outermost first: `run 3 of 16 of the body of scan`. */
  readonly inside: readonly string[]
  /** Position in its program. */
  readonly index: number
  /** The name of its primitive. */
  readonly primitive: string
  /** The equation as a program of its own. */
  readonly equation: string
  /** What it was given: one line per operand. */
  readonly operands: readonly string[]
}

/** The first equation of a program that does not pass a check although those before it do. */
export interface Culprit extends EquationReport {
  /** What is wrong with it. */
  readonly complaint: string
}

const LONGEST_OPERAND = 400

/** Large operands are shown by their beginning. */
const shortened = (text: string): string =>
  text.length <= LONGEST_OPERAND ? text : `${text.slice(0, LONGEST_OPERAND)} …`

/** The variables that an equation reads, each once. */
export const variablesOf = ({ inputs }: Equation): readonly Var[] => [
  ...new Set(inputs.filter(isVar)),
]

/** @param values what the equation's variables hold, in the order of `variablesOf` */
export const equationReport = (
  equation: Equation,
  index: number,
  values: readonly unknown[],
): EquationReport => ({
  inside: [],
  index,
  primitive: equation.primitive.name,
  equation: printJaxpr(new Jaxpr(variablesOf(equation), [equation], equation.outputs)),
  operands: values.map((value, i) => `operand ${i}: ${shortened(String(value))}`),
})

/** Where it stands: `equation 2 (sin) in run 3 of 16 of the body of scan`. */
export const placeOf = ({ index, primitive, inside }: EquationReport): string =>
  [`equation ${index} (${primitive})`, ...[...inside].reverse()].join(' in ')

/** The equation and its operands, line by line. */
export const linesOf = ({ equation, operands }: EquationReport): readonly string[] => [
  ...equation.split('\n').map((line) => `    ${line}`),
  ...operands.map((operand) => `    ${operand}`),
]

/** How equations are run and looked at; `V` is what a variable stands for. */
export interface Inspection<V> {
  readonly literal: (literal: Literal) => V
  readonly run: (equation: Equation, operands: readonly V[]) => readonly V[]
  /** What is wrong with this equation on these operands, or null. */
  readonly complaint: (equation: Equation, operands: readonly V[]) => string | null
  /** The programs that it runs. */
  readonly inside: (
    equation: Equation,
    operands: readonly V[],
  ) => readonly {
    readonly place: string
    readonly jaxpr: Jaxpr
    readonly operands: readonly V[]
  }[]
  readonly shown: (value: V) => string
}

/**
 * Goes through a program equation by equation, and at the first that does not pass into the programs
 * that it runs.
 *
 * @returns null when every equation passes by itself
 */
export function culpritOf<V>(
  jaxpr: Jaxpr,
  inputs: readonly V[],
  inspection: Inspection<V>,
): Culprit | null {
  const environment = new Map<Var, V>()
  jaxpr.inputs.forEach((v, i) => environment.set(v, inputs[i]))
  const read = (atom: Atom): V => {
    if (!isVar(atom)) return inspection.literal(atom)
    const value = environment.get(atom)
    if (value === undefined) throw new Error(`unbound variable of type ${atom.aval}`)
    return value
  }
  for (const [index, equation] of jaxpr.equations.entries()) {
    const operands = equation.inputs.map(read)
    const complaint = inspection.complaint(equation, operands)
    if (complaint !== null) {
      for (const run of inspection.inside(equation, operands)) {
        const inner = culpritOf(run.jaxpr, run.operands, inspection)
        if (inner !== null) return { ...inner, inside: [run.place, ...inner.inside] }
      }
      const values = variablesOf(equation).map((v) => inspection.shown(read(v)))
      return { ...equationReport(equation, index, values), complaint }
    }
    const results = inspection.run(equation, operands)
    equation.outputs.forEach((v, i) => environment.set(v, results[i]))
  }
  return null
}

/** A function that is not what a check wants of it. */
export class CheckError extends Error {
  override readonly name = 'CheckError'
  /** The first equation of its program that is to blame, where one is. */
  declare readonly culprit: Culprit | null

  constructor(
    readonly problem: string,
    culprit: Culprit | null = null,
  ) {
    super(culprit === null ? problem : [problem, ...explained(culprit)].join('\n'))
    // The message has all of it; consoles and test runners would print it once more.
    Object.defineProperty(this, 'culprit', { value: culprit, enumerable: false })
    Object.defineProperty(this, 'problem', { value: problem, enumerable: false })
  }
}

const explained = (culprit: Culprit): readonly string[] => [
  `${placeOf(culprit)} is the first to differ by itself: ${culprit.complaint}`,
  ...linesOf(culprit),
]

/**
 * Runs a check; where it fails, looks for the equation that is to blame.
 *
 * @param find is tried after a failure; a function that cannot be recorded has no equations to name
 */
export function blaming(check: () => void, find: () => Culprit | null): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof CheckError)) throw error
    throw new CheckError(error.problem, attempt(find))
  }
}

function attempt(find: () => Culprit | null): Culprit | null {
  try {
    return find()
  } catch {
    return null
  }
}

/** The problem that a check has with something, or null; what it cannot be asked of passes. */
export function problemOf(check: () => void): string | null {
  try {
    check()
    return null
  } catch (error) {
    return error instanceof CheckError ? error.problem : null
  }
}
