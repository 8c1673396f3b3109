import { np, type NDArray } from '@adjoint/core'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { equivalence } from './equivalence'

afterEach(() => void vi.unstubAllGlobals())

describe('a machine without a GPU', () => {
  const noAdapter = { gpu: { requestAdapter: () => Promise.resolve(null) } }
  const square = (x: NDArray): NDArray => np.multiply(x, x)
  const x = np.array([0.5, -2])

  it('compares what it has, and says so', async () => {
    vi.stubGlobal('navigator', noAdapter)
    const report = await equivalence('square', square, [x])
    expect(new Set(report.comparisons.map(({ device }) => device))).toEqual(new Set(['wasm']))
    expect(report.notCompared).toMatchObject([{ device: 'webgpu' }])
    expect(String(report)).toMatch(/\nwebgpu is not compared: .*no adapter \(.+\)$/)
  })

  it('fails where the GPU was named', async () => {
    vi.stubGlobal('navigator', noAdapter)
    const named = equivalence('square', square, [x], { devices: ['wasm', 'webgpu'] })
    await expect(named).rejects.toThrow(/no adapter/)
  })
})
