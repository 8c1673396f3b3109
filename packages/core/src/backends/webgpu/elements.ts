/** Kernels that have one invocation per element. */
import type { Shape } from '../../types/aval'
import type { DeviceFacts, KernelSource } from './kernel'

/** Invocations of a workgroup whose invocations have nothing to do with each other. */
export const elementwiseSize = ({ invocations }: DeviceFacts): number => Math.min(64, invocations)

/**
 * Invocations of a workgroup on a driver without a GPU, which gives workgroups to cores and runs four
 * invocations side by side: small enough that every core has several.
 */
export const coreSize = (count: number): number =>
  Math.min(64, Math.max(4, 4 * Math.floor(count / 64)))

/** Names the i32 index along each axis of element number `flat` of a space. */
export function unflattened(source: KernelSource, flat: string, shape: Shape): readonly string[] {
  const index = shape.map(() => '0')
  const moving = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1)
  let rest = flat
  for (let i = moving.length - 1; i >= 0; i--) {
    const axis = moving[i]
    if (i === 0) index[axis] = rest
    else {
      index[axis] = source.let('i', `${rest} % ${shape[axis]}`)
      rest = source.let('q', `${rest} / ${shape[axis]}`)
    }
  }
  return index
}

/** Runs the body for every element number below `count`, one per invocation of workgroups of `size`. */
export function perElement(
  source: KernelSource,
  count: number,
  size: number,
  body: (flat: string) => void,
): void {
  const flat = source.let('e', `i32(group * ${size}u + lane)`)
  if (count % size === 0) body(flat)
  else source.block(`if (${flat} < ${count})`, () => body(flat))
}
