/**
 * Different treatment for different parameters: by a tree of booleans or labels, or by what a
 * function says of each parameter and its path.
 *
 * A masked-out leaf is `null` to the inner transformation, so its state has no place for it.
 */
import { ArgumentError, tree, TreeError, type NDArray } from '@adjoint/core'
import {
  type ExtraArgs,
  type GradientTransformation,
  type OptState,
  setToZero,
} from './transformation'

/** A tree that says something of each leaf of another tree; one leaf may speak for a whole branch. */
export type Prefix<Leaf> = Leaf | readonly Prefix<Leaf>[] | { readonly [key: string]: Prefix<Leaf> }

/** Which leaves are meant: a tree of booleans, or a function that makes one from the parameters. */
export type MaskOrFn = Prefix<boolean> | ((params: unknown) => unknown)

/** Which label each leaf has. */
export type LabelsOrFn = Prefix<string> | ((params: unknown) => unknown)

/**
 * A function from parameters to a tree of what `say` tells of each leaf and its path, for masks and
 * labels. A regular expression says whether the path matches.
 *
 * @param say paths look like `.layers[1].weight`
 * @example
 * addDecayedWeights(1e-4, { mask: byPath(/weight$/) })
 * partition({ fast: adam(1e-2), slow: adam(1e-4) }, byPath((path) => path.startsWith('.head') ? 'fast' : 'slow'))
 */
export function byPath(say: RegExp): (params: unknown) => unknown
export function byPath<Said extends boolean | string>(
  say: (path: string, leaf: NDArray) => Said,
): (params: unknown) => unknown
export function byPath(
  say: RegExp | ((path: string, leaf: NDArray) => boolean | string),
): (params: unknown) => unknown {
  const answer =
    say instanceof RegExp ? (path: string) => new RegExp(say, say.flags).test(path) : say
  return (params) => tree.mapWithPath<unknown, boolean | string, NDArray>(answer, params)
}

/** What a prefix says of each leaf of `params`, in the order of the leaves. */
function spread(op: string, said: unknown, params: unknown): unknown[] {
  const prefix = typeof said === 'function' ? (said as (params: unknown) => unknown)(params) : said
  const byPlace = new Map<string, unknown>()
  const places = tree.paths(prefix)
  tree.leaves(prefix).forEach((leaf, i) => byPlace.set(places[i] ?? '', leaf))
  return tree.paths(params).map((path) => {
    // The leaf itself, or the nearest branch that it grows on.
    for (let place = path; ; place = parent(place)) {
      if (byPlace.has(place)) return byPlace.get(place)
      if (place === '') throw unsaid(op, path)
    }
  })
}

