/** Training a classifier of digits: the work of `pnpm start`. */
import { np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit, valueAndGrad } from '@adjoint/transforms'
import type { Array as JaxArray } from '@jax-js/jax'
import type { Case, Numbers } from '../case'
import { jaxJs } from '../jax-js'
import { numbers } from '../numbers'

const [batch, sizes] = [128, [784, 512, 256, 10]]
const [rate, b1, b2, eps] = [0.001, 0.9, 0.999, 1e-8]

const layers = sizes.slice(1).map((outputs, i) => ({
  shape: [sizes[i], outputs] as [number, number],
  weight: numbers(sizes[i] * outputs, Math.sqrt(6 / sizes[i]), i + 1),
  bias: new Float32Array(outputs),
}))
const images = numbers(batch * sizes[0], 1, 9)
const classes = Array.from({ length: batch }, (_, i) => (i * 7) % 10)
const oneHot = Float32Array.from({ length: batch * 10 }, (_, i) =>
  classes[Math.floor(i / 10)] === i % 10 ? 1 : 0,
)

/** The losses of the first steps show that it is the same training. */
const firstLosses = 3

async function lossesOf(step: () => number | Promise<number>): Promise<Numbers> {
  const losses: number[] = []
  for (let i = 0; i < firstLosses; i++) losses.push(await step())
  return losses
}

export const mlpCases: readonly Case[] = [
  {
    name: 'mlp-adam',
    what: 'a training step of an MLP 784-512-256-10 with a batch of 128 and Adam',
    // A product for the values, one for the weights, one for the inputs of every layer but the first.
    flops: layers.reduce(
      (sum, { shape: [m, n] }, i) => sum + 2 * batch * m * n * (i === 0 ? 2 : 3),
      0,
    ),
    tolerance: 1e-3,
    programs: {
      adjoint: () => {
        const model = nn.sequential(
          nn.linear(784, 512),
          nn.activation(nn.relu),
          nn.linear(512, 256),
          nn.activation(nn.relu),
          nn.linear(256, 10),
        )
        type Params = ReturnType<typeof model.init>['params']
        const [first, second, third] = layers.map(({ shape, weight, bias }) => ({
          weight: np.array(weight).reshape(shape),
          bias: np.array(bias),
        }))
        const loss = (params: Params, x: NDArray, y: NDArray): NDArray => {
          const state: [null, null, null, null, null] = [null, null, null, null, null]
          const [logits] = model.apply({ params, state }, x)
          return np.mean(optim.softmaxCrossEntropy(logits, y))
        }
        const optimiser = optim.adam(rate, { b1, b2, eps })
        const step = jit(
          (params: Params, optState: optim.OptState, x: NDArray, y: NDArray) => {
            const [value, gradient] = valueAndGrad(loss)(params, x, y)
            const [updates, next] = optimiser.update(gradient, optState, params)
            return [optim.applyUpdates(params, updates), next, value] as const
          },
          { donateArgnums: [0, 1] },
        )
        let params: Params = [first, null, second, null, third]
        let optState = optimiser.init(params)
        const [x, y] = [
          np.array(images).reshape([batch, 784]),
          np.array(oneHot).reshape([batch, 10]),
        ]
        const once = (): number => {
          const [nextParams, nextState, value] = step(params, optState, x, y)
          params = nextParams
          optState = nextState
          return Number(value)
        }
        return {
          run: () => {
            once()
          },
          result: () => lossesOf(once),
        }
      },
      'jax-js': async () => {
        const { jit, nn, numpy, tree, valueAndGrad } = await jaxJs()
        type Params = { readonly weight: JaxArray; readonly bias: JaxArray }[]
        const loss = (params: Params, x: JaxArray, y: JaxArray): JaxArray => {
          const logits = params.reduce((h, { weight, bias }, i) => {
            const z = numpy.matmul(h, weight).add(bias)
            return i < params.length - 1 ? nn.relu(z) : z
          }, x)
          return nn
            .logSoftmax(logits, -1)
            .mul(y)
            .sum()
            .mul(-1 / batch)
        }
        const step = jit(
          (
            p: Params,
            m: Params,
            v: Params,
            mScale: JaxArray,
            vScale: JaxArray,
            x: JaxArray,
            y: JaxArray,
          ) => {
            const [value, g] = valueAndGrad(loss)(tree.ref(p), x, y)
            const m2 = tree.map(
              (a: JaxArray, b: JaxArray) => a.mul(b1).add(b.mul(1 - b1)),
              m,
              tree.ref(g),
            )
            const v2 = tree.map(
              (a: JaxArray, b: JaxArray) => a.mul(b2).add(b.ref.mul(b).mul(1 - b2)),
              v,
              g,
            )
            const p2 = tree.map(
              (a: JaxArray, m: JaxArray, v: JaxArray) =>
                a.sub(
                  m
                    .mul(mScale.ref)
                    .mul(rate)
                    .div(numpy.sqrt(v.mul(vScale.ref)).add(eps)),
                ),
              p,
              tree.ref(m2),
              tree.ref(v2),
            )
            mScale.dispose()
            vScale.dispose()
            return [p2, m2, v2, value] as [Params, Params, Params, JaxArray]
          },
        )
        let params: Params = layers.map(({ shape, weight, bias }) => ({
          weight: numpy.array(weight).reshape(shape),
          bias: numpy.array(bias),
        }))
        const zeros = (): Params =>
          layers.map(({ shape, bias }) => ({
            weight: numpy.zeros(shape),
            bias: numpy.zeros([bias.length]),
          }))
        let [m, v] = [zeros(), zeros()]
        const [x, y] = [
          numpy.array(images).reshape([batch, 784]),
          numpy.array(oneHot).reshape([batch, 10]),
        ]
        let count = 0
        const once = async (): Promise<number> => {
          count++
          const [mScale, vScale] = [b1, b2].map((b) => numpy.array(1 / (1 - b ** count)))
          const [p2, m2, v2, value] = step(params, m, v, mScale, vScale, x.ref, y.ref)
          params = p2
          m = m2
          v = v2
          return (await value.data())[0]
        }
        return {
          run: async () => {
            await once()
          },
          result: () => lossesOf(once),
        }
      },
    },
  },
]
