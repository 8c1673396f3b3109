import { NDArray, np, tree } from '@adjoint/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scaleByAdam } from './adaptive'
import { trace } from './momentum'

const f32 = (values: readonly number[]): NDArray => np.array([...values], { dtype: 'float32' })
const SMALLEST_NORMAL = 2 ** -126

/** The floating leaves of an optimiser's state. */
const averagesOf = (state: unknown): number[] =>
  tree
    .leaves(state)
    .filter((leaf): leaf is NDArray => leaf instanceof NDArray && leaf.dtype === 'float32')
    .map((leaf) => Number(leaf.get(0).item()))

/** Adam as the paper has it, in double precision, with float32 only where the state is kept. */
function adamByHand(gradients: readonly number[], b1: number, b2: number, eps: number): number[] {
  let [m, v] = [0, 0]
  return gradients.map((g, i) => {
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    return m / (1 - b1 ** (i + 1)) / (Math.sqrt(v / (1 - b2 ** (i + 1))) + eps)
  })
}

describe('averages of gradients that have ceased', () => {
  it('come to zero instead of staying subnormal', () => {
    const adam = scaleByAdam({ b1: 0.5, b2: 0.5 })
    const momentum = trace(0.5)
    let [adamState, momentumState] = [adam.init(f32([0])), momentum.init(f32([0]))]
    for (let i = 0; i < 160; i++) {
      const g = f32([i === 0 ? 1 : 0])
      ;[, adamState] = adam.update(g, adamState)
      ;[, momentumState] = momentum.update(g, momentumState)
      const averages = [...averagesOf(adamState), ...averagesOf(momentumState)]
      expect(averages).toHaveLength(3)
      for (const value of averages) {
        expect(value === 0 || value >= SMALLEST_NORMAL).toBe(true)
        if (i < 90) expect(value).toBeGreaterThan(0)
        if (i === 159) expect(value).toBe(0)
      }
    }
  })
})

describe('updates', () => {
  it('are those of the paper for gradients of any size', () => {
    const gradient = fc
      .record({ power: fc.double({ min: -30, max: 5, noNaN: true }), negative: fc.boolean() })
      .map(({ power, negative }) => Math.fround((negative ? -1 : 1) * 10 ** power))
    fc.assert(
      fc.property(fc.array(gradient, { minLength: 1, maxLength: 6 }), (gradients) => {
        const adam = scaleByAdam()
        let state = adam.init(f32([0]))
        const expected = adamByHand(gradients, 0.9, 0.999, 1e-8)
        gradients.forEach((g, i) => {
          const [update, next] = adam.update(f32([g]), state)
          state = next
          const value = Number(update.get(0).item())
          const scale = Math.max(...expected.slice(0, i + 1).map(Math.abs))
          expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-4 * scale + 1e-21)
        })
      }),
      { numRuns: 60 },
    )
  })

  it('see tiny gradients where eps lets them', () => {
    const adam = scaleByAdam({ eps: 0 })
    const [update] = adam.update(f32([1e-18]), adam.init(f32([0])))
    expect(update.get(0).item()).toBeCloseTo(1, 2)
  })
})
