import { linalg, np, random, type NDArray } from '@adjoint/core'
import { grad, jit, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { orthogonalizeViaNewtonSchulz, scaleByMuon } from './index'
import { type NewtonSchulzOptions, orthogonalized } from './newton-schulz'

type Matrix = readonly (readonly number[])[]
type Triple = readonly [number, number, number]

const transposed = (x: Matrix): Matrix => x[0].map((_, j) => x.map((row) => row[j]))
const product = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => y[0].map((_, j) => row.reduce((sum, value, k) => sum + value * y[k][j], 0)))
const combined = (a: number, x: Matrix, b: number, y: Matrix): Matrix =>
  x.map((row, i) => row.map((value, j) => a * value + b * y[i][j]))

/** `a X + b (XXᵀ)X + c (XXᵀ)²X`, one matrix at a time and in doubles, whatever its form. */
function reference(matrix: Matrix, steps: readonly Triple[]): Matrix {
  const norm = Math.hypot(...matrix.flat()) + 1e-8
  let x: Matrix = matrix.map((row) => row.map((value) => value / norm))
  for (const [a, b, c] of steps) {
    const gram = product(x, transposed(x))
    const polynomial = combined(b, gram, c, product(gram, gram))
    x = combined(a, x, 1, product(polynomial, x))
  }
  return x
}

const standard: Triple = [3.4445, -4.775, 2.0315]
const dion: readonly Triple[] = [
  [4.0848, -6.8946, 2.927],
  [3.9505, -6.3029, 2.6377],
  [3.7418, -5.5913, 2.3037],
  [2.8769, -3.1427, 1.2046],
  [2.8366, -3.0525, 1.2012],
]
const schedules: readonly (readonly [NewtonSchulzOptions, readonly Triple[]])[] = [
  [{}, [standard, standard, standard, standard, standard]],
  [{ nsSteps: 2 }, [standard, standard]],
  [{ nsSteps: 0 }, []],
  [{ nsCoeffs: 'dion' }, dion],
  [{ nsCoeffs: dion.slice(1, 3) }, dion.slice(1, 3)],
]

const drawn = (shape: readonly number[], seed: number): NDArray =>
  random.normal(random.key(seed), shape, { dtype: 'float64' })
const elements = (x: NDArray): Matrix => x.toArray() as number[][]

describe('matrices made orthogonal together', () => {
  const sizes = fc.integer({ min: 1, max: 5 })
  // Few sizes, so that several have one shape, or one's transpose.
  const shapes = fc.array(fc.tuple(sizes, sizes), { minLength: 1, maxLength: 7 })

  it('are what each is alone, and in their order', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.constantFrom(...schedules),
        fc.boolean(),
        (drawnShapes, [options, steps], compile) => {
          const matrices = drawnShapes.map((shape, i) => drawn(shape, i))
          const all = (xs: readonly NDArray[]): readonly NDArray[] => orthogonalized(xs, options)
          const results = (compile ? jit(all) : all)(matrices)
          results.forEach((result, i) => {
            const expected = reference(elements(matrices[i]), steps).flat()
            const actual = elements(result).flat()
            expect(result.shape).toEqual(matrices[i].shape)
            actual.forEach((value, k) => expect(value).toBeCloseTo(expected[k], 9))
          })
        },
      ),
      { numRuns: 40 },
    )
  })

  it('keep their dtypes', () => {
    const dtypes = ['float32', 'float64', 'bfloat16', 'float32', 'float16'] as const
    const matrices = dtypes.map((dtype, i) => drawn([3, 4], i).astype(dtype))
    for (const [options] of schedules) {
      const results = orthogonalized(matrices, options)
      expect(results.map((x) => x.dtype)).toEqual(dtypes)
    }
  })

  it('have singular values near one', () => {
    for (const shape of [
      [20, 6],
      [6, 20],
    ]) {
      const x = orthogonalizeViaNewtonSchulz(drawn(shape, 3))
      const gram = shape[0] > shape[1] ? np.matmul(x.T, x) : np.matmul(x, x.T)
      const squares = linalg.eigvalsh(gram).toArray() as number[]
      for (const square of squares) expect(Math.abs(Math.sqrt(square) - 0.95)).toBeLessThan(0.35)
    }
  })
})

describe('through transformations', () => {
  const params = { tall: drawn([4, 2], 1), wide: drawn([2, 4], 2), other: drawn([2, 4], 3) }
  type Params = typeof params
  const optimiser = scaleByMuon({ nsCoeffs: 'dion' })
  const state = optimiser.init(params)
  const updated = (grads: Params): Params => optimiser.update(grads, state, params)[0]

  it('goes a derivative', () => {
    const scaled = (t: NDArray): Params => ({
      tall: np.multiply(params.tall, np.cos(t)),
      wide: np.add(params.wide, t),
      other: np.multiply(params.other, np.exp(t)),
    })
    const f = (t: NDArray): NDArray => {
      const { tall, wide, other } = updated(scaled(t))
      return [tall, wide, other].map((x) => np.sum(np.sin(x))).reduce((a, b) => np.add(a, b))
    }
    const at = (t: number): NDArray => np.array(t, { dtype: 'float64' })
    const value = (t: number): number => Number(f(at(t)).item())
    const slope = (value(0.3 + 1e-5) - value(0.3 - 1e-5)) / 2e-5
    expect(grad(f)(at(0.3)).item()).toBeCloseTo(slope, 5)
    expect(jit(grad(f))(at(0.3)).item()).toBeCloseTo(slope, 5)
  })

  it('go batches', () => {
    const many = np.stack([1, 2, 3].map((seed) => drawn([2, 4], seed)))
    const batched = vmap((wide: NDArray) => updated({ ...params, wide }).wide)(many)
    expect(batched.shape).toEqual([3, 2, 4])
    for (let i = 0; i < 3; i++) {
      const alone = updated({ ...params, wide: many.get(i) }).wide
      expect(np.allclose(batched.get(i), alone, { rtol: 1e-9 }).item()).toBe(true)
    }
  })
})

test('more matrices than are to live at one time go one part after the other', () => {
  const matrices = [0, 1, 2, 3, 4].map((seed) => drawn([3, 5], seed))
  const parts = (largestRound: number) =>
    jit((xs: readonly NDArray[]) => orthogonalized(xs, {}, largestRound))
  const expected = parts(1000)(matrices)
  for (const largest of [1, 15, 31, 45]) {
    parts(largest)(matrices).forEach((x, i) =>
      expect(np.allclose(x, expected[i], { rtol: 1e-12 }).item()).toBe(true),
    )
  }
  const temporaries = [1000, 15].map(
    (largest) => parts(largest).lower(matrices).cost().liveTemporaryBytes,
  )
  expect(temporaries[1]).toBeLessThan(temporaries[0])
})
