/** A compiled program in readable form. */
import { printProgram } from '../../compiler/print'
import { printJaxpr } from '../../jaxpr/print'
import type { TextFormat } from '../backend'
import { disassemble } from './disassemble'
import type { WasmExecutable } from './executable'

export function textOfProgram(
  { jaxpr, planned: { program, plan }, name, code }: WasmExecutable,
  format: TextFormat,
): string {
  switch (format) {
    case 'jaxpr':
      return printJaxpr(jaxpr)
    case 'loops':
      return printProgram(program, plan, name || 'program')
    case 'wat':
      return disassemble(code.functions)
    case 'wgsl':
      return 'the wasm device compiles to WebAssembly; it has no wgsl form'
  }
}
