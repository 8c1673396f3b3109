/**
 * Gradient transformations: pairs of pure functions, after Optax
 * (https://optax.readthedocs.io/en/latest/api/transformations.html).
 *
 * An update is what gets *added* to the parameters. `chain` composes transformations and is a
 * monoid operation whose unit is `identity`.
 */
import { ArgumentError, type ArrayLike, NDArray, np, ShapeError, TreeError } from '@adjoint/core'
import { isFloating, tree } from '@adjoint/core/internal'
import type { Monoid } from 'fp-ts/lib/Monoid.js'

/** The state of a transformation: a tree that can be saved, mapped and donated, not taken apart. */
export type OptState = unknown

/** What some transformations want to know besides the gradients; the others pass it on. */
export interface ExtraArgs<P = unknown> {
  /** The loss at the parameters. */
  readonly value?: ArrayLike
  /** Its gradient there, before any transformation. */
  readonly grad?: P
  /** The loss as a function of the parameters, for line searches. */
  valueFn?(params: P): NDArray
  /** The same, for estimates of its Hessian. */
  objFn?(params: P): NDArray
  /** The gradient of the loss, for optimisers that take it at other parameters; `step` counts them. */
  gradFn?(params: P, step: number): P
  readonly [name: string]: unknown
}

export interface GradientTransformation {
  /** The state before the first update. */
  init<P>(params: P): OptState
  /** From gradients to updates, both trees like the parameters, and the next state. */
  update<P>(
    grads: P,
    state: OptState,
    params?: P,
    extra?: ExtraArgs<P>,
  ): [updates: P, state: OptState]
}

/** Numbers as arrays, and integers as float32, because an update of an integer is seldom one. */
function inexact(params: unknown): unknown {
  const { leaves, structure } = tree.flatten<ArrayLike>(params)
  const isFine = (leaf: ArrayLike): boolean => leaf instanceof NDArray && isFloating(leaf.dtype)
  if (leaves.every(isFine)) return params
  const converted = leaves.map((leaf) => (isFine(leaf) ? leaf : np.asarray(leaf).astype('float32')))
  return tree.unflatten(structure, converted)
}

const shapeOf = (leaf: ArrayLike): readonly number[] => (leaf instanceof NDArray ? leaf.shape : [])

/**
 * Refuses trees that do not belong together before anything is computed of them: leaves of other
 * shapes would broadcast.
 */
function requireAlike(
  op: string,
  names: { readonly expected: string; readonly actual: string },
  expected: unknown,
  actual: unknown,
): void {
  const [one, other] = [tree.flatten<ArrayLike>(expected), tree.flatten<ArrayLike>(actual)]
  tree.requireSameStructure(op, one.structure, other.structure, names)
  one.leaves.forEach((leaf, i) => {
    const [shape, own] = [shapeOf(leaf), shapeOf(other.leaves[i])]
    if (shape.length === own.length && shape.every((size, axis) => size === own[axis])) return
    throw new ShapeError({
      op,
      problem: `${names.expected} and ${names.actual} have different shapes`,
      operands: [
        { name: names.expected, aval: np.asarray(leaf).aval },
        { name: names.actual, aval: np.asarray(other.leaves[i]).aval },
      ],
      path: tree.structurePaths(one.structure)[i] || 'the root of the tree',
      rule: 'corresponding leaves have one shape',
    })
  })
}

const UPDATE = 'update(grads, state, params)'

/** Says what was called, where trees inside of a state do not fit the gradients. */
function asUpdate<Result>(update: () => Result): Result {
  try {
    return update()
  } catch (error) {
    if (!(error instanceof TreeError && error.op === 'tree.map')) throw error
    throw new TreeError({
      op: UPDATE,
      problem: 'the state does not fit the gradients',
      ...(error.path !== undefined && { path: error.path }),
      rule: 'the state is what init, or the last update, of this optimiser made of such parameters',
      cause: error,
    })
  }
}

/** A transformation whose state has a known shape inside and is opaque outside. */
export function transformation<S>(rules: {
  readonly init: (params: unknown) => S
  readonly update: (
    grads: unknown,
    state: S,
    params: unknown,
    extra: ExtraArgs,
  ) => readonly [updates: unknown, state: S]
}): GradientTransformation {
  return {
    init: (params) => rules.init(inexact(params)),
    update: <P>(grads: P, state: OptState, params?: P, extra: ExtraArgs<P> = {}): [P, OptState] => {
      if (params !== undefined) {
        requireAlike(UPDATE, { expected: 'params', actual: 'grads' }, params, grads)
      }
      const [updates, next] = asUpdate(() =>
        rules.update(inexact(grads), state as S, inexact(params), extra),
      )
      return [updates as P, next]
    },
  }
}

