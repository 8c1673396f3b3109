/** In which dtype values add up. */
import { type DType, isInteger, isUnsigned } from '../types/dtype'

/** Narrow dtypes accumulate in 32 bits: more exact for floats, and wrapping commutes for integers. */
export function accumulationType(dtype: DType): DType {
  if (dtype === 'float16' || dtype === 'bfloat16') return 'float32'
  if (isInteger(dtype)) return isUnsigned(dtype) ? 'uint32' : 'int32'
  return dtype
}
