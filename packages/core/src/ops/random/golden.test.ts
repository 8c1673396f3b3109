/** Keys and samples against JAX's own: integers bit for bit, floats within an ulp of the dtype. */
import { describe, expect, test } from 'vitest'
import { devices, withDevice } from '../../array/device'
import { install } from '../../install'
import { type DType, floatInfo } from '../../types/dtype'
import recording from '../../../test-data/random.json'
import { call, decode, expectRecorded, type Recorded, type RecordedCall } from '../golden.fixture'
import * as np from '../np'
import { isArray } from '../promotion'
import * as random from './index'

install()

const calls = recording.cases as unknown[] as RecordedCall[]
const names = [...new Set(calls.map((c) => c.name))]

/**
 * The uniform numbers are exact. What follows differs by the rounding of each function that is
 * applied: within a unit in the last place for one, a few for compositions.
 */
const exact = new Set([
  'key',
  'split',
  'fold_in',
  'bits',
  'randint',
  'bernoulli',
  'categorical',
  'permutation',
  'choice',
  'rademacher',
  'geometric',
])
const ulps = (name: string): number =>
  exact.has(name) ? 0 : name === 'uniform' ? 1 : name === 'cauchy' ? 32 : 4

const dtypeOf = (recorded: Recorded): DType =>
  typeof recorded === 'object' && recorded !== null && '$' in recorded
    ? recorded.$.dtype
    : 'float32'

for (const { name: device } of devices()) {
  describe(`random on ${device}`, () => {
    test.each(names)('%s', (name) => {
      withDevice(device, () => {
        for (const recorded of calls.filter((c) => c.name === name)) {
          const dtype = dtypeOf(recorded.result)
          const tolerance = dtype.includes('float') ? ulps(name) * floatInfo(dtype).eps : 0
          try {
            expectRecorded(call(random, recorded), recorded.result, tolerance)
          } catch (error) {
            throw new Error(
              `${name} ${JSON.stringify(recorded.args)} ${JSON.stringify(recorded.options)}`,
              { cause: error },
            )
          }
        }
      })
    })
  })
}

describe('random', () => {
  test('double precision fills all 52 bits of the fraction', () => {
    withDevice('reference', () => {
      const u = random.uniform(random.key(0), [64], { dtype: 'float64' })
      const values = u.toArray() as number[]
      expect(values.every((v) => v >= 0 && v < 1)).toBe(true)
      const lowBits = values.map((v) => (v * 2 ** 52) % 2 ** 20)
      expect(new Set(lowBits).size).toBe(64)
    })
  })

  test('samples have the moments of their distributions', () => {
    const key = random.key(7)
    const moments = (x: ReturnType<typeof np.array>): [number, number] => [
      Number(np.mean(x).item()),
      Number(np.var(x).item()),
    ]
    const cases: [ReturnType<typeof np.array>, number, number][] = [
      [random.normal(key, [20000]), 0, 1],
      [random.uniform(key, [20000]), 1 / 2, 1 / 12],
      [random.exponential(key, [20000]), 1, 1],
      [random.laplace(key, [20000]), 0, 2],
      [random.gumbel(key, [20000]), 0.5772, Math.PI ** 2 / 6],
      [random.geometric(key, 0.5, [20000]), 2, 2],
    ]
    for (const [sample, mean, variance] of cases) {
      const [m, v] = moments(sample)
      expect(Math.abs(m - mean)).toBeLessThan(5 * Math.sqrt(variance / 20000))
      expect(Math.abs(v / variance - 1)).toBeLessThan(0.1)
    }
  })

  test('a whole range of 32 bits can be drawn from', () => {
    const x = random.randint(random.key(1), [1000], 0, 2 ** 32, { dtype: 'uint32' })
    expect(Number(np.max(x).item())).toBeGreaterThan(2 ** 31)
  })

  test('refuses what is not a key', () => {
    expect(() => random.normal(np.array([1, 2]), [3])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: normal(key): this is not one key
        key: i32[2]
        rule: a key is u32[2]
        hint: random.key(seed) makes one, random.split(key) more of them]
    `)
    expect(() => random.normal(random.split(random.key(0)), [3]))
      .toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: normal(key): this is not one key
        key: u32[2,2]
        rule: a key is u32[2]
        hint: these are several keys: take one with keys.get(i), or use vmap]
    `)
    expect(() => random.key(0.5)).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: key(seed): 0.5 is not an integer
        rule: a seed is an integer between -2^53 and 2^53]
    `)
  })

  test('decodes what was recorded', () => {
    const [first] = calls
    expect(isArray(decode(first.result))).toBe(true)
  })
})
