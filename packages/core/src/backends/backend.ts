/**
 * What a device must provide. A backend compiles jaxprs and moves data; it knows nothing of users'
 * arrays, transformations or primitives' derivatives.
 */
import type { Jaxpr } from '../jaxpr/ir'
import type { Aval } from '../types/aval'
import type { DType } from '../types/dtype'
import type { ElementData } from '../types/element'

export type DeviceData = ElementData

/** The device's hold on an array's elements. Opaque outside the backend. */
export interface Storage {
  readonly backend: Backend
  readonly aval: Aval
  /** True once `release` was called or the storage was donated. */
  readonly deleted: boolean
}

export interface CompileOptions {
  /** Inputs whose storage the program may overwrite and reuse for outputs. */
  readonly donated: readonly boolean[]
  readonly name: string
}

/** `wat` is what the wasm device runs, `wgsl` what the webgpu device runs. */
export type TextFormat = 'jaxpr' | 'loops' | 'wat' | 'wgsl'

export interface Executable {
  readonly inAvals: readonly Aval[]
  readonly outAvals: readonly Aval[]
  run(inputs: readonly Storage[]): readonly Storage[]
  /**
   * The program in readable form; absent where a function of the backend has it. What can be asked of
   * a program besides is in `array/inspect.ts`.
   */
  text?(format: TextFormat): string
  cost(): CostSummary
  dispose(): void
}

export interface TimeOptions {
  /** Whether to tell what the programs inside loops and branches take; this slows them down. */
  readonly inside?: boolean
}

/**
 * A loop of a program, with what it costs by its own count and by the clock. Of a loop inside of
 * another one all runs count together.
 */
export interface LoopTime {
  readonly title: string
  readonly flops: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly milliseconds: number
  readonly runs: number
  /** Loops of the programs in a loop or a branch, if they were measured. */
  readonly inside: readonly LoopTime[]
}

export interface StandaloneOptions {
  /** Whether the module may use relaxed SIMD, which needs Node 22 or a browser of 2025. */
  readonly relaxedSimd: boolean
}

/**
 * A module that imports its memory as `env.memory` and exports `run(block)`. Before the first call,
 * `words` are written to the address `block`.
 */
export interface StandaloneModule {
  readonly code: Uint8Array<ArrayBuffer>
  readonly block: number
  readonly words: readonly number[]
  /** Addresses, in the order of the program's inputs and outputs. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** The least size of the memory, in pages of 64 KiB. */
  readonly pages: number
}

export interface CostSummary {
  readonly flops: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Bytes that temporaries take, arguments and results not counted. */
  readonly peakTemporaryBytes: number
  /** The most bytes of temporaries alive at the same time: no plan could take less. */
  readonly liveTemporaryBytes: number
  /** Arguments, results that take no donated argument's place, and temporaries. */
  readonly peakBytes: number
  readonly loops: number
  /** Size of the generated module. */
  readonly codeBytes: number
}

export interface Backend {
  readonly name: string
  supports(dtype: DType): boolean
  /** Copies host data in. `data` has the aval's size. */
  fromHost(aval: Aval, data: DeviceData): Storage
  /** An array whose elements are all this one, which is given in memory form. */
  filled(aval: Aval, element: number): Storage
  /** Copies data out, synchronously; devices that cannot throw a DeviceError. */
  read(storage: Storage): DeviceData
  readAsync(storage: Storage): Promise<DeviceData>
  compile(jaxpr: Jaxpr, options: CompileOptions): Executable
  release(storage: Storage): void
  /** Changes how many threads share a program; absent where that is not for us to say. */
  setThreads?(threads: number): void
  /** Called when no JavaScript handle is left: `handle` is the user's array. */
  track(handle: object, storage: Storage): void
}
