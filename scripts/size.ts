/**
 * `pnpm check:size`: what Adjoint weighs in a web page.
 *
 * Bundles the built packages as a page would get them, minified, once with Vite and once with
 * esbuild, and compares the gzipped sizes with their budgets: for everything that the entry points
 * export, and for programs, of which a bundler keeps only what they use. What a page loads later, if
 * at all (the WebGPU device), is not counted.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build as esbuild } from 'esbuild'
import { build as vite } from 'vite'

interface Page {
  readonly title: string
  readonly code: string
  /** Kilobytes after gzip that fail the check when exceeded: what it weighs now, rounded up. */
  readonly budget: Readonly<Record<Bundler, number>>
  /** Where it is to get; the budgets are lowered towards it whenever the bundles allow. */
  readonly goal: number
}

type Bundler = 'vite' | 'esbuild'

const everything = (...packages: string[]): string =>
  packages.map((name) => `export * as ${name} from '@adjoint/${name}'`).join('\n')

const arrays = `
  import { np } from '@adjoint/core'
  console.log(String(np.array([1, 2, 3]).add(1)))`

/** The first program that people write: gradient descent. */
const training = `
  import { np, random } from '@adjoint/core'
  import { grad, jit } from '@adjoint/transforms'
  const loss = (w, x, y) => np.mean(np.square(np.subtract(np.tanh(np.matmul(x, w)), y)))
  const step = jit((w, x, y) => w.sub(grad(loss)(w, x, y).mul(0.1)))
  const x = random.normal(random.key(0), [8, 3])
  console.log(String(step(np.zeros([3]), x, np.ones([8]))))`

const pages: readonly Page[] = [
  {
    title: 'all of core + transforms',
    code: everything('core', 'transforms'),
    budget: { vite: 217, esbuild: 228 },
    goal: 81,
  },
  {
    title: 'all of core',
    code: everything('core'),
    budget: { vite: 177, esbuild: 185 },
    goal: 70,
  },
  {
    title: 'all of core + transforms + optim',
    code: everything('core', 'transforms', 'optim'),
    budget: { vite: 239, esbuild: 252 },
    goal: 85,
  },
  {
    title: 'all of core + transforms + nn',
    code: everything('core', 'transforms', 'nn'),
    budget: { vite: 241, esbuild: 253 },
    goal: 85,
  },
  { title: 'a program with arrays', code: arrays, budget: { vite: 117, esbuild: 140 }, goal: 60 },
  { title: 'a program that trains', code: training, budget: { vite: 144, esbuild: 177 }, goal: 70 },
]

const root = resolve(import.meta.dirname, '..')

const builtFiles = Object.fromEntries(
  ['core', 'transforms', 'optim', 'nn'].flatMap((name) => [
    [`@adjoint/${name}/internal`, resolve(root, `packages/${name}/dist/internal.js`)],
    [`@adjoint/${name}`, resolve(root, `packages/${name}/dist/index.js`)],
  ]),
)

async function bundleWithEsbuild(entry: string): Promise<string> {
  const { outputFiles, metafile } = await esbuild({
    entryPoints: [entry],
    alias: builtFiles,
    absWorkingDir: dirname(entry),
    outdir: 'bundle',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    legalComments: 'none',
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  const codes = new Map(
    outputFiles.map(({ path, text }) => [relative(dirname(entry), path), text] as const),
  )
  const imports = (file: string): readonly string[] =>
    metafile.outputs[file].imports
      .filter(({ kind }) => kind === 'import-statement')
      .map(({ path }) => path)
  return loadedAtOnce('bundle/page.js', imports)
    .map((file) => codes.get(file) ?? '')
    .join('')
}

/** A file and what it imports, directly or not. */
function loadedAtOnce(entry: string, imports: (file: string) => readonly string[]): string[] {
  const found = new Set([entry])
  for (const file of found) for (const other of imports(file)) found.add(other)
  return [...found]
}

async function bundleWithVite(entry: string): Promise<string> {
  const result = await vite({
    root: dirname(entry),
    configFile: false,
    logLevel: 'error',
    resolve: {
      alias: Object.entries(builtFiles).map(([find, replacement]) => ({ find, replacement })),
    },
    build: {
      target: 'es2022',
      modulePreload: false,
      write: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict' },
    },
  })
  if (!('output' in result)) throw new Error('Vite was asked for one bundle')
  const chunks = new Map(
    result.output.flatMap((chunk) => ('code' in chunk ? [[chunk.fileName, chunk] as const] : [])),
  )
  const first = [...chunks.values()].find(({ isEntry }) => isEntry)?.fileName ?? ''
  return loadedAtOnce(first, (file) => chunks.get(file)?.imports ?? [])
    .map((file) => chunks.get(file)?.code ?? '')
    .join('')
}

const gzipped = (code: string): number => gzipSync(code, { level: 9 }).length / 1000
const kilobytes = (size: number): string => `${size.toFixed(1)} KB`.padStart(9)

async function weigh({ title, code, budget, goal }: Page, folder: string): Promise<boolean> {
  const entry = join(folder, 'page.js')
  await writeFile(entry, code)
  const sizes: Record<Bundler, number> = {
    vite: gzipped(await bundleWithVite(entry)),
    esbuild: gzipped(await bundleWithEsbuild(entry)),
  }
  const withinBudget = sizes.vite <= budget.vite && sizes.esbuild <= budget.esbuild
  const columns = [sizes.vite, budget.vite, sizes.esbuild, budget.esbuild, goal].map(kilobytes)
  console.log(`${title.padEnd(34)}${columns.join(' ')}${withinBudget ? '' : '  over budget'}`)
  return withinBudget
}

const columns = ['vite', 'budget', 'esbuild', 'budget', 'goal'].map((name) => name.padStart(9))
console.log(`${'gzipped'.padEnd(34)}${columns.join(' ')}`)
const folder = await mkdtemp(join(tmpdir(), 'adjoint-size-'))
try {
  for (const page of pages) {
    if (!(await weigh(page, folder))) process.exitCode = 1
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
