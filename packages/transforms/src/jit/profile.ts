/** Where the time of a compiled program goes. */
import {
  ArgumentError,
  type Backend,
  type Executable,
  type LoopTime,
  type NDArray,
  type Storage,
  storageOn,
  timingOf,
} from '@adjoint/core/internal'

/** One loop of a program, with those of the programs inside of it. */
export type LoopProfile = LoopTime

/**
 * What `profile` measured: loops in the order in which they run, with medians of several runs. It
 * prints as a table.
 *
 * @example
 * const f = jit((x: NDArray) => np.sum(np.exp(x)))
 * const measured = profile(f, np.ones([1000]))
 * measured.loops.length // 1
 * measured.milliseconds >= 0 // true
 */
export class Profile {
  constructor(
    readonly name: string,
    readonly runs: number,
    readonly loops: readonly LoopProfile[],
  ) {}

  /** The sum over the loops. */
  get milliseconds(): number {
    return this.loops.reduce((sum, loop) => sum + loop.milliseconds, 0)
  }

  /**
   * A table: time, share of the whole, operations and bytes per second, and what the loop is. Below
   * a loop or a branch stand the loops inside of it, with how often they ran.
   */
  toString(): string {
    const total = this.milliseconds
    const rowsOf = (
      loops: readonly LoopProfile[],
      outer: string,
      indent: string,
    ): readonly (readonly string[])[] =>
      loops.flatMap((loop, i) => {
        const { title, milliseconds, flops, bytesRead, bytesWritten, runs, inside } = loop
        const number = `${outer}${i + 1}`
        const often = indent === '' ? '' : `, ${runs === 1 ? 'once' : `${runs} times`}`
        return [
          [
            number,
            digits(milliseconds),
            `${((100 * milliseconds) / Math.max(total, Number.MIN_VALUE)).toFixed(1)}%`,
            digits(perNanosecond(flops, milliseconds)),
            digits(perNanosecond(bytesRead + bytesWritten, milliseconds)),
            `${indent}${title}${often}`,
          ],
          ...rowsOf(inside, `${number}.`, `${indent}  `),
        ]
      })
    const rows = rowsOf(this.loops, '', '')
    const header = ['loop', 'ms', 'share', 'GFLOP/s', 'GB/s', '']
    const widths = header.map((text, column) =>
      Math.max(text.length, ...rows.map((row) => row[column].length)),
    )
    const line = (cells: readonly string[]): string =>
      cells
        .map((text, column) => (column < 5 ? text.padStart(widths[column]) : text))
        .join('  ')
        .trimEnd()
    const runs = this.runs === 1 ? 'one run' : `${this.runs} runs`
    return [
      `${this.name}: ${digits(total)} ms in ${this.loops.length} loops, medians of ${runs}`,
      line(header),
      ...rows.map(line),
    ].join('\n')
  }
}

const perNanosecond = (amount: number, milliseconds: number): number =>
  milliseconds > 0 ? amount / milliseconds / 1e6 : 0

/** Three digits, without an exponent. */
const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3)

const MOST_RUNS = 20
/** Runs stop after so long, once there are three. */
const BUDGET_MILLISECONDS = 500
const LEAST_RUNS = 3
const WARM_UP_RUNS = 3

export interface ProfileSource {
  readonly op: string
  readonly name: string
  readonly backend: Backend
  readonly executable: Executable
  readonly operands: readonly NDArray[]
  readonly donated: readonly boolean[]
}

export function profileProgram(source: ProfileSource): Profile {
  const { op, name, backend, executable } = source
  const timing = timingOf(executable)
  if (timing === null) {
    throw new ArgumentError({
      op,
      problem: `the ${backend.name} device does not measure its loops`,
      hint:
        "profile on the device 'wasm', which runs the same loops: jit(f, { device: 'wasm' });" +
        ' or time whole calls, and wait for a result with await x.data()',
    })
  }
  const storages = source.operands.map((x) => storageOn(backend, x, op))
  // A run uses up what is donated to it: it gets a copy, so that the arguments live on.
  const inputs = (): Storage[] =>
    storages.map((storage, i) =>
      source.donated[i] ? backend.fromHost(storage.aval, backend.read(storage)) : storage,
    )
  const measured = (options: { readonly inside: boolean }): (readonly LoopTime[])[] => {
    const run = (): readonly LoopTime[] => timing.run(inputs(), options)
    for (let i = 0; i < WARM_UP_RUNS; i++) run()
    const runs: (readonly LoopTime[])[] = []
    const started = performance.now()
    while (
      runs.length < LEAST_RUNS ||
      (runs.length < MOST_RUNS && performance.now() - started < BUDGET_MILLISECONDS)
    ) {
      runs.push(run())
    }
    return runs
  }
  const runs = measured({ inside: false })
  // A clock inside of loops takes time of its own, so these runs do not count for the loops around.
  const withInside = timing.hasInnerLoops ? measured({ inside: true }) : []
  const loops = medians(runs).map((loop, i) => ({
    ...loop,
    inside: medians(withInside.map((times) => times[i].inside)),
  }))
  return new Profile(name, runs.length, loops)
}

/** Of several runs of the same loops. */
const medians = (runs: readonly (readonly LoopTime[])[]): readonly LoopTime[] =>
  (runs[0] ?? []).map((loop, i) => ({
    ...loop,
    milliseconds: median(runs.map((times) => times[i].milliseconds)),
    inside: medians(runs.map((times) => times[i].inside)),
  }))

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
