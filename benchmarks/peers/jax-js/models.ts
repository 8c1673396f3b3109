/** Training with @jax-js/jax. Its arrays count references: `.ref` keeps an argument that is used again. */
import * as jax from '@jax-js/jax'
import type { Size } from '../../case'
import { cnn as cnnSize } from '../../models/cnn'
import { gpt as gptSize } from '../../models/gpt'
import { mlp as mlpSize } from '../../models/mlp'
import { tiny as tinySize } from '../../models/small'
import { integers, numbers, parameterSource } from '../../numbers'
import { firstLosses, type Program } from '../program'
import { queued } from './queue'

const { lax, nn, numpy: np, tree } = jax
export type Tensor = jax.Array
type Tree = Record<string, Tensor>

const [b1, b2, eps] = [0.9, 0.999, 1e-8]

interface Step {
  readonly rate: number
  readonly decay?: number
}

/** Parameters are a record of arrays; with `rate` alone it is Adam. */
function adamTraining(
  loss: (params: Tree, x: Tensor, y: Tensor) => Tensor,
  initial: Tree,
  { rate, decay = 0 }: Step,
  x: Tensor,
  y: Tensor,
): Program {
  const step = jax.jit(
    (p: Tree, m: Tree, v: Tree, mScale: Tensor, vScale: Tensor, x: Tensor, y: Tensor) => {
      const [value, g] = jax.valueAndGrad(loss)(tree.ref(p), x, y) as [Tensor, Tree]
      const m2 = tree.map((a: Tensor, b: Tensor) => a.mul(b1).add(b.mul(1 - b1)), m, tree.ref(g))
      const v2 = tree.map((a: Tensor, b: Tensor) => a.mul(b2).add(b.ref.mul(b).mul(1 - b2)), v, g)
      const p2 = tree.map(
        (a: Tensor, m: Tensor, v: Tensor) => {
          const change = m.mul(mScale.ref).div(np.sqrt(v.mul(vScale.ref)).add(eps))
          return a.mul(1 - rate * decay).sub(change.mul(rate))
        },
        p,
        tree.ref(m2),
        tree.ref(v2),
      )
      mScale.dispose()
      vScale.dispose()
      return [p2, m2, v2, value] as [Tree, Tree, Tree, Tensor]
    },
  )
  const zeros = (): Tree =>
    Object.fromEntries(Object.entries(initial).map(([name, p]) => [name, np.zeros(p.shape)]))
  let [params, m, v] = [initial, zeros(), zeros()]
  let count = 0
  return stepping(() => {
    count++
    const [mScale, vScale] = [b1, b2].map((b) => np.array(1 / (1 - b ** count)))
    let value: Tensor
    ;[params, m, v, value] = step(params, m, v, mScale, vScale, x.ref, y.ref)
    return value
  })
}

/** A step's arrays are ready when its loss has arrived. */
function stepping(step: () => Tensor): Program {
  const once = async (): Promise<number> => (await step().data())[0]
  return {
    ...queued(once),
    result: async () => {
      const losses: number[] = []
      for (let i = 0; i < firstLosses; i++) losses.push(await once())
      return losses
    },
  }
}

/** Labels as rows of the identity matrix, which is how its loss functions want them. */
function oneHot(labels: Int32Array, classes: number): Tensor {
  const rows = new Float32Array(labels.length * classes)
  labels.forEach((label, i) => (rows[i * classes + label] = 1))
  return np.array(rows).reshape([labels.length, classes])
}

const crossEntropy = (logits: Tensor, labels: Tensor, examples: number): Tensor =>
  nn
    .logSoftmax(logits, -1)
    .mul(labels)
    .sum()
    .mul(-1 / examples)

/** Adds the weights and the bias of a layer to a record of parameters. */
function denseLayers(): { readonly params: Tree; add(name: string, ...shape: number[]): void } {
  const draw = parameterSource()
  const params: Tree = {}
  return {
    params,
    add: (name, ...shape) => {
      const outputs = shape[shape.length - 1]
      const inputs = shape.slice(0, -1).reduce((product, n) => product * n, 1)
      params[`${name}W`] = np.array(draw(inputs, inputs * outputs)).reshape(shape)
      params[`${name}B`] = np.zeros([outputs])
    },
  }
}

