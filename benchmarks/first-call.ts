/**
 * One first call, taken apart, in a process that has compiled nothing before (`phases.ts` starts it):
 *
 *   node … first-call.ts (phases | runs) PROGRAM SIZE
 *
 * prints the milliseconds of processor time that each phase took on the main thread, and how many pages
 * of memory the process touched for the first time.
 */
import { emitProgram } from '../packages/core/src/backends/wasm/codegen/program'
import { wasmFeatures } from '../packages/core/src/backends/wasm/emit'
import { fuse } from '../packages/core/src/compiler/fuse'
import { CompilationUnit } from '../packages/core/src/compiler/lowering'
import { donating, plan } from '../packages/core/src/compiler/plan'
import { usualRows } from '../packages/core/src/compiler/rows'
import { optimize } from '../packages/core/src/jaxpr/passes'
import type { Size } from './case'
import { firstCalls, type PhasedProgram } from './peers/adjoint/first-calls'

const [what, program, size] = process.argv.slice(2)
const { lower, call } = firstCalls[program as PhasedProgram](JSON.parse(size) as Size)

const milliseconds: Record<string, number> = {}
const now = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
/** Pages that were not there when they were touched, on any thread. */
const touched = (): number => process.resourceUsage().minorPageFault
function timed<T>(name: string, f: () => T): T {
  const started = now()
  const result = f()
  milliseconds[name] = now() - started
  return result
}

if (what === 'phases') {
  const pagesBefore = touched()
  const { jaxpr } = timed('tracing', lower).jaxpr
  const optimised = timed('passes', () => optimize(jaxpr))
  let fusing = 0
  const loops = timed('lowering', () =>
    new CompilationUnit((unfused) => {
      const started = now()
      const fused = fuse(unfused, usualRows)
      fusing += now() - started
      return fused
    }).program(optimised),
  )
  milliseconds['lowering'] -= fusing
  milliseconds['fusion'] = fusing
  const planned = timed('planning', () => plan(loops, donating([])))
  const { bytes } = timed('code', () =>
    emitProgram({ program: loops, plan: planned }, wasmFeatures()),
  )
  timed('engine', () => new WebAssembly.Module(bytes))
  milliseconds['pages'] = touched() - pagesBefore
  milliseconds['equations'] = jaxpr.equations.length
  milliseconds['loops'] = loops.nodes.length
} else {
  lower().compile()
  const pagesBefore = touched()
  timed('first run', call)
  milliseconds['run pages'] = touched() - pagesBefore
  for (let i = 0; i < 5; i++) call()
  timed('seventh run', call)
}
console.log(JSON.stringify(milliseconds))
process.exit()
