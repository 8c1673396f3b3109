import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { build } from 'esbuild'
import type { Options } from 'tsup'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

/** Scripts that are started by their URL, so that no import leads to them. */
const workers = ['backends/wasm/threads/worker.ts']

/** The entry points of a package: its index, and what it has for packages that build on it. */
export const entryPoints = (source: string): string[] =>
  ['index.ts', 'internal.ts']
    .map((name) => resolve(source, name))
    .filter((path) => existsSync(path))

/** The source files that the entry points of a package reach: what is published of it. */
export async function reachableModules(packageFolder: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: packageFolder,
    entryPoints: [
      ...entryPoints(resolve(packageFolder, 'src')),
      ...workers
        .map((path) => resolve(packageFolder, 'src', path))
        .filter((path) => existsSync(path)),
    ],
    bundle: true,
    packages: 'external',
    format: 'esm',
    outdir: 'dist',
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  return Object.keys(metafile.inputs)
}

/**
 * Leaves the imports between a package's own modules as they are, but for the ending without which
 * Node does not find them.
 */
export const oneFilePerModule: Plugin = {
  name: 'one file per module',
  setup(build) {
    const ending = build.initialOptions.format === 'cjs' ? '.cjs' : '.js'
    build.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir, importer, kind }) => {
      if (kind === 'entry-point' || importer.includes('/node_modules/')) return undefined
      const isFile = existsSync(resolve(resolveDir, `${path}.ts`))
      return { path: `${path}${isFile ? '' : '/index'}${ending}`, external: true }
    })
  },
}
