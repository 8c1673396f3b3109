/**
 * Layers are values: configuration is closed over, parameters are a plain tree of arrays, and state
 * is explicit. Nothing is registered and nothing mutates.
 */
import {
  ArgumentError,
  random,
  type DType,
  type Key,
  type NDArray,
  type Shape,
} from '@adjoint/core'

export interface Variables<P, S> {
  readonly params: P
  readonly state: S
}

export interface Context {
  /** Randomness of this application, for dropout. */
  readonly key?: Key
  /** True while training: dropout drops, batch norm looks at the batch. */
  readonly train?: boolean
  /** Which keys a query may look at: booleans that broadcast to `[..., heads, queries, keys]`. */
  readonly mask?: NDArray
}

/** What a layer that reads a sequence piece by piece keeps room for. */
export interface CacheOptions {
  /** The axes before those of time and features. */
  readonly batch?: Shape
  /** The longest sequence. */
  readonly length: number
  readonly dtype?: DType
}

export interface Layer<P, S = null> {
  init(key: Key): { params: P; state: S }
  apply(variables: Variables<P, S>, x: NDArray, context?: Context): [y: NDArray, state: S]
  /** The state with which `apply` continues where it left off; layers without memory have none. */
  withCache?(state: S, options: CacheOptions): S
}

/**
 * The state with which a layer reads a sequence piece by piece: attention remembers keys and values,
 * recurrent layers their carry, positions where they are. Each `apply` then returns the state for
 * the next piece.
 *
 * @example
 * const layer = multiHeadAttention(4, { heads: 2, causal: true })
 * const { params, state } = layer.init(random.key(0))
 * const empty = withCache(layer, state, { length: 8 })
 * const [, afterThree] = layer.apply({ params, state: empty }, np.ones([3, 4]))
 * layer.apply({ params, state: afterThree }, np.ones([1, 4]))[0].shape // [ 1, 4 ]
 */
export const withCache = <P, S>(layer: Layer<P, S>, state: S, options: CacheOptions): S =>
  layer.withCache ? layer.withCache(state, options) : state

/**
 * A function of arrays as a layer without parameters.
 *
 * @example
 * const layer = activation(np.tanh)
 * layer.apply({ params: null, state: null }, np.zeros([2]))[0]
 * // Array([0., 0.], dtype=float32)
 */
export const activation = (f: (x: NDArray) => NDArray): Layer<null> => ({
  init: () => ({ params: null, state: null }),
  apply: (_variables, x) => [f(x), null],
})

/** The parameters of a layer. */
export type ParamsOf<L> = L extends { init(key: Key): { params: infer P } } ? P : never
/** The state of a layer. */
export type StateOf<L> = L extends { init(key: Key): { state: infer S } } ? S : never

/** A layer of any parameters and state: `never` in the parameter position accepts them all. */
export type AnyLayer = {
  init(key: Key): { params: unknown; state: unknown }
  apply(variables: Variables<never, never>, x: NDArray, context?: Context): [NDArray, unknown]
  withCache?(state: never, options: CacheOptions): unknown
}

/** Refuses what is no layer as soon as another one is made of it. */
export function requireLayer(op: string, layer: unknown, name: string): void {
  const isLayer =
    typeof layer === 'object' &&
    layer !== null &&
    typeof (layer as { apply?: unknown }).apply === 'function'
  if (isLayer) return
  const isFunction = typeof layer === 'function'
  throw new ArgumentError({
    op,
    problem: `${name} is ${isFunction ? 'a function' : Array.isArray(layer) ? 'a list' : `of type ${typeof layer}`}, and no layer`,
    rule: 'a layer has init and apply',
    hint: isFunction
      ? 'activation(f) makes a layer of a function of arrays: sequential(linear(2, 3), activation(relu))'
      : 'layers stand one after the other in the call: sequential(linear(2, 3), activation(relu))',
  })
}

/** Refuses to apply a layer without its parameters. */
export function requireParams(op: string, params: unknown): void {
  if (params !== undefined && params !== null) return
  throw new ArgumentError({
    op,
    problem: 'there are no parameters',
    rule: 'a layer is applied to { params, state } and an array',
    hint: 'layer.apply({ params, state }, x), with what layer.init(key) returned',
  })
}

/** The context of one of several layers: a key of its own. */
export const contextOf = (context: Context, index: number): Context =>
  context.key ? { ...context, key: random.foldIn(context.key, index) } : context

/**
 * Layers in sequence. Parameters and state are tuples, one entry per layer.
 *
 * @example
 * const model = sequential(linear(784, 128), activation(relu), linear(128, 10))
 * const { params, state } = model.init(random.key(0))
 * model.apply({ params, state }, np.ones([32, 784]))[0].shape // [ 32, 10 ]
 */
export function sequential<const Layers extends readonly AnyLayer[]>(
  ...layers: Layers
): Layer<
  { [I in keyof Layers]: ParamsOf<Layers[I]> },
  { [I in keyof Layers]: StateOf<Layers[I]> }
> {
  type P = { [I in keyof Layers]: ParamsOf<Layers[I]> }
  type S = { [I in keyof Layers]: StateOf<Layers[I]> }
  const op = 'sequential(...layers)'
  layers.forEach((layer, i) => requireLayer(op, layer, `layer ${i}`))
  return {
    init: (key) => {
      const variables = layers.map((layer, i) => layer.init(random.foldIn(key, i)))
      return {
        params: variables.map((v) => v.params) as P,
        state: variables.map((v) => v.state) as S,
      }
    },
    apply: ({ params, state }, x, context = {}) => {
      requireParams(op, params)
      let y = x
      const next = layers.map((layer, i) => {
        const variables = { params: params[i] as never, state: state[i] as never }
        const [result, nextState] = layer.apply(variables, y, contextOf(context, i))
        y = result
        return nextState
      })
      return [y, next as S]
    },
    withCache: (state, options) =>
      layers.map((layer, i) =>
        layer.withCache ? layer.withCache(state[i] as never, options) : state[i],
      ) as S,
  }
}
