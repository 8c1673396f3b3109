/** `equivalence` as tests. */
import { compareDevices, type EquivalenceOptions } from './equivalence'
import { everyDevice, type NotCompared } from './machine-devices'

/** The two functions of a test runner that are needed. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  /** A test may be handed a context; with a function `skip` in it, it can say that it did not run. */
  it(name: string, body: (...context: readonly unknown[]) => Promise<void>): unknown
}

export interface DescribeEquivalenceOptions extends EquivalenceOptions {
  /** `{ describe, it }`; unless given, those of the Vitest or the globals that run this file. */
  readonly runner?: TestRunner
}

const isRunner = (value: unknown): value is TestRunner =>
  typeof value === 'object' &&
  value !== null &&
  'describe' in value &&
  'it' in value &&
  typeof value.describe === 'function' &&
  typeof value.it === 'function'

/**
 * Vitest shows itself to the files it runs; importing it here would make everyone who imports this
 * package need it, in test runs and outside.
 */
function currentRunner(): TestRunner {
  const vitest: unknown = Reflect.get(globalThis, '__vitest_index__')
  if (isRunner(vitest)) return vitest
  const globals: unknown = globalThis
  if (isRunner(globals)) return globals
  throw new Error(
    'describeEquivalence: no test runner is running this file\n' +
      '  rule: tests are registered with describe and it\n' +
      '  hint: run the file with Vitest, pass { runner: { describe, it } }, or call equivalence(…) itself',
  )
}

/** A test of a device that is not here is no test that passed, if the runner can tell them apart. */
function skip(context: unknown, { device, reason }: NotCompared): void {
  const note = `${device} is not compared: ${reason}`
  const skipIt: unknown = context instanceof Object ? Reflect.get(context, 'skip') : undefined
  if (typeof skipIt === 'function') return void Reflect.apply(skipIt, context, [note])
  // oxlint-disable-next-line no-console -- what a test prints is all that such a runner shows
  console.warn(note)
}

/**
 * Registers a test per device of the machine: the function, its derivatives and its batched gradient
 * agree with the reference. For a file that Vitest runs.
 *
 * The test of the GPU opens it, and skips itself, with the reason, where there is none. Name it in
 * `devices` to make it fail then.
 *
 * @param name names the group of tests
 * @param f a function of trees of arrays
 * @param args its arguments, some of them perhaps fast-check arbitraries, or a function that makes
 *   them when the test runs
 * @throws Error when no test runner is running
 * @example
 * describeEquivalence('softplus', (x: NDArray) => np.logaddexp(x, 0), [np.array([-1, 0.5, 30])])
 */
export function describeEquivalence(
  name: string,
  f: (...args: never[]) => unknown,
  args: readonly unknown[] | (() => readonly unknown[]),
  options: DescribeEquivalenceOptions = {},
): void {
  const { runner = currentRunner(), ...rest } = options
  runner.describe(name, () => {
    for (const device of rest.devices ?? everyDevice) {
      // No parameter of its own: Jest and Mocha would hand it a callback and wait for that.
      runner.it(`${device} = reference`, async (...[context]) => {
        const given = typeof args === 'function' ? args() : args
        const { notCompared } = await compareDevices(name, f, given, rest, [device])
        for (const each of notCompared) skip(context, each)
      })
    }
  })
}
