/**
 * Brings the layers together: the array class and evaluation are made known to tracing, which lies
 * below them, and the devices that need nothing are registered. The one place where the bottom
 * learns of the top; both entry points run it.
 */
// The device stands first and the methods second: modules are bundled in the order in which they are
// reached, and code that is alike compresses better where it stands together. For the same reason what
// is in a page only if somebody uses it is reached here.
import './backends/wasm/rare'
import './array/inspect'
import { createWasmBackend } from './backends/wasm'
import { installMethods } from './array/methods'
import { installEvaluation } from './array/eager'
import { registerDevice } from './array/device'
import { createReferenceBackend } from './backends/reference'

export function install(): void {
  installEvaluation()
  installMethods()
  registerDevice('reference', createReferenceBackend)
  registerDevice('wasm', () => createWasmBackend())
}
