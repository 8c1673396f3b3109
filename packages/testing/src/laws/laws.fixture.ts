/**
 * The laws that every primitive keeps, for one call of it: compiled code computes what the reference
 * computes, derivatives are those of finite differences, batching is a loop, and all of it also in
 * combination.
 */
import { setDevice, type NDArray } from '@adjoint/core'
import {
  Aval,
  bind,
  fromHostArray,
  hostArray,
  type HostArray,
  isFloating,
  type Primitive,
  toHostArray,
  tree,
} from '@adjoint/core/internal'
import type { PrimitiveSample } from '@adjoint/core/samples'
import { jit, jvp, vjp, vmap } from '@adjoint/transforms'
import { expect, vi } from 'vitest'
import { checkGrads } from '../check-grads'
import { largestDifference, numbersOf, requireClose } from '../compare'
import { type Tolerance, toleranceOf } from '../tolerance'

/** How many samples a law is tried on; `LAW_RUNS` in the environment makes it more or less. */
export const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 8) }
vi.setConfig({ testTimeout: 10_000 * Math.max(1, runs.numRuns / 8) })

/** A mode of differentiation that a primitive has. */
export type Mode = 'forward' | 'reverse'
export const bothModes: readonly Mode[] = ['forward', 'reverse']

const call =
  (primitive: Primitive, { params }: PrimitiveSample) =>
  (...operands: NDArray[]): NDArray[] => [...bind(primitive, operands, params)]

const arraysOf = (sample: PrimitiveSample): NDArray[] => sample.operands.map(fromHostArray)

/** The call as a function of the operands that it is smooth in; its results are the floating ones. */
function smoothPart(
  primitive: Primitive,
  sample: PrimitiveSample,
): { readonly f: (...xs: NDArray[]) => NDArray[]; readonly varied: readonly NDArray[] } | null {
  const varied = arraysOf(sample).filter((_, i) => sample.smooth[i])
  const f = (...xs: NDArray[]): NDArray[] => {
    let next = 0
    const operands = arraysOf(sample).map((x, i) => (sample.smooth[i] ? xs[next++] : x))
    return call(primitive, sample)(...operands).filter((y) => isFloating(y.dtype))
  }
  return varied.length === 0 || f(...varied).length === 0 ? null : { f, varied }
}

function largestOf(sample: PrimitiveSample): number {
  let largest = 1
  for (const { data } of sample.operands) {
    for (const x of data) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x))
  }
  return largest
}

/** Sums of large terms are only as exact as their largest term: the allowance grows with the operands. */
function deviceAllowance(sample: PrimitiveSample, aval: Aval): Tolerance {
  const { relative, absolute } = toleranceOf(aval.dtype)
  return { relative: relative * 8, absolute: absolute * largestOf(sample) }
}

/**
 * What the reference says. Products of huge operands leave the range of float32 on a device and stay
 * in that of double precision: where such a sample overflowed on the device, it is not contradicted.
 */
function expectedFor(
  sample: PrimitiveSample,
  actual: ArrayLike<number>,
  reference: ArrayLike<number>,
): number[] {
  const mayOverflow = largestOf(sample) > 1e18
  return Array.from(reference, (e, i) => {
    const a = actual[i] ?? e
    return mayOverflow && !Number.isFinite(a) ? a : e
  })
}

const on = <T>(device: 'wasm' | 'reference', f: () => T): T => {
  setDevice(device)
  try {
    return f()
  } finally {
    setDevice('reference')
  }
}

/** A program for a device, and what its results must be. */
export interface Question {
  readonly program: (...xs: NDArray[]) => readonly NDArray[]
  readonly inputs: readonly NDArray[]
  /** Throws unless these results, read to where they can be compared, are right. */
  readonly check: (results: readonly NDArray[]) => void
}

/** The compiled program of a question answers on the WebAssembly device what it must. */
export function wasmAnswers({ program, inputs, check }: Question): void {
  check(on('wasm', () => jit(program)(...inputs)))
}

