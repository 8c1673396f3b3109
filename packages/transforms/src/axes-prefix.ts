/** Axis specifications of vmap: one axis for a whole subtree, or a tree of them. */
import { ArgumentError, type BatchDim, type tree } from '@adjoint/core/internal'

/** An axis for every leaf, null for leaves that are not mapped, or a tree of these. */
export type AxisSpec = number | null | readonly AxisSpec[] | { readonly [key: string]: AxisSpec }

/** One axis per leaf of a tree of this structure. `root` and `rootSpec` name the two in errors. */
export function axesOfLeaves(
  op: string,
  spec: unknown,
  structure: tree.TreeStructure,
  root: string,
  rootSpec: string,
): BatchDim[] {
  const axes: BatchDim[] = []
  const visit = (s: unknown, node: tree.TreeStructure, path: string, specPath: string): void => {
    if (s === null || typeof s === 'number') {
      if (s !== null && !Number.isInteger(s))
        throw mismatch(op, path, specPath, `${s} is not an axis`)
      for (let i = 0; i < node.size; i++) axes.push(s)
      return
    }
    if (node.kind === 'none') return
    if (Array.isArray(s) && node.kind === 'tuple') {
      if (s.length !== node.children.length) {
        const counts = `${s.length} entries for ${node.children.length} elements`
        throw mismatch(op, path, specPath, counts)
      }
      node.children.forEach((child, i) => visit(s[i], child, `${path}[${i}]`, `${specPath}[${i}]`))
      return
    }
    if (
      typeof s === 'object' &&
      !Array.isArray(s) &&
      (node.kind === 'dict' || node.kind === 'class')
    ) {
      const record = s as Readonly<Record<string, unknown>>
      const extra = Object.keys(record).find((key) => !node.keys.includes(key))
      if (extra !== undefined) {
        throw mismatch(op, path, specPath, `it names ${extra}, which is not there`)
      }
      node.children.forEach((child, i) => {
        const key = node.keys[i]
        if (!Object.hasOwn(record, key)) {
          throw mismatch(op, path, specPath, `it has no entry for ${key}`)
        }
        visit(record[key], child, `${path}.${key}`, `${specPath}.${key}`)
      })
      return
    }
    throw mismatch(op, path, specPath, 'it has another structure')
  }
  visit(spec, structure, root, rootSpec)
  return axes
}

const mismatch = (op: string, path: string, specPath: string, problem: string): ArgumentError =>
  new ArgumentError({
    op,
    problem: `${specPath} does not fit ${path}: ${problem}`,
    path: specPath,
    rule: 'an axis specification is an integer, null, or a tree of them shaped like the values',
  })