/**
 * A transformation without state, from a function of the updates, the parameters (where there are
 * any) and the extra arguments.
 *
 * @param update from trees like the parameters to another
 * @example
 * const halved = stateless((updates) => tree.map((u: NDArray) => np.multiply(u, 0.5), updates))
 * halved.update(np.array([1, 2]), halved.init(null))[0] // Array([0.5, 1. ], dtype=float32)
 */
export const stateless = (
  update: (grads: unknown, params: unknown, extra: ExtraArgs) => unknown,
): GradientTransformation =>
  transformation<null>({
    init: () => null,
    update: (grads, state, params, extra) => [update(grads, params, extra), state],
  })

/** Applies `f` to corresponding leaves of trees of equal structure. */
export const mapLeaves = (
  f: (leaf: NDArray, ...others: NDArray[]) => NDArray,
  first: unknown,
  ...rest: readonly unknown[]
): unknown => tree.map<unknown, NDArray, NDArray>(f, first, ...rest)

/** One tree or the other, leaf by leaf. */
export const selectTree = (condition: NDArray, yes: unknown, no: unknown): unknown =>
  mapLeaves((a, b) => np.where(condition, a, b).astype(b.dtype), yes, no)

/** The parameters, for transformations that cannot do without. */
export function requireParams(op: string, params: unknown): unknown {
  if (params === undefined) {
    throw new ArgumentError({
      op,
      problem: 'needs the parameters',
      hint: 'call update(grads, state, params)',
    })
  }
  return params
}

/** The extra arguments, of which some have to be there. */
export function requireExtra<Name extends keyof ExtraArgs & string>(
  op: string,
  extra: ExtraArgs,
  ...names: readonly Name[]
): ExtraArgs & Required<Pick<ExtraArgs, Name>> {
  const missing = names.find((name) => extra[name] === undefined)
  if (missing !== undefined) {
    throw new ArgumentError({
      op,
      problem: `needs the extra argument ${missing}`,
      hint: `call update(grads, state, params, { ${names.join(', ')} })`,
    })
  }
  return extra as ExtraArgs & Required<Pick<ExtraArgs, Name>>
}

const unchanged: GradientTransformation = {
  init: () => [],
  update: (grads, state) => [grads, state],
}

/**
 * Changes nothing: the unit of `chain`. Optax's `identity()`, a call of it, is the same.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * identity(x) // { init: [Function: init], update: [Function: update] }
 */
export const identity: GradientTransformation & (() => GradientTransformation) = Object.assign(
  () => unchanged,
  unchanged,
)

/**
 * Makes every update zero.
 *
 * @example
 * const t = setToZero()
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([0., 0.], dtype=float32)
 */
export const setToZero = (): GradientTransformation => stateless((grads) => zerosLike(grads))

export const zerosLike = (params: unknown): unknown => mapLeaves((p) => np.zerosLike(p), params)

/** Arrays of their own, so that they and the originals can both be donated to a compiled step. */
export const copies = (params: unknown): unknown =>
  mapLeaves((p) => np.multiply(p, 1).astype(p.dtype), params)

/**
 * One transformation after the other. The state is the list of their states.
 *
 * @example
 * const optimiser = chain(clipByGlobalNorm(1), adam(1e-3))
 */
export function chain(
  ...transformations: readonly GradientTransformation[]
): GradientTransformation {
  transformations.forEach(requireTransformation)
  return {
    init: (params) => transformations.map((t) => t.init(params)),
    update: <P>(grads: P, state: OptState, params?: P, extra?: ExtraArgs<P>): [P, OptState] => {
      const states = statesOf(state, transformations.length)
      let updates = grads
      const next = transformations.map((t, i) => {
        const [transformed, nextState] = t.update(updates, states[i], params, extra)
        updates = transformed
        return nextState
      })
      return [updates, next]
    },
  }
}

function requireTransformation(link: GradientTransformation, index: number): void {
  const given: unknown = link
  const isLink =
    given !== null &&
    given !== undefined &&
    typeof (given as { init?: unknown }).init === 'function'
  if (isLink) return
  throw new ArgumentError({
    op: 'chain(...transformations)',
    problem: `link ${index} is ${typeof given === 'function' ? 'a function' : `of type ${typeof given}`}, and no gradient transformation`,
    rule: 'a gradient transformation has init and update',
    hint: 'call what makes it: chain(clipByGlobalNorm(1), adam(1e-3))',
  })
}

/** The states of the links of a chain. */
function statesOf(state: OptState, links: number): readonly OptState[] {
  if (Array.isArray(state) && state.length === links) return state as readonly OptState[]
  throw new ArgumentError({
    op: UPDATE,
    problem: 'this is not a state of the optimiser',
    rule: 'the second argument is what init, or the last update, returned',
  })
}

