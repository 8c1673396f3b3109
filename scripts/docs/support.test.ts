import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { supportFile, supportPage } from './support'

test(
  'docs/support.md says what happens: `pnpm docs:support` writes it',
  { timeout: 60_000 },
  async () => {
    const written = readFileSync(supportFile, 'utf8').split('\n')
    expect(written).toEqual((await supportPage()).split('\n'))
  },
)
