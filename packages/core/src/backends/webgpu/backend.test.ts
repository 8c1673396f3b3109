import { describe, expect, it } from 'vitest'
import { np, setDevice } from '../../index'

describe('the webgpu device', () => {
  it('adds', async () => {
    await setDevice('webgpu')
    const x = np.add(np.array([1, 2, 3]), np.array([0.5, 0.25, -3]))
    expect([...(await x.data())]).toEqual([1.5, 2.25, 0])
    const y = np.sum(np.exp(np.array([0, 1, 2])))
    expect((await y.data())[0]).toBeCloseTo(1 + Math.E + Math.E ** 2, 5)
  })
})
