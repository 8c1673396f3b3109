import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build as esbuild, transform } from 'esbuild'
import { build as vite } from 'vite'
import { command } from './command.ts'
import type { PackageName } from './tarballs.ts'

/** A user's empty project with some of the packages installed in it. */
export interface Consumer {
  readonly folder: string
  readonly packages: readonly PackageName[]
}

const programs = new URL('./programs/', import.meta.url)

/** Makes an empty project and installs the tarballs with npm, as a user would. */
export async function install(
  folder: string,
  packages: readonly PackageName[],
  tarballs: Record<PackageName, string>,
): Promise<Consumer> {
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{ "name": "consumer", "private": true }\n')
  const files = packages.map((name) => tarballs[name])
  await command('npm', ['install', '--no-audit', '--no-fund', ...files], folder)
  for (const name of ['expect-equal', ...packages]) await writeProgram(name, folder)
  return { folder, packages }
}

/** Writes a program as TypeScript and as JavaScript, both as an ES module and as CommonJS. */
async function writeProgram(name: string, folder: string): Promise<void> {
  const mts = await readFile(new URL(`${name}.mts`, programs), 'utf8')
  const cts = mts.replaceAll(".mjs'", ".cjs'")
  const mjs = await transform(mts, { loader: 'ts', format: 'esm' })
  const cjs = await transform(cts, { loader: 'ts', format: 'cjs' })
  const texts = { mts, cts, mjs: mjs.code, cjs: cjs.code }
  for (const [ending, text] of Object.entries(texts)) {
    await writeFile(join(folder, `${name}.${ending}`), text)
  }
}

/** The programs of a consumer as files that Node can run: ESM, CommonJS and two bundles. */
export async function variants({ folder, packages }: Consumer): Promise<string[]> {
  const files = packages.map(async (name) => {
    const program = join(folder, `${name}.mjs`)
    const commonJs = join(folder, `${name}.cjs`)
    return [program, commonJs, await bundledByEsbuild(program), await bundledByVite(program)]
  })
  return (await Promise.all(files)).flat()
}

async function bundledByEsbuild(program: string): Promise<string> {
  const outfile = program.replace('.mjs', '.esbuild.mjs')
  await esbuild({
    entryPoints: [program],
    outfile,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    logLevel: 'error',
  })
  return outfile
}

async function bundledByVite(program: string): Promise<string> {
  const outDir = program.replace('.mjs', '-vite')
  await vite({
    root: join(program, '..'),
    configFile: false,
    logLevel: 'error',
    build: {
      outDir,
      target: 'es2022',
      minify: true,
      lib: { entry: program, formats: ['es'], fileName: () => 'bundle.mjs' },
    },
  })
  return join(outDir, 'bundle.mjs')
}

/** Type-checks the programs against the installed declarations, as each kind of user resolves them. */
export async function checkTypes({ folder, packages }: Consumer, tsc: string): Promise<void> {
  const esm = packages.map((name) => `${name}.mts`)
  const cjs = packages.map((name) => `${name}.cts`)
  const shared = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom']
  await command(tsc, [...shared, '--module', 'node16', ...esm, ...cjs], folder)
  await command(
    tsc,
    [...shared, '--module', 'esnext', '--moduleResolution', 'bundler', ...esm],
    folder,
  )
}
