import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wasmFeatures } from '../emit'
import { measureAccuracy, measuredFunctions } from './testing/accuracy'
import type { MeasuredFunction } from './testing/accuracy'
import { edges, edges2 } from './testing/edges'
import { type FloatFunction, type FloatFunction2, floatFunctions } from './testing/formulas'
import { floatKernel } from './testing/kernel'

/**
 * Largest errors in units in the last place, f32 and f64. Functions that f32 computes in f64 lanes
 * are right to half a unit and what double rounding adds.
 */
const bounds: { readonly [F in MeasuredFunction]: readonly [f32: number, f64: number] } = {
  exp: [1, 1],
  exp2: [1.2, 1.2],
  expm1: [1.6, 1.7],
  log: [0.9, 0.8],
  log1p: [0.9, 0.8],
  logistic: [2, 1.6],
  sin: [1.6, 0.7],
  cos: [1.6, 0.7],
  tan: [0.51, 1.7],
  asin: [0.51, 0.8],
  acos: [0.51, 0.9],
  atan: [0.51, 1],
  sinh: [0.51, 1.5],
  cosh: [0.51, 1.5],
  tanh: [1.5, 1.8],
  asinh: [0.51, 1.5],
  acosh: [0.51, 1.8],
  atanh: [0.51, 1.5],
  cbrt: [0.51, 0.8],
  erf: [2, 1.5],
  erfc: [0.51, 4],
  erfInv: [3, 3],
  // Next to the zeros and for negative arguments, where terms of some units cancel.
  lgamma: [0.51, 10],
  digamma: [0.51, 12],
  pow: [0.51, 1],
  rem: [0, 0],
  atan2: [0.51, 1.5],
}

const relaxedModes = wasmFeatures().relaxed ? [true, false] : [false]

describe('accuracy', () => {
  for (const relaxed of relaxedModes) {
    const mode = relaxed ? 'with fused multiply-add' : 'with SIMD only'
    it.each(measuredFunctions)(`%s is within its bound ${mode}`, (f) => {
      const [single, double] = bounds[f]
      const inDouble = measureAccuracy(f, 'f64', { relaxed }, 200)
      expect(inDouble.ulp, `f64 at ${inDouble.at.join()}`).toBeLessThanOrEqual(double)
      const inSingle = measureAccuracy(f, 'f32', { relaxed }, 6000)
      expect(inSingle.ulp, `f32 at ${inSingle.at.join()}`).toBeLessThanOrEqual(single)
    })
  }
})

describe.each(relaxedModes)('edges, relaxed SIMD %s', (relaxed) => {
  const features = { relaxed }
  // In f32 results are rounded: so are the expected ones.
  const formats = [
    ['f32', Math.fround],
    ['f64', (x: number): number => x],
  ] as const

  it.each(Object.keys(edges) as FloatFunction[])('%s', (f) => {
    for (const [type, round] of formats) {
      const kernel = floatKernel(f, 1, { type, features })
      const cases = [...edges[f], [NaN, NaN] as const]
      const results = [...kernel(cases.map(([x]) => x))]
      expect(results, type).toEqual(cases.map(([, y]) => round(y)))
    }
  })

  it.each(Object.keys(edges2) as FloatFunction2[])('%s', (f) => {
    for (const [type, round] of formats) {
      const kernel = floatKernel(f, 2, { type, features })
      const cases = edges2[f]
      const results = [
        ...kernel(
          cases.map(([x]) => x),
          cases.map(([, y]) => y),
        ),
      ]
      expect(results, type).toEqual(cases.map(([, , z]) => round(z)))
    }
  })
})

