/** Parts of a tree by the names of their leaves: `layers.0.weight`. */
import { ArgumentError, type NDArray, tree } from '@adjoint/core'
import { stopGradient } from '@adjoint/transforms'
import { leafNames, namedLeaves } from './leaf-names'

/**
 * Which leaves are meant. In a string, `*` stands for any part of one step of the path and `**` for
 * any number of steps; a pattern that names a node means all leaves below it. A regular expression
 * is searched for in the name, a function is asked, and of a list one must match.
 *
 * @example
 * const patterns = [
 *   'encoder', // everything below encoder
 *   'layers.*.weight', // the weights of all layers
 *   '**.bias', // biases, however deep
 * ]
 */
export type PathPattern = string | RegExp | ((path: string) => boolean) | readonly PathPattern[]

/**
 * Whether a pattern means the leaf of a name.
 *
 * @example
 * matchesPath('layers.*.weight', 'layers.0.weight') // true
 */
export function matchesPath(pattern: PathPattern, name: string): boolean {
  if (typeof pattern === 'function') return pattern(name)
  if (pattern instanceof RegExp) return name.search(pattern) >= 0
  if (typeof pattern === 'string') return expressionOf(pattern).test(`${name}.`)
  return pattern.some((each) => matchesPath(each, name))
}

const expressions = new Map<string, RegExp>()

/** Tests names with a dot at their end, so that every step of a pattern ends in one. */
function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern)
  if (known) return known
  const steps = pattern.split('.').map((step) => {
    if (step === '**') return String.raw`(?:[^.]*\.)*`
    const parts = step.split('*').map((part) => part.replace(/[\\^$+?()[\]{}|/]/g, String.raw`\$&`))
    return parts.join('[^.]*') + String.raw`\.`
  })
  const expression = new RegExp(`^${steps.join('')}`)
  expressions.set(pattern, expression)
  return expression
}

/** Whether each of these leaves is meant; refuses a pattern that means none, for it is misspelt. */
function matches(op: string, pattern: PathPattern, names: readonly string[]): boolean[] {
  const each = Array.isArray(pattern) ? (pattern as readonly PathPattern[]) : [pattern]
  for (const one of each) {
    if (names.some((name) => matchesPath(one, name))) continue
    const shown = names.slice(0, 8).join(', ')
    throw new ArgumentError({
      op,
      problem: `no leaf matches ${typeof one === 'string' ? `'${one}'` : String(one)}`,
      rule: `the leaves are ${shown}${names.length > 8 ? `, … (${names.length})` : ''}`,
      hint: '* stands for one step of a path, ** for any number of steps',
    })
  }
  return names.map((name) => matchesPath(pattern, name))
}

/** A tree of booleans. */
export type Mask<T> = ReturnType<typeof tree.map<T, boolean, NDArray>>

/**
 * Which leaves a pattern means, as a tree of booleans: what masks of optimisers are.
 *
 * @throws ArgumentError when the pattern means none
 * @example
 * const params = { weight: np.ones([2]), bias: np.ones([2]) }
 * pathMask(params, '**.weight') // { bias: false, weight: true }
 * optim.adamw(1e-3, { mask: pathMask(params, '**.weight') })
 */
export function pathMask<T>(params: T, pattern: PathPattern): Mask<T> {
  const structure = tree.structure(params)
  return tree.unflatten(structure, matches('pathMask', pattern, leafNames(structure))) as Mask<T>
}

/**
 * The same parameters, of which those that a pattern means are constants: no gradient reaches them.
 *
 * An optimiser that decays weights still changes them: mask it, or train only what `pickPaths` picks.
 *
 * @param params a tree of arrays
 * @param pattern for example `'encoder'` or `'layers.*.weight'`
 * @throws ArgumentError when the pattern means no leaf
 * @example
 * const params = { encoder: np.ones([2]), head: np.ones([2]) }
 * const loss = (p: typeof params): NDArray => {
 *   const { encoder, head } = freeze(p, 'encoder')
 *   return np.dot(encoder, head)
 * }
 * grad(loss)(params).encoder // Array([0., 0.], dtype=float32)
 */
export function freeze<T>(params: T, pattern: PathPattern): T {
  const { leaves, names, structure } = namedLeaves(params)
  const frozen = matches('freeze', pattern, names)
  return tree.unflatten(
    structure,
    leaves.map((leaf, i) => (frozen[i] ? stopGradient(leaf) : leaf)),
  ) as T
}

/** Some leaves of a tree by their names. */
export type PickedLeaves = Readonly<Record<string, NDArray>>

/**
 * The leaves that a pattern means, by name: a tree of its own, to be trained or saved alone.
 *
 * @throws ArgumentError when the pattern means none
 * @example
 * const params = { encoder: np.ones([2]), head: np.ones([2]) }
 * const loss = ({ encoder, head }: typeof params): NDArray => np.dot(encoder, head)
 * const head = pickPaths(params, 'head')
 * grad((picked: PickedLeaves) => loss(placePaths(params, picked)))(head)
 * // { head: Array([1., 1.], dtype=float32) }
 */
export function pickPaths(params: unknown, pattern: PathPattern): PickedLeaves {
  const { leaves, names } = namedLeaves(params)
  const picked = matches('pickPaths', pattern, names)
  return Object.fromEntries(leaves.flatMap((leaf, i) => (picked[i] ? [[names[i], leaf]] : [])))
}

/**
 * The tree with other leaves in the places that are named; the rest is as it was.
 *
 * @throws ArgumentError when the tree has no place of a name
 * @example
 * placePaths({ a: np.zeros([1]), b: np.zeros([1]) }, { b: np.ones([1]) }).b
 * // Array([1.], dtype=float32)
 */
export function placePaths<T>(params: T, picked: PickedLeaves): T {
  const { leaves, names, structure } = namedLeaves(params)
  const known = new Set(names)
  const unknown = Object.keys(picked).find((name) => !known.has(name))
  if (unknown !== undefined) {
    throw new ArgumentError({
      op: 'placePaths',
      problem: `the tree has no leaf ${unknown}`,
      hint: 'it takes what pickPaths picked from a tree of the same structure',
    })
  }
  const placed = leaves.map((leaf, i) =>
    Object.hasOwn(picked, names[i]) ? picked[names[i]] : leaf,
  )
  return tree.unflatten(structure, placed) as T
}
