/** Results of a device, brought to where they can be compared. */
import type { NDArray } from '@adjoint/core'
import { allocateHost, fromHostArray, hostArray } from '@adjoint/core/internal'

/** Brings an array to the reference device; asynchronously, since some devices cannot be waited for. */
export async function readBack(x: NDArray): Promise<NDArray> {
  const data = allocateHost(x.dtype, x.size)
  data.set(await x.data())
  return fromHostArray(hostArray(x.aval, data))
}
