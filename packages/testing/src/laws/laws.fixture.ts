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

/** Compiled = reference, also at the edges of the domain. */
export function compiledIsReference(primitive: Primitive, sample: PrimitiveSample): void {
  const f = call(primitive, sample)
  const expected = f(...arraysOf(sample))
  const actual = on('wasm', () => jit(f)(...arraysOf(sample)))
  expect(actual.length).toBe(expected.length)
  actual.forEach((y, i) => {
    expect(String(y.aval)).toBe(String(expected[i].aval))
    const [computed, reference] = [numbersOf(y), numbersOf(expected[i])]
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
  })
}

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

/** The compiled derivative of a batch = the reference one; in reverse where that exists. */
export function compiledBatchedGradientIsReference(
  primitive: Primitive,
  sample: PrimitiveSample,
  modes: readonly Mode[] = bothModes,
): void {
  const smooth = smoothPart(primitive, sample)
  if (smooth === null) return
  const { f, varied } = smooth
  const gradient = (...xs: NDArray[]): readonly NDArray[] => {
    if (!modes.includes('reverse')) return jvp(f, xs, xs)[1]
    const [ys, pullback] = vjp(f, ...xs)
    return pullback(ys)
  }
  const batched = (...xs: NDArray[]): readonly NDArray[] => vmap(gradient)(...xs)
  const batch = varied.map((x) => fromHostArray(stack([toHostArray(x), toHostArray(x)], 0)))
  const expected = batched(...batch)
  const actual = on('wasm', () => jit(batched)(...batch))
  const scale = Math.max(
    1,
    ...expected.flatMap((x) => Array.from(numbersOf(x), Math.abs).filter(Number.isFinite)),
  )
  requireClose(`gradient of ${primitive.name}`, tree.leaves(actual), tree.leaves(expected), {
    tolerance: { relative: 1e-4, absolute: 1e-5 * scale },
  })
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
