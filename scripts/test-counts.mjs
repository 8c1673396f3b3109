/**
 * `node scripts/test-counts.mjs REPORT`: the counts of a Vitest JSON report as one plain line, for
 * readers of the log that do not know Vitest's own summary. Fails unless tests ran and all passed.
 */
import { readFileSync } from 'node:fs'

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { numPassedTests: passed, numFailedTests: failed } = report
const skipped = report.numPendingTests + report.numTodoTests
const skippedPart = skipped > 0 ? `, ${skipped} skipped` : ''
console.log(`tests: ${passed} passed, ${failed} failed${skippedPart}`)
process.exitCode = passed > 0 && failed === 0 && report.success ? 0 : 1