describe.each(relaxedModes)('side by side, relaxed SIMD %s', (relaxed) => {
  const features = { relaxed }
  // Rare arguments in some groups and not in others.
  const common = fc.oneof(
    { weight: 3, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
    fc.float(),
    fc.float({ min: -150, max: 150, noNaN: true }),
    fc.constantFrom(-Infinity, Infinity, NaN, -87, 87, -104, 1e10).map(Math.fround),
  )
  const sixteen = fc.array(common, { minLength: 16, maxLength: 16 })

  it.each(floatFunctions)('%s of a number is the same, bit for bit, beside any others', (f) => {
    const together = floatKernel(f, 1, { type: 'f32', features, unroll: 4 })
    const alone = floatKernel(f, 1, { type: 'f32', features })
    fc.assert(
      fc.property(sixteen, (xs) => {
        expect([...together(xs)]).toEqual(xs.map((x) => alone([x])[0]))
      }),
      { numRuns: 60 },
    )
  })

  it.each(['rem', 'pow', 'atan2'] as const)('%s likewise', (f) => {
    const together = floatKernel(f, 2, { type: 'f32', features, unroll: 4 })
    const alone = floatKernel(f, 2, { type: 'f32', features })
    fc.assert(
      fc.property(sixteen, sixteen, (xs, ys) => {
        expect([...together(xs, ys)]).toEqual(xs.map((x, i) => alone([x], [ys[i] ?? 0])[0]))
      }),
      { numRuns: 60 },
    )
  })
})

describe('exact functions', () => {
  const features = wasmFeatures()

  it('rem agrees with JavaScript’s %', () => {
    for (const [type, arbitrary] of [
      ['f32', fc.float()],
      ['f64', fc.double()],
    ] as const) {
      const kernel = floatKernel('rem', 2, { type, features })
      fc.assert(
        fc.property(fc.array(fc.tuple(arbitrary, arbitrary), { minLength: 1 }), (pairs) => {
          const results = kernel(
            pairs.map(([x]) => x),
            pairs.map(([, y]) => y),
          )
          expect([...results]).toEqual(pairs.map(([x, y]) => x % y))
        }),
        { numRuns: 200 },
      )
    }
  })

  it('nextafter leaves nothing between', () => {
    for (const [type, arbitrary, bits] of [
      ['f32', fc.float({ noNaN: true }), 32],
      ['f64', fc.double({ noNaN: true }), 64],
    ] as const) {
      // Numbers in their order as integers, so that neighbours differ by one.
      const order = (x: number): bigint => {
        const view = new DataView(new ArrayBuffer(8))
        if (bits === 32) view.setFloat32(0, x)
        else view.setFloat64(0, x)
        const raw = bits === 32 ? BigInt(view.getInt32(0)) : view.getBigInt64(0)
        return raw < 0n ? -(raw + (1n << BigInt(bits - 1))) : raw
      }
      const kernel = floatKernel('nextafter', 2, { type, features })
      fc.assert(
        fc.property(arbitrary, arbitrary, (x, y) => {
          const [next = NaN] = kernel([x], [y])
          const expected = x === y ? order(y) : order(x) + (y > x ? 1n : -1n)
          expect(order(next)).toBe(expected)
        }),
      )
    }
  })

  it('pow of a power of two by an integer is exact', () => {
    for (const type of ['f32', 'f64'] as const) {
      const kernel = floatKernel('pow', 2, { type, features })
      const exponents = Array.from({ length: 41 }, (_, index) => index - 20)
      expect([
        ...kernel(
          exponents.map(() => -2),
          exponents,
        ),
      ]).toEqual(exponents.map((n) => (-2) ** n))
    }
  })

  it('odd functions are odd and even ones even, bit for bit', () => {
    const odd: FloatFunction[] = [
      'sin',
      'tan',
      'asin',
      'atan',
      'sinh',
      'tanh',
      'asinh',
      'atanh',
      'cbrt',
      'erf',
      'erfInv',
    ]
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 8 }), (xs) => {
        const mirrored = xs.map((x) => -x)
        for (const f of odd) {
          const kernel = kernels[f] ?? floatKernel(f, 1, { type: 'f32', features })
          kernels[f] = kernel
          expect([...kernel(mirrored)]).toEqual([...kernel(xs)].map((y) => -y))
        }
        for (const f of ['cos', 'cosh'] as const) {
          const kernel = kernels[f] ?? floatKernel(f, 1, { type: 'f32', features })
          kernels[f] = kernel
          expect([...kernel(mirrored)]).toEqual([...kernel(xs)])
        }
      }),
    )
  })
})

const kernels: Partial<Record<FloatFunction, ReturnType<typeof floatKernel>>> = {}
