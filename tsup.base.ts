import { createRequire } from 'node:module'
import { defineConfig, type Options } from 'tsup'
import { writeDeclarations } from './scripts/build/declarations'

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
 * The build of every published package: ESM, CommonJS and declarations.
 *
 * `splitting` matters for correctness, not only for size: `index` and `internal` share state (the
 * current interpreter), so both entries must load it from one shared chunk, in CommonJS too.
 */
export const packageBuild = defineConfig({
  entry: ['src/index.ts', 'src/internal.ts'],
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  splitting: true,
  treeshake: true,
  sourcemap: true,
  clean: true,
  noExternal: [/^fp-ts\//],
  esbuildPlugins: [fpTsFromModules],
  onSuccess: async () => writeDeclarations(process.cwd()),
})
