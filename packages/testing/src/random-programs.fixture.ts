/** Random programs at random points, and how closely devices can agree on them. */
import { np, type NDArray, type Shape } from '@adjoint/core'
import { fromHostArray, hostArray, toHostArray, withDevice } from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { expect, vi } from 'vitest'
import { arbitraryArray } from './arbitraries'
import { type ArbitraryProgram, arbitraryProgram } from './arbitrary-program'
import { largestDifference } from './compare'
import type { Tolerance } from './tolerance'

const factor = Number(process.env['LAW_RUNS'] ?? 8) / 8
vi.setConfig({ testTimeout: 10_000 * Math.max(1, factor) })

/** This many runs, more or fewer where `LAW_RUNS` in the environment says so. */
export const runs = (n: number): { numRuns: number } => ({
  numRuns: Math.max(1, Math.round(n * factor)),
})

/** A program with arguments of its input shapes. */
export const programs = (maxInputs: number, maxDepth: number): fc.Arbitrary<Case> =>
  arbitraryProgram({ maxSteps: 5, maxInputs, maxDepth }).chain((program) =>
    fc
      .tuple(
        ...program.inputShapes.map((shape: Shape) =>
          arbitraryArray({ shape, min: -1.5, max: 1.5 }),
        ),
      )
      .map((xs) => ({
        program,
        xs: xs.map((x) => fromHostArray(toHostArray(x))),
        toString: () => `${program} at ${xs.map((x) => JSON.stringify(x.toArray())).join(' ')}`,
      })),
  )
/** A program and where to run it. */
export interface Case {
  readonly program: ArbitraryProgram
  readonly xs: readonly NDArray[]
}

/** An array's elements in double precision, as the reference device holds them. */
export const doublesOf = (x: NDArray): Float64Array => Float64Array.from(toHostArray(x).data)

/** The point as an array of the current device, in float32. */
export const onDevice = (x: NDArray): NDArray =>
  np.array(Float32Array.from(doublesOf(x))).reshape(x.shape)

/** The same point, a little further on: how much a result changes here tells how exact it can be. */
export const nearby = (x: NDArray): NDArray =>
  fromHostArray(
    hostArray(
      x.aval,
      Float64Array.from(doublesOf(x), (v, i) => v + (i % 2 === 0 ? 1e-6 : -0.7e-6)),
    ),
  )

/** The largest magnitude, and at least 1. */
export const sizeOf = (xs: Float64Array): number =>
  xs.reduce((most, x) => Math.max(most, Math.abs(x)), 1)

/**
 * Rounding to float32 moves a value by some 1e-7 of its size at every step, and the result by what the
 * program makes of that. Where a change of 1e-6 makes much of a difference the point is a kink, or
 * too close to one to say anything, and is passed over.
 */
export function float32Allowance(expected: Float64Array, besides: Float64Array): Tolerance | null {
  const scale = sizeOf(expected)
  const change = expected.reduce((most, y, i) => Math.max(most, Math.abs(y - (besides[i] ?? y))), 0)
  return Number.isFinite(scale) && change < 1e-3 * scale
    ? { relative: 0, absolute: 3e-5 * scale + 20 * change }
    : null
}

/** Fails the test where an element is too far from what is expected. */
export function expectClose(
  what: string,
  actual: NDArray,
  expected: Float64Array,
  tolerance: Tolerance,
): void {
  const difference = largestDifference(doublesOf(actual), expected, tolerance)
  if (difference && difference.excess > 1) {
    expect.fail(
      `${what}: element ${difference.where} is ${difference.actual}, expected ${difference.expected}, ` +
        `${difference.excess.toPrecision(3)} times what is allowed`,
    )
  }
}

/** A program computes on the WebAssembly device what it computes on the reference, compiled and eagerly. */
export function devicesAgree({ program: { f }, xs }: Case): void {
  const expected = doublesOf(f(...xs))
  const allowance = float32Allowance(expected, doublesOf(f(...xs.map(nearby))))
  fc.pre(allowance !== null)
  if (allowance === null) return
  withDevice('wasm', () => {
    const here = xs.map(onDevice)
    expectClose('compiled', jit(f)(...here), expected, allowance)
    expectClose('eager', f(...here), expected, allowance)
  })
}
