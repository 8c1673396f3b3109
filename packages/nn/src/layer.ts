/**
 * Layers are values: configuration is closed over, parameters are a plain tree of arrays, and state
 * is explicit. Nothing is registered and nothing mutates.
 */
import { random, type Key, type NDArray } from '@adjoint/core'

export interface Variables<P, S> {
  readonly params: P
  readonly state: S
}

export interface Context {
  /** Randomness of this application, for dropout. */
  readonly key?: Key
  /** True while training: dropout drops. */
  readonly train?: boolean
}

export interface Layer<P, S = null> {
  init(key: Key): { params: P; state: S }
  apply(variables: Variables<P, S>, x: NDArray, context?: Context): [y: NDArray, state: S]
}

/** A function of arrays as a layer without parameters. */
export const activation = (f: (x: NDArray) => NDArray): Layer<null> => ({
  init: () => ({ params: null, state: null }),
  apply: (_variables, x) => [f(x), null],
})

type ParamsOf<L> = L extends Layer<infer P, infer _S> ? P : never
type StateOf<L> = L extends Layer<infer _P, infer S> ? S : never
// `never` in the parameter position accepts a layer of any parameters.
type AnyLayer = {
  init(key: Key): { params: unknown; state: unknown }
  apply(variables: Variables<never, never>, x: NDArray, context?: Context): [NDArray, unknown]
}

/**
 * Layers in sequence. Parameters and state are tuples, one entry per layer.
 *
 * @example
 * const model = sequential(linear(784, 128), activation(relu), linear(128, 10))
 * const { params, state } = model.init(random.key(0))
 * const [logits] = model.apply({ params, state }, images)
 */
export function sequential<const Layers extends readonly AnyLayer[]>(
  ...layers: Layers
): Layer<
  { [I in keyof Layers]: ParamsOf<Layers[I]> },
  { [I in keyof Layers]: StateOf<Layers[I]> }
> {
  type P = { [I in keyof Layers]: ParamsOf<Layers[I]> }
  type S = { [I in keyof Layers]: StateOf<Layers[I]> }
  return {
    init: (key) => {
      const variables = layers.map((layer, i) => layer.init(random.foldIn(key, i)))
      return {
        params: variables.map((v) => v.params) as P,
        state: variables.map((v) => v.state) as S,
      }
    },
    apply: ({ params, state }, x, context = {}) => {
      let y = x
      const next = layers.map((layer, i) => {
        const own: Context = context.key
          ? { ...context, key: random.foldIn(context.key, i) }
          : context
        const variables = { params: params[i] as never, state: state[i] as never }
        const [result, nextState] = layer.apply(variables, y, own)
        y = result
        return nextState
      })
      return [y, next as S]
    },
  }
}
