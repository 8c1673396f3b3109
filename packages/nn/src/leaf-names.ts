/**
 * Names of the leaves of a tree, as weight files and path patterns write them: `layers.0.weight`.
 * They are PyTorch's and Flax's, so that files can be exchanged with Python.
 */
import { type NDArray, tree } from '@adjoint/core'

/** What a lone leaf is called, which has no path. */
export const LONE_LEAF = 'value'

/** Steps to every leaf, in the order of the leaves. */
export function leafSteps(structure: tree.TreeStructure): readonly (readonly string[])[] {
  const result: (readonly string[])[] = []
  const visit = (node: tree.TreeStructure, steps: readonly string[]): void => {
    switch (node.kind) {
      case 'leaf':
        result.push(steps)
        return
      case 'none':
        return
      case 'tuple':
        node.children.forEach((child, i) => visit(child, [...steps, String(i)]))
        return
      default:
        node.children.forEach((child, i) => visit(child, [...steps, node.keys[i] ?? '']))
    }
  }
  visit(structure, [])
  return result
}

/** The name of every leaf, in the order of the leaves. */
export const leafNames = (structure: tree.TreeStructure): readonly string[] =>
  leafSteps(structure).map((steps) => steps.join('.') || LONE_LEAF)

/** A tree of arrays with the name of each. */
export interface NamedLeaves {
  readonly leaves: readonly NDArray[]
  readonly names: readonly string[]
  readonly structure: tree.TreeStructure
}

export function namedLeaves(value: unknown): NamedLeaves {
  const { leaves, structure } = tree.flatten<NDArray>(value)
  return { leaves, names: leafNames(structure), structure }
}
