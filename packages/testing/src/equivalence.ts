/** One program on every device: its values, its derivatives and its batched gradient. */
import { type DeviceName, DTypeError, type NDArray, tree } from '@adjoint/core'
import { asArray, readToReference, withDevice } from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { type Aspect, type AspectProgram, aspectsOf } from './aspects'
import { compareTrees, type Difference, numbersOf } from './compare'
import { reachable } from './device-results'
import { linesOf, placeOf } from './culprit'
import { type Divergence, firstDivergence } from './divergence'
import { everyDevice, type NotCompared, openDevices, reasonOf } from './machine-devices'
import { exact, type Tolerance, toleranceOf, ulpsBetween } from './tolerance'

export interface EquivalenceOptions {
  /**
   * The devices to compare with the reference; unless given, all that the machine has. The GPU is
   * opened for that. Where there is none, or the program computes with a dtype that it lacks, the report
   * says so; a device that is named here must be there.
   */
  readonly devices?: readonly DeviceName[]
  /** Whether derivatives are compared too; unless given, where arguments and results are floating. */
  readonly gradients?: boolean
  /**
   * The modes of differentiation that the function has; both unless given. A function with a
   * `whileLoop` has `['forward']`, one with a `customVjp` has `['reverse']`.
   */
  readonly modes?: readonly ('forward' | 'reverse')[]
  /**
   * How far results may be apart; unless given, by dtype, and in proportion to the largest element
   * of a result.
   */
  readonly tolerance?: Tolerance
  /** How many arguments are drawn where some are arbitraries; 20 unless given. */
  readonly runs?: number
  /** Where the drawing starts; the same arguments at every call unless given. */
  readonly seed?: number
}

/** One line of the table. */
export interface Comparison {
  readonly device: DeviceName
  readonly aspect: Aspect
  /** The largest difference, or null where there is none at all. */
  readonly difference: Difference | null
  /** That difference in units in the last place of what was expected; 0 where there is none. */
  readonly ulps: number
  readonly agrees: boolean
  /** Where a program that disagrees leaves the reference. */
  readonly divergence: Divergence | null
}

/** What `equivalence` found; `String(report)` is a table. */
export interface EquivalenceReport {
  readonly name: string
  readonly comparisons: readonly Comparison[]
  /** Devices that nobody asked for by name and that cannot run this program, and why. */
  readonly notCompared: readonly NotCompared[]
  /** The smallest arguments found on which devices differ, where arguments were drawn. */
  readonly counterexample: readonly unknown[] | null
  toString(): string
}

/** A program that has another meaning on a device than on the reference. */
export class EquivalenceError extends Error {
  override readonly name = 'EquivalenceError'
  declare readonly report: EquivalenceReport
  constructor(report: EquivalenceReport) {
    super(`${report.name} is not the same on every device\n${report}`)
    // The message has all of it; consoles and test runners would print it once more.
    Object.defineProperty(this, 'report', { value: report, enumerable: false })
  }
}

type ArrayFunction = (...args: never[]) => unknown

/** Sums are as exact as their largest term, so the absolute part grows with the result. */
function allowanceFor(expected: NDArray, options: EquivalenceOptions): Tolerance {
  const { relative, absolute } = options.tolerance ?? toleranceOf(expected.dtype)
  if (options.tolerance !== undefined || toleranceOf(expected.dtype) === exact)
    return { relative, absolute }
  const largest = Array.from(numbersOf(expected), Math.abs)
    .filter(Number.isFinite)
    .reduce((most, x) => Math.max(most, x), 1)
  return { relative: relative * 4, absolute: absolute * largest }
}

interface Worst {
  readonly difference: Difference | null
  readonly ulps: number
}

function worstDifference(
  actual: readonly NDArray[],
  expected: readonly NDArray[],
  options: EquivalenceOptions,
): Worst {
  let worst: Worst = { difference: null, ulps: 0 }
  for (const [i, y] of expected.entries()) {
    const difference = compareTrees(actual[i], y, { tolerance: allowanceFor(y, options) })
    if (difference && difference.excess > (worst.difference?.excess ?? 0)) {
      const where = `result ${i}${y.ndim === 0 ? '' : difference.where}`
      const ulps = ulpsBetween(difference.actual, difference.expected, y.dtype)
      worst = { difference: { ...difference, where }, ulps }
    }
  }
  return worst
}

