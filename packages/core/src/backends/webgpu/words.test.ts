import { describe, expect, it } from 'vitest'
import { type DType, dtypes } from '../../types/dtype'
import { elementData } from '../../types/element'
import { fromWords, toWords } from './words'

/** 1, -2, a subnormal number, infinity and not a number. */
const bits: { readonly [D in DType]?: readonly number[] } = {
  float16: [0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00],
  bfloat16: [0x3f80, 0xc000, 0x0001, 0x7f80, 0x7fc0],
  bool: [1, 0, 1, 1, 0],
}

describe('elements as words', () => {
  const held = Object.values(dtypes).filter((dtype) => dtype !== 'float64' && dtype !== 'float0')

  it.each(held)('%s comes back as it was', (dtype: DType) => {
    const data = elementData(dtype, 5)
    data.set(bits[dtype] ?? [1, -2, 3, 0, 127])
    const words = toWords(dtype, data)
    expect(words).toHaveLength(5)
    expect(fromWords(dtype, words)).toEqual(data)
  })

  it('narrow integers are extended and bools are 0 or 1', () => {
    expect([...toWords('int8', Int8Array.of(-1))]).toEqual([0xffffffff])
    expect([...toWords('uint8', Uint8Array.of(255))]).toEqual([255])
    expect([...toWords('bool', Uint8Array.of(7, 0))]).toEqual([1, 0])
  })
})
