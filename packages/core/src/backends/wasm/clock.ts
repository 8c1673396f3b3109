/** How long the nodes take of the programs inside a loop or a branch. */
import { programsOf } from '../../compiler/dependence'
import type { LoopNode, Program } from '../../compiler/nodes'
import { listLoops } from '../../compiler/print'
import type { LoopTime } from '../backend'

/**
 * Counts the time between two calls of `tick` for the node that the second one names, so a node that
 * holds programs is charged with what is left of it beside their nodes. Number 0 is for nobody: the
 * start of a program.
 */
export class Clock {
  readonly numbers: ReadonlyMap<LoopNode, number>
  private readonly milliseconds: number[]
  private readonly runs: number[]
  private last = 0

  constructor(private readonly node: LoopNode) {
    const numbers = new Map<LoopNode, number>()
    const visit = (outer: LoopNode): void => {
      for (const { nodes } of programsOf(outer)) {
        for (const inner of nodes) {
          if (numbers.has(inner)) continue
          numbers.set(inner, numbers.size + 1)
          visit(inner)
        }
      }
    }
    visit(node)
    this.numbers = numbers
    this.milliseconds = new Array<number>(numbers.size + 1).fill(0)
    this.runs = new Array<number>(numbers.size + 1).fill(0)
  }

  readonly tick = (node: number): void => {
    this.milliseconds[node] += performance.now() - this.last
    this.runs[node]++
    // Read anew, so that what happens in here is nobody's.
    this.last = performance.now()
  }

  reset(): void {
    this.milliseconds.fill(0)
    this.runs.fill(0)
    this.last = performance.now()
  }

  /** What has come together since the last reset. */
  inside(): readonly LoopTime[] {
    const listed = new Set<LoopNode>()
    const within = (outer: LoopNode): readonly LoopTime[] =>
      programsOf(outer).flatMap((program) => ofProgram(program))
    const ofProgram = (program: Program): readonly LoopTime[] =>
      listLoops(program).flatMap((loop, i) => {
        const node = program.nodes[i]
        if (listed.has(node)) return []
        listed.add(node)
        const number = this.numbers.get(node) ?? 0
        const inside = within(node)
        const runs = this.runs[number]
        return [
          {
            title: loop.title,
            flops: loop.flops * runs,
            bytesRead: loop.bytesRead * runs,
            bytesWritten: loop.bytesWritten * runs,
            milliseconds: inside.reduce(
              (sum, l) => sum + l.milliseconds,
              this.milliseconds[number],
            ),
            runs,
            inside,
          },
        ]
      })
    return within(this.node)
  }
}
