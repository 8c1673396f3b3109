/** What a peer brings: its programs, each written as that library's users would write it. */
import type { ProgramName, Size } from '../case'

export type Numbers = ArrayLike<number>

export interface Program {
  /** Runs once, until its result is there; on a GPU, until it is queued. */
  run(): void | Promise<void>
  /** Waits for all that is queued, where `run` does not. */
  finish?(): Promise<void>
  /** Numbers in which the peers must agree. Training programs answer their first losses. */
  result(): Numbers | Promise<Numbers>
}

export type Programs = Partial<Record<ProgramName, (size: Size) => Program | Promise<Program>>>

export interface Peer {
  readonly version: string
  readonly programs: Programs
}

export const firstLosses = 3
