import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { pages, root } from './code-blocks'

const allPages = [...pages(), 'CONTRIBUTING.md', 'CHANGELOG.md', 'benchmarks/README.md']

test.each(allPages)('links in %s lead somewhere', (page) => {
  const text = readFileSync(resolve(root, page), 'utf8')
  const targets = [...text.matchAll(/\]\((?!https?:)([^)#]*)#?[^)]*\)/g)].map(
    ([, target]) => target,
  )
  const missing = targets.filter((target) => !existsSync(resolve(root, dirname(page), target)))
  expect(missing).toEqual([])
})
