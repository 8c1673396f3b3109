/** Arrays between devices and the host. */
import { flatten, type Mapped, unflatten } from '../types/tree'
import { backendNamed, type DeviceName } from './device'
import { place } from './eager'
import { NDArray } from './ndarray'

/**
 * Puts every array of a tree on a device, where programs that use it will run. Other leaves stay.
 *
 * @example
 * const onReference = devicePut({ w: np.ones([2]) }, 'reference')
 * @throws DeviceError when this machine has no such device, DTypeError when it lacks a dtype
 */
export function devicePut<T>(tree: T, device: DeviceName): Mapped<T, NDArray, NDArray> {
  const backend = backendNamed(device, `devicePut(tree, '${device}')`)
  const { leaves, structure } = flatten(tree)
  const placed = leaves.map((leaf) => (leaf instanceof NDArray ? place(leaf, backend) : leaf))
  return unflatten(structure, placed) as Mapped<T, NDArray, NDArray>
}
