/** A small GPT (Radford et al. 2018) as a layer: characters in, scores for the next character out. */
import { np, random, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'

export interface GptConfig {
  readonly vocabulary: number
  readonly features: number
  readonly layers: number
  readonly heads: number
}

export interface GptParams {
  /** Also scores the characters at the end: input and output share it. */
  readonly characters: nn.WeightParams
  /** Those of one block with a leading axis: one for each layer. */
  readonly blocks: nn.TransformerParams
  readonly norm: nn.ScaleParams
}

export type GptState = nn.AttentionCache | null
export type Gpt = nn.Layer<GptParams, GptState>

/** `[..., time]` to `[..., time, vocabulary]`. */
export function gpt({ vocabulary, features, layers, heads }: GptConfig): Gpt {
  const characters = nn.embedding(vocabulary, features, {
    weightInit: nn.initializers.normal(0.02),
  })
  const block = nn.transformerBlock(features, {
    heads,
    causal: true,
    rotary: true,
    norm: 'rms',
    useBias: false,
  })
  const blocks = nn.repeat(block, layers)
  const norm = nn.rmsNorm(features)
  return {
    init: (key) => {
      const [first, second] = random.split(key)
      const stack = blocks.init(second)
      return {
        params: {
          characters: characters.init(first).params,
          blocks: stack.params,
          norm: norm.init(key).params,
        },
        state: stack.state,
      }
    },
    apply: ({ params, state }, x, context) => {
      const [embedded] = characters.apply({ params: params.characters, state: null }, x)
      const [y, next] = blocks.apply({ params: params.blocks, state }, embedded, context)
      const [normal] = norm.apply({ params: params.norm, state: null }, y)
      return [characters.attend(params.characters, normal), next]
    },
    withCache: (state, options) => nn.withCache(blocks, state, options),
  }
}

/** The mean over all positions of `−log p(next character)`, in nats, of windows `[count, time + 1]`. */
export function lossOf<P>(model: nn.Layer<P, GptState>, params: P, windows: NDArray): NDArray {
  const [scores] = model.apply({ params, state: null }, windows.get('...', ':-1'))
  return np.mean(optim.softmaxCrossEntropyWithIntegerLabels(scores, windows.get('...', '1:')))
}