/** Throws where a result of a call is further from the reference than its operands excuse. */
function requireAnswer(sample: PrimitiveSample, y: NDArray, expected: NDArray, i: number): void {
  expect(String(y.aval)).toBe(String(expected.aval))
  const [computed, reference] = [numbersOf(y), numbersOf(expected)]
  const difference = largestDifference(
    computed,
    expectedFor(sample, computed, reference),
    deviceAllowance(sample, y.aval),
  )
  if (difference && difference.excess > 1) {
    expect.fail(
      `result ${i} ${y.aval} at ${difference.where}: ${difference.actual}, reference ${difference.expected}`,
    )
  }
}

/** A call computes what the reference computes, also at the edges of the domain. */
export function valueQuestion(primitive: Primitive, sample: PrimitiveSample): Question {
  const program = call(primitive, sample)
  const expected = program(...arraysOf(sample))
  const check = (actual: readonly NDArray[]): void => {
    expect(actual.length).toBe(expected.length)
    actual.forEach((y, i) => requireAnswer(sample, y, expected[i], i))
  }
  return { program, inputs: arraysOf(sample), check }
}

/** So does a batch of calls of one signature: what each of them computes alone. */
export function batchQuestion(primitive: Primitive, samples: readonly PrimitiveSample[]): Question {
  const mapped = vmap(call(primitive, samples[0]))
  const inputs = samples[0].operands.map((_, i) =>
    fromHostArray(
      stack(
        samples.map(({ operands }) => operands[i]),
        0,
      ),
    ),
  )
  const expected = samples.map((sample) => call(primitive, sample)(...arraysOf(sample)))
  const check = (actual: readonly NDArray[]): void => {
    samples.forEach((sample, row) => {
      expect(actual.length).toBe(expected[row].length)
      actual.forEach((y, i) => requireAnswer(sample, y.get(row), expected[row][i], i))
    })
  }
  return { program: (...xs) => mapped(...xs), inputs, check }
}

/** Compiled = reference, also at the edges of the domain. */
export const compiledIsReference = (primitive: Primitive, sample: PrimitiveSample): void =>
  wasmAnswers(valueQuestion(primitive, sample))

/** Derivatives = finite differences, to second order. */
export function derivativesAreDifferences(
  primitive: Primitive,
  sample: PrimitiveSample,
  modes: readonly Mode[] = bothModes,
): void {
  const smooth = smoothPart(primitive, sample)
  if (smooth === null) return
  const tolerance = {
    relative: Math.max(sample.tolerance, 1e-5),
    absolute: Math.max(sample.tolerance, 1e-6),
  }
  checkGrads(smooth.f, smooth.varied, { order: 2, modes, tolerance, name: primitive.name })
}

/**
 * vmap = a loop.
 *
 * @param mask bits that say which operands are mapped; at least one is
 * @param place where the mapped axis stands in them
 */
export function vmapIsLoop(
  primitive: Primitive,
  sample: PrimitiveSample,
  mask: number,
  place: number,
): void {
  const { operands } = sample
  if (operands.length === 0) return
  const mapped = operands.map((_, i) => ((mask >> i) & 1) === 1 || mask % operands.length === i)
  const dims = operands.map((o, i) => (mapped[i] ? (place + i) % (o.aval.ndim + 1) : null))
  const rows = operands.map((o, i) => (mapped[i] ? [o, rolled(o)] : [o, o]))
  const f = call(primitive, sample)
  const expected = [0, 1].map((r) => f(...rows.map((row) => fromHostArray(row[r]))))
  const stacked = rows.map((row, i) => {
    const dim = dims[i]
    return fromHostArray(dim === null ? operands[i] : stack(row, dim))
  })
  const actual = vmap(f, { inAxes: dims })(...stacked)
  actual.forEach((y, i) => {
    const wanted = stack(
      expected.map((ys) => toHostArray(ys[i])),
      0,
    )
    requireClose(`vmap of ${primitive.name}`, y, fromHostArray(wanted), {
      tolerance: { relative: 1e-6, absolute: 1e-6 },
    })
  })
}

/** What is made of a function of arrays by differentiating it. */
type Derivative = (f: (...xs: NDArray[]) => NDArray[]) => (...xs: NDArray[]) => readonly NDArray[]

