/**
 * A program as a module that needs nothing of this library: one memory of its own, in which every
 * array has a fixed place, and one thread.
 */
import type { PlannedProgram } from '../../compiler/compile'
import { byteSize } from '../../compiler/plan'
import type { StandaloneModule } from '../backend'
import { READ_SLACK } from './codegen/environment'
import { BLOCK_HEADER, emitProgram } from './codegen/program'
import type { WasmFeatures } from './emit/index'

/** What lies below is written to by the code itself. */
const FIRST_ADDRESS = 1024
const PAGE = 65536

export function standaloneModule(
  planned: PlannedProgram,
  features: WasmFeatures,
): StandaloneModule {
  const { bytes, arenaBytes, scratchBytes } = emitProgram(planned, features)
  const { program, plan } = planned
  let end = FIRST_ADDRESS
  const place = (size: number): number => {
    const start = Math.ceil(end / 64) * 64
    end = start + size + READ_SLACK
    return start
  }
  const block = place(4 * (BLOCK_HEADER + program.inputs.length + program.outputs.length))
  const arena = place(arenaBytes)
  const scratch = place(scratchBytes)
  const inputs = program.inputs.map((buffer) => place(byteSize(buffer)))
  const outputs = program.outputs.map((buffer, i) => {
    const input = plan.outputStorage[i]
    return input === null ? place(byteSize(buffer)) : inputs[input]
  })
  return {
    code: bytes,
    block,
    words: [arena, scratch, ...inputs, ...outputs],
    inputs,
    outputs,
    pages: Math.ceil(end / PAGE),
  }
}
