/** Runs the suite on devices and collects what was found, as data. */
import {
  equivalence,
  EquivalenceError,
  type EquivalenceReport,
} from '../../packages/testing/src/index.ts'
import {
  primitiveCases,
  suitePrograms,
  type SuiteProgram,
} from '../../packages/testing/src/suite/index.ts'
import type { DeviceName } from '../../packages/core/src/index.ts'

/** One case on one device: a line of the report. */
export interface CaseResult {
  readonly device: string
  readonly group: 'program' | 'primitive'
  readonly name: string
  readonly agrees: boolean
  /** The aspect with the largest error, in units in the last place, and where that error is. */
  readonly worst: { readonly aspect: string; readonly ulps: number; readonly where: string } | null
  /** The largest share of what is allowed. */
  readonly share: number
  /** What was computed: `value`, `jvp` and so on. */
  readonly aspects: readonly string[]
  /** Where the programs part, or why one did not run. */
  readonly explanation: string | null
}

async function reportOf(each: SuiteProgram, device: DeviceName): Promise<EquivalenceReport> {
  try {
    return await equivalence(each.name, each.f, each.args(), { ...each.options, devices: [device] })
  } catch (error) {
    if (error instanceof EquivalenceError) return error.report
    throw error
  }
}

async function resultOf(
  each: SuiteProgram,
  group: CaseResult['group'],
  device: DeviceName,
  label: string,
): Promise<CaseResult> {
  const about = { device: label, group, name: each.name }
  try {
    const report = await reportOf(each, device)
    const { comparisons } = report
    const agrees = comparisons.every((comparison) => comparison.agrees)
    const worst = comparisons.reduce((a, b) =>
      (b.difference?.excess ?? 0) > (a.difference?.excess ?? 0) ? b : a,
    )
    return {
      ...about,
      agrees,
      worst: worst.difference && {
        aspect: worst.aspect,
        ulps: worst.ulps,
        where: worst.difference.where,
      },
      share: worst.difference?.excess ?? 0,
      aspects: comparisons.map(({ aspect }) => aspect),
      explanation: agrees ? null : String(report),
    }
  } catch (error) {
    const explanation = error instanceof Error ? error.message : String(error)
    return { ...about, agrees: false, worst: null, share: Infinity, aspects: [], explanation }
  }
}

/**
 * All cases on one device.
 *
 * @param label what the report calls it: a device may be compared in several settings
 * @param calls how many calls of each primitive are tried
 * @param progress is told how many are done
 */
export async function runSuite(
  device: DeviceName,
  label: string,
  calls: number,
  progress: (done: number, total: number) => void,
): Promise<readonly CaseResult[]> {
  const cases = [
    ...suitePrograms.map((each) => [each, 'program'] as const),
    ...primitiveCases(device, calls).map((each) => [each, 'primitive'] as const),
  ]
  const results: CaseResult[] = []
  for (const [each, group] of cases) {
    results.push(await resultOf(each, group, device, label))
    progress(results.length, cases.length)
  }
  return results
}
