/** Operands that can be read four elements at once. */
import type { Load } from '../../../../compiler/expr'
import type { Shape } from '../../../../types/aval'
import type { KernelSource } from '../../kernel'
import type { Side } from './problem'

const WIDTH = 4

export interface VectorLoad {
  readonly at: Load['at']
  /** The vector that begins at an address. */
  text(address: string): string
}

/**
 * How four neighbours along a group of axes are read at once: a plain load whose last axis in the
 * group is contiguous, while everything else advances by multiples of four. Binds the buffer.
 */
export function vectorLoad(
  source: KernelSource,
  { value, free }: Side,
  batchAxes: number,
  k: Shape,
  group: 'free' | 'k',
): VectorLoad | null {
  if (value.kind !== 'load' || value.offsets.length > 0) return null
  if (value.dtype !== 'float32' && value.dtype !== 'int32') return null
  const { at, source: buffer } = value
  const [sizes, start] = group === 'free' ? [free, batchAxes] : [k, batchAxes + free.length]
  const inGroup = sizes.findLastIndex((size) => size > 1)
  if (inGroup < 0 || sizes[inGroup] % WIDTH !== 0 || at.offset % WIDTH !== 0) return null
  const last = start + inGroup
  const isAligned = at.strides.every((stride, axis) =>
    axis === last ? stride === 1 : stride % WIDTH === 0,
  )
  if (!isAligned || !source.asVectors(buffer)) return null
  const type = value.dtype === 'int32' ? 'i32' : 'f32'
  return {
    at,
    text: (address) =>
      `bitcast<vec4<${type}>>(${source.vector(buffer, `((${address}) >> 2u)`, false)})`,
  }
}
