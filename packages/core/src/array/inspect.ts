/**
 * What can be asked of a compiled program besides its results.
 *
 * These are functions and no methods of it: a page that never asks has none of the answers.
 */
import type {
  Executable,
  LoopTime,
  StandaloneModule,
  StandaloneOptions,
  Storage,
  TextFormat,
  TimeOptions,
} from '../backends/backend'
import { WasmExecutable } from '../backends/wasm/executable'
import { hasInnerLoops, timeLoops } from '../backends/wasm/loop-times'
import { standaloneModule } from '../backends/wasm/standalone'
import { textOfProgram } from '../backends/wasm/text'

/** The program in readable form. */
export const textOf = (executable: Executable, format: TextFormat): string =>
  executable instanceof WasmExecutable
    ? textOfProgram(executable, format)
    : (executable.text?.(format) ?? '')

export interface LoopTiming {
  /** Runs once, as `run` does, and says how long each loop took; the results are dropped. */
  readonly run: (inputs: readonly Storage[], options: TimeOptions) => readonly LoopTime[]
  /** Whether there are loops inside of loops and branches to be timed. */
  readonly hasInnerLoops: boolean
}

/** How its loops are timed; null on devices that cannot tell. */
export const timingOf = (executable: Executable): LoopTiming | null =>
  executable instanceof WasmExecutable
    ? {
        run: (inputs, options) => timeLoops(executable, inputs, options),
        hasInnerLoops: hasInnerLoops(executable),
      }
    : null

/** The program as a WebAssembly module of its own; null on devices that have none. */
export const standaloneOf = (
  executable: Executable,
  { relaxedSimd }: StandaloneOptions,
): StandaloneModule | null =>
  executable instanceof WasmExecutable
    ? standaloneModule(executable.planned, { ...executable.features, relaxed: relaxedSimd })
    : null
