import { defineConfig } from 'tsup'

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
  dts: true,
  splitting: true,
  sourcemap: true,
  clean: true,
})
