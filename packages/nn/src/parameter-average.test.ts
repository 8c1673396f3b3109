import { np, random, type NDArray } from '@adjoint/core'
import { jit } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { parameterAverage, type ParameterAverageOptions } from './parameter-average'

const values = [3, -1, 4, 1, 5]

/** The definition in plain numbers. */
function expected({ decay, start, warmup }: ParameterAverageOptions): number {
  let [average, remaining] = [start === 'debias' ? 0 : 10, 1]
  values.forEach((value, n) => {
    const rate = warmup ? Math.min(decay, (1 + n) / (10 + n)) : decay
    average = rate * average + (1 - rate) * value
    remaining *= rate
  })
  return start === 'debias' ? average / (1 - remaining) : average
}

const options = [false, true].flatMap((warmup) =>
  (['copy', 'debias'] as const).map((start) => ({ decay: 0.9, warmup, start })),
)

describe('the average of parameters', () => {
  it.each(options)('%o', (each) => {
    const ema = parameterAverage(each)
    const update = jit(ema.update<{ w: NDArray }>)
    let state = ema.init({ w: np.full([2], 10, { dtype: 'float32' }) })
    for (const value of values)
      state = update(state, { w: np.full([2], value, { dtype: 'float32' }) })
    expect(Number(ema.params(state).w.get(0))).toBeCloseTo(expected(each), 5)
    expect(state.count.item()).toBe(5)
  })

  it('takes 16-bit parameters in 32 bits, and leaves keys alone', () => {
    const ema = parameterAverage({ decay: 0.999 })
    const params = { w: np.ones([1], { dtype: 'bfloat16' }), key: random.key(3) }
    let state = ema.init(params)
    for (let i = 0; i < 10; i++)
      state = ema.update(state, { ...params, w: np.full([1], 2).astype('bfloat16') })
    const averaged = ema.params(state)
    expect(averaged.w.dtype).toBe('float32')
    expect(averaged.w.get(0).item()).toBeCloseTo(2 - 0.999 ** 10, 5)
    expect(averaged.key.toArray()).toEqual(params.key.toArray())
  })
})
