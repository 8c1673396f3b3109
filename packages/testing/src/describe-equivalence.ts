/** `equivalence` as tests. */
import { type DeviceName, devices } from '@adjoint/core'
import { equivalence, type EquivalenceOptions } from './equivalence'

/** The two functions of a test runner that are needed. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
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

/**
 * Registers a test per device: the function, its derivatives and its batched gradient agree with the
 * reference. For a file that Vitest runs.
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
  const compared: readonly DeviceName[] =
    rest.devices ??
    devices()
      .map((device) => device.name)
      .filter((device) => device !== 'reference')
  runner.describe(name, () => {
    for (const device of compared) {
      runner.it(`${device} = reference`, async () => {
        await equivalence(name, f, typeof args === 'function' ? args() : args, {
          ...rest,
          devices: [device],
        })
      })
    }
  })
}
