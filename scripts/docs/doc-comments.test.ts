/** The examples in doc comments run and show what they say. */
import * as core from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import * as testing from '@adjoint/testing'
import * as transforms from '@adjoint/transforms'
import fc from 'fast-check'
import * as os from 'node:os'
import { describe, expect, test } from 'vitest'
import { agree, type CodeBlock, runBlock } from './code-blocks'
import { docExamples, withImports } from './doc-comments'

/** Its example registers tests, which cannot be done inside of one. */
const isTest = ({ title }: CodeBlock): boolean => title === 'describeEquivalence'

const packages = { core, transforms, nn, optim, testing }

describe.each(Object.entries(packages))('%s', (name, own) => {
  const modules = new Map<string, Readonly<Record<string, unknown>>>([
    [`@adjoint/${name}`, own],
    ...Object.entries(packages).map(([other, names]) => [`@adjoint/${other}`, names] as const),
    ['@adjoint/core', core],
    ['fast-check', { fc }],
    ['the package as a whole', { nn, optim }],
  ])
  test.each(docExamples(name).filter((block) => !isTest(block)))(
    '$page:$line $title',
    async (block) => {
      const load = (specifier: string): unknown =>
        specifier === 'node:os' ? os : modules.get(specifier)
      for (const { expression, line, expected, actual } of await runBlock(
        withImports(block, modules),
        load,
      )) {
        const where = `${block.page}:${line}\n${expression}`
        if (!agree(actual, expected)) expect(`${where}\n${actual}`).toBe(`${where}\n${expected}`)
      }
    },
  )
})

/** Errors are thrown for users, not made by them. */
const isError = (value: unknown): boolean =>
  typeof value === 'function' && value.prototype instanceof Error

test.each(['transforms', 'nn', 'optim', 'testing'] as const)(
  'every function of %s is shown by an example, under one of its names',
  (name) => {
    const titles = new Set(docExamples(name).map(({ title }) => title))
    const functions = Object.entries<unknown>(packages[name]).filter(
      ([, value]) => typeof value === 'function' && !isError(value),
    )
    const shown = new Set(functions.flatMap(([own, value]) => (titles.has(own) ? [value] : [])))
    expect(functions.flatMap(([own, value]) => (shown.has(value) ? [] : [own]))).toEqual([])
  },
)
