/** One program on every device: its values, its derivatives and its batched gradient. */
import { type DeviceName, devices, np, type NDArray, tree } from '@adjoint/core'
import { asArray, isFloating, withDevice } from '@adjoint/core/internal'
import { jit, jvp, vjp, vmap } from '@adjoint/transforms'
import { compareTrees, type Difference, numbersOf } from './compare'
import { type Divergence, firstDivergence } from './divergence'
import { exact, type Tolerance, toleranceOf } from './tolerance'

export interface EquivalenceOptions {
  /** The devices to compare with the reference; all of this machine's unless given. */
  readonly devices?: readonly DeviceName[]
  /** Whether derivatives are compared too; unless given, where arguments and results are floating. */
  readonly gradients?: boolean
  /**
   * How far results may be apart; unless given, by dtype, and in proportion to the largest element
   * of a result.
   */
  readonly tolerance?: Tolerance
}

/** What is compared: the function itself and what transformations make of it. */
export type Aspect = 'eager value' | 'value' | 'jvp' | 'gradient' | 'vmapped gradient'

/** One line of the table. */
export interface Comparison {
  readonly device: DeviceName
  readonly aspect: Aspect
  /** The largest difference, or null where there is none at all. */
  readonly difference: Difference | null
  readonly agrees: boolean
  /** Where a compiled program that disagrees leaves the reference. */
  readonly divergence: Divergence | null
}

/** What `equivalence` found; `String(report)` is a table. */
export interface EquivalenceReport {
  readonly name: string
  readonly comparisons: readonly Comparison[]
  toString(): string
}

/** A program that has another meaning on a device than on the reference. */
export class EquivalenceError extends Error {
  override readonly name = 'EquivalenceError'
  constructor(readonly report: EquivalenceReport) {
    super(`${report.name} is not the same on every device\n${report}`)
  }
}

type ArrayFunction = (...args: never[]) => unknown
type FlatFunction = (...inputs: NDArray[]) => readonly NDArray[]

/** Numbers of different signs and sizes, the same at every call. */
const directionLike = (x: NDArray): NDArray =>
  np
    .reshape(
      np.sin(np.add(np.multiply(np.arange(x.size, { dtype: 'float32' }), 1.3), 0.4)),
      x.shape,
    )
    .astype(x.dtype)

interface FlatProblem {
  readonly value: FlatFunction
  /** Null where there is nothing to differentiate. */
  readonly derivatives: Readonly<Record<'jvp' | 'gradient', FlatFunction>> | null
  readonly inputs: readonly NDArray[]
  readonly varied: readonly NDArray[]
}

function flatProblem(f: ArrayFunction, args: readonly unknown[]): FlatProblem {
  const { leaves, structure } = tree.flatten<NDArray | number | boolean>(args)
  const inputs = leaves.map((leaf) => asArray('equivalence', leaf))
  const value: FlatFunction = (...xs) =>
    tree
      .leaves<NDArray>(f(...(tree.unflatten(structure, xs) as never[])))
      .map((y) => asArray('equivalence', y))
  const isVaried = inputs.map((x) => isFloating(x.dtype))
  const varied = inputs.filter((_, i) => isVaried[i])
  const floating = (...xs: NDArray[]): NDArray[] => {
    let next = 0
    return value(...inputs.map((x, i) => (isVaried[i] ? xs[next++] : x))).filter((y) =>
      isFloating(y.dtype),
    )
  }
  const results = withDevice('reference', () => value(...inputs))
  if (varied.length === 0 || !results.some((y) => isFloating(y.dtype))) {
    return { value, derivatives: null, inputs, varied }
  }
  return {
    value,
    inputs,
    varied,
    derivatives: {
      jvp: (...xs) => jvp(floating, xs, xs.map(directionLike))[1],
      gradient: (...xs) => {
        const [ys, pullback] = vjp(floating, ...xs)
        return [...pullback(ys.map(directionLike))]
      },
    },
  }
}

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

function worstDifference(
  actual: readonly NDArray[],
  expected: readonly NDArray[],
  options: EquivalenceOptions,
): Difference | null {
  let worst: Difference | null = null
  for (const [i, y] of expected.entries()) {
    const difference = compareTrees(actual[i], y, { tolerance: allowanceFor(y, options) })
    if (difference && difference.excess > (worst?.excess ?? 0)) {
      worst = { ...difference, where: `result ${i}${y.ndim === 0 ? '' : difference.where}` }
    }
  }
  return worst
}

