/** Layers made of layers: sums, branches and deep stacks. */
import { ArgumentError, np, random, ShapeError, tree, type Key, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { checkpoint, scan, vmap } from '@adjoint/transforms'
import {
  type AnyLayer,
  type CacheOptions,
  contextOf,
  type Layer,
  type ParamsOf,
  requireLayer,
  type StateOf,
} from './layer'

export interface ResidualParams<Body, Shortcut> {
  readonly body: Body
  readonly shortcut: Shortcut
}

/**
 * `shortcut(x) + body(x)`; without a shortcut `x + body(x)`. He et al. 2016.
 *
 * @param shortcut a projection, where the body changes the shape
 * @throws ShapeError when the two do not have the same shape
 * @example
 * const layer = residual(linear(4, 8), linear(4, 8))
 * layer.apply(layer.init(random.key(0)), np.ones([4]))[0].shape // [ 8 ]
 */
export function residual<Body extends AnyLayer>(body: Body): Layer<ParamsOf<Body>, StateOf<Body>>
export function residual<Body extends AnyLayer, Shortcut extends AnyLayer>(
  body: Body,
  shortcut: Shortcut,
): Layer<
  ResidualParams<ParamsOf<Body>, ParamsOf<Shortcut>>,
  ResidualParams<StateOf<Body>, StateOf<Shortcut>>
>
export function residual(
  body: Layer<unknown, unknown>,
  shortcut?: Layer<unknown, unknown>,
): object {
  requireLayer('residual(body, shortcut)', body, 'the body')
  if (shortcut) {
    requireLayer('residual(body, shortcut)', shortcut, 'the shortcut')
    return withShortcut(body, shortcut)
  }
  return {
    ...body,
    apply: (variables, x, context) => {
      const [y, state] = body.apply(variables, x, context)
      return [added(x, y), state]
    },
  } satisfies Layer<unknown, unknown>
}

function withShortcut<P, S, ShortcutP, ShortcutS>(
  body: Layer<P, S>,
  shortcut: Layer<ShortcutP, ShortcutS>,
): Layer<ResidualParams<P, ShortcutP>, ResidualParams<S, ShortcutS>> {
  return {
    init: (key) => {
      const [bodyKey, shortcutKey] = random.split(key)
      const [own, other] = [body.init(bodyKey), shortcut.init(shortcutKey)]
      return {
        params: { body: own.params, shortcut: other.params },
        state: { body: own.state, shortcut: other.state },
      }
    },
    apply: ({ params, state }, x, context = {}) => {
      const [y, bodyState] = body.apply(
        { params: params.body, state: state.body },
        x,
        contextOf(context, 0),
      )
      const [through, shortcutState] = shortcut.apply(
        { params: params.shortcut, state: state.shortcut },
        x,
        contextOf(context, 1),
      )
      return [added(through, y), { body: bodyState, shortcut: shortcutState }]
    },
    withCache: (state, options) => ({
      body: body.withCache?.(state.body, options) ?? state.body,
      shortcut: shortcut.withCache?.(state.shortcut, options) ?? state.shortcut,
    }),
  }
}

function added(x: NDArray, y: NDArray): NDArray {
  if (x.ndim === y.ndim && x.shape.every((n, i) => n === y.shape[i])) return np.add(x, y)
  throw new ShapeError({
    op: 'residual(body)',
    problem: 'the body changes the shape',
    operands: [
      { name: 'x', aval: x.aval, note: 'what goes around the body' },
      { name: 'body(x)', aval: y.aval },
    ],
    rule: 'both have one shape',
    hint: 'residual(body, shortcut) with a shortcut that changes it in the same way',
  })
}

type Combine = (outputs: readonly NDArray[]) => NDArray

const concatenated: Combine = (outputs) => np.concatenate(outputs, -1)

/**
 * Layers side by side on the same input. Parameters and state are tuples, one entry per layer.
 *
 * @param layers the branches
 * @param combine makes one result of the branches' results; joins their last axes unless given
 * @example
 * const wide = parallel([linear(4, 8), sequential(linear(4, 2), activation(relu))])
 * wide.apply(wide.init(random.key(0)), np.ones([5, 4]))[0].shape // [ 5, 10 ]
 */
export function parallel<const Layers extends readonly AnyLayer[]>(
  layers: Layers,
  combine: Combine = concatenated,
): Layer<
  { [I in keyof Layers]: ParamsOf<Layers[I]> },
  { [I in keyof Layers]: StateOf<Layers[I]> }
> {
  type P = { [I in keyof Layers]: ParamsOf<Layers[I]> }
  type S = { [I in keyof Layers]: StateOf<Layers[I]> }
  layers.forEach((layer, i) => requireLayer('parallel(layers)', layer, `layer ${i}`))
  return {
    init: (key) => {
      const variables = layers.map((layer, i) => layer.init(random.foldIn(key, i)))
      return {
        params: variables.map((v) => v.params) as P,
        state: variables.map((v) => v.state) as S,
      }
    },
    apply: ({ params, state }, x, context = {}) => {
      const results = layers.map((layer, i) =>
        layer.apply(
          { params: params[i] as never, state: state[i] as never },
          x,
          contextOf(context, i),
        ),
      )
      return [combine(results.map(([y]) => y)), results.map(([, next]) => next) as S]
    },
    withCache: (state, options) =>
      layers.map((layer, i) =>
        layer.withCache ? layer.withCache(state[i] as never, options) : state[i],
      ) as S,
  }
}

export interface RepeatOptions {
  /** Compute what a layer holds for its derivative again instead of keeping it. Chen et al. 2016. */
  readonly remat?: boolean
  /** How many layers a compiler may write out together. */
  readonly unroll?: number
}

/**
 * `count` layers of one kind in sequence, each with parameters of its own, as one loop: compiling a
 * deep stack takes as long as compiling one layer. Parameters and state are those of the layer with
 * a leading axis of length `count`.
 *
 * @param layer has an output of the shape of its input
 * @throws ShapeError when the layer changes the shape
 * @example
 * const stack = repeat(sequential(linear(4, 4), activation(relu)), 10)
 * const { params } = stack.init(random.key(0))
 * params[0].weight.shape // [ 10, 4, 4 ]
 */
export function repeat<P, S>(
  layer: Layer<P, S>,
  count: number,
  options: RepeatOptions = {},
): Layer<P, S> {
  requireLayer('repeat(layer, count)', layer, 'the layer')
  if (!Number.isInteger(count) || count < 1) {
    throw new ArgumentError({
      op: 'repeat(layer, count)',
      problem: `${count} is not a number of layers`,
      rule: 'count is a positive integer',
    })
  }
  const { remat = false, unroll } = checkOptions('repeat(layer, count)', options, [
    'remat',
    'unroll',
  ])
  return {
    init: (key) => vmap((own: Key) => layer.init(own))(random.split(key, count)),
    apply: ({ params, state }, x, context = {}) => {
      const step = (y: NDArray, own: Variable<P, S>): [NDArray, S] => {
        const ownContext = own.key === null ? context : { ...context, key: own.key }
        return layer.apply({ params: own.params, state: own.state }, y, ownContext)
      }
      const body = remat ? checkpoint(step) : step
      const keys = context.key ? random.split(context.key, count) : null
      const [last, states] = scan<NDArray, Variable<P, S>, S>(
        (y, own) => keepsType(y, body(y, own)),
        x,
        { params, state, key: keys },
        { length: count, unroll },
      )
      return [last, states as S]
    },
    withCache: (state, cacheOptions: CacheOptions) => {
      const { withCache } = layer
      if (!withCache) return state
      const [first, ...others] = Array.from({ length: count }, (_, i) =>
        withCache(tree.map((leaf: NDArray) => leaf.get(i), state) as S, cacheOptions),
      )
      return tree.map((...leaves: NDArray[]) => np.stack(leaves), first, ...others) as S
    },
  }
}

interface Variable<P, S> {
  readonly params: P
  readonly state: S
  readonly key: Key | null
}

function keepsType<S>(x: NDArray, result: [NDArray, S]): [NDArray, S] {
  const [y] = result
  if (x.ndim === y.ndim && x.shape.every((n, i) => n === y.shape[i])) return result
  throw new ShapeError({
    op: 'repeat(layer, count)',
    problem: 'the layer changes the shape',
    operands: [
      { name: 'x', aval: x.aval },
      { name: 'layer(x)', aval: y.aval },
    ],
    rule: 'what one layer returns is what the next takes',
    hint: 'put what changes the shape before or after the stack',
  })
}
