/** Arguments on a device, brought to where they can be compared. */
import { tree } from '@adjoint/core'
import { NDArray, readToReference } from '@adjoint/core/internal'

/** Arguments where every device can take them from: arrays on a GPU are read first. */
export async function reachable(args: readonly unknown[]): Promise<readonly unknown[]> {
  const { leaves, structure } = tree.flatten(args)
  const read = leaves.map((leaf) =>
    leaf instanceof NDArray && leaf.device === 'webgpu' ? readToReference(leaf) : leaf,
  )
  return tree.unflatten(structure, await Promise.all(read)) as unknown[]
}
