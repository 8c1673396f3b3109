/**
 * The laws that every primitive keeps, by walking the registry: compiled code computes what the
 * reference computes, derivatives are those of finite differences, batching is a loop, and all of
 * it also in combination.
 */
import { setDevice, type NDArray } from '@adjoint/core'
import {
  Aval as AvalOf,
  bind,
  checkPasses,
  fromHostArray,
  hostArray,
  type HostArray,
  isFloating,
  type Primitive,
  registeredPrimitives,
  toHostArray,
  tree,
} from '@adjoint/core/internal'
import { primitiveSamples, type PrimitiveSample } from '@adjoint/core/samples'
import { jit, vjp, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkGrads } from '../check-grads'
import { largestDifference, numbersOf, requireClose } from '../compare'
import { type Tolerance, toleranceOf } from '../tolerance'

const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 8) }

const call =
  (primitive: Primitive, { params }: PrimitiveSample) =>
  (...operands: NDArray[]): NDArray[] => [...bind(primitive, operands, params)]

const arraysOf = (sample: PrimitiveSample): NDArray[] => sample.operands.map(fromHostArray)

const largestOf = (sample: PrimitiveSample): number => {
  let largest = 1
  for (const { data } of sample.operands) {
    for (const x of data) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x))
  }
  return largest
}

/** Sums of large terms are only as exact as their largest term: the allowance grows with the operands. */
function deviceAllowance(sample: PrimitiveSample, aval: NDArray['aval']): Tolerance {
  const { relative, absolute } = toleranceOf(aval.dtype)
  return { relative: relative * 8, absolute: absolute * largestOf(sample) }
}

/**
 * What the reference says. Products of huge operands leave the range of float32 on a device and stay
 * in that of double precision: where such a sample overflowed on the device, it is not contradicted.
 */
function expectedFor(sample: PrimitiveSample, actual: ArrayLike<number>, reference: ArrayLike<number>): number[] {
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

const primitives = registeredPrimitives().filter((p) => primitiveSamples.has(p.name))
const samplesOf = (primitive: Primitive) => {
  const samples = primitiveSamples.get(primitive.name)
  if (!samples) throw new Error(`${primitive.name} has no samples`)
  return samples
}

beforeAll(() => {
  checkPasses(true)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  setDevice('wasm')
})

describe.each(primitives.map((p) => [p.name, p] as const))('%s', (_name, primitive) => {
  it('compiled = reference, also at the edges of the domain', () => {
    fc.assert(
      fc.property(samplesOf(primitive).edges, (sample) => {
        const f = call(primitive, sample)
        const expected = f(...arraysOf(sample))
        const actual = on('wasm', () => jit(f)(...arraysOf(sample)))
        actual.forEach((y, i) => {
          const [computed, reference] = [numbersOf(y), numbersOf(expected[i] ?? y)]
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
      }),
      runs,
    )
  })

  it('derivatives = finite differences, to second order', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, (sample) => {
        const varied = arraysOf(sample).filter((_, i) => sample.smooth[i])
        if (varied.length === 0) return
        const f = (...xs: NDArray[]): NDArray[] => {
          let next = 0
          const operands = arraysOf(sample).map((x, i) => (sample.smooth[i] ? (xs[next++] ?? x) : x))
          return call(primitive, sample)(...operands).filter((y) => isFloating(y.dtype))
        }
        if (f(...varied).length === 0) return
        const tolerance = { relative: Math.max(sample.tolerance, 1e-5), absolute: Math.max(sample.tolerance, 1e-6) }
        checkGrads(f, varied, { order: 2, tolerance, name: primitive.name })
      }),
      runs,
    )
  })

  it('vmap = a loop', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, fc.nat(), fc.nat(), (sample, maskSeed, dimSeed) => {
        const { operands } = sample
        if (operands.length === 0) return
        const mapped = operands.map((_, i) => ((maskSeed >> i) & 1) === 1 || maskSeed % operands.length === i)
        const dims = operands.map((o, i) => (mapped[i] ? (dimSeed + i) % (o.aval.ndim + 1) : null))
        const rows = operands.map((o, i) => (mapped[i] ? [o, rolled(o)] : [o, o]))
        const f = call(primitive, sample)
        const expected = [0, 1].map((r) => f(...rows.map((row) => fromHostArray(row[r] ?? operands[0]))))
        const stacked = rows.map((row, i) => {
          const dim = dims[i] ?? null
          return fromHostArray(dim === null ? operands[i] : stack(row, dim))
        })
        const actual = vmap(f, { inAxes: dims })(...stacked)
        actual.forEach((y, i) => {
          const wanted = stack(expected.map((ys) => toHostArray(ys[i] ?? y)), 0)
          requireClose(`vmap of ${primitive.name}`, y, fromHostArray(wanted), {
            tolerance: { relative: 1e-6, absolute: 1e-6 },
          })
        })
      }),
      runs,
    )
  })

  it('the compiled gradient of a batch = the reference one', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, (sample) => {
        const varied = arraysOf(sample).filter((_, i) => sample.smooth[i])
        if (varied.length === 0) return
        const f = (...xs: NDArray[]): NDArray[] => {
          let next = 0
          const operands = arraysOf(sample).map((x, i) => (sample.smooth[i] ? (xs[next++] ?? x) : x))
          return call(primitive, sample)(...operands).filter((y) => isFloating(y.dtype))
        }
        if (f(...varied).length === 0) return
        const gradient = (...xs: NDArray[]): readonly NDArray[] => {
          const [ys, pullback] = vjp(f, ...xs)
          return pullback(ys)
        }
        const batched = (...xs: NDArray[]): readonly NDArray[] => vmap(gradient)(...xs)
        const batch = varied.map((x) => fromHostArray(stack([toHostArray(x), toHostArray(x)], 0)))
        const expected = batched(...batch)
        const actual = on('wasm', () => jit(batched)(...batch))
        const scale = Math.max(1, ...expected.flatMap((x) => Array.from(numbersOf(x), Math.abs).filter(Number.isFinite)))
        requireClose(`gradient of ${primitive.name}`, tree.leaves(actual), tree.leaves(expected), {
          tolerance: { relative: 1e-4, absolute: 1e-5 * scale },
        })
      }),
      runs,
    )
  })
})

/** The same elements in another order: another well-typed operand. */
function rolled(x: HostArray): HostArray {
  const data = x.data.slice()
  for (let i = 0; i < data.length; i++) data[i] = x.data[(i + 1) % data.length] ?? 0
  return hostArray(x.aval, data)
}

/** Arrays of one type along a new axis. */
function stack(rows: readonly HostArray[], dim: number): HostArray {
  const first = rows[0]
  if (first === undefined) throw new Error('nothing to stack')
  const { shape, dtype } = first.aval
  const outer = shape.slice(0, dim).reduce((n, size) => n * size, 1)
  const inner = shape.slice(dim).reduce((n, size) => n * size, 1)
  const aval = new AvalOf([...shape.slice(0, dim), rows.length, ...shape.slice(dim)], dtype)
  const result = hostArray(aval)
  for (let o = 0; o < outer; o++) {
    rows.forEach((row, r) => {
      for (let i = 0; i < inner; i++) {
        result.data[(o * rows.length + r) * inner + i] = row.data[o * inner + i] ?? 0
      }
    })
  }
  return result
}
