/**
 * TensorFlow.js on its WebAssembly or its WebGPU backend. It has no compiler: every operation runs by
 * itself.
 */
import * as tf from '@tensorflow/tfjs'
import * as wasm from '@tensorflow/tfjs-backend-wasm'
import type { Size } from '../../case'
import { gpt as gptSize } from '../../models/gpt'
import { mlp as mlpSize } from '../../models/mlp'
import { tiny as tinySize } from '../../models/small'
import { integers, numbers, parameterSource } from '../../numbers'
import { firstLosses, type Peer, type Program, type Programs } from '../program'

const dropping = (f: () => tf.Tensor): Program => ({
  run: () => {
    f().dispose()
  },
  result: () => f().data(),
})

const filled = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.tensor(numbers(tf.util.sizeFromShape([...shape]), 1, seed), [...shape])

function unary(f: (x: tf.Tensor) => tf.Tensor, ...shape: readonly number[]): Program {
  const x = filled(shape)
  return dropping(() => tf.tidy(() => f(x)))
}

function binary(
  f: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor,
  left: readonly number[],
  right = left,
): Program {
  const [x, y] = [filled(left, 1), filled(right, 2)]
  return dropping(() => f(x, y))
}

/** The tanh form, x · ½ (1 + tanh u). */
const gelu = (x: tf.Tensor): tf.Tensor => {
  const u = tf.mul(Math.sqrt(2 / Math.PI), x.add(tf.mul(0.044715, x.mul(x).mul(x))))
  return x.mul(tf.mul(0.5, tf.add(1, tf.tanh(u))))
}

function layerNorm(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  const centred = x.sub(x.mean(-1, true))
  const variance = centred.square().mean(-1, true)
  return centred.mul(variance.add(1e-5).rsqrt()).mul(scale).add(offset)
}

// --- training ----------------------------------------------------------------------------------------

/** The optimisers minimise over all variables unless told which. */
function training(
  loss: () => tf.Scalar,
  optimiser: tf.Optimizer,
  variables: readonly tf.Variable[],
  decay: () => void = () => undefined,
): Program {
  const once = (): tf.Scalar | null => {
    decay()
    return optimiser.minimize(loss, true, [...variables])
  }
  return {
    run: () => {
      once()?.dispose()
    },
    result: async () => {
      const losses: number[] = []
      for (let i = 0; i < firstLosses; i++) losses.push(...((await once()?.data()) ?? []))
      return losses
    },
  }
}

interface Dense {
  readonly weight: tf.Variable
  readonly bias: tf.Variable
}

const zeros = (n: number): tf.Variable => tf.variable(tf.zeros([n]))
const linear = (x: tf.Tensor, { weight, bias }: Dense): tf.Tensor => {
  // Its products of stacks of matrices broadcast nothing: rows are brought together.
  const inputs = weight.shape[0]
  const flat = tf.matMul(x.reshape<tf.Tensor2D>([-1, inputs]), weight as tf.Tensor).add(bias)
  return flat.reshape([...x.shape.slice(0, -1), -1])
}

function denseSource(): {
  dense(inputs: number, outputs: number): Dense
  table(rows: number, columns: number): tf.Variable
} {
  const draw = parameterSource()
  const matrix = (scale: number, rows: number, columns: number): tf.Variable =>
    tf.variable(tf.tensor2d(draw(scale, rows * columns), [rows, columns]))
  return {
    dense: (inputs, outputs) => ({
      weight: matrix(inputs, inputs, outputs),
      bias: zeros(outputs),
    }),
    table: (rows, columns) => matrix(columns, rows, columns),
  }
}

const labels = (count: number, classes: number): tf.Tensor =>
  tf.oneHot(tf.tensor1d(integers(count, classes, 2), 'int32'), classes)

function mlp({ batch }: Size): Program {
  const { sizes, learningRate } = mlpSize
  const { dense } = denseSource()
  const layers = sizes.slice(1).map((outputs, i) => dense(sizes[i], outputs))
  const x = filled([batch, sizes[0]])
  const y = labels(batch, 10)
  const loss = (): tf.Scalar => {
    const logits = layers.reduce<tf.Tensor>(
      (h, layer, i) => linear(i === 0 ? h : tf.relu(h), layer),
      x,
    )
    return tf.losses.softmaxCrossEntropy(y, logits).asScalar()
  }
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias])
  return training(loss, tf.train.adam(learningRate), variables)
}

