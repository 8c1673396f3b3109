import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { measuredFunctions } from '../../packages/core/src/backends/wasm/math/testing/accuracy'
import { root } from './code-blocks'

test('docs/accuracy.md has a row for every function: `pnpm docs:accuracy` writes it', () => {
  const page = readFileSync(resolve(root, 'docs/accuracy.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (\w+) +\|/gm)].map(([, name]) => name)
  expect(rows.slice(1)).toEqual(measuredFunctions)
})
