/** What is measured: programs of given sizes, which every peer writes for itself. */
import type { LimitName } from './limits'

export const programNames = [
  'matmul',
  'batched-matmul',
  'matvec',
  'affine',
  'exp',
  'gelu',
  'sum',
  'sum-axis',
  'softmax',
  'layernorm',
  'mlp',
  'gpt',
  'cnn',
  'tiny',
  'jit-add',
  'eager-add',
  'per-example',
  'lorenz',
  'lorenz-gradient',
  'chain',
  'unrolled',
] as const
export type ProgramName = (typeof programNames)[number]

/** Numbers that a program is parameterised by; each has the meaning that the program gives it. */
export type Size = Readonly<Record<string, number>>

export interface Case {
  readonly name: string
  readonly what: string
  readonly program: ProgramName
  readonly size: Size
  /** Floating-point operations of one run, where they tell something. */
  readonly flops?: number
  /** Bytes that one run has to read and write, where they tell something. */
  readonly bytes?: number
  /** What the machine's limit for these operations or bytes is, where one is near. */
  readonly limit?: LimitName
  /** How often the smallest thing is repeated in one run: steps of a loop. */
  readonly steps?: number
  /** Milliseconds of one run that the project set itself, on one and on two threads. */
  readonly goal?: readonly [number, number?]
  /** Whether it is the first call in a process that is measured: trace, compile, run. */
  readonly first?: boolean
  /** Largest difference between two peers, relative to the largest number. */
  readonly tolerance: number
}

/** Who is compared; the first is this project. */
export const peerNames = ['adjoint', 'jax-js', 'tfjs', 'jax', 'torch', 'numpy'] as const
export type PeerName = (typeof peerNames)[number]

/** Who can compute on a GPU, the natives through CUDA. Nobody else is asked there. */
export const gpuPeerNames = [
  'adjoint',
  'jax-js',
  'tfjs',
  'jax',
  'torch',
] as const satisfies readonly PeerName[]
