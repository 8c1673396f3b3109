/** A transformer over characters: pre-norm blocks, learned positions, trained by AdamW. */
import { np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { valueAndGrad } from '@adjoint/transforms'
import { integers, parameterSource } from '../numbers'
import { type Training, trainingOf } from './training'

export interface GptSize {
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly context: number
  readonly vocabulary: number
  readonly batch: number
}

export const gpt: GptSize = {
  layers: 4,
  width: 128,
  heads: 4,
  context: 64,
  vocabulary: 65,
  batch: 16,
}

interface Dense {
  readonly weight: NDArray
  readonly bias: NDArray
}
interface Norm {
  readonly scale: NDArray
  readonly offset: NDArray
}
interface Block {
  readonly norm1: Norm
  readonly qkv: Dense
  readonly projection: Dense
  readonly norm2: Norm
  readonly expand: Dense
  readonly contract: Dense
}
export interface GptParams {
  readonly tokens: NDArray
  readonly positions: NDArray
  readonly blocks: readonly Block[]
  readonly norm: Norm
  readonly head: Dense
}

function initialParams({ layers, width, context, vocabulary }: GptSize): GptParams {
  const draw = parameterSource()
  const dense = (inputs: number, outputs: number): Dense => ({
    weight: np.array(draw(inputs, inputs * outputs)).reshape([inputs, outputs]),
    bias: np.zeros([outputs]),
  })
  const norm = (): Norm => ({ scale: np.ones([width]), offset: np.zeros([width]) })
  return {
    tokens: np.array(draw(width, vocabulary * width)).reshape([vocabulary, width]),
    positions: np.array(draw(width, context * width)).reshape([context, width]),
    blocks: Array.from({ length: layers }, () => ({
      norm1: norm(),
      qkv: dense(width, 3 * width),
      projection: dense(width, width),
      norm2: norm(),
      expand: dense(width, 4 * width),
      contract: dense(4 * width, width),
    })),
    norm: norm(),
    head: dense(width, vocabulary),
  }
}

const linear = (x: NDArray, { weight, bias }: Dense): NDArray => np.add(np.matmul(x, weight), bias)

function layerNorm(x: NDArray, { scale, offset }: Norm): NDArray {
  const centred = np.subtract(x, np.mean(x, { axis: -1, keepdims: true }))
  const variance = np.mean(np.square(centred), { axis: -1, keepdims: true })
  return np.add(np.multiply(np.divide(centred, np.sqrt(np.add(variance, 1e-5))), scale), offset)
}

function attention(x: NDArray, block: Block, heads: number): NDArray {
  const [batch, context, width] = x.shape
  const perHead = width / heads
  const split = (part: NDArray): NDArray =>
    np.transpose(np.reshape(part, [batch, context, heads, perHead]), [0, 2, 1, 3])
  const [q, k, v] = np.split(linear(x, block.qkv), 3, -1).map(split)
  const scores = np.divide(np.matmul(q, np.swapaxes(k, -1, -2)), Math.sqrt(perHead))
  const causal = np.tri(context, { dtype: 'bool' })
  const weights = nn.softmax(np.where(causal, scores, -1e9))
  const mixed = np.transpose(np.matmul(weights, v), [0, 2, 1, 3])
  return linear(np.reshape(mixed, [batch, context, width]), block.projection)
}

export function gptLogits(params: GptParams, tokens: NDArray, heads: number): NDArray {
  let x = np.add(np.take(params.tokens, tokens, { axis: 0 }), params.positions)
  for (const block of params.blocks) {
    x = np.add(x, attention(layerNorm(x, block.norm1), block, heads))
    const hidden = nn.gelu(linear(layerNorm(x, block.norm2), block.expand))
    x = np.add(x, linear(hidden, block.contract))
  }
  return linear(layerNorm(x, params.norm), params.head)
}

export function gptTraining(size: GptSize = gpt): Training<GptParams> {
  const { batch, context, vocabulary } = size
  const loss = (params: GptParams, x: NDArray, y: NDArray): NDArray =>
    np.mean(optim.softmaxCrossEntropyWithIntegerLabels(gptLogits(params, x, size.heads), y))
  const text = (seed: number): NDArray =>
    np.array(integers(batch * context, vocabulary, seed)).reshape([batch, context])
  return trainingOf<GptParams>({
    lossAndGradient: valueAndGrad(loss),
    params: initialParams(size),
    optimiser: optim.adamw(3e-4, { weightDecay: 0.1 }),
    data: [text(1), text(2)],
  })
}
