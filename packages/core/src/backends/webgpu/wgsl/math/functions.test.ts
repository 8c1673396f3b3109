import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import type { BinaryOp, UnaryOp } from '../../../../compiler/expr'
import type { FloatFunction, FloatFunction2 } from '../../../wasm/math/testing/formulas'
import { type MeasuredFunction, measuredFunctions } from '../../../wasm/math/testing/accuracy'
import { edges, edges2 } from '../../../wasm/math/testing/edges'
import { NodeRunner } from '../../kernels/run-node.fixture'
import { onGpu } from '../../testing/on-gpu.fixture'
import { evaluate as evaluateOn, measureOnGpu } from './testing/accuracy'

/**
 * Largest errors in units in the last place. Numbers below 2^-126 count as zero, because WGSL lets
 * devices take them so; division and square roots, which most of these use, may be less exact on
 * other devices than on the one of the tests.
 */
const bounds: { readonly [F in MeasuredFunction]: number } = {
  exp: 1,
  exp2: 1.2,
  expm1: 1.6,
  log: 0.9,
  log1p: 0.9,
  logistic: 2,
  sin: 1.6,
  cos: 1.6,
  tan: 2.8,
  asin: 2.5,
  acos: 1.5,
  atan: 2.6,
  sinh: 1.6,
  cosh: 1.3,
  tanh: 1.4,
  asinh: 1.5,
  acosh: 2,
  atanh: 1.2,
  cbrt: 0.6,
  erf: 2,
  erfc: 4.5,
  erfInv: 2.6,
  // For negative arguments next to the zeros terms of some units cancel.
  lgamma: 4.5,
  digamma: 14,
  pow: 1,
  rem: 0,
  atan2: 2.6,
}

onGpu('functions of f32 on WebGPU', { timeout: 20_000 }, () => {
  let runner: NodeRunner
  beforeAll(async () => {
    runner = await NodeRunner.open()
  })

  const evaluate = (
    op: UnaryOp | BinaryOp,
    ...args: readonly (readonly number[])[]
  ): Promise<number[]> => evaluateOn(runner, op, ...args)

  it.each(measuredFunctions)('%s is within its bound', async (f) => {
    const { ulp, at } = await measureOnGpu(runner, f, 3000)
    expect(ulp, `at ${at.join()}`).toBeLessThanOrEqual(bounds[f])
  })

  it.each(Object.keys(edges) as FloatFunction[])('%s at the edges', async (f) => {
    const cases = [...edges[f], [NaN, NaN] as const]
    const results = await evaluate(
      f,
      cases.map(([x]) => x),
    )
    results.forEach((got, i) => expectNear(f, got, cases[i][1]))
  })

  it.each(Object.keys(edges2) as FloatFunction2[])('%s at the edges', async (f) => {
    const cases = edges2[f]
    const results = await evaluate(
      f,
      cases.map(([x]) => x),
      cases.map(([, y]) => y),
    )
    results.forEach((got, i) => expectNear(f, got, cases[i][2]))
  })

  function expectNear(f: string, got: number, expected: number): void {
    // A value that is 0, 1, infinite or not a number is exactly that.
    const single = Math.fround(expected)
    if (!Number.isFinite(single) || Number.isInteger(single)) expect(got, f).toBe(single)
    else expect(Math.abs(got - single) / Math.abs(single), f).toBeLessThan(2 ** -22)
  }

  it.each([
    ['floor', Math.floor],
    ['ceil', Math.ceil],
    ['trunc', Math.trunc],
    ['round', (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)],
    ['sign', Math.sign],
    ['sqrt', Math.sqrt],
    ['rsqrt', (x: number) => 1 / Math.sqrt(x)],
    ['neg', (x: number) => -x],
    ['abs', Math.abs],
  ] as const)('%s of anything', async (f, exact) => {
    const xs = [0, -0, NaN, Infinity, -Infinity, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999997]
    const more = [8388607.5, -8388607.5, 8388609, 16777215, -3e38, 2 ** 31, 1e-30, -1e-30, 4, 1e30]
    const all = [...xs, ...more].filter((x) => f !== 'rsqrt' || !Object.is(x, -0)).map(Math.fround)
    const results = await evaluate(f, all)
    results.forEach((got, i) => {
      const expected = Math.fround(exact(all[i]))
      if (f === 'sqrt' || f === 'rsqrt') expectNear(f, got, expected)
      else expect(got, `${f} ${all[i]}`).toBe(expected)
    })
  })

  it('numbers below the smallest normal one', async () => {
    const xs = [2 ** -149, -(2 ** -149), 2 ** -130, -(2 ** -127)]
    expect(await evaluate('ceil', xs)).toEqual([1, -0, 1, -0])
    expect(await evaluate('floor', xs)).toEqual([0, -1, 0, -1])
    expect(await evaluate('sign', xs)).toEqual([1, -1, 1, -1])
    const roots = await evaluate('sqrt', [2 ** -148, 2 ** -130])
    expect(roots).toEqual([2 ** -74, 2 ** -65])
    expect(await evaluate('rsqrt', [2 ** -148, 2 ** -130])).toEqual([2 ** 74, 2 ** 65])
    expect(await evaluate('pow', [-0.5, 2], [2 ** -149, 2 ** -149])).toEqual([NaN, 1])
  })

  it('the larger and the smaller of two', async () => {
    const values = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-30, -1e-30, 3e38].map(Math.fround)
    const pairs = values.flatMap((x) => values.map((y) => [x, y] as const))
    const xs = pairs.map(([x]) => x)
    const ys = pairs.map(([, y]) => y)
    expect(await evaluate('max', xs, ys)).toEqual(pairs.map(([x, y]) => Math.max(x, y)))
    expect(await evaluate('min', xs, ys)).toEqual(pairs.map(([x, y]) => Math.min(x, y)))
  })

  it('rem agrees with JavaScript’s %', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.float(), fc.float()), { minLength: 200, maxLength: 400 }),
        async (pairs) => {
          const xs = pairs.map(([x]) => x)
          const ys = pairs.map(([, y]) => y)
          expect(await evaluate('rem', xs, ys)).toEqual(pairs.map(([x, y]) => x % y))
        },
      ),
      { numRuns: 10 },
    )
  })

  it('whole quotients are whole', async () => {
    const pairs = Array.from({ length: 4000 }, (_, i) => [(i % 97) + 1, ((i * 31) % 251) + 1])
    const products = pairs.map(([x, y]) => x * y)
    const divisors = pairs.map(([, y]) => y)
    expect(await evaluate('div', products, divisors)).toEqual(pairs.map(([x]) => x))
  })

  it('odd functions are odd and even ones even', async () => {
    const xs = Array.from({ length: 200 }, (_, i) => Math.fround(1.07 ** (i - 100) - 0.001))
    const mirrored = xs.map((x) => -x)
    for (const f of [
      'sin',
      'tan',
      'asin',
      'atan',
      'sinh',
      'tanh',
      'asinh',
      'cbrt',
      'erf',
    ] as const) {
      expect(await evaluate(f, mirrored), f).toEqual((await evaluate(f, xs)).map((y) => -y))
    }
    for (const f of ['cos', 'cosh'] as const) {
      expect(await evaluate(f, mirrored), f).toEqual(await evaluate(f, xs))
    }
  })
})
