/**
 * The examples in the documentation as programs.
 *
 * Every ```ts block of a page stands alone. A comment behind an expression statement, on its line or
 * on the lines below, is what that expression shows:
 *
 *     np.add([1, 2], 1) // Array([2, 3], dtype=int32)
 *
 * An expression that throws shows its error.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { runInThisContext } from 'node:vm'
import ts from 'typescript'

export interface CodeBlock {
  readonly page: string
  /** The line of the page on which the code starts, from 1. */
  readonly line: number
  /** The heading above. */
  readonly title: string
  readonly code: string
  /** The only device that it is about, by `<!-- on wasm -->` above the block. */
  readonly device: string | null
}

export interface Shown {
  readonly expression: string
  readonly line: number
  readonly expected: string
  readonly actual: string
}

export const root = resolve(import.meta.dirname, '../..')

/** README.md and the guides: pages directly in docs/. */
export const pages = (): string[] => [
  'README.md',
  ...readdirSync(resolve(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export function codeBlocks(page: string): CodeBlock[] {
  const lines = readFileSync(resolve(root, page), 'utf8').split('\n')
  const blocks: CodeBlock[] = []
  let title = page
  for (let i = 0; i < lines.length; i++) {
    const heading = /^#+ (.*)/.exec(lines[i])
    if (heading) title = heading[1]
    if (!/^ *```ts$/.test(lines[i])) continue
    const end = lines.findIndex((text, j) => j > i && text.trim() === '```')
    const device = /^<!-- on (\w+) -->$/.exec(
      lines.slice(0, i).findLast((text) => text !== '') ?? '',
    )
    const code = lines.slice(i + 1, end).join('\n')
    blocks.push({ page, line: i + 2, title, code, device: device && device[1] })
    i = end
  }
  return blocks
}

/** A statement whose value is written down behind it. */
interface Claim {
  readonly statement: ts.ExpressionStatement
  readonly expected: string
}

function claims(source: ts.SourceFile): Claim[] {
  const text = source.text
  return source.statements.flatMap((statement) => {
    if (!ts.isExpressionStatement(statement)) return []
    const sameLine = ts.getTrailingCommentRanges(text, statement.end) ?? []
    const nextLines: string[] = []
    const rest = text.slice(sameLine.at(-1)?.end ?? statement.end).split('\n')
    for (const line of rest.slice(1)) {
      if (!line.startsWith('//')) break
      nextLines.push(line)
    }
    const comments = [...sameLine.map(({ pos, end }) => text.slice(pos, end)), ...nextLines]
    if (comments.length === 0) return []
    return [{ statement, expected: comments.map((c) => c.replace(/^\/\/ ?/, '')).join('\n') }]
  })
}

const shown = (value: unknown): string =>
  value instanceof Error
    ? `${value.name}: ${value.message}`
    : typeof value === 'string' || (typeof value === 'object' && value !== null && 'jaxpr' in value)
      ? String(value)
      : inspect(value, { breakLength: 100, depth: 4 })

type Load = (specifier: string) => unknown

/** Runs a block; `load` answers the modules that it imports. */
export async function runBlock(block: CodeBlock, load: Load): Promise<Shown[]> {
  const source = ts.createSourceFile('block.ts', block.code, ts.ScriptTarget.ES2022, true)
  const found = claims(source)
  let { code } = block
  for (const [index, { statement }] of [...found.entries()].reverse()) {
    const { expression } = statement
    const call = `await show(${index}, async () => (${expression.getText()}))`
    code = code.slice(0, statement.getStart()) + call + code.slice(statement.end)
  }
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  })
  const values: string[] = []
  const show = async (index: number, compute: () => Promise<unknown>): Promise<void> => {
    values[index] = shown(await compute().catch((error: unknown) => error))
  }
  const program = runInThisContext(
    `(async (require, exports, show) => {${outputText}\n})`,
    `${block.page}:${block.line}`,
  ) as (load: Load, exports: object, show: unknown) => Promise<void>
  await program(load, {}, show)
  return found.map(({ statement, expected }, index) => ({
    expression: statement.expression.getText(),
    line: block.line + source.getLineAndCharacterOfPosition(statement.getStart()).line,
    expected,
    actual: values[index],
  }))
}

const numberInText = /(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?!\w)/gi

/**
 * Whether two texts say the same: numbers up to rounding in single precision, everything else
 * exactly but for white space.
 */
export function agree(actual: string, expected: string, tolerance = 2e-5): boolean {
  const words = (text: string): string => text.replace(numberInText, '#').replace(/\s+/g, '')
  const numbers = (text: string): number[] =>
    [...text.matchAll(numberInText)].map(([n]) => Number(n))
  const wanted = numbers(expected)
  return (
    words(actual) === words(expected) &&
    numbers(actual).every((n, i) => Math.abs(n - wanted[i]) <= tolerance * Math.max(1, Math.abs(n)))
  )
}
