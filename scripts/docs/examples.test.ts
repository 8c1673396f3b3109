/** The examples in the documentation compile, run on every device and show what they say. */
import * as core from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import * as testing from '@adjoint/testing'
import * as transforms from '@adjoint/transforms'
import * as functions from 'fp-ts/lib/function.js'
import { resolve } from 'node:path'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { agree, codeBlocks, pages, root, runBlock } from './code-blocks'

const modules = new Map<string, unknown>([
  ['@adjoint/core', core],
  ['@adjoint/transforms', transforms],
  ['@adjoint/nn', nn],
  ['@adjoint/optim', optim],
  ['@adjoint/testing', testing],
  ['fp-ts/lib/function.js', functions],
])

function load(specifier: string): unknown {
  const found = modules.get(specifier)
  if (!found) throw new Error(`${specifier} is not a module that examples may import`)
  return found
}

const blocks = pages().flatMap(codeBlocks)

afterAll(() => {
  core.setDevice('wasm')
})

describe.each(core.devices().map(({ name }) => name))('on %s', (device) => {
  test.each(blocks.filter((block) => (block.device ?? device) === device))(
    '$page:$line $title',
    async (block) => {
      await core.setDevice(device)
      for (const { expression, line, expected, actual } of await runBlock(block, load)) {
        const where = `${block.page}:${line}\n${expression}`
        if (!agree(actual, expected)) expect(`${where}\n${actual}`).toBe(`${where}\n${expected}`)
      }
    },
  )
})

test('every example says what it shows', async () => {
  for (const block of blocks.filter(({ page }) => page === 'README.md')) {
    expect(await runBlock(block, load), `${block.page}:${block.line}`).not.toHaveLength(0)
  }
})

describe('comparison of what is shown', () => {
  test('forgives rounding and white space only', () => {
    expect(agree('Array([1.0000001, 2.])', 'Array([1.,\n  2.])')).toBe(true)
    expect(agree('Array([1.001, 2.])', 'Array([1., 2.])')).toBe(false)
    expect(agree('Array([1.], dtype=float64)', 'Array([1.], dtype=float32)')).toBe(false)
    expect(agree('[1, 2]', '[1]')).toBe(false)
  })
})

test('every example compiles', { timeout: 120_000 }, () => {
  const files = new Map(
    blocks.map((block) => [
      resolve(root, `scripts/docs/${block.page.replaceAll('/', '-')}-${block.line}.ts`),
      block,
    ]),
  )
  const config = ts.readConfigFile(resolve(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => files.has(path) || fileExists.call(host, path)
  host.readFile = (path) => files.get(path)?.code ?? readFile.call(host, path)
  host.getSourceFile = (path, target, ...rest) => {
    const block = files.get(path)
    return block === undefined
      ? getSourceFile.call(host, path, target, ...rest)
      : ts.createSourceFile(path, block.code, target)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  const problems = [...files].flatMap(([path, block]) => {
    const source = program.getSourceFile(path)
    return [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ].map(({ start = 0, messageText }) => {
      const line = block.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${block.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
  })
  expect(problems).toEqual([])
})
