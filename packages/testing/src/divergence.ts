/** Where in a program two devices part. */
import type { DeviceName, NDArray } from '@adjoint/core'
import {
  evaluateJaxpr,
  inline,
  isVar,
  Jaxpr,
  printJaxpr,
  readToReference,
  type Var,
  withDevice,
} from '@adjoint/core/internal'
import { jit, makeJaxpr } from '@adjoint/transforms'
import { compareTrees, type Difference } from './compare'
import type { Tolerance } from './tolerance'

/** The first equation of a program whose results differ although everything before it agrees. */
export interface Divergence {
  /** Position in the program, calls written out. */
  readonly index: number
  /** The name of its primitive. */
  readonly primitive: string
  /** The equation as a program of its own. */
  readonly equation: string
  /** What it was given: one line per operand. */
  readonly operands: readonly string[]
  readonly difference: Difference
}

/** What is compared, and how closely. */
interface Question {
  readonly device: DeviceName
  readonly tolerance: (x: NDArray) => Tolerance
}

const LONGEST_OPERAND = 400

/** Large operands are shown by their beginning. */
const shortened = (text: string): string =>
  text.length <= LONGEST_OPERAND ? text : `${text.slice(0, LONGEST_OPERAND)} …`

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

/** How far a device is off on a program's results, at worst. */
async function differenceOn(
  jaxpr: Jaxpr,
  inputs: readonly NDArray[],
  { device, tolerance }: Question,
): Promise<Difference | null> {
  const run = (...xs: NDArray[]): readonly NDArray[] => evaluateJaxpr(jaxpr, xs)
  const expected = withDevice('reference', () => run(...inputs))
  const results = withDevice(device, () => jit(run)(...inputs))
  const actual = await Promise.all(results.map(readToReference))
  let worst: Difference | null = null
  for (const [i, y] of expected.entries()) {
    const difference = compareTrees(actual[i], y, { tolerance: tolerance(y) })
    if (difference && difference.excess > (worst?.excess ?? 1)) worst = difference
  }
  return worst
}

/**
 * The equation at which a device leaves the reference, by bisection over the beginnings of the
 * program.
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
  const jaxpr = inline.run(closed.jaxpr)
  const operands = [...closed.constants, ...inputs]
  const differenceAfter = (length: number): Promise<Difference | null> =>
    differenceOn(prefix(jaxpr, length), operands, question)
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
  const equation = jaxpr.equations[differing - 1]
  const given = [...new Set(equation.inputs.filter(isVar))]
  const program = new Jaxpr(given, [equation], equation.outputs)
  const before = new Jaxpr(jaxpr.inputs, jaxpr.equations.slice(0, differing - 1), given)
  const values = withDevice('reference', () => evaluateJaxpr(before, operands))
  return {
    index: differing - 1,
    primitive: equation.primitive.name,
    equation: printJaxpr(program),
    operands: values.map((value, i) => `operand ${i}: ${shortened(String(value))}`),
    difference,
  }
}
