/** Maps: every invocation evaluates the values of one element, then writes them. */
import type { Store } from '../../compiler/nodes'
import type { CopyNode, MapNode } from '../../compiler/nodes'
import { sizeOf } from '../../types/aval'
import { elementwiseSize, perElement, unflattened } from './elements'
import { type Dispatch, KernelSource, type KernelSpace } from './kernel'
import { ScalarCode } from './wgsl/scalar'

export function mapKernel(node: MapNode, space: KernelSpace): readonly Dispatch[] {
  const count = sizeOf(node.shape)
  if (count === 0) return []
  const source = new KernelSource(space, `map over [${node.shape.join()}]`)
  const size = elementwiseSize(space.facts)
  perElement(source, count, size, (flat) => {
    writeMap(source, node, unflattened(source, flat, node.shape))
  })
  return [source.finish({ workgroupSize: size, groups: Math.ceil(count / size) })]
}

/** The statements of one element. */
export function writeMap(source: KernelSource, node: MapNode, index: readonly string[]): void {
  writeStores(source, node.stores, new ScalarCode(source, index))
}

/** All values of an iteration are computed before any of them is written. */
export function writeStores(
  source: KernelSource,
  stores: readonly Store[],
  code: ScalarCode,
): void {
  const writes = stores.map(({ target, at, offsets, value }) => ({
    target,
    address: code.address(at, offsets),
    value: code.value(value),
  }))
  for (const { target, address, value } of writes) source.store(target, address, value)
}

export function copyKernel(
  { source: from, target }: CopyNode,
  space: KernelSpace,
): readonly Dispatch[] {
  if (target.size === 0 || samePlace(space, from, target)) return []
  const source = new KernelSource(space, `copy of ${target.size}`)
  const size = elementwiseSize(space.facts)
  perElement(source, target.size, size, (flat) => {
    source.storeWord(target, flat, source.word(from, flat))
  })
  return [source.finish({ workgroupSize: size, groups: Math.ceil(target.size / size) })]
}

/** Whether the plan gave two buffers one place. */
export function samePlace(
  space: KernelSpace,
  a: CopyNode['source'],
  b: CopyNode['source'],
): boolean {
  const [x, y] = [space.place(a), space.place(b)]
  if (x.resource !== y.resource || x.offset !== y.offset || x.base.length !== y.base.length)
    return false
  return x.base.every(({ counter, stride }, i) => {
    const other = y.base[i]
    return counter === other.counter && stride === other.stride
  })
}
