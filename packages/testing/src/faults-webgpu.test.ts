/** Faults of the WebGPU device are found there, and named. */
import { np, type NDArray, setDevice } from '@adjoint/core'
import { backendNamed } from '@adjoint/core/internal'
import { WebGpuBackend } from '@adjoint/core/webgpu'
import { scan } from '@adjoint/transforms'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { equivalence, EquivalenceError } from './equivalence'
import { applied, rows, shortLowering, x } from './faults.fixture'

/** The test run has said so where there is no adapter: see scripts/webgpu. */
const hasGpu = process.env.ADJOINT_WEBGPU !== ''

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 60_000 })

async function failureOf(f: (y: NDArray) => NDArray): Promise<EquivalenceError> {
  try {
    await equivalence('dropping', f, [x], { gradients: false, devices: ['webgpu'] })
  } catch (error) {
    if (error instanceof EquivalenceError) return error
    throw error
  }
  throw new Error('no EquivalenceError')
}

describe.runIf(hasGpu)('on webgpu', () => {
  beforeAll(async () => {
    await setDevice('webgpu')
    setDevice('wasm')
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })
  afterAll(() => setDevice('wasm'))

  it('a lowering that drops the last element, also in a loop', async () => {
    const dropping = applied(shortLowering)
    const { report } = await failureOf((y) => np.sum(np.exp(dropping(y.mul(0.5)))))
    expect(report.comparisons.map(({ agrees }) => agrees)).toEqual([false, false])
    expect(report.comparisons[1].divergence).toMatchObject({ index: 2, primitive: 'faulty_sin' })
    const looped = await failureOf(
      (y) =>
        scan(
          (h: NDArray, t: NDArray): [NDArray, null] => [dropping(np.add(h, t)), null],
          y,
          rows,
        )[0],
    )
    expect(looped.report.comparisons[1].divergence).toMatchObject({
      inside: ['run 1 of 2 of the body of scan'],
      primitive: 'faulty_sin',
    })
  })

  it('a kernel that drops its last element', async () => {
    const backend = backendNamed('webgpu')
    if (!(backend instanceof WebGpuBackend)) throw new Error('another device is called webgpu')
    const { device } = backend.runtime
    const compile = device.createShaderModule.bind(device)
    let broken = 0
    /** One element less in every map over five with an arc sine in it. */
    vi.spyOn(device, 'createShaderModule').mockImplementation((descriptor) => {
      const code = descriptor.code.replace(/if \((\w+) < 5\)/, (_all, index: string) => {
        if (!/asin/i.test(descriptor.code)) return `if (${index} < 5)`
        broken++
        return `if (${index} < 4)`
      })
      return compile({ ...descriptor, code })
    })
    const five = np.array([0.1, -0.3, 0.5, 0.7, -0.9])
    const failing = equivalence(
      'arcs',
      (y: NDArray) => np.exp(np.arcsin(np.multiply(y, 0.75))),
      [five],
      { gradients: false, devices: ['webgpu'] },
    )
    const error: unknown = await failing.catch((cause: unknown) => cause)
    if (!(error instanceof EquivalenceError)) throw error
    expect(broken).toBeGreaterThan(0)
    expect(error.report.comparisons[1].divergence).toMatchObject({ primitive: 'asin' })
    expect(error.message).toMatch(
      /webgpu: equation \d \(asin\) is the first to differ, .* at \[4\]/,
    )
  })
})