const parent = (path: string): string =>
  path.replace(/(?:\.[\w$]+|\[(?:\d+|"(?:[^"\\]|\\.)*")\])$/, '')

const unsaid = (op: string, path: string): TreeError =>
  new TreeError({
    op,
    problem: 'nothing is said of this parameter',
    path,
    rule: 'masks and labels have a leaf for each parameter, or for a branch that it grows on',
    hint: 'byPath makes masks and labels from a function of path and leaf',
  })

function maskOf(op: string, mask: MaskOrFn, params: unknown): boolean[] {
  return spread(op, mask, params).map((said, i) => {
    if (typeof said === 'boolean') return said
    throw new ArgumentError({
      op,
      problem: `the mask of ${tree.paths(params)[i]} is ${String(said)}`,
      rule: 'a mask says true or false of each parameter',
    })
  })
}

const keepWhere = (mask: readonly boolean[], params: unknown): unknown => {
  const { leaves, structure } = tree.flatten(params)
  return tree.unflatten(
    structure,
    leaves.map((leaf, i) => (mask[i] ? leaf : null)),
  )
}

/**
 * Applies `inner` where the mask is true and lets the other updates through as they are.
 *
 * @example
 * masked(addDecayedWeights(1e-4), byPath(/weight$/))
 */
export function masked(inner: GradientTransformation, mask: MaskOrFn): GradientTransformation {
  return {
    init: (params) => inner.init(keepWhere(maskOf('masked', mask, params), params)),
    update: <P>(grads: P, state: OptState, params?: P, extra?: ExtraArgs<P>): [P, OptState] => {
      const which = maskOf('masked', mask, grads)
      const [updates, next] = inner.update(
        keepWhere(which, grads),
        state,
        params === undefined ? undefined : keepWhere(which, params),
        extra,
      )
      const { leaves, structure } = tree.flatten(grads)
      const changed = tree.leaves(updates)
      let taken = 0
      const merged = leaves.map((leaf, i) => (which[i] ? changed[taken++] : leaf))
      return [tree.unflatten(structure, merged) as P, next]
    },
  }
}

/**
 * A transformation for each label. The state is an object of their states.
 *
 * @param paramLabels a tree of labels (a label may stand for a branch), or a function that makes one
 * @example
 * partition({ train: adam(1e-3), frozen: setToZero() }, { encoder: 'frozen', head: 'train' })
 */
export function partition(
  transforms: Readonly<Record<string, GradientTransformation>>,
  paramLabels: LabelsOrFn,
): GradientTransformation {
  const labelsOf = (params: unknown): string[] =>
    spread('partition', paramLabels, params).map((label, i) => {
      if (typeof label === 'string' && Object.hasOwn(transforms, label)) return label
      throw new ArgumentError({
        op: 'partition',
        problem: `${tree.paths(params)[i] || 'the parameter'} is labelled ${String(label)}`,
        rule: `the labels are ${Object.keys(transforms).join(', ')}`,
      })
    })
  /** Each label's transformation, and the mask of its parameters. */
  const parts = (params: unknown): [string, GradientTransformation][] => {
    const labels = labelsOf(params)
    return Object.entries(transforms).map(([label, inner]) => {
      const which = labels.map((l) => l === label)
      const mask = (like: unknown): unknown => tree.unflatten(tree.structure(like), which)
      return [label, masked(inner, mask)]
    })
  }
  return {
    init: (params) =>
      Object.fromEntries(parts(params).map(([label, part]) => [label, part.init(params)])),
    update: <P>(grads: P, state: OptState, params?: P, extra?: ExtraArgs<P>): [P, OptState] => {
      const states = state as Readonly<Record<string, OptState>>
      let updates = grads
      const next = parts(grads).map(([label, part]): [string, OptState] => {
        const [changed, nextState] = part.update(updates, states[label], params, extra)
        updates = changed
        return [label, nextState]
      })
      return [updates, Object.fromEntries(next)]
    },
  }
}

/**
 * Makes the updates zero where the mask is true.
 *
 * @example
 * const t = freeze({ w: true, b: false })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0]
 * // {
 * //   b: Array(0.5, dtype=float32, weak_type=True),
 * //   w: Array([0., 0.], dtype=float32)
 * // }
 */
export const freeze = (mask: MaskOrFn): GradientTransformation => masked(setToZero(), mask)

/**
 * Applies `optimiser` where the mask is false, and makes the updates zero where it is true.
 *
 * @example
 * const t = selectiveTransform(sgd(1), { freezeMask: { w: true, b: false } })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0]
 * // { b: Array(-0.5, dtype=float32), w: Array([0., 0.], dtype=float32) }
 */
export const selectiveTransform = (
  optimiser: GradientTransformation,
  options: { readonly freezeMask: MaskOrFn },
): GradientTransformation =>
  partition({ train: optimiser, freeze: setToZero() }, (params: unknown) =>
    tree.unflatten(
      tree.structure(params),
      maskOf('selectiveTransform', options.freezeMask, params).map((frozen) =>
        frozen ? 'freeze' : 'train',
      ),
    ),
  )
