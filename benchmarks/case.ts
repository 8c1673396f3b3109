/** What is measured: one program, written once for every peer that can express it. */

/** Who is compared. `adjoint` is this project, `jax-js` is @jax-js/jax, `javascript` plain loops. */
export const peers = ['adjoint', 'jax-js', 'javascript'] as const
export type Peer = (typeof peers)[number]

export type Numbers = ArrayLike<number>

export interface Program {
  /** Runs once, until its result is there. */
  run(): void | Promise<void>
  /** Numbers in which the peers must agree; asked for once, before anything is measured. */
  result(): Numbers | Promise<Numbers>
}

export interface Case {
  readonly name: string
  readonly what: string
  /** Floating-point operations of one run, where they tell something. */
  readonly flops?: number
  /** Bytes that one run has to read and write, where they tell something. */
  readonly bytes?: number
  /** Largest difference between two peers, relative to the largest number. */
  readonly tolerance: number
  readonly programs: Partial<Record<Peer, () => Program | Promise<Program>>>
}
