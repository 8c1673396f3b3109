import { describe, expect, it } from 'vitest'
import { lax, np } from '../index'
import { WasmBackend } from '../backends/wasm'
import { DeletedArrayError } from '../types/errors'
import { backendNamed, setDevice } from './device'

setDevice('wasm')

const bytesInUse = (): number => {
  const backend = backendNamed('wasm')
  if (!(backend instanceof WasmBackend)) throw new Error('wasm is the WebAssembly device')
  return backend.memoryUse().used
}
const f32 = (x: number): ReturnType<typeof np.array> => np.array(x, { dtype: 'float32' })

describe('scalars', () => {
  it('stay usable however many have been used before', () => {
    const x = np.array([1, 5, 9], { dtype: 'float32' })
    for (let i = 0; i < 1200; i++) {
      expect(
        lax
          .clamp(f32(i * 0.001), x, f32(6 + i * 0.001))
          .get(1)
          .item(),
      ).toBe(5)
    }
  })
})

describe('arrays with one value everywhere', () => {
  it('are brought to a device once', () => {
    const zeros = np.zeros([100, 1000])
    const values = np.arange(1000)
    const use = (): unknown => np.take(zeros, values, { axis: 1 }).dispose()
    use()
    const before = bytesInUse()
    for (let i = 0; i < 10; i++) use()
    expect(bytesInUse() - before).toBeLessThan(zeros.size * 4)
  })
  it('end like others', () => {
    const ones = np.ones([3])
    ones.dispose()
    ones.dispose()
    expect(() => np.add(ones, 1)).toThrow(DeletedArrayError)
    expect(() => np.add(ones, np.arange(3))).toThrow(DeletedArrayError)
    expect(() => ones.toArray()).toThrow(DeletedArrayError)
  })
})
