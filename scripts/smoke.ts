/**
 * `pnpm smoke`: the packages as their users get them.
 *
 * Packs every built package, checks the tarballs, installs them with npm into empty projects in the
 * combinations that people install, and there runs a small program per package: from plain Node as
 * ESM and as CommonJS, and bundled by esbuild and by Vite; on the system's Node and on the project's.
 *
 * `pnpm smoke core transforms` tries only what can be installed of these.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { command, systemNode } from './smoke/command.ts'
import { checkTypes, install, variants } from './smoke/consumer.ts'
import { checkTarball, packAll, packageNames, type PackageName } from './smoke/tarballs.ts'

const root = resolve(import.meta.dirname, '..')
const tsc = join(root, 'node_modules/.bin/tsc')

const chosen = packageNames.filter((name) => process.argv.length < 3 || process.argv.includes(name))

const everyCombination: readonly (readonly PackageName[])[] = [
  ['core'],
  ['core', 'transforms'],
  ['core', 'transforms', 'optim'],
  ['core', 'transforms', 'nn'],
  ['core', 'transforms', 'testing'],
  packageNames,
]
const combinations = everyCombination.filter((each) => each.every((name) => chosen.includes(name)))

async function nodes(): Promise<string[]> {
  const candidates = [systemNode(), process.execPath]
  for (const node of candidates) {
    const { stdout } = await command(node, ['--version'], root)
    console.log(
      `node ${stdout.trim()}  ${node === process.execPath ? 'the project’s' : 'the system’s'}`,
    )
  }
  return candidates
}

async function smoke(workshop: string): Promise<void> {
  const runtimes = await nodes()
  const tarballs = await packAll(root, workshop, chosen)
  for (const name of chosen) {
    await checkTarball(root, join(root, 'packages', name), tarballs[name])
    console.log(`packed ${basename(tarballs[name])}`)
  }
  for (const packages of combinations) {
    const consumer = await install(join(workshop, packages.join('-')), packages, tarballs)
    await checkTypes(consumer, tsc)
    const files = await variants(consumer)
    for (const file of files) {
      for (const node of runtimes) await command(node, [file], consumer.folder)
    }
    const runs = files.map((file) => relative(consumer.folder, file)).join(' ')
    console.log(`ran ${packages.join(' + ')}: ${runs}`)
  }
}

const workshop = await mkdtemp(join(tmpdir(), 'adjoint-smoke-'))
try {
  await smoke(workshop)
  console.log('smoke: the packed packages install, load, type-check and compute')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await rm(workshop, { recursive: true, force: true })
}
