import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
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
  for (const name of packages) {
    await copyFile(new URL(`${name}.mjs`, programs), join(folder, `${name}.mjs`))
  }
  return { folder, packages }
}

/** The programs of a consumer as files that Node can run: ESM, CommonJS and two bundles. */
export async function variants({ folder, packages }: Consumer): Promise<string[]> {
  const files = packages.map(async (name) => {
    const program = join(folder, `${name}.mjs`)
    return [
      program,
      await asCommonJs(program),
      await bundledByEsbuild(program),
      await bundledByVite(program),
    ]
  })
  return (await Promise.all(files)).flat()
}

async function asCommonJs(program: string): Promise<string> {
  const { code } = await transform(await readFile(program, 'utf8'), { format: 'cjs' })
  const file = program.replace('.mjs', '.cjs')
  await writeFile(file, code)
  return file
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
  await Promise.all(
    packages.flatMap((name) =>
      ['mts', 'cts'].map((ending) =>
        copyFile(join(folder, `${name}.mjs`), join(folder, `${name}.${ending}`)),
      ),
    ),
  )
  const shared = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom']
  await command(tsc, [...shared, '--module', 'node16', ...esm, ...cjs], folder)
  await command(
    tsc,
    [...shared, '--module', 'esnext', '--moduleResolution', 'bundler', ...esm],
    folder,
  )
}
