/**
 * float16 arrays on a GPU: all that programs do with arrays, odd sizes and few bindings among it. An
 * element takes two bytes where the adapter has `shader-f16` and a word where it has not, which the
 * test run says.
 */
import { np, type NDArray, setDevice } from '@adjoint/core'
import { backendNamed, fromData, Aval, registerDevice } from '@adjoint/core/internal'
import { createWebGpuBackend, WebGpuBackend } from '@adjoint/core/webgpu'
import { cond, grad, jit, scan, whileLoop } from '@adjoint/transforms'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { equivalence } from './equivalence'

const hasGpu = process.env['ADJOINT_WEBGPU'] !== ''
const hasHalves = (process.env['ADJOINT_WEBGPU_FEATURES'] ?? '').split(' ').includes('shader-f16')

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

/** Numbers that float16 holds exactly, sums of a few of them too. */
const halves = (...shape: number[]): NDArray => {
  const size = shape.reduce((n, each) => n * each, 1)
  const values = Array.from({ length: size }, (_, i) => (((i * 7) % 13) - 6) / 4)
  return np.array(values).astype('float16').reshape(shape)
}

type Program = readonly [f: (...xs: NDArray[]) => unknown, ...args: NDArray[]]

const programs: Readonly<Record<string, () => Program>> = {
  'a map of odd length': () => [(x) => np.add(np.multiply(x, 0.5), 1), halves(7)],
  'a transposed copy': () => [(x) => [x.T, np.negative(x)], halves(3, 5)],
  'results in other dtypes': () => [
    (x) => [x.astype('float32'), x.astype('int32'), np.greater(x, 0), x],
    halves(9),
  ],
  'sums along both axes': () => [(x) => [np.sum(x, 0), np.sum(x, 1), np.max(x)], halves(5, 3)],
  'rows of a softmax': () => [
    (x) => {
      const e = np.exp(np.subtract(x, np.max(x, 1, { keepdims: true })))
      return np.divide(e, np.sum(e, 1, { keepdims: true }))
    },
    halves(3, 33),
  ],
  'a product': () => [(x, y) => np.matmul(x, y), halves(9, 17), halves(17, 11)],
  'gathered and scattered rows': () => [
    (x) => x.at(np.array([2, 0, 2])).add(np.take(x, np.array([1, 1, 0]), 0)),
    halves(3, 5),
  ],
  'sorted rows': () => [(x) => np.sort(x, 1), halves(3, 7)],
  'sums so far': () => [(x) => np.cumsum(x, 1), halves(3, 7)],
  'a scan with slices of odd length': () => [
    (c, xs) => scan((h: NDArray, x: NDArray): [NDArray, NDArray] => [np.add(h, x), h], c, xs),
    halves(3),
    halves(5, 3),
  ],
  'a branch': () => [
    (x) =>
      cond(
        np.greater(np.sum(x), 100),
        (y: NDArray) => np.square(y),
        (y: NDArray) => np.negative(y),
        x,
      ),
    halves(5),
  ],
  'more arrays than bindings': () => [
    (...xs) => [xs.reduce((sum, x) => np.add(sum, x)), ...xs.slice(0, 3).map((x) => np.abs(x))],
    ...Array.from({ length: 7 }, (_, i) => halves(5 + 0 * i)),
  ],
}

/** Opens a device, which is 'webgpu' until the next one is. */
async function use(limits: Parameters<typeof createWebGpuBackend>[0]): Promise<void> {
  const backend = await createWebGpuBackend(limits)
  registerDevice('webgpu', () => backend)
  backendNamed('webgpu')
}

describe.runIf(hasGpu).each([
  ['as it is', {}],
  ['with few bindings', { limits: { storageBuffers: 4, workgroups: 2, residentLoops: false } }],
])('float16 arrays on a GPU %s', (_title, options) => {
  beforeAll(() => use(options))
  afterAll(() => setDevice('wasm'))

  it.each(Object.keys(programs))('%s', async (name) => {
    const [f, ...args] = programs[name]()
    await equivalence(name, f, args, { devices: ['webgpu'], gradients: false })
  })

  it('gradients', async () => {
    const f = (w: NDArray, x: NDArray): NDArray => np.sum(np.tanh(np.matmul(x, w)))
    await equivalence(
      'a layer',
      (w: NDArray, x: NDArray) => grad(f)(w, x),
      [halves(5, 3), halves(7, 5)],
      { devices: ['webgpu'], gradients: false },
    )
  })

  it('a loop of unknown length', async () => {
    const doubled = (x: NDArray): NDArray =>
      whileLoop(
        (y: NDArray) => np.less(np.max(y), 100),
        (y: NDArray) => y.mul(2),
        x,
      )
    await equivalence('doubling', doubled, [halves(5)], { devices: ['webgpu'], gradients: false })
  })
})

describe.runIf(hasGpu)('float16 arrays on a GPU', () => {
  beforeAll(async () => {
    await use({})
    await setDevice('webgpu')
  })
  afterAll(() => setDevice('wasm'))

  const bits = async (x: NDArray): Promise<number[]> => Array.from(await x.data())

  it(`take ${hasHalves ? 'two' : 'four'} bytes an element`, async () => {
    const backend = backendNamed('webgpu')
    if (!(backend instanceof WebGpuBackend)) throw new Error('another device is called webgpu')
    const { pool } = backend.runtime
    const step = jit((z: NDArray) => z.mul(2))
    const x = step(halves(64, 64))
    await x.data()
    const before = pool.use.used
    const y = step(x)
    expect(pool.use.used - before).toBe((hasHalves ? 2 : 4) * 4096)
    expect(await bits(y)).toHaveLength(4096)
    const isStoredNarrow = /enable f16;[^]*array<f16>/.test(step.lower(x).text('wgsl'))
    expect(isStoredNarrow).toBe(hasHalves)
  })

  it('keep every bit when they are moved', async () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const x = fromData(new Aval([65536], 'float16'), all)
    const moved = jit((y: NDArray) => np.reshape(y, [256, 256]).T)(x)
    const back = jit((y: NDArray) => y.T.reshape([65536]))(moved)
    const isNan = (half: number): boolean => (half & 0x7fff) > 0x7c00
    const expected = Array.from(all, (half) => (isNan(half) ? NaN : half))
    expect((await bits(back)).map((half) => (isNan(half) ? NaN : half))).toEqual(expected)
  })

  it('give their memory to arrays of the same size in bytes only', async () => {
    const wider = jit((x: NDArray) => x.astype('float32').add(1), { donateArgnums: [0] })
    expect(await bits(wider(halves(6)))).toEqual([-0.5, 1.25, -0.25, 1.5, 0, 1.75])
    const step = jit((x: NDArray) => x.mul(2), { donateArgnums: [0] })
    let x = np.ones([5], { dtype: 'float16' }).mul(1)
    for (let i = 0; i < 4; i++) x = step(x)
    expect(await bits(x.astype('float32'))).toEqual([16, 16, 16, 16, 16])
  })
})
