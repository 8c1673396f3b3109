/** Exact access to the reference device's doubles: for gradient checks, which need all their digits. */
import type { Backend } from '../backends/backend'
import type { HostArray } from '../backends/reference/host-array'
import { ReferenceBackend } from '../backends/reference/index'
import { backendNamed } from './device'
import { readAsync, storageOn, wrap } from './eager'
import type { NDArray } from './ndarray'

function reference(): ReferenceBackend {
  const backend: Backend = backendNamed('reference')
  if (!(backend instanceof ReferenceBackend))
    throw new Error('another device is registered as reference')
  return backend
}

/** The elements in double precision, as the reference device holds them. */
export const toHostArray = (x: NDArray): HostArray => {
  const backend = reference()
  return backend.arrayOf(storageOn(backend, x, 'toHostArray'))
}

/** An array on the reference device with exactly these elements: float32 arrays keep all 53 bits. */
export const fromHostArray = (x: HostArray): NDArray =>
  wrap(reference().fromHostArray(x), x.aval, false)

/** The same elements on the reference device, from a device that may answer only later. */
export const readToReference = async (x: NDArray): Promise<NDArray> =>
  wrap(reference().fromHost(x.aval, await readAsync(x)), x.aval, false)
