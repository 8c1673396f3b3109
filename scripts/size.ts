/**
 * `pnpm check:size`: what each entry point weighs in a web page.
 *
 * Bundles everything that the built entry points export, minified as a browser would get it, and
 * compares the gzipped size with its budget.
 */
import { resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

interface EntryPoint {
  readonly packages: readonly string[]
  /** Bytes after gzip that fail the check when they are exceeded: what it weighs now, rounded up. */
  readonly budget: number
  /** Where it is to get; a budget is lowered towards it whenever the bundle allows. */
  readonly goal: number
}

/** The first program that people write needs core and transforms. */
const entryPoints: readonly EntryPoint[] = [
  { packages: ['core', 'transforms'], budget: 185_000, goal: 81_000 },
  { packages: ['core'], budget: 165_000, goal: 70_000 },
  { packages: ['core', 'transforms', 'optim'], budget: 195_000, goal: 90_000 },
  { packages: ['core', 'transforms', 'nn'], budget: 195_000, goal: 90_000 },
]

const root = resolve(import.meta.dirname, '..')

const builtFiles = Object.fromEntries(
  ['core', 'transforms', 'optim', 'nn'].flatMap((name) => [
    [`@adjoint/${name}/internal`, resolve(root, `packages/${name}/dist/internal.js`)],
    [`@adjoint/${name}`, resolve(root, `packages/${name}/dist/index.js`)],
  ]),
)

async function bundle(packages: readonly string[]): Promise<Uint8Array> {
  const contents = packages.map((name) => `export * as ${name} from '@adjoint/${name}'`).join('\n')
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    alias: builtFiles,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    legalComments: 'none',
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0].contents
}

const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} KB`.padStart(9)

let withinBudget = true
console.log(`${'entry points'.padEnd(28)} minified    gzipped     budget       goal`)
for (const { packages, budget, goal } of entryPoints) {
  const bytes = await bundle(packages)
  const gzipped = gzipSync(bytes, { level: 9 }).length
  const verdict = gzipped <= budget ? '' : '  over budget'
  withinBudget &&= gzipped <= budget
  const sizes = [bytes.length, gzipped, budget, goal].map(kilobytes).join('  ')
  console.log(`${packages.join(' + ').padEnd(28)}${sizes}${verdict}`)
}
if (!withinBudget) process.exitCode = 1
