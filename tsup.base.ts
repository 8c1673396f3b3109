import { createRequire } from 'node:module'
import { defineConfig, type Options } from 'tsup'
import { writeDeclarations } from './scripts/build/declarations'
import { oneFilePerModule, reachableModules } from './scripts/build/modules'
import { pureConstants } from './scripts/build/purity'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

/**
 * Builds the few fp-ts functions that a package uses into it, from fp-ts' ES modules.
 *
 * The sources name `fp-ts/lib/X.js`, the one form that Node resolves as ESM and as CommonJS. But
 * those files are CommonJS, which no bundler can shake: whoever bundled Adjoint would ship 20 KB
 * (gzipped) of them. fp-ts' values are plain data, so a second copy of its functions is harmless;
 * the declarations go on naming fp-ts, which stays a dependency.
 */
const fpTsFromModules: Plugin = {
  name: 'fp-ts from ES modules',
  setup(build) {
    build.onResolve({ filter: /^fp-ts\/lib\// }, ({ path, resolveDir }) => {
      const from = createRequire(`${resolveDir}/`)
      return { path: from.resolve(path.replace('/lib/', '/es6/')), sideEffects: false }
    })
  },
}

/**
 * The build of every published package: ESM, CommonJS and declarations, one file per module.
 *
 * Modules stay apart so that a web page ships only what it uses: inside one large file a bundler
 * cannot see that `np` is a namespace of which a program needs two functions. It also leaves each
 * piece of shared state (the current interpreter) in the one module that holds it, whichever entry
 * point it is reached from.
 */
export const packageBuild = defineConfig(async () => ({
  entry: await reachableModules(process.cwd()),
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  // For Node's sake, which then knows the names that a CommonJS module exports when it is imported.
  esbuildOptions: (options, { format }) => {
    if (format === 'cjs') options.platform = 'node'
  },
  splitting: false,
  sourcemap: true,
  clean: true,
  silent: true,
  noExternal: [/^fp-ts\//],
  esbuildPlugins: [oneFilePerModule, fpTsFromModules, pureConstants],
  onSuccess: async () => writeDeclarations(process.cwd()),
}))
