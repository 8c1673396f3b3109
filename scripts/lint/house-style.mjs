/**
 * The rules of the house that no ready-made plugin has. See CONTRIBUTING.md.
 */

const vagueName = /^(utils?|helpers?|misc|common)(\.test|\.test-d|\.bench)?\.[cm]?[jt]sx?$/

const noDoubleCast = {
  meta: {
    type: 'problem',
    docs: { description: 'Refuse `x as unknown as T`: it switches the type checker off.' },
    messages: { doubleCast: 'A cast through unknown hides a wrong type: fix the type instead.' },
  },
  create: (context) => ({
    TSAsExpression(node) {
      const inner = node.expression
      const type = inner.type === 'TSAsExpression' ? inner.typeAnnotation.type : undefined
      if (type === 'TSUnknownKeyword' || type === 'TSAnyKeyword') {
        context.report({ node, messageId: 'doubleCast' })
      }
    },
  }),
}

const noVagueFileNames = {
  meta: {
    type: 'suggestion',
    docs: { description: 'Files are named after the concept that they hold.' },
    messages: { vague: '{{name}} is named after nothing: name it after the concept it holds.' },
  },
  create: (context) => ({
    Program(node) {
      const name = context.filename.split(/[\\/]/).at(-1)
      if (vagueName.test(name)) context.report({ node, messageId: 'vague', data: { name } })
    },
  }),
}

/** What is wrong with an import of `source`, or undefined. */
function importComplaint(source) {
  // fp-ts/HKT.js has types only; it is the name under which its registry of types is augmented.
  const isFpTs = /^fp-ts(\/|$)/.test(source)
  if (isFpTs && !/^fp-ts\/(lib\/[A-Za-z]+|HKT)\.js$/.test(source)) return 'fpTs'
  if (/^\.{1,2}\/.*\.(js|ts)$/.test(source)) return 'extension'
  return undefined
}

const importForm = {
  meta: {
    type: 'problem',
    docs: { description: 'One form for imports of fp-ts and of neighbouring files.' },
    messages: {
      fpTs: "Write 'fp-ts/lib/Either.js': the only form that Node resolves as ESM and as CommonJS.",
      extension: 'Relative imports carry no extension.',
    },
  },
  create: (context) => {
    // Scripts run in Node without a bundler, which wants the extension.
    if (!/[\\/]packages[\\/][^\\/]+[\\/]src[\\/]/.test(context.filename)) return {}
    const check = (node) => {
      const messageId = node.source && importComplaint(node.source.value)
      if (messageId) context.report({ node: node.source, messageId })
    }
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
    }
  },
}

export default {
  meta: { name: 'house-style' },
  rules: {
    'import-form': importForm,
    'no-double-cast': noDoubleCast,
    'no-vague-file-names': noVagueFileNames,
  },
}
