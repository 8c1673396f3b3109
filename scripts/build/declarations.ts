import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { entryPoints } from './modules'

/** How a relative import ends where a module system does not guess: per kind of declaration file. */
const formats = [
  { declarations: '.d.ts', imports: '.js' },
  { declarations: '.d.cts', imports: '.cjs' },
]

/**
 * Writes the declarations of a package, file by file, for ESM and for CommonJS.
 *
 * They are not rolled up into one file per entry point: a roll-up either declares the classes that
 * the entry points share twice, and then `NDArray` is not `NDArray`, or splits them off, and then it
 * takes the types inside namespaces (`export * as np`) for values.
 */
export function writeDeclarations(packageFolder: string): void {
  const source = resolve(packageFolder, 'src')
  const program = openProgram(packageFolder, source)
  refuse(ts.getPreEmitDiagnostics(program))
  const own = program.getSourceFiles().filter((file) => file.fileName.startsWith(`${source}/`))
  for (const file of own) {
    const text = declarationsOf(program, file)
    const stem = join(packageFolder, 'dist', relative(source, file.fileName).replace(/\.ts$/, ''))
    mkdirSync(dirname(stem), { recursive: true })
    for (const { declarations, imports } of formats) {
      const complete = completeImports(text, dirname(file.fileName), imports)
      writeFileSync(stem + declarations, complete)
    }
  }
}

function openProgram(packageFolder: string, source: string): ts.Program {
  const configuration = ts.getParsedCommandLineOfConfigFile(
    join(packageFolder, 'tsconfig.json'),
    { noEmit: false, declaration: true, emitDeclarationOnly: true },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => refuse([diagnostic]) },
  )
  return ts.createProgram(entryPoints(source), configuration?.options ?? {})
}

function declarationsOf(program: ts.Program, file: ts.SourceFile): string {
  let declarations = ''
  const { diagnostics } = program.emit(file, (_, text) => (declarations = text), undefined, true)
  refuse(diagnostics)
  return declarations
}

/** Gives relative imports the ending without which Node's resolution does not find them. */
function completeImports(text: string, folder: string, ending: string): string {
  return text.replace(
    /(\bfrom |\bimport\(|\bimport )(['"])(\.\.?\/[^'"]*)\2/g,
    (_, head, quote, path) => {
      const isFile = existsSync(resolve(folder, `${path}.ts`))
      return `${head}${quote}${path}${isFile ? '' : '/index'}${ending}${quote}`
    },
  )
}

function refuse(diagnostics: readonly ts.Diagnostic[]): void {
  if (diagnostics.length === 0) return
  throw new Error(
    ts.formatDiagnostics(diagnostics, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: ts.sys.getCurrentDirectory,
      getNewLine: () => '\n',
    }),
  )
}