function gpt({ layers, context, batch }: Size): Program {
  const { width, heads, vocabulary } = gptSize
  const perHead = width / heads
  const { dense, table } = denseSource()
  const tokens = table(vocabulary, width)
  const positions = table(context, width)
  const norm = (): Dense => ({ weight: tf.variable(tf.ones([width])), bias: zeros(width) })
  const blocks = Array.from({ length: layers }, () => ({
    norm1: norm(),
    qkv: dense(width, 3 * width),
    projection: dense(width, width),
    norm2: norm(),
    expand: dense(width, 4 * width),
    contract: dense(4 * width, width),
  }))
  const [last, head] = [norm(), dense(width, vocabulary)]
  // The backend has no gradient of a gather: tokens are chosen by a product.
  const x = tf.oneHot(tf.tensor1d(integers(batch * context, vocabulary, 1), 'int32'), vocabulary)
  const y = labels(batch * context, vocabulary)
  const hidden = tf.tidy(() => {
    const row = tf.range(0, context).reshape([context, 1])
    return tf.where(tf.lessEqual(tf.range(0, context), row), tf.scalar(0), tf.scalar(-1e9))
  })
  const attention = (h: tf.Tensor, block: (typeof blocks)[number]): tf.Tensor => {
    const split = (part: tf.Tensor): tf.Tensor =>
      part.reshape([batch, context, heads, perHead]).transpose([0, 2, 1, 3])
    const [q, k, v] = tf.split(linear(h, block.qkv), 3, -1).map(split)
    const scores = tf
      .matMul(q, k, false, true)
      .mul(1 / Math.sqrt(perHead))
      .add(hidden)
    const mixed = tf.matMul(tf.softmax(scores), v).transpose([0, 2, 1, 3])
    return linear(mixed.reshape([batch, context, width]), block.projection)
  }
  const normed = (h: tf.Tensor, { weight, bias }: Dense): tf.Tensor => layerNorm(h, weight, bias)
  const loss = (): tf.Scalar => {
    let h = tf
      .matMul(x, tokens as tf.Tensor)
      .reshape([batch, context, width])
      .add(positions)
    for (const block of blocks) {
      h = h.add(attention(normed(h, block.norm1), block))
      h = h.add(linear(gelu(linear(normed(h, block.norm2), block.expand)), block.contract))
    }
    const logits = linear(normed(h, last), head).reshape([batch * context, vocabulary])
    return tf.losses.softmaxCrossEntropy(y, logits).asScalar()
  }
  const variables = [
    tokens,
    positions,
    ...[
      ...blocks.flatMap((b) => [b.norm1, b.qkv, b.projection, b.norm2, b.expand, b.contract]),
      last,
      head,
    ].flatMap(({ weight, bias }) => [weight, bias]),
  ]
  // There is no AdamW: the weights decay by hand.
  const rate = 3e-4
  const decay = (): void => {
    for (const v of variables) tf.tidy(() => v.assign(v.mul(1 - 0.1 * rate)))
  }
  return training(loss, tf.train.adam(rate), variables, decay)
}

function tiny(): Program {
  const { batch, sizes } = tinySize
  const { dense } = denseSource()
  const [first, second] = [dense(sizes[0], sizes[1]), dense(sizes[1], sizes[2])]
  const [x, y] = [filled([batch, sizes[0]], 1), filled([batch, 1], 2)]
  const loss = (): tf.Scalar =>
    tf.mean(tf.squaredDifference(linear(tf.tanh(linear(x, first)), second), y)).asScalar()
  const variables = [first, second].flatMap(({ weight, bias }) => [weight, bias])
  return training(loss, tf.train.sgd(0.01), variables)
}

// There is no CNN: the WebAssembly backend has no gradient of a convolution's filters.

const programs: Programs = {
  matmul: ({ n }) => binary((x, y) => tf.matMul(x, y), [n, n]),
  'batched-matmul': ({ batch, n }) => binary((x, y) => tf.matMul(x, y), [batch, n, n]),
  matvec: ({ n }) => binary((x, y) => tf.matMul(x, y), [n, n], [n, 1]),
  affine: ({ n }) => unary((x) => x.mul(2).add(1), n),
  exp: ({ n }) => unary((x) => tf.exp(x), n),
  gelu: ({ n }) => unary(gelu, n),
  sum: ({ n }) => unary((x) => tf.sum(x), n),
  'sum-axis': ({ n, axis }) => unary((x) => tf.sum(x, axis), n, n),
  softmax: ({ rows, columns }) => unary((x) => tf.softmax(x), rows, columns),
  layernorm: ({ rows, columns }) => {
    const [scale, offset] = [filled([columns], 2), filled([columns], 3)]
    return unary((x) => layerNorm(x, scale, offset), rows, columns)
  },
  mlp,
  gpt,
  tiny,
  'eager-add': ({ n }) => binary((x, y) => tf.add(x, y), [n]),
}

/**
 * Commands are queued in order: what is computed last is there when all else is. It is not small,
 * because small things are computed on the processor while the GPU is at work.
 */
function finishing(factories: Programs): Programs {
  const x = filled([4096])
  const finish = async (): Promise<void> => {
    const y = tf.add(x, 1)
    await y.data()
    y.dispose()
  }
  return Object.fromEntries(
    Object.entries(factories).map(([name, factory]) => [
      name,
      async (size: Size) => ({ ...(await factory(size)), finish }),
    ]),
  )
}

export async function tfjs(threads: number, onGpu: boolean): Promise<Peer> {
  const version = tf.version['tfjs']
  if (onGpu) {
    // It looks for WebGPU when it is loaded.
    await import('@tensorflow/tfjs-backend-webgpu')
    if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js has no WebGPU here')
    await tf.ready()
    return { version, programs: finishing(programs) }
  }
  wasm.setThreadsCount(threads)
  await tf.setBackend('wasm')
  await tf.ready()
  return { version, programs }
}
