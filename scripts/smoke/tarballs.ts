import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatMessage } from 'publint/utils'
import { publint } from 'publint'
import { command } from './command.ts'

export const packageNames = ['core', 'transforms', 'optim', 'nn', 'testing'] as const
export type PackageName = (typeof packageNames)[number]

/** Packs built packages as it would be published and says where each tarball lies. */
export async function packAll(
  root: string,
  into: string,
  names: readonly PackageName[],
): Promise<Record<PackageName, string>> {
  const entries = await Promise.all(
    names.map(async (name) => [name, await pack(join(root, 'packages', name), into)]),
  )
  return Object.fromEntries(entries)
}

async function pack(folder: string, into: string): Promise<string> {
  if (!existsSync(join(folder, 'dist/index.js'))) {
    throw new Error(`${folder} is not built: run \`pnpm build\` first`)
  }
  const { stdout } = await command(
    'npx',
    ['-y', 'pnpm@12', 'pack', '--json', '--pack-destination', into],
    folder,
  )
  const { filename } = JSON.parse(stdout) as { filename: string }
  return filename
}

/** Refuses a package whose entry points, formats or declarations contradict each other. */
export async function checkTarball(root: string, folder: string, tarball: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const data = await readFile(tarball)
  const { messages } = await publint({
    pack: { tarball: new Uint8Array(data).buffer },
    level: 'warning',
  })
  if (messages.length > 0) {
    const lines = messages.map((message) => formatMessage(message, manifest, { color: false }))
    throw new Error(`publint: ${tarball}\n${lines.join('\n')}`)
  }
  // `node10` knows no subpath exports; the packages ask for Node 20.
  const attw = join(root, 'node_modules/.bin/attw')
  await command(attw, [tarball, '--profile', 'node16', '--format', 'ascii', '--no-emoji'], root)
}
