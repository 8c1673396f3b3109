/** Results of a device, brought to where they can be compared. */
import { tree } from '@adjoint/core'
import { allocateHost, fromHostArray, hostArray, NDArray } from '@adjoint/core/internal'

/** Brings an array to the reference device; asynchronously, since some devices cannot be waited for. */
export async function readBack(x: NDArray): Promise<NDArray> {
  const data = allocateHost(x.dtype, x.size)
  data.set(await x.data())
  return fromHostArray(hostArray(x.aval, data))
}

/** Arguments where every device can take them from: arrays on a GPU are read first. */
export async function reachable(args: readonly unknown[]): Promise<readonly unknown[]> {
  const { leaves, structure } = tree.flatten(args)
  const read = leaves.map((leaf) =>
    leaf instanceof NDArray && leaf.device === 'webgpu' ? readBack(leaf) : leaf,
  )
  return tree.unflatten(structure, await Promise.all(read)) as unknown[]
}
