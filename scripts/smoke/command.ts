import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join, sep } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** What a command printed, when it was asked for more than an exit status. */
interface Output {
  readonly stdout: string
}

/** Runs a command to its end; a failure carries everything that the command printed. */
export async function command(
  file: string,
  args: readonly string[],
  folder: string,
): Promise<Output> {
  try {
    return await execute(file, [...args], {
      cwd: folder,
      env: { ...process.env, PATH: systemPath() },
      maxBuffer: 64 * 1024 * 1024,
    })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${file} ${args.join(' ')}\n  in ${folder}\n${stdout}${stderr}`, {
      cause: error,
    })
  }
}

/** PATH as a user has it: without the folders that a package manager puts before it. */
function systemPath(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.filter((each) => !each.includes(`node_modules${sep}.bin`)).join(delimiter)
}

/** The first `node` on the user's own PATH. */
export function systemNode(): string {
  const candidates = systemPath()
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
  const found = candidates.find(isExecutable)
  if (found === undefined) throw new Error('smoke test: no node on PATH outside node_modules')
  return found
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