function aspectsOf(
  problem: FlatProblem,
  options: EquivalenceOptions,
): readonly [Aspect, FlatFunction, readonly NDArray[]][] {
  const { value, derivatives, inputs, varied } = problem
  const values: [Aspect, FlatFunction, readonly NDArray[]][] = [
    ['eager value', value, inputs],
    ['value', value, inputs],
  ]
  if (options.gradients === false || derivatives === null) return values
  const { gradient } = derivatives
  const batch = withDevice('reference', () =>
    varied.map((x) => np.stack([x, np.multiply(x, 0.875).astype(x.dtype)])),
  )
  return [
    ...values,
    ['jvp', derivatives.jvp, varied],
    ['gradient', gradient, varied],
    [
      'vmapped gradient',
      (...xs) => vmap((...rows: NDArray[]) => [...gradient(...rows)])(...xs),
      batch,
    ],
  ]
}

const devicesToCompare = (options: EquivalenceOptions): readonly DeviceName[] =>
  options.devices ??
  devices()
    .map(({ name }) => name)
    .filter((name) => name !== 'reference')

/**
 * Runs a function and its derivatives on every device and compares them with the reference, which
 * computes in double precision.
 *
 * Compared are the value, computed eagerly and compiled, the derivative along a direction (`jvp`),
 * the gradient, and the gradient mapped over a batch of two.
 *
 * @param name names the function in the table
 * @param f a function of trees of arrays
 * @param args its arguments
 * @returns the differences, as data and, by `String`, as a table
 * @throws EquivalenceError where a device disagrees: the table, and for compiled programs the first
 *   equation whose results differ
 * @example
 * const softmax = (x: NDArray): NDArray => np.exp(x).div(np.sum(np.exp(x)))
 * const report = equivalence('softmax', softmax, [np.array([0.1, 0.2, 0.7])])
 * report.comparisons.every(({ agrees }) => agrees) // true
 */
export function equivalence(
  name: string,
  f: ArrayFunction,
  args: readonly unknown[],
  options: EquivalenceOptions = {},
): EquivalenceReport {
  const aspects = aspectsOf(flatProblem(f, args), options)
  const comparisons = devicesToCompare(options).flatMap((device) =>
    aspects.map(([aspect, g, inputs]): Comparison => {
      const expected = withDevice('reference', () => g(...inputs))
      const run = aspect === 'eager value' ? g : jit(g)
      const difference = worstDifference(
        withDevice(device, () => run(...inputs)),
        expected,
        options,
      )
      const agrees = difference === null || difference.excess <= 1
      const divergence =
        agrees || aspect === 'eager value'
          ? null
          : firstDivergence(g, inputs, { device, tolerance: (y) => allowanceFor(y, options) })
      return { device, aspect, difference, agrees, divergence }
    }),
  )
  const report: EquivalenceReport = { name, comparisons, toString: () => table(comparisons) }
  if (comparisons.some(({ agrees }) => !agrees)) throw new EquivalenceError(report)
  return report
}

const digits = (x: number): number => Number(x.toPrecision(8))

/** The comparisons as text: one line each, then where the programs part. */
function table(comparisons: readonly Comparison[]): string {
  const header = ['device', 'aspect', 'verdict', 'largest difference', 'of what is allowed']
  const rows = comparisons.map(({ device, aspect, difference, agrees }) => [
    device,
    aspect,
    agrees ? 'agrees' : 'DIFFERS',
    difference === null
      ? 'none'
      : `${difference.where}: ${digits(difference.actual)} for ${digits(difference.expected)}`,
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
  return [...lines, ...comparisons.flatMap(explanation)].join('\n')
}

function explanation({ device, aspect, agrees, divergence }: Comparison): string[] {
  if (agrees || aspect === 'eager value') return []
  if (divergence === null) {
    return [
      `the ${aspect} on ${device}: every beginning of the program agrees, only the whole does not`,
    ]
  }
  const { index, primitive, equation, difference } = divergence
  return [
    `the ${aspect} on ${device}: equation ${index} (${primitive}) is the first to differ, ` +
      `${digits(difference.actual)} for ${digits(difference.expected)} at ${difference.where}`,
    ...equation.split('\n').map((line) => `    ${line}`),
  ]
}
