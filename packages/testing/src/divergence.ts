/** Where in a program two devices part. */
import type { DeviceName } from '@adjoint/core'
import {
  type Atom,
  evaluateJaxpr,
  inline,
  isVar,
  Jaxpr,
  makeScalar,
  type NDArray,
  readToReference,
  type Var,
  withDevice,
} from '@adjoint/core/internal'
import { jit, makeJaxpr } from '@adjoint/transforms'
import { compareTrees, type Difference } from './compare'
import { equationReport, type EquationReport, variablesOf } from './culprit'
import { runsInside } from './programs-inside'
import type { Tolerance } from './tolerance'

/**
 * The first equation of a program whose results differ although everything before it agrees. Where
 * it runs programs, a loop's body for example, the first equation in them of which that is true.
 */
export interface Divergence extends EquationReport {
  readonly difference: Difference
}

/** What is compared, and how closely. */
interface Question {
  readonly device: DeviceName
  readonly tolerance: (x: NDArray) => Tolerance
  /** Whether the program is compiled as a whole, or run operation by operation. */
  readonly compiled: boolean
}

/** How many runs of the programs in a loop are compared: a loop may go on for long. */
const MOST_RUNS = 1000

/** The program up to and with an equation: its results are all values that are used later. */
function prefix(jaxpr: Jaxpr, length: number): Jaxpr {
  const before = jaxpr.equations.slice(0, length)
  const used = new Set<Var>(jaxpr.outputs.filter(isVar))
  for (const { inputs } of jaxpr.equations.slice(length))
    for (const a of inputs) if (isVar(a)) used.add(a)
  const results = before.flatMap(({ outputs }, i) =>
    i === length - 1 ? [...outputs] : outputs.filter((v) => used.has(v)),
  )
  return new Jaxpr(jaxpr.inputs, before, results, jaxpr.name)
}

type Run = (...inputs: NDArray[]) => readonly NDArray[]

/** How far a device is off on a program's results, at worst. */
async function differenceOn(
  run: Run,
  jaxpr: Jaxpr,
  inputs: readonly NDArray[],
  { device, tolerance }: Question,
): Promise<Difference | null> {
  const expected = withDevice('reference', () => evaluateJaxpr(jaxpr, inputs))
  const results = withDevice(device, () => run(...inputs))
  const actual = await Promise.all(results.map(readToReference))
  let worst: Difference | null = null
  for (const [i, y] of expected.entries()) {
    const difference = compareTrees(actual[i], y, { tolerance: tolerance(y) })
    if (difference && difference.excess > (worst?.excess ?? 1)) worst = difference
  }
  return worst
}

function runOf(jaxpr: Jaxpr, { compiled }: Question): Run {
  const run: Run = (...xs) => evaluateJaxpr(jaxpr, xs)
  return compiled ? jit(run) : run
}

/**
 * The equation at which a device leaves the reference, by bisection over the beginnings of the
 * program, and then of the programs that this equation runs.
 *
 * @param f a function of arrays
 * @param inputs concrete arrays
 * @returns null when every beginning agrees: then the fault lies in how the equations are compiled
 *   together, and shows only in the whole
 */
export async function firstDivergence(
  f: (...inputs: NDArray[]) => readonly NDArray[],
  inputs: readonly NDArray[],
  question: Question,
): Promise<Divergence | null> {
  const closed = withDevice('reference', () => makeJaxpr(f)(...inputs))
  return divergenceIn(inline.run(closed.jaxpr), [...closed.constants, ...inputs], question)
}

async function divergenceIn(
  jaxpr: Jaxpr,
  operands: readonly NDArray[],
  question: Question,
): Promise<Divergence | null> {
  const differenceAfter = (length: number): Promise<Difference | null> => {
    const beginning = prefix(jaxpr, length)
    return differenceOn(runOf(beginning, question), beginning, operands, question)
  }
  // The results of the first `agreeing` equations agree, those of the first `differing` do not.
  let [agreeing, differing] = [0, jaxpr.equations.length]
  if (differing === 0) return null
  let difference = await differenceAfter(differing)
  if (difference === null) return null
  while (differing - agreeing > 1) {
    const middle = (agreeing + differing) >> 1
    const found = await differenceAfter(middle)
    if (found === null) agreeing = middle
    else [differing, difference] = [middle, found]
  }
  const index = differing - 1
  const equation = jaxpr.equations[index]
  const variables = variablesOf(equation)
  const before = new Jaxpr(jaxpr.inputs, jaxpr.equations.slice(0, index), variables)
  const values = withDevice('reference', () => evaluateJaxpr(before, operands))
  const valueOf = (atom: Atom): NDArray =>
    isVar(atom) ? values[variables.indexOf(atom)] : makeScalar(atom.value, atom.aval)
  const runs = withDevice('reference', () => runsInside(equation, equation.inputs.map(valueOf)))
  return (
    (await divergenceOfRuns(runs.slice(0, MOST_RUNS), question)) ?? {
      ...equationReport(equation, index, values),
      difference,
    }
  )
}

/** The first divergence in programs that an equation ran, each on what the reference gave it. */
async function divergenceOfRuns(
  runs: ReturnType<typeof runsInside>,
  question: Question,
): Promise<Divergence | null> {
  // The body of a loop is compiled once.
  const known = new Map<Jaxpr, Run>()
  for (const { place, jaxpr, operands } of runs) {
    const run = known.get(jaxpr) ?? runOf(jaxpr, question)
    known.set(jaxpr, run)
    if ((await differenceOn(run, jaxpr, operands, question)) === null) continue
    const inner = await divergenceIn(jaxpr, operands, question)
    if (inner !== null) return { ...inner, inside: [place, ...inner.inside] }
  }
  return null
}
