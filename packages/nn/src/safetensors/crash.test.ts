/** A process that is killed while it saves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { np } from '@adjoint/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSafetensors } from './index'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const [child, sources] = ['./crash.fixture.ts', '../../../../scripts/run-source.mjs'].map(fileOf)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-crash-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('a process that is killed while it saves', () => {
  it.each([0, 3, 8])(
    '%i ms after a file was whole leaves a whole file',
    async (delay) => {
      const path = join(folder, `${delay}.safetensors`)
      const saving = spawn(process.execPath, ['--import', sources, child, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(saving.stdout, 'data')
      await setTimeout(delay)
      saving.kill('SIGKILL')
      const [, signal] = (await once(saving, 'close')) as [number | null, string | null]
      expect(signal).toBe('SIGKILL')
      const { first, second, n } = await loadSafetensors(path)
      for (const array of [first, second]) {
        expect(array.shape).toEqual([200_000])
        expect(np.all(np.equal(array, Number(n.item()))).item()).toBe(true)
      }
    },
    60_000,
  )
})
