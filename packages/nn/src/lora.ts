/** Low-rank adaptation of a layer's weights. Hu et al. 2021 (arXiv:2106.09685). */
import { ArgumentError, np, random, type Key, type NDArray } from '@adjoint/core'
import { checkOptions, isFloating } from '@adjoint/core/internal'
import { stopGradient } from '@adjoint/transforms'
import { varianceScaling } from './initializers'
import type { CacheOptions, Layer } from './layer'
import { namedLeaves } from './leaf-names'
import { matchesPath, type PathPattern, placePaths } from './path-patterns'

/** The two factors of an update: `[..., inputs, rank]` and `[..., rank, outputs]`. */
export interface Adapter {
  readonly down: NDArray
  readonly up: NDArray
}

/** By the name of the weight that each adapts. */
export type Adapters = Readonly<Record<string, Adapter>>

export interface LoraParams<P> {
  /** The layer's own parameters, which no gradient reaches. */
  readonly base: P
  readonly adapters: Adapters
}

export interface LoraOptions {
  /** The update is scaled by `alpha / rank`; equal to the rank unless given. */
  readonly alpha?: number
  /** Which weights are adapted; all that are called `weight` and have two axes or more. */
  readonly target?: PathPattern
}

export interface LoraLayer<P, S> extends Layer<LoraParams<P>, S> {
  /** New adapters for parameters that were trained before; they change nothing yet. */
  adapt(base: P, key: Key): LoraParams<P>
  /** Parameters of the layer itself that compute what the adapted layer computes. */
  merge(params: LoraParams<P>): P
}

/**
 * A layer whose weights `W` are `W + alpha / rank · down · up`, of which only the two factors are
 * trained. `up` starts at zero, so that the adapted layer first does what the layer does.
 *
 * Any layer can be adapted, stacks of `repeat` included: leading axes of a weight have factors each.
 *
 * @param layer the layer that was trained
 * @param rank how many columns and rows the factors have
 * @throws ArgumentError when no weight is adapted, or the rank is not a positive integer
 * @example
 * const model = linear(8, 8)
 * const trained = model.init(random.key(0))
 * const adapted = lora(model, 2)
 * const { base, adapters } = adapted.adapt(trained.params, random.key(1))
 * const merged = adapted.merge({ base, adapters })
 * merged.weight.shape // [ 8, 8 ]
 */
export function lora<P, S>(
  layer: Layer<P, S>,
  rank: number,
  options: LoraOptions = {},
): LoraLayer<P, S> {
  const op = `lora(layer, ${rank})`
  checkOptions(op, options, ['alpha', 'target'])
  const { alpha = rank, target = /(^|\.)weight$/ } = options
  if (!Number.isInteger(rank) || rank < 1) {
    throw new ArgumentError({ op, problem: 'the rank is not a positive integer' })
  }
  const adapt = (base: P, key: Key): LoraParams<P> => {
    const { leaves, names } = namedLeaves(base)
    const adapters: Record<string, Adapter> = {}
    leaves.forEach((weight, i) => {
      if (weight.ndim < 2 || !isFloating(weight.dtype) || !matchesPath(target, names[i])) return
      adapters[names[i]] = newAdapter(random.foldIn(key, i), weight, rank)
    })
    if (Object.keys(adapters).length === 0) {
      throw new ArgumentError({
        op,
        problem: 'no weight of the layer is adapted',
        rule: `adapted are leaves with two axes or more whose name matches ${String(target)}`,
        hint: `name others with { target }: the leaves are ${names.slice(0, 8).join(', ')}`,
      })
    }
    return { base, adapters }
  }
  const merge = ({ base, adapters }: LoraParams<P>): P => {
    const { leaves, names } = namedLeaves(base)
    const merged = leaves.flatMap((weight, i): [string, NDArray][] => {
      const adapter = Object.hasOwn(adapters, names[i]) ? adapters[names[i]] : undefined
      return adapter ? [[names[i], adaptedWeight(weight, adapter, alpha / rank)]] : []
    })
    return placePaths(base, Object.fromEntries(merged))
  }
  const frozen = (base: P): P => {
    const { leaves, names } = namedLeaves(base)
    return placePaths(
      base,
      Object.fromEntries(leaves.map((leaf, i) => [names[i], stopGradient(leaf)])),
    )
  }
  const { withCache } = layer
  return {
    init: (key) => {
      const [baseKey, adapterKey] = random.split(key)
      const { params, state } = layer.init(baseKey)
      return { params: adapt(params, adapterKey), state }
    },
    apply: ({ params: { base, adapters }, state }, x, context) =>
      layer.apply({ params: merge({ base: frozen(base), adapters }), state }, x, context),
    ...(withCache && { withCache: (state: S, cache: CacheOptions) => withCache(state, cache) }),
    adapt,
    merge,
  }
}

/** Gaussian, as in the paper; the variance keeps `x · down` as large as `x`. */
const initDown = varianceScaling(1, 'fanIn', 'normal')

function newAdapter(key: Key, weight: NDArray, rank: number): Adapter {
  const [inputs, outputs] = weight.shape.slice(-2)
  const lead = weight.shape.slice(0, -2)
  return {
    // Leading axes are not a receptive field: each weight has a factor with the variance of its own.
    down: initDown(key, [inputs, lead.reduce((n, size) => n * size, rank)], weight.dtype)
      .reshape([inputs, ...lead, rank])
      .moveaxis(0, -2),
    up: np.zeros([...lead, rank, outputs], { dtype: weight.dtype }),
  }
}

const adaptedWeight = (weight: NDArray, { down, up }: Adapter, scale: number): NDArray =>
  np.add(weight, np.multiply(np.matmul(down, up), scale)).astype(weight.dtype)
