/** Loops and branches for pages that have them: their lowering, and their code in WebAssembly. */
import { controlFlow } from '../../../compiler/control-flow'
import { nameControlFlow } from '../../../compiler/lowering'
import { ControlFlow } from '../codegen/control-flow'
import { nameControlFlow as nameCode } from './named'

/** Called by primitives that hold programs, before they are lowered. */
export function useControlFlow(): void {
  nameControlFlow(controlFlow)
  nameCode((writer) => new ControlFlow(writer))
}