async function compareOn(
  device: DeviceName,
  { aspect, program, inputs }: AspectProgram,
  options: EquivalenceOptions,
): Promise<Comparison> {
  const expected = withDevice('reference', () => program(...inputs))
  const run = aspect === 'eager value' ? program : jit(program)
  const results = withDevice(device, () => run(...inputs))
  const worst = worstDifference(await Promise.all(results.map(readToReference)), expected, options)
  const agrees = worst.difference === null || worst.difference.excess <= 1
  const divergence = agrees
    ? null
    : await firstDivergence(program, inputs, {
        device,
        tolerance: (y) => allowanceFor(y, options),
        compiled: aspect !== 'eager value',
      })
  return { device, aspect, ...worst, agrees, divergence }
}

/** The devices of a comparison: those that were named, or those that are there. */
interface Compared {
  readonly devices: readonly DeviceName[]
  /** Whether they were named; others may turn out to lack what the program needs. */
  readonly named: boolean
}

interface Found {
  readonly comparisons: readonly Comparison[]
  readonly notCompared: readonly NotCompared[]
}

async function compareAll(
  f: ArrayFunction,
  args: readonly unknown[],
  options: EquivalenceOptions,
  { devices, named }: Compared,
): Promise<Found> {
  const aspects = aspectsOf(f, await reachable(args), options)
  const comparisons: Comparison[] = []
  const notCompared: NotCompared[] = []
  for (const device of devices) {
    try {
      const own: Comparison[] = []
      for (const aspect of aspects) own.push(await compareOn(device, aspect, options))
      comparisons.push(...own)
    } catch (error) {
      // The reference has run it before, so it is the device that has no such dtype.
      if (named || device !== 'webgpu' || !(error instanceof DTypeError)) throw error
      notCompared.push({ device, reason: reasonOf(error) })
    }
  }
  return { comparisons, notCompared }
}

const allAgree = (comparisons: readonly Comparison[]): boolean =>
  comparisons.every(({ agrees }) => agrees)

/** Per device and aspect, the larger difference of two. */
const larger = (a: readonly Comparison[], b: readonly Comparison[]): readonly Comparison[] =>
  a.length === 0
    ? b
    : a.map((x, i) => ((b[i]?.difference?.excess ?? 0) > (x.difference?.excess ?? 0) ? b[i] : x))

const isArbitrary = (value: unknown): value is fc.Arbitrary<unknown> =>
  value instanceof fc.Arbitrary

/** Arguments are drawn, and where devices differ made smaller as long as they still do. */
async function compareDrawn(
  f: ArrayFunction,
  args: readonly unknown[],
  options: EquivalenceOptions,
  compared: Compared,
): Promise<Found & Pick<EquivalenceReport, 'counterexample'>> {
  let comparisons: readonly Comparison[] = []
  let notCompared: readonly NotCompared[] = []
  const drawn = fc.tuple(...args.map((arg) => (isArbitrary(arg) ? arg : fc.constant(arg))))
  const outcome = await fc.check(
    fc.asyncProperty(drawn, async (values) => {
      const found = await compareAll(f, values, options, compared)
      comparisons = larger(comparisons, found.comparisons)
      notCompared = found.notCompared
      return allAgree(found.comparisons)
    }),
    { numRuns: options.runs ?? 20, seed: options.seed ?? 1 },
  )
  if (outcome.counterexample === null) return { comparisons, notCompared, counterexample: null }
  const [counterexample] = outcome.counterexample
  return { ...(await compareAll(f, counterexample, options, compared)), counterexample }
}

/**
 * Runs a function and its derivatives on every device of the machine and compares them with the
 * reference, which computes in double precision.
 *
 * Compared are the value, computed eagerly and compiled, the derivative along a direction (`jvp`),
 * the gradient, the gradient mapped over a batch of two, and the product of the Hessian with a
 * vector.
 *
 * @param name names the function in the table
 * @param f a function of trees of arrays
 * @param args its arguments; where some are fast-check arbitraries, several are drawn, and where
 *   devices differ on one the smallest that does is looked for
 * @returns the differences, as data and, by `String`, as a table; a promise, because some devices
 *   can only be read from asynchronously
 * @throws EquivalenceError where a device disagrees: the table, and the first equation whose results
 *   differ, with its operands; of loops and branches the equation in them
 * @throws ArgumentError when derivatives are asked for and there are none
 * @example
 * const softmax = (x: NDArray): NDArray => np.exp(x).div(np.sum(np.exp(x)))
 * const report = await equivalence('softmax', softmax, [np.array([0.1, 0.2, 0.7])])
 * report.comparisons.every(({ agrees }) => agrees) // true
 */