/** The derivative along the operands themselves. */
const forward: Derivative =
  (f) =>
  (...xs) =>
    jvp(f, xs, xs)[1]

/** The cotangents of the operands where those of the results are the results. */
const reverse: Derivative =
  (f) =>
  (...xs) => {
    const [ys, pullback] = vjp(f, ...xs)
    return pullback(ys)
  }

const second =
  (derivative: Derivative): Derivative =>
  (f) =>
    forward((...xs) => [...derivative(f)(...xs)])

const batched =
  (derivative: Derivative): Derivative =>
  (f) =>
  (...xs) =>
    vmap((...rows: NDArray[]) => [...derivative(f)(...rows)])(...xs)

/** A derivative of a call, where it has one, is what the reference says. */
function derivativeQuestion(
  primitive: Primitive,
  sample: PrimitiveSample,
  derivative: Derivative,
  batch: boolean,
): Question | null {
  const smooth = smoothPart(primitive, sample)
  if (smooth === null) return null
  const program = (batch ? batched(derivative) : derivative)(smooth.f)
  const inputs = smooth.varied.map((x) =>
    batch ? fromHostArray(stack([toHostArray(x), toHostArray(x)], 0)) : x,
  )
  const expected = program(...inputs)
  const scale = Math.max(
    1,
    ...expected.flatMap((x) => Array.from(numbersOf(x), Math.abs).filter(Number.isFinite)),
  )
  const tolerance = { relative: 1e-4, absolute: 1e-5 * scale }
  const check = (actual: readonly NDArray[]): void =>
    requireClose(`derivative of ${primitive.name}`, tree.leaves(actual), tree.leaves(expected), {
      tolerance,
    })
  return { program, inputs, check }
}

/** The compiled derivative of a batch = the reference one; in reverse where that exists. */
export function compiledBatchedGradientIsReference(
  primitive: Primitive,
  sample: PrimitiveSample,
  modes: readonly Mode[] = bothModes,
): void {
  const question = derivativeQuestion(primitive, sample, firstDerivative(modes), true)
  if (question !== null) wasmAnswers(question)
}

const firstDerivative = (modes: readonly Mode[]): Derivative =>
  modes.includes('reverse') ? reverse : forward

/** What a device is asked about the derivatives of a call, by name. */
export const derivativeQuestions: Readonly<
  Record<string, (p: Primitive, sample: PrimitiveSample, modes: readonly Mode[]) => Question | null>
> = {
  jvp: (p, sample, modes) =>
    modes.includes('forward') ? derivativeQuestion(p, sample, forward, false) : null,
  transpose: (p, sample, modes) =>
    modes.includes('reverse') ? derivativeQuestion(p, sample, reverse, false) : null,
  'derivative of a batch': (p, sample, modes) =>
    derivativeQuestion(p, sample, firstDerivative(modes), true),
  'second order': (p, sample, modes) =>
    modes.includes('forward')
      ? derivativeQuestion(p, sample, second(firstDerivative(modes)), false)
      : null,
}

/** The same elements in another order: another well-typed operand. */
function rolled(x: HostArray): HostArray {
  const data = x.data.slice()
  for (let i = 0; i < data.length; i++) data[i] = x.data[(i + 1) % data.length]
  return hostArray(x.aval, data)
}

/** Arrays of one type along a new axis. */
function stack(rows: readonly HostArray[], dim: number): HostArray {
  const { shape, dtype } = rows[0].aval
  const outer = shape.slice(0, dim).reduce((n, size) => n * size, 1)
  const inner = shape.slice(dim).reduce((n, size) => n * size, 1)
  const aval = new Aval([...shape.slice(0, dim), rows.length, ...shape.slice(dim)], dtype)
  const result = hostArray(aval)
  for (let o = 0; o < outer; o++) {
    rows.forEach((row, r) => {
      for (let i = 0; i < inner; i++) {
        result.data[(o * rows.length + r) * inner + i] = row.data[o * inner + i]
      }
    })
  }
  return result
}
