/** The WebGPU device as its users see it. */
import { type ArrayLike, devicePut, devices, np, type NDArray, setDevice } from '@adjoint/core'
import { backendNamed } from '@adjoint/core/internal'
import { WebGpuBackend } from '@adjoint/core/webgpu'
import { grad, jit, scan, whileLoop } from '@adjoint/transforms'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

/** The test run has said so where there is no adapter: see scripts/webgpu. */
const hasGpu = process.env.ADJOINT_WEBGPU !== ''

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 60_000 })

function backend(): WebGpuBackend {
  const found = backendNamed('webgpu')
  if (!(found instanceof WebGpuBackend)) throw new Error('another device is called webgpu')
  return found
}

const numbers = async (x: NDArray): Promise<number[]> => Array.from(await x.data())

/** x, doubled until it is at least the limit. */
const doubledUpTo = jit((limit: NDArray, x: NDArray) =>
  whileLoop(
    (y: NDArray) => np.less(y, limit),
    (y: NDArray) => y.mul(2),
    x,
  ),
)

describe.runIf(hasGpu)('the WebGPU device', () => {
  beforeAll(() => setDevice('webgpu'))
  afterAll(() => setDevice('wasm'))

  it('is there once it was opened', () => {
    expect(devices().find(({ current }) => current)?.name).toBe('webgpu')
  })

  it('computes eagerly, compiled and differentiated', async () => {
    const x = np.array([0.5, -1, 2])
    const f = (y: NDArray): NDArray => np.sum(np.sin(y).mul(y))
    const expected = [0.5, -1, 2].map((v) => Math.sin(v) + v * Math.cos(v))
    for (const slope of [grad(f), jit(grad(f))]) {
      const found = await numbers(slope(x))
      found.forEach((v, i) => expect(v).toBeCloseTo(expected[i], 5))
    }
  })

  it('holds every dtype but float64', async () => {
    const values = [1, 0, 1]
    for (const dtype of ['bool', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'] as const) {
      const x = np.array(values, { dtype })
      expect(await numbers(np.concatenate([x, x]))).toEqual([...values, ...values])
    }
    const halves = np.array([0.5, 65504, 1e-7], { dtype: 'float16' })
    expect(await numbers(halves.add(halves).astype('float32'))).toEqual([
      1,
      Infinity,
      2 * 1.1920928955078125e-7,
    ])
    expect(await numbers(np.array([1 / 3], { dtype: 'bfloat16' }).astype('float32'))).toEqual([
      0.333984375,
    ])
  })

  it('says that it has no float64', () => {
    expect(() => np.array([1], { dtype: 'float64' })).toThrow(/webgpu device has no float64/)
    const inside = jit((x: NDArray) => x.astype('float64').mul(2).astype('float32'))
    expect(() => inside(np.array([1, 2]).astype('float32'))).toThrow(/WGSL computes in 32 bits/)
  })

  it('says how its arrays are read', () => {
    const x = np.array([1, 2]).mul(2)
    expect(() => x.dataSync()).toThrow(/await x\.data\(\)/)
    expect(() => Number(np.sum(x))).toThrow(/await x\.data\(\)/)
    expect(String(x)).toBe('Array(i32[2] on webgpu: await x.data())')
  })

  it('takes arrays of other devices, and keeps those that were placed', async () => {
    setDevice('wasm')
    const here = np.array([1, 2, 3])
    const there = devicePut(here, 'webgpu')
    expect(await numbers(there.add(here))).toEqual([2, 4, 6])
    expect(there.add(here).device).toBe('webgpu')
    await setDevice('webgpu')
    expect(await numbers(here.add(1))).toEqual([2, 3, 4])
  })

  it('submits once for each call, and compiles equal kernels once', async () => {
    const step = jit((x: NDArray) => {
      const y = np.exp(x).sub(np.sum(x))
      return [y, np.sum(y.mul(x), { axis: 0 })] as const
    })
    const x = np.array([1, 2, 3]).astype('float32')
    const [first] = step(x)
    await first.data()
    const { counts } = backend().runtime
    const before = { ...counts }
    for (let i = 0; i < 5; i++) step(x)
    expect(counts.submits - before.submits).toBe(5)
    expect(counts.pipelines).toBe(before.pipelines)
  })

  it('gives memory back', async () => {
    const { pool } = backend().runtime
    const x = np.arange(10_000).astype('float32')
    const y = x.mul(3)
    await y.data()
    const { used } = pool.use
    const z = x.mul(3)
    expect(pool.use.used).toBeGreaterThan(used)
    z.dispose()
    expect(pool.use.used).toBe(used)
  })

  it('reuses the memory of donated arguments, also where one is passed twice', async () => {
    const step = jit((x: NDArray, y: NDArray) => x.mul(2).add(y), { donateArgnums: [0] })
    const { pool } = backend().runtime
    const y = np.array([1, 1, 1]).astype('float32')
    let x = np.array([1, 2, 3]).astype('float32')
    await x.data()
    const { used } = pool.use
    for (let i = 0; i < 3; i++) x = step(x, y)
    expect(pool.use.used).toBe(used)
    expect(await numbers(x)).toEqual([15, 23, 31])
    const twice = step(x, x)
    expect(await numbers(twice)).toEqual([45, 69, 93])
    await expect(x.data()).rejects.toThrow(/donated/)
  })

  it('runs in order what is called while a loop waits', async () => {
    const big = np.full([70_000], 1).astype('float32')
    const results: NDArray[] = []
    let x = np.array(1).astype('float32')
    for (const limit of [10, 1000, 1e6]) {
      x = doubledUpTo(np.array(limit).astype('float32'), x)
      results.push(x, x.add(np.array([limit])))
      const gone = big.mul(limit)
      gone.dispose()
    }
    const values = await Promise.all(results.map(numbers))
    expect(values.map(([v]) => v)).toEqual([16, 26, 1024, 2024, 1048576, 2048576])
  })

  it('runs loops whose bodies are too large for one workgroup', async () => {
    const size = 40_000
    const grow = jit((x: NDArray) =>
      whileLoop(
        (y: NDArray) => np.less(np.max(y), 100),
        (y: NDArray) => y.mul(1.5).add(1),
        x,
      ),
    )
    const [first] = await numbers(grow(np.zeros([size])))
    let expected = 0
    while (expected < 100) expected = expected * 1.5 + 1
    expect(first).toBeCloseTo(expected, 3)

    const sums = jit((x: NDArray) =>
      scan((c: NDArray, y: NDArray) => [c.add(y), np.sum(c)], np.zeros([size]), x),
    )
    const [last, ys] = sums(np.ones([4, size]))
    expect((await numbers(last))[size - 1]).toBe(4)
    expect(await numbers(ys)).toEqual([0, size, 2 * size, 3 * size])
  })

  it('shows its code', () => {
    const f = jit((x: ArrayLike) => np.multiply(x, 2))
    expect(f.lower(np.ones([3])).text('wgsl')).toMatchInlineSnapshot(`
      "// 1×1×1 workgroups
      // map over [3]
      @group(0) @binding(0) var<storage, read> b0: array<u32>;
      @group(0) @binding(1) var<storage, read_write> b1: array<u32>;
      @compute @workgroup_size(64)
      fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
        let group = group_id.x;
        let e0 = i32(group * 64u + lane);
        if (e0 < 3) {
          let v0 = bitcast<f32>(b0[e0]);
          let v1 = v0 * 2.0f;
          b1[e0] = bitcast<u32>(v1);
        }
      }
      "
    `)
    expect(f.lower(np.ones([3])).text('wat')).toContain('no wat form')
  })

  it('says when an array is larger than the adapter can hold', () => {
    const { device } = backend().runtime
    const rows = Math.ceil(device.limits.maxStorageBufferBindingSize / 4096) + 1
    const program = jit((x: NDArray) => np.broadcastTo(x, [rows, 1024]).mul(1.5))
    expect(() => program(np.ones([1024]).add(np.arange(1024)))).toThrow(
      /a kernel can bind \d+ bytes at once on this adapter/,
    )
  })

  it('is opened anew after it was lost', async () => {
    const x = np.array([1, 2]).mul(2)
    const pending = x.data()
    const settled = pending.then(
      () => 'read',
      (error: unknown) => String(error),
    )
    backend().runtime.device.destroy()
    expect(await settled).toMatch(/read|the device was lost/)
    await vi.waitFor(() => expect(() => backendNamed('webgpu')).toThrow(/not open, or was lost/))
    expect(() => x.add(1)).toThrow(/not open, or was lost/)
    await setDevice('webgpu')
    await expect(x.data()).rejects.toThrow(/the device was lost/)
    expect(await numbers(np.array([1, 2]).mul(2))).toEqual([2, 4])
  })
})
