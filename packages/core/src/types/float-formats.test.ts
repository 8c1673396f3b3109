import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
  roundToBfloat16,
  roundToFloat16,
} from './float-formats'

const formats = [
  { name: 'float16', toBits: float16ToBits, fromBits: bitsToFloat16, round: roundToFloat16 },
  { name: 'bfloat16', toBits: bfloat16ToBits, fromBits: bitsToBfloat16, round: roundToBfloat16 },
]

describe.each(formats)('$name', ({ toBits, fromBits, round }) => {
  it('every bit pattern survives, NaNs as one NaN', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromBits(bits)
      if (Number.isNaN(value)) expect(fromBits(toBits(value))).toBeNaN()
      else if (toBits(value) !== bits) expect.fail(`${bits} became ${toBits(value)}`)
    }
  })

  it('rounds to the nearest value, ties to the even one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0x7bfe }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (bits, t) => {
          const [low, high] = [fromBits(bits), fromBits(bits + 1)]
          fc.pre(Number.isFinite(high))
          const x = low + (high - low) * t
          const nearest =
            x - low < high - x || (x - low === high - x && bits % 2 === 0) ? low : high
          expect(round(x)).toBe(nearest)
          expect(round(-x)).toBe(-nearest)
        },
      ),
    )
  })

  it('keeps signed zeros and infinities', () => {
    expect(Object.is(round(-0), -0)).toBe(true)
    expect(Object.is(round(-1e-300), -0)).toBe(true)
    expect(round(1e300)).toBe(Infinity)
    expect(fromBits(toBits(-Infinity))).toBe(-Infinity)
  })
})