const linear = (p: Tree, name: string, x: Tensor): Tensor =>
  np.matmul(x, p[`${name}W`].ref).add(p[`${name}B`].ref)

export function mlp({ batch }: Size): Program {
  const { sizes, learningRate } = mlpSize
  const { params, add } = denseLayers()
  const names = sizes.slice(1).map((_, i) => `layer${i}`)
  names.forEach((name, i) => {
    add(name, sizes[i], sizes[i + 1])
  })
  const loss = (p: Tree, x: Tensor, y: Tensor): Tensor => {
    const logits = names.reduce(
      (h, name, i) => (i === 0 ? linear(p, name, h) : linear(p, name, nn.relu(h))),
      x,
    )
    tree.dispose(p)
    return crossEntropy(logits, y, batch)
  }
  return adamTraining(
    loss,
    params,
    { rate: learningRate },
    np.array(numbers(batch * sizes[0], 1, 1)).reshape([batch, sizes[0]]),
    oneHot(integers(batch, 10, 2), 10),
  )
}

export function gpt({ layers, context, batch }: Size): Program {
  const { width, heads, vocabulary } = gptSize
  const draw = parameterSource()
  const params: Tree = {}
  const addWeights = (name: string, inputs: number, outputs: number): void => {
    params[`${name}W`] = np.array(draw(inputs, inputs * outputs)).reshape([inputs, outputs])
    params[`${name}B`] = np.zeros([outputs])
  }
  const addNorm = (name: string): void => {
    params[`${name}W`] = np.ones([width])
    params[`${name}B`] = np.zeros([width])
  }
  params['tokens'] = np.array(draw(width, vocabulary * width)).reshape([vocabulary, width])
  params['positions'] = np.array(draw(width, context * width)).reshape([context, width])
  for (let i = 0; i < layers; i++) {
    addNorm(`norm1.${i}`)
    addWeights(`qkv.${i}`, width, 3 * width)
    addWeights(`projection.${i}`, width, width)
    addNorm(`norm2.${i}`)
    addWeights(`expand.${i}`, width, 4 * width)
    addWeights(`contract.${i}`, 4 * width, width)
  }
  addNorm('norm')
  addWeights('head', width, vocabulary)

  const layerNorm = (p: Tree, name: string, x: Tensor): Tensor =>
    nn.standardize(x, -1, { epsilon: 1e-5 }).mul(p[`${name}W`].ref).add(p[`${name}B`].ref)
  const perHead = width / heads
  const attention = (p: Tree, i: number, x: Tensor): Tensor => {
    const split = (part: Tensor): Tensor =>
      part.reshape([batch, context, heads, perHead]).transpose([0, 2, 1, 3])
    const [q, k, v] = np.split(linear(p, `qkv.${i}`, x), 3, -1).map(split)
    const scores = np.matmul(q, np.swapaxes(k, -1, -2)).div(Math.sqrt(perHead))
    const causal = np.tri(context, context, 0, { dtype: np.bool })
    const weights = nn.softmax(np.where(causal, scores, -1e9), -1)
    const mixed = np.matmul(weights, v).transpose([0, 2, 1, 3])
    return linear(p, `projection.${i}`, mixed.reshape([batch, context, width]))
  }
  const loss = (p: Tree, tokens: Tensor, y: Tensor): Tensor => {
    let x = np.take(p['tokens'].ref, tokens, 0).add(p['positions'].ref)
    for (let i = 0; i < layers; i++) {
      x = x.ref.add(attention(p, i, layerNorm(p, `norm1.${i}`, x)))
      const hidden = nn.gelu(linear(p, `expand.${i}`, layerNorm(p, `norm2.${i}`, x.ref)))
      x = x.add(linear(p, `contract.${i}`, hidden))
    }
    const logits = linear(p, 'head', layerNorm(p, 'norm', x))
    tree.dispose(p)
    return crossEntropy(logits.reshape([batch * context, vocabulary]), y, batch * context)
  }
  const count = batch * context
  return adamTraining(
    loss,
    params,
    { rate: 3e-4, decay: 0.1 },
    np.array(integers(count, vocabulary, 1), { dtype: np.int32 }).reshape([batch, context]),
    oneHot(integers(count, vocabulary, 2), vocabulary),
  )
}