export async function equivalence(
  name: string,
  f: ArrayFunction,
  args: readonly unknown[],
  options: EquivalenceOptions = {},
): Promise<EquivalenceReport> {
  return compareDevices(name, f, args, options, options.devices ?? everyDevice)
}

/** `equivalence` on some of the devices that it would compare. */
export async function compareDevices(
  name: string,
  f: ArrayFunction,
  args: readonly unknown[],
  options: EquivalenceOptions,
  wanted: readonly DeviceName[],
): Promise<EquivalenceReport> {
  const named = options.devices !== undefined
  const { open, missing } = await openDevices(wanted, named)
  const compared = { devices: open, named }
  const found = args.some(isArbitrary)
    ? await compareDrawn(f, args, options, compared)
    : { ...(await compareAll(f, args, options, compared)), counterexample: null }
  const report = reportOf(name, { ...found, notCompared: [...missing, ...found.notCompared] })
  if (!allAgree(found.comparisons)) throw new EquivalenceError(report)
  return report
}

/** Consoles show the table, under the name that templates leave to their text. */
function reportOf(
  name: string,
  found: Omit<EquivalenceReport, 'name' | 'toString'>,
): EquivalenceReport {
  const report: EquivalenceReport = { name, ...found, toString: () => printed(found) }
  Object.defineProperty(report, Symbol.for('nodejs.util.inspect.custom'), {
    value: () => `${name}\n${report}`,
  })
  return report
}

const digits = (x: number): number => Number(x.toPrecision(8))

/** The comparisons as text: one line each, then where the programs part. */
function printed({
  comparisons,
  notCompared,
  counterexample,
}: Omit<EquivalenceReport, 'name' | 'toString'>): string {
  const header = ['device', 'aspect', 'verdict', 'largest difference', 'ulp', 'of what is allowed']
  const rows = comparisons.map(({ device, aspect, difference, ulps, agrees }) => [
    device,
    aspect,
    agrees ? 'agrees' : 'DIFFERS',
    difference === null
      ? 'none'
      : `${difference.where}: ${digits(difference.actual)} for ${digits(difference.expected)}`,
    difference === null ? '' : ulps.toPrecision(2),
    difference === null ? '' : difference.excess.toPrecision(2),
  ])
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i].length)),
  )
  const lines = [header, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  )
  const smallest =
    counterexample === null
      ? []
      : [
          'the smallest arguments found:',
          ...counterexample.map((arg, i) => `    ${i}: ${shown(arg)}`),
        ]
  const absent = notCompared.map(({ device, reason }) => `${device} is not compared: ${reason}`)
  return [
    ...lines,
    ...absent,
    ...comparisons.flatMap((each) => explanation(each, comparisons)),
    ...smallest,
  ].join('\n')
}

/** An argument as text, its leaves as arrays print. */
function shown(arg: unknown): string {
  const { leaves } = tree.flatten<NDArray | number | boolean>(arg)
  const paths = tree.paths(arg)
  return leaves
    .map((leaf, i) => `${paths[i] ? `${paths[i]} = ` : ''}${asArray('equivalence', leaf)}`)
    .join('; ')
}

/** Where a program parts from the reference; once for the same place, eager and compiled. */
function explanation(
  { device, aspect, agrees, divergence }: Comparison,
  all: readonly Comparison[],
): readonly string[] {
  if (agrees) return []
  if (divergence === null) {
    return [
      `the ${aspect} on ${device}: every beginning of the program agrees, only the whole does not`,
    ]
  }
  const place = placeOf(divergence)
  const compiled = all.find((other) => other.device === device && other.aspect === 'value')
  const isSaidBelow =
    aspect === 'eager value' && compiled?.divergence && placeOf(compiled.divergence) === place
  if (isSaidBelow) return []
  const { difference } = divergence
  return [
    `the ${aspect} on ${device}: ${place} is the first to differ, ` +
      `${digits(difference.actual)} for ${digits(difference.expected)} at ${difference.where}`,
    ...linesOf(divergence),
  ]
}
