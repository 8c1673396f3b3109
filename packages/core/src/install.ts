/**
 * Brings the layers together: the array class and evaluation are made known to tracing, which lies
 * below them, and the devices that need nothing are registered. The one place where the bottom
 * learns of the top; both entry points run it.
 */
import { installEvaluation } from './array/eager'
import { registerDevice } from './array/device'
import { installMethods } from './array/methods'
import { createReferenceBackend } from './backends/reference'
import { createWasmBackend } from './backends/wasm'

export function install(): void {
  installEvaluation()
  installMethods()
  registerDevice('reference', createReferenceBackend)
  registerDevice('wasm', () => createWasmBackend())
}
