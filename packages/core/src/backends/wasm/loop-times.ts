/** How long the loops of a compiled program take. */
import type { PlannedProgram } from '../../compiler/compile'
import { programsOf } from '../../compiler/dependence'
import type { LoopNode } from '../../compiler/nodes'
import { listLoops } from '../../compiler/print'
import type { LoopTime, Storage, TimeOptions } from '../backend'
import { Clock } from './clock'
import type { Entry, WasmExecutable } from './executable'

/** Entries of the loops, each a program by itself; made when they are to be timed. */
interface TimedLoops {
  readonly plain: readonly Entry[]
  /** The same with a clock inside of those that hold programs. */
  clocked: readonly ClockedLoop[] | null
}

interface ClockedLoop {
  readonly run: Entry
  readonly clock: Clock | null
}

const timed = new WeakMap<WasmExecutable, TimedLoops>()

/** Runs once, as `run` does, and says how long each loop took; the results are dropped. */
export function timeLoops(
  executable: WasmExecutable,
  inputs: readonly Storage[],
  { inside = false }: TimeOptions,
): readonly LoopTime[] {
  const { program } = executable.planned
  let entries = timed.get(executable)
  if (entries === undefined) {
    const plain = program.nodes.map((node) =>
      executable.load(executable.emit(only(executable, node))),
    )
    timed.set(executable, (entries = { plain, clocked: null }))
  }
  const { plain } = entries
  const clocked = inside ? (entries.clocked ??= clockedLoops(executable, plain)) : null
  const loops = clocked?.map(({ run }) => run) ?? plain
  const times: number[] = []
  const results = executable.runThrough((block) => {
    loops.forEach((loop, i) => {
      clocked?.[i]?.clock?.reset()
      const started = performance.now()
      loop(block)
      times.push(performance.now() - started)
    })
  }, inputs)
  for (const result of results) executable.owner.release(result)
  return listLoops(program).map((loop, i) => ({
    ...loop,
    milliseconds: times[i] ?? 0,
    runs: 1,
    inside: clocked?.[i]?.clock?.inside() ?? [],
  }))
}

/** Whether there are loops inside of loops and branches to be timed. */
export const hasInnerLoops = ({ planned }: WasmExecutable): boolean =>
  planned.program.nodes.some((node) => programsOf(node).length > 0)

/** One loop as a program by itself. */
const only = ({ planned: { program, plan } }: WasmExecutable, node: LoopNode): PlannedProgram => ({
  program: { ...program, nodes: [node] },
  plan,
})

const clockedLoops = (
  executable: WasmExecutable,
  plain: readonly Entry[],
): readonly ClockedLoop[] =>
  executable.planned.program.nodes.map((node, i) => {
    const clock = programsOf(node).length === 0 ? null : new Clock(node)
    const known = plain[i]
    if (clock === null && known !== undefined) return { run: known, clock }
    const code = executable.emit(only(executable, node), clock?.numbers)
    return { run: executable.load(code, clock?.tick), clock }
  })
