/**
 * Lets Node run the workspace's TypeScript as it stands, without a build:
 *
 *     node --import ./scripts/run-source.mjs examples/mnist/main.ts
 *
 * Node strips types by itself, but the sources import each other without extensions and use
 * parameter properties; so relative imports are completed here and esbuild does the stripping.
 * (tsx does the same and more; but it wraps every closure to keep its name, which slows down
 * tracing.)
 */
import { existsSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { transformSync } from 'esbuild'

function completed(specifier, parent) {
  const isRelative = specifier.startsWith('./') || specifier.startsWith('../')
  if (!isRelative || !parent?.startsWith('file:')) return specifier
  const endings = ['.ts', '/index.ts']
  const ending = endings.find((each) => existsSync(new URL(specifier + each, parent)))
  return ending === undefined ? specifier : specifier + ending
}

registerHooks({
  resolve: (specifier, context, next) => next(completed(specifier, context.parentURL), context),
  load(url, context, next) {
    if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
    const path = fileURLToPath(url)
    const { code } = transformSync(readFileSync(path, 'utf8'), {
      loader: 'ts',
      format: 'esm',
      target: 'node24',
      sourcefile: path,
      sourcemap: 'inline',
    })
    return { format: 'module', source: code, shortCircuit: true }
  },
})

process.setSourceMapsEnabled(true)
