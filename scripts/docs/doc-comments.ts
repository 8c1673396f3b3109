/** The examples in the doc comments of the packages' sources, as programs. */
import { readdirSync, readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import ts from 'typescript'
import { type CodeBlock, root } from './code-blocks'

const sources = (folder: string): string[] =>
  readdirSync(resolve(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => name.endsWith('.ts') && !/\.(test|test-d|fixture|samples|bench)\.ts$/.test(name),
    )
    .map((name) => `${folder}/${name}`)

/** What a comment says behind `@example`, without the stars. */
function examplesIn(page: string): CodeBlock[] {
  const path = resolve(root, page)
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true)
  const blocks: CodeBlock[] = []
  const visit = (node: ts.Node): void => {
    for (const tag of ts.getJSDocTags(node)) {
      // A tag of a declaration is found from its parts as well.
      if (tag.parent.parent !== node || tag.tagName.text !== 'example') continue
      const code = ts.getTextOfJSDocComment(tag.comment) ?? ''
      const line = source.getLineAndCharacterOfPosition(tag.getStart()).line + 2
      const title = ts.isVariableStatement(node)
        ? node.declarationList.declarations[0]?.name.getText()
        : (node as ts.NamedDeclaration).name?.getText()
      blocks.push({ page: relative(root, path), line, title: title ?? '', code, device: null })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return blocks
}

/** Names that a program declares itself. */
function declared(code: string): ReadonlySet<string> {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (
      ts.isBindingElement(node) ||
      ts.isVariableDeclaration(node) ||
      ts.isFunctionDeclaration(node)
    ) {
      if (node.name && ts.isIdentifier(node.name)) names.add(node.name.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('block.ts', code, ts.ScriptTarget.ES2022, true))
  return names
}

/** Comments leave out the imports: every public name that they use is there. */
export function withImports(
  block: CodeBlock,
  modules: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
): CodeBlock {
  const own = declared(block.code)
  const words = new Set(block.code.match(/[A-Za-z_$][\w$]*/g))
  const taken = new Set(own)
  const imports = [...modules].flatMap(([specifier, names]) => {
    const used = Object.keys(names).filter((name) => words.has(name) && !taken.has(name))
    used.forEach((name) => taken.add(name))
    return used.length === 0 ? [] : [`import { ${used.join(', ')} } from '${specifier}'`]
  })
  // One line more or less would make the lines in messages wrong.
  return { ...block, code: `${imports.join(';')};${block.code}` }
}

/** All examples of a package. */
export const docExamples = (name: string): CodeBlock[] =>
  sources(`packages/${name}/src`).flatMap(examplesIn)
