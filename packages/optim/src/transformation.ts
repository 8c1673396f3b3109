/**
 * Gradient transformations: pairs of pure functions, after Optax
 * (https://optax.readthedocs.io/en/latest/api/transformations.html).
 *
 * An update is what gets *added* to the parameters. `chain` composes transformations and is a
 * monoid operation whose unit is `identity`.
 */
import { np, tree, type NDArray } from '@adjoint/core'
import type { Monoid } from 'fp-ts/lib/Monoid.js'

/** The state of a transformation: a tree that can be saved, mapped and donated, not taken apart. */
export type OptState = unknown

export interface GradientTransformation {
  /** The state before the first update. */
  init<P>(params: P): OptState
  /** From gradients to updates, both trees like the parameters, and the next state. */
  update<P>(grads: P, state: OptState, params?: P): [updates: P, state: OptState]
}

/** A transformation whose state has a known shape inside and is opaque outside. */
export function transformation<S>(rules: {
  readonly init: (params: unknown) => S
  readonly update: (
    grads: unknown,
    state: S,
    params: unknown,
  ) => readonly [updates: unknown, state: S]
}): GradientTransformation {
  return {
    init: (params) => rules.init(params),
    update: <P>(grads: P, state: OptState, params?: P): [P, OptState] => {
      const [updates, next] = rules.update(grads, state as S, params)
      return [updates as P, next]
    },
  }
}

/** A transformation without state. */
export const stateless = (
  update: (grads: unknown, params: unknown) => unknown,
): GradientTransformation =>
  transformation<null>({
    init: () => null,
    update: (grads, state, params) => [update(grads, params), state],
  })

/** Applies `f` to corresponding leaves of trees of equal structure. */
export const mapLeaves = (
  f: (leaf: NDArray, ...others: NDArray[]) => NDArray,
  first: unknown,
  ...rest: readonly unknown[]
): unknown => tree.map<unknown, NDArray, NDArray>(f, first, ...rest)

/** Changes nothing: the unit of `chain`. */
export const identity: GradientTransformation = {
  init: () => [],
  update: (grads, state) => [grads, state],
}

/**
 * One transformation after the other. The state is the list of their states.
 *
 * @example
 * const optimiser = chain(clipByGlobalNorm(1), adam(1e-3))
 */
export function chain(
  ...transformations: readonly GradientTransformation[]
): GradientTransformation {
  return {
    init: (params) => transformations.map((t) => t.init(params)),
    update: <P>(grads: P, state: OptState, params?: P): [P, OptState] => {
      const states = state as readonly OptState[]
      let updates = grads
      const next = transformations.map((t, i) => {
        const [transformed, nextState] = t.update(updates, states[i], params)
        updates = transformed
        return nextState
      })
      return [updates, next]
    },
  }
}

/** `chain` and `identity` as an fp-ts Monoid. */
export const monoid: Monoid<GradientTransformation> = {
  concat: (first, second) => chain(first, second),
  empty: identity,
}

/**
 * Parameters plus updates, leaf by leaf; each parameter keeps its dtype.
 *
 * @example
 * const [updates, next] = optimiser.update(grads, state, params)
 * params = applyUpdates(params, updates)
 */
export function applyUpdates<P>(params: P, updates: P): P {
  return mapLeaves((p, u) => np.add(p, u).astype(p.dtype), params, updates) as P
}

/** The 2-norm of all leaves taken as one vector: a scalar. */
export function globalNorm(updates: unknown): NDArray {
  const squares = tree.leaves<NDArray>(updates).map((leaf) => np.sum(np.square(leaf)))
  return np.sqrt(squares.reduce((sum, s) => np.add(sum, s), np.zeros([])))
}
