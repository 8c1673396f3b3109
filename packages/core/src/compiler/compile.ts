/** The backend-independent compiler: a jaxpr becomes a program of loops with its memory planned. */
import type { Jaxpr } from '../jaxpr/ir'
import { CompilationUnit } from './lowering'
import type { Program } from './nodes'
import { donating, type MemoryLayout, type Plan, plan } from './plan'
import { fuse } from './fuse'
import type { Joining } from './joint'
import type { RowLimits } from './rows'

export interface LowerOptions {
  /** Inputs whose storage may be reused for outputs; missing entries are false. */
  readonly donated?: readonly boolean[]
  /** How the device holds buffers; packed unless given. */
  readonly layout?: MemoryLayout
  /** Which chains of loops become row nodes; none unless given, since a device must know them. */
  readonly rows?: RowLimits
  /** How loops of equal structure become joint nodes; not at all unless given, for the same reason. */
  readonly joint?: Joining
}

export interface PlannedProgram {
  readonly program: Program
  readonly plan: Plan
}

export function lower(
  jaxpr: Jaxpr,
  { donated = [], rows, joint, layout }: LowerOptions = {},
): PlannedProgram {
  const program = new CompilationUnit((p) => fuse(p, rows ?? null, joint ?? null)).program(jaxpr)
  return { program, plan: plan(program, donating(donated), layout) }
}
