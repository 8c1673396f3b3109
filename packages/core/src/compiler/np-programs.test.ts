/** Programs written with NumPy's functions, run as loops and by their meaning. */
import { describe, expect, test } from 'vitest'
import { np } from '../index'
import type { NDArray } from '../array/ndarray'
import { evaluateOnHost } from '../backends/reference/evaluate'
import { allocateHost, hostArray } from '../backends/reference/host-array'
import { stage } from '../jaxpr/stage'
import { Aval } from '../types/aval'
import { lower } from './compile'
import { printProgram } from './print'
import { runPlanned, runSeparately } from './testing/programs'

const f32 = (...shape: number[]): Aval => new Aval(shape, 'float32')
const i32 = (...shape: number[]): Aval => new Aval(shape, 'int32')

const softmax = (x: NDArray): NDArray => {
  const e = np.exp(np.subtract(x, np.max(x, -1, { keepdims: true })))
  return np.divide(e, np.sum(e, -1, { keepdims: true }))
}
const layerNorm = (x: NDArray): NDArray => {
  const centred = np.subtract(x, np.mean(x, -1, { keepdims: true }))
  const variance = np.mean(np.multiply(centred, centred), -1, { keepdims: true })
  return np.divide(centred, np.sqrt(np.add(variance, 1e-5)))
}
const attention = (x: NDArray, q: NDArray, k: NDArray, v: NDArray): NDArray => {
  const scores = np.matmul(np.matmul(x, q), np.swapaxes(np.matmul(x, k), -1, -2))
  return np.matmul(softmax(np.divide(scores, 2)), np.matmul(x, v))
}
const heads = (x: NDArray): NDArray => np.transpose(np.reshape(x, [2, 5, 2, 3]), [0, 2, 1, 3])

interface Case {
  readonly avals: readonly Aval[]
  readonly run: (...xs: NDArray[]) => NDArray | readonly NDArray[]
  /** How many loops it may take. */
  readonly loops: number
}

const cases: { readonly [name: string]: Case } = {
  softmax: { avals: [f32(5, 7)], run: softmax, loops: 4 },
  'layer normalisation': { avals: [f32(5, 7)], run: layerNorm, loops: 3 },
  attention: { avals: [f32(2, 5, 4), f32(4, 4), f32(4, 4), f32(4, 4)], run: attention, loops: 9 },
  'attention heads put back in place': {
    avals: [f32(2, 5, 6), f32(2, 5, 6)],
    run: (x, y) =>
      np.reshape(
        np.transpose(
          np.multiply(np.matmul(np.matmul(heads(x), np.swapaxes(heads(y), -1, -2)), heads(x)), 2),
          [0, 2, 1, 3],
        ),
        [2, 5, 6],
      ),
    loops: 3,
  },
  sorting: {
    avals: [f32(5, 7)],
    run: (x) => [np.sort(x, 0), np.argsort(x, 1), np.median(x)],
    loops: 12,
  },
  'cumulative sums and products': {
    avals: [f32(5, 7)],
    run: (x) => [np.cumsum(x, 0), np.cumprod(x, 1)],
    loops: 2,
  },
  'rows by index': {
    avals: [f32(5, 7), i32(3)],
    run: (x, i) => [np.take(x, i, 0), np.take(x, i, 1)],
    loops: 3,
  },
  'positions of extrema': {
    avals: [f32(5, 7)],
    run: (x) => [np.argmax(x, 1), np.argmin(x, 0), np.argmax(x)],
    loops: 3,
  },
  concatenation: {
    avals: [f32(5, 7), f32(2, 7)],
    run: (x, y) => np.concatenate([x, np.multiply(y, 2), np.flip(x, 1)], 0),
    loops: 3,
  },
  'mean and variance of several axes': {
    avals: [f32(3, 4, 5)],
    run: (x) => [np.mean(x, [0, 2]), np.var(x, [0, 2]), np.std(x)],
    loops: 4,
  },
  einsum: {
    avals: [f32(2, 5, 7), f32(2, 3, 7)],
    run: (x, y) => np.einsum('bij,bkj->ikb', x, y),
    loops: 2,
  },
  'sum and maximum in one pass': {
    avals: [f32(6, 7)],
    run: (x) => [np.sum(x, 1), np.max(np.multiply(x, 2), 1)],
    loops: 1,
  },
}

/** Whole numbers and halves, so that sums are the same in any order and precision. */
const halves = (size: number): readonly number[] =>
  Array.from({ length: size }, (_, i) => ((i * 37) % 23) / 2 - 5)
const indices = (size: number): readonly number[] =>
  Array.from({ length: size }, (_, i) => (i * 3) % 5)

describe('np programs as loops', () => {
  for (const [name, { avals, run, loops }] of Object.entries(cases)) {
    test(name, () => {
      const results = (xs: readonly NDArray[]): readonly NDArray[] => [run(...xs)].flat()
      const { jaxpr } = stage(results, avals)
      const inputs = avals.map((a) => (a.dtype === 'int32' ? indices(a.size) : halves(a.size)))
      const { program, plan } = lower(jaxpr)
      const text = printProgram(program, plan, name)
      const expected = evaluateOnHost(
        jaxpr,
        avals.map((a, i) => {
          const data = allocateHost(a.dtype, a.size)
          data.set(inputs[i])
          return hostArray(a, data)
        }),
      )
      for (const actual of [runSeparately(program, inputs), runPlanned(program, plan, inputs)]) {
        expected.forEach(({ data }, i) => {
          data.forEach((value, k) => {
            const error = Math.abs(actual[i][k] - value) / Math.max(1, Math.abs(value))
            expect(error, `result ${i}[${k}]\n${text}`).toBeLessThan(1e-4)
          })
        })
      }
      expect(program.nodes.length, text).toBeLessThanOrEqual(loops)
    })
  }
})
