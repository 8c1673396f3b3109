import { describe, expect, it } from 'vitest'
import { type FileHandle, type FileSystem, replaceFile } from './files'

/** A file system in memory that stops at its n-th operation, as a machine does that loses power. */
class FailingFiles implements FileSystem {
  readonly files = new Map<string, number[]>()
  private operations = 0

  constructor(
    private readonly failsAt: number,
    /** Dead systems answer nothing more, not even to cleaning up. */
    private readonly dies: boolean,
  ) {}

  private step(): void {
    this.operations++
    if (this.dies ? this.operations >= this.failsAt : this.operations === this.failsAt) {
      throw new Error('no space left')
    }
  }

  // eslint-disable-next-line typescript/require-await -- throws as the promise that the caller awaits
  async open(path: string, flags: string): Promise<FileHandle> {
    this.step()
    const content: number[] = []
    if (flags === 'wx') this.files.set(path, content)
    return {
      read: () => Promise.reject(new Error('not read here')),
      write: (buffer, offset, length) =>
        this.doing(() => {
          // Half of what was asked for, as systems may.
          const bytesWritten = Math.max(1, length >> 1)
          content.push(...buffer.subarray(offset, offset + bytesWritten))
          return { bytesWritten }
        }),
      stat: () => Promise.reject(new Error('not asked here')),
      sync: () => this.doing(() => undefined),
      close: () => this.doing(() => undefined),
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.doing(() => {
      this.files.set(to, this.files.get(from) ?? [])
      this.files.delete(from)
    })
  }

  rm(path: string): Promise<void> {
    return this.doing(() => {
      this.files.delete(path)
    })
  }

  realpath(path: string): Promise<string> {
    return Promise.resolve(path)
  }

  stat(): Promise<{ readonly mode: number }> {
    return this.doing(() => ({ mode: 0o600 }))
  }

  private doing<A>(action: () => A): Promise<A> {
    return new Promise((resolve) => {
      this.step()
      resolve(action())
    })
  }
}

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(4, 5, 6)
  yield await Promise.resolve(Uint8Array.of(7, 8))
}

describe('replacing a file', () => {
  it.each([false, true])(
    'leaves the old file or the new one, whichever operation fails (for good: %s)',
    async (dies) => {
      const outcomes: string[] = []
      for (let failsAt = 1; failsAt < 20; failsAt++) {
        const fs = new FailingFiles(failsAt, dies)
        fs.files.set('run', [1, 2, 3])
        const failed = await replaceFile(fs, 'run', chunks()).then(
          () => false,
          () => true,
        )
        const content = fs.files.get('run')?.join()
        expect(['1,2,3', '4,5,6,7,8']).toContain(content)
        if (!failed) expect(content).toBe('4,5,6,7,8')
        if (!dies) expect([...fs.files.keys()]).toEqual(['run'])
        outcomes.push(String(content))
      }
      expect(new Set(outcomes).size).toBe(2)
    },
  )
})