export function cnn({ batch }: Size): Program {
  const { side, channels, classes } = cnnSize
  const { params, add } = denseLayers()
  const names = channels.slice(1).map((_, i) => `filters${i}`)
  names.forEach((name, i) => {
    add(name, 3, 3, channels[i], channels[i + 1])
    // Its convolutions are channels first.
    params[`${name}W`] = params[`${name}W`].transpose([3, 2, 0, 1])
    params[`${name}B`] = params[`${name}B`].reshape([channels[i + 1], 1, 1])
  })
  const [last, pooled] = [channels[channels.length - 1], side / 2 ** names.length]
  add('dense', pooled ** 2 * last, classes)
  params['denseW'] = params['denseW']
    .reshape([pooled ** 2, last, classes])
    .transpose([1, 0, 2])
    .reshape([pooled ** 2 * last, classes])
  const loss = (p: Tree, x: Tensor, y: Tensor): Tensor => {
    const features = names.reduce((h, name) => {
      const z = lax.convGeneralDilated(h, p[`${name}W`].ref, [1, 1], 'SAME').add(p[`${name}B`].ref)
      return lax.reduceWindow(nn.relu(z), np.max, [2, 2], [2, 2])
    }, x)
    const logits = linear(p, 'dense', features.reshape([batch, -1]))
    tree.dispose(p)
    return crossEntropy(logits, y, batch)
  }
  return adamTraining(
    loss,
    params,
    { rate: 1e-3 },
    np.array(numbers(batch * side ** 2, 1, 1)).reshape([batch, 1, side, side]),
    oneHot(integers(batch, classes, 2), classes),
  )
}

// --- small ones --------------------------------------------------------------------------------------

function squaredError(p: Tree, x: Tensor, y: Tensor): Tensor {
  const predicted = linear(p, 'second', np.tanh(linear(p, 'first', x)))
  tree.dispose(p)
  return np.square(predicted.sub(y)).mean()
}

function twoLayers([inputs, hidden, outputs]: readonly number[]): Tree {
  const { params, add } = denseLayers()
  add('first', inputs, hidden)
  add('second', hidden, outputs)
  return params
}

export function tiny(): Program {
  const { batch, sizes } = tinySize
  const step = jax.jit((p: Tree, x: Tensor, y: Tensor) => {
    const [value, g] = jax.valueAndGrad(squaredError)(tree.ref(p), x, y) as [Tensor, Tree]
    return [tree.map((a: Tensor, b: Tensor) => a.sub(b.mul(0.01)), p, g), value] as [Tree, Tensor]
  })
  let params = twoLayers(sizes)
  const x = np.array(numbers(batch * sizes[0], 1, 1)).reshape([batch, sizes[0]])
  const y = np.array(numbers(batch, 1, 2)).reshape([batch, 1])
  return stepping(() => {
    let value: Tensor
    ;[params, value] = step(params, x.ref, y.ref)
    return value
  })
}

export function perExample({ examples }: Size): Program {
  const params = twoLayers([32, 64, 1])
  const gradients = jax.jit(jax.vmap(jax.grad(squaredError), [null, 0, 0])) as (
    p: Tree,
    x: Tensor,
    y: Tensor,
  ) => Tree
  const x = np.array(numbers(examples * 32, 1, 1)).reshape([examples, 32])
  const y = np.array(numbers(examples, 1, 2)).reshape([examples, 1])
  const compute = (): Tree => gradients(tree.ref(params), x.ref, y.ref)
  return {
    ...queued(async () => {
      const result = compute()
      await jax.blockUntilReady(result)
      tree.dispose(result)
    }),
    result: () => compute()['firstW'].data(),
  }
}
