/** Loops and branches inside each other, in one kernel and over dispatches: as on WebAssembly. */
import { type DeviceName, np, type NDArray, setDevice } from '@adjoint/core'
import { cond, grad, jit, scan, whileLoop } from '@adjoint/transforms'
import { afterAll, describe, expect, it, vi } from 'vitest'

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 60_000 })

/** With so many elements a loop is no longer one kernel. */
const LARGE = 3000

type Counted = [NDArray, NDArray]

/** Applies `step` as often as `times` says, which only the device knows. */
const repeated = (step: (x: NDArray) => NDArray, x: NDArray, times: NDArray): NDArray => {
  const [result] = whileLoop(
    ([, k]: Counted) => np.less(k, times),
    ([y, k]: Counted): Counted => [step(y), k.add(1)],
    [x, np.array(0)] as Counted,
  )
  return result
}

const counts = np.array([0, 3, 20, 1])

const programs: Readonly<Record<string, (x: NDArray) => NDArray>> = {
  'a while in a scan': (x) => {
    const [, maxima] = scan(
      (c: NDArray, n: NDArray): [NDArray, NDArray] => {
        const next = repeated((y) => y.mul(1.01).add(0.1), c, n)
        return [next, np.max(next)]
      },
      x,
      counts,
    )
    return maxima
  },
  'a while in a while': (x) => {
    const [result] = whileLoop(
      ([, k]: Counted) => np.less(k, 4),
      ([y, k]: Counted): Counted => [repeated((z) => z.mul(z).add(0.25), y, k).mul(0.5), k.add(1)],
      [x, np.array(0)] as Counted,
    )
    return result
  },
  'a sort in a branch in a scan': (x) => {
    const [last] = scan(
      (c: NDArray, n: NDArray): [NDArray, null] => [
        cond(
          np.greater(n, 2),
          (y: NDArray) => np.sort(y).mul(0.5),
          (y: NDArray) => np.cumsum(y).mul(0.01).add(n),
          c,
        ),
        null,
      ],
      x,
      counts,
    )
    return last
  },
  'a while in a branch, taken and not': (x) =>
    np.concatenate(
      [0, 18].map((times) => {
        const n = np.sum(x).mul(0).astype('int32').add(times)
        const some = (y: NDArray): NDArray => repeated((z) => np.sin(z).add(1), y, n)
        return cond(np.greater(n, 1), some, (y: NDArray) => y.mul(2), x)
      }),
    ),
  'the gradient of a scan': (x) =>
    grad((y: NDArray) => {
      const [last] = scan((c: NDArray) => [np.tanh(c.mul(1.1)), null], y, null, { length: 4 })
      return np.sum(np.square(last))
    })(x),
}

async function valuesOn(
  device: DeviceName,
  f: (x: NDArray) => NDArray,
  size: number,
): Promise<readonly number[]> {
  await setDevice(device)
  return Array.from(await jit(f)(np.sin(np.arange(size).astype('float32'))).data())
}

/** The test run has said so where there is no adapter: see scripts/webgpu. */
describe.runIf(process.env.ADJOINT_WEBGPU !== '')('loops on the GPU', () => {
  afterAll(() => setDevice('wasm'))

  for (const [name, f] of Object.entries(programs)) {
    it.each([12, LARGE])(`${name}, %i elements`, async (size) => {
      const expected = await valuesOn('wasm', f, size)
      const actual = await valuesOn('webgpu', f, size)
      expect(actual).toHaveLength(expected.length)
      actual.forEach((v, i) => {
        const allowed = 5e-6 * Math.max(1, Math.abs(expected[i]))
        expect(Math.abs(v - expected[i])).toBeLessThanOrEqual(allowed)
      })
    })
  }
})
