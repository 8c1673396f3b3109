/** The block that transformers repeat. */
import { np, random, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { gelu } from './activations'
import {
  type AttentionCache,
  type AttentionOptions,
  type AttentionParams,
  attentionNames,
  attentionOf,
} from './attention'
import { dropout as dropoutLayer } from './dropout'
import { glorotUniform } from './initializers'
import { type Context, contextOf, type Layer } from './layer'
import { linear, type LinearParams, requireFeatures, type WeightParams } from './linear'
import { layerNorm, type NormParams, rmsNorm, type ScaleParams } from './normalization'

type Projection = LinearParams | WeightParams

export interface FeedForwardParams {
  readonly up: Projection
  readonly down: Projection
  /** Only where the feed-forward network is gated. */
  readonly gate?: Projection
}

export interface TransformerParams {
  readonly attentionNorm: NormParams | ScaleParams
  readonly attention: AttentionParams
  readonly feedForwardNorm: NormParams | ScaleParams
  readonly feedForward: FeedForwardParams
}

export interface TransformerOptions extends AttentionOptions {
  /** Features inside of the feed-forward network; `4 · features` unless given. */
  readonly hidden?: number
  /** `'layer'` unless given. */
  readonly norm?: 'layer' | 'rms'
  /** `gelu` unless given. */
  readonly activation?: (x: NDArray) => NDArray
  /** `down(activation(gate(x)) · up(x))` instead of `down(activation(up(x)))`. Shazeer 2020. */
  readonly gated?: boolean
  /** Of attention weights, and of what each half of the block adds. */
  readonly dropout?: number
}

/**
 * `x + attention(norm(x))`, then `x + feedForward(norm(x))`: shape `[..., time, features]` kept. The
 * norms come first, which trains without warm-up (Xiong et al. 2020).
 *
 * @example
 * const stack = repeat(transformerBlock(16, { heads: 4, causal: true }), 4)
 * stack.apply(stack.init(random.key(0)), np.ones([5, 16]))[0].shape // [ 5, 16 ]
 */
export function transformerBlock(
  features: number,
  options: TransformerOptions,
): Layer<TransformerParams, AttentionCache | null> {
  const op = `transformerBlock(${features}, { heads: ${options.heads} })`
  checkOptions(op, options, [...attentionNames, 'hidden', 'norm', 'activation', 'gated'])
  const { hidden = 4 * features, norm = 'layer', activation = gelu, gated = false } = options
  const { useBias = true, weightInit = glorotUniform() } = options
  const attention = attentionOf(op, features, options)
  const normalize: Layer<NormParams | ScaleParams> =
    norm === 'layer' ? layerNorm(features) : rmsNorm(features)
  const up: Layer<Projection> = linear(features, hidden, { useBias, weightInit })
  const down: Layer<Projection> = linear(hidden, features, { useBias, weightInit })
  const drop = dropoutLayer(options.dropout ?? 0)

  const feedForward = (params: FeedForwardParams, x: NDArray): NDArray => {
    const through = (layer: Layer<Projection>, own: Projection, y: NDArray): NDArray =>
      layer.apply({ params: own, state: null }, y)[0]
    const inner = through(up, params.up, x)
    const active = params.gate
      ? np.multiply(activation(through(up, params.gate, x)), inner)
      : activation(inner)
    return through(down, params.down, active)
  }
  const dropped = (x: NDArray, context: Context): NDArray =>
    drop.apply({ params: null, state: null }, x, context)[0]

  return {
    init: (key) => {
      const [attentionKey, upKey, downKey, gateKey] = random.split(key, 4)
      const hiddenParams = { up: up.init(upKey).params, down: down.init(downKey).params }
      return {
        params: {
          attentionNorm: normalize.init(key).params,
          attention: attention.init(attentionKey).params,
          feedForwardNorm: normalize.init(key).params,
          feedForward: gated ? { ...hiddenParams, gate: up.init(gateKey).params } : hiddenParams,
        },
        state: null,
      }
    },
    apply: ({ params, state }, x, context = {}) => {
      requireFeatures(op, x, features, 'time, features')
      const [first] = normalize.apply({ params: params.attentionNorm, state: null }, x)
      const [seen, next] = attention.apply(
        { params: params.attention, state },
        first,
        contextOf(context, 0),
      )
      const middle = np.add(x, dropped(seen, contextOf(context, 1)))
      const [second] = normalize.apply({ params: params.feedForwardNorm, state: null }, middle)
      const added = dropped(feedForward(params.feedForward, second), contextOf(context, 2))
      return [np.add(middle, added), next]
    },
    withCache: (state, cacheOptions) => attention.withCache?.(state, cacheOptions) ?? state,
  }
}