/**
 * `chain` whose state is an object with a name for each link.
 *
 * @example
 * const t = namedChain({ clip: clip(1), descend: sgd(0.5) })
 * const grads = { w: np.array([3, 4], { dtype: 'float32' }), b: np.array(0.5) }
 * t.update(grads, t.init(grads))[0].w // Array([-0.5, -0.5], dtype=float32)
 */
export function namedChain(
  links: Readonly<Record<string, GradientTransformation>>,
): GradientTransformation {
  const names = Object.keys(links)
  const chained = chain(...Object.values(links))
  const named = (state: OptState): OptState =>
    Object.fromEntries((state as readonly OptState[]).map((s, i) => [names[i], s]))
  return {
    init: (params) => named(chained.init(params)),
    update: <P>(grads: P, state: OptState, params?: P, extra?: ExtraArgs<P>): [P, OptState] => {
      const states = state as Readonly<Record<string, OptState>>
      const [updates, next] = chained.update(
        grads,
        names.map((name) => states[name]),
        params,
        extra,
      )
      return [updates, named(next)]
    },
  }
}

/**
 * `chain` and `identity` as an fp-ts Monoid.
 *
 * @example
 * const both = monoid.concat(clip(1), sgd(0.5))
 * both.update(np.array([4, 0.5]), both.init(np.zeros([2])))[0]
 * // Array([-0.5 , -0.25], dtype=float32)
 */
export const monoid: Monoid<GradientTransformation> = {
  concat: (first, second) => chain(first, second),
  empty: identity,
}

/**
 * Parameters plus updates, leaf by leaf; each parameter keeps its dtype.
 *
 * @example
 * const optimiser = sgd(0.5)
 * const params = { w: np.ones([2]) }
 * const [updates] = optimiser.update({ w: np.ones([2]) }, optimiser.init(params), params)
 * applyUpdates(params, updates).w // Array([0.5, 0.5], dtype=float32)
 */
export function applyUpdates<P>(params: P, updates: P): P {
  const names = { expected: 'params', actual: 'updates' }
  requireAlike('applyUpdates(params, updates)', names, params, updates)
  const moved = (p: ArrayLike, u: ArrayLike): NDArray => {
    const sum = np.add(p, u)
    return p instanceof NDArray ? sum.astype(p.dtype) : sum
  }
  return tree.map<unknown, NDArray, ArrayLike>(moved, params, updates) as P
}

/**
 * `old + stepSize · (new − old)`: an exponential moving average of parameters.
 *
 * @example
 * incrementalUpdate({ w: np.ones([2]) }, { w: np.zeros([2]) }, 0.1).w
 * // Array([0.1, 0.1], dtype=float32)
 */
export function incrementalUpdate<P>(newTensors: P, oldTensors: P, stepSize: ArrayLike): P {
  return mapLeaves(
    (fresh, old) =>
      np
        .add(np.multiply(stepSize, fresh), np.multiply(np.subtract(1, stepSize), old))
        .astype(old.dtype),
    newTensors,
    oldTensors,
  ) as P
}

/**
 * The new parameters when `steps` is a multiple of `updatePeriod`, else the old ones.
 *
 * @example
 * periodicUpdate({ w: np.ones([2]) }, { w: np.zeros([2]) }, np.array(10), 5).w
 * // Array([1., 1.], dtype=float32)
 */
export function periodicUpdate<P>(
  newTensors: P,
  oldTensors: P,
  steps: ArrayLike,
  updatePeriod: ArrayLike,
): P {
  const due = np.equal(np.mod(steps, updatePeriod), 0)
  return mapLeaves((fresh, old) => np.where(due, fresh, old), newTensors, oldTensors) as P
}

/** ⟨a, b⟩ over all leaves. */
export function vdot(a: unknown, b: unknown): NDArray {
  const others = tree.leaves<NDArray>(b)
  return total(tree.leaves<NDArray>(a).map((leaf, i) => np.sum(np.multiply(leaf, others[i] ?? 0))))
}

export const total = (terms: readonly NDArray[]): NDArray => {
  const [first, ...rest] = terms
  return first === undefined ? np.zeros([]) : rest.reduce((sum, term) => np.add(sum, term), first)
}

/** The sum of the squares of all elements. */
export const squaredNorm = (updates: unknown): NDArray =>
  total(tree.leaves<NDArray>(updates).map((leaf) => np.sum(np.square(leaf))))

/**
 * The 2-norm of all leaves taken as one vector: a scalar.
 *
 * @example
 * globalNorm({ w: np.array([3, 4]), b: np.array(0) }) // Array(5., dtype=float32)
 */
export const globalNorm = (updates: unknown): NDArray => np.sqrt(squaredNorm(updates))
