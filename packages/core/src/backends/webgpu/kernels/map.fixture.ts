/** The plainest kernel for a map node: one invocation per element. For tests of expressions. */
import type { MapNode } from '../../../compiler/nodes'
import { sizeOf } from '../../../types/aval'
import { KernelSource, type NodeKernel } from '../kernel'
import { ScalarCode } from '../wgsl/scalar'

const LANES = 64

export const plainMap: NodeKernel<MapNode> = ({ shape, stores }, space) => {
  const source = new KernelSource(space, 'map')
  const size = sizeOf(shape)
  if (size === 0) return []
  source.line(`let i = i32(group * ${LANES}u + lane);`)
  source.block(`if (i < ${size})`, () => {
    let rest = 1
    const axes = shape.toReversed().map((length) => {
      const coordinate = `(i / ${rest}) % ${length}`
      rest *= length
      return source.let('axis', coordinate)
    })
    const code = new ScalarCode(source, axes.toReversed())
    const values = stores.map(({ target, at, offsets, value }) => ({
      target,
      address: code.address(at, offsets),
      value: code.value(value),
    }))
    for (const { target, address, value } of values) source.store(target, address, value)
  })
  return [source.finish({ workgroupSize: LANES, groups: Math.ceil(size / LANES) })]
}
