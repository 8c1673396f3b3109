import { readFile } from 'node:fs/promises'
import type { Options } from 'tsup'
import ts from 'typescript'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

/**
 * Tells bundlers that the constants of a module can be dropped when nobody uses them.
 *
 * The packages promise that importing a module does nothing. A bundler takes their word for modules
 * as a whole, but inside of a module that is used it must keep every call, `unary('sin', …)` too,
 * unless the call itself is marked as pure.
 */
export const pureConstants: Plugin = {
  name: 'pure constants',
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      return { contents: markConstants(path, text), loader: 'ts' }
    })
  },
}

function markConstants(path: string, text: string): string {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest)
  const constants = file.statements.filter((statement) => ts.isVariableStatement(statement))
  const starts = new Set(constants.flatMap((constant) => callsIn(constant, file)))
  const ends = [...starts].sort((a, b) => a - b)
  return [0, ...ends].map((start, i) => text.slice(start, ends[i])).join('/* @__PURE__ */ ')
}

/** Where the calls begin that evaluating the node makes. */
function callsIn(node: ts.Node, file: ts.SourceFile): readonly number[] {
  const isDeferred = ts.isFunctionLike(node) || ts.isClassLike(node) || ts.isTypeNode(node)
  if (isDeferred) return []
  const own = ts.isCallExpression(node) || ts.isNewExpression(node) ? [node.getStart(file)] : []
  const inside: number[] = []
  ts.forEachChild(node, (child) => {
    inside.push(...callsIn(child, file))
  })
  return [...own, ...inside]
}
