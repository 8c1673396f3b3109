/** The neighbouring value of a floating format. */
import type { DType } from '../../types/dtype'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
  roundToDType,
} from '../../types/float-formats'

const double = new Float64Array(1)
const doubleBits = new BigInt64Array(double.buffer)
const single = new Float32Array(1)
const singleBits = new Int32Array(single.buffer)

/** The magnitude one step away from zero (`step` 1) or towards it (−1), for a positive `x`. */
function stepMagnitude(x: number, step: 1 | -1, dtype: DType): number {
  switch (dtype) {
    case 'float16':
      return bitsToFloat16(float16ToBits(x) + step)
    case 'bfloat16':
      return bitsToBfloat16(bfloat16ToBits(x) + step)
    case 'float32':
      single[0] = x
      singleBits[0] += step
      return single[0]
    default:
      double[0] = x
      doubleBits[0] += BigInt(step)
      return double[0]
  }
}

/** C's `nextafter`: the value of `dtype` next to `from` in the direction of `to`. */
export function nextAfter(from: number, to: number, dtype: DType): number {
  const x = roundToDType(from, dtype)
  if (Number.isNaN(x) || Number.isNaN(to)) return NaN
  if (x === to) return to
  if (x === 0) return Math.sign(to) * stepMagnitude(0, 1, dtype)
  const outwards = to > x === x > 0
  return Math.sign(x) * stepMagnitude(Math.abs(x), outwards ? 1 : -1, dtype)
}
