/** @jax-js/jax on its WebAssembly or its WebGPU backend. */
import { createRequire } from 'node:module'
import * as jax from '@jax-js/jax'
import { lorenz as lorenzSize, unrolled } from '../../models/small'
import { numbers } from '../../numbers'
import type { Peer, Program } from '../program'
import { cnn, gpt, mlp, perExample, type Tensor, tiny } from './models'
import { queued, setQueueLength } from './queue'

const { nn, numpy: np } = jax

/** Waits for the result and drops it. */
const dropping = (f: () => Tensor): Program => ({
  ...queued(async () => {
    const y = f()
    await y.blockUntilReady()
    y.dispose()
  }),
  result: () => f().data(),
})

const filled = (shape: readonly number[], seed = 1): Tensor => {
  const size = shape.reduce((product, n) => product * n, 1)
  return np.array(numbers(size, 1, seed)).reshape([...shape])
}

function unary(f: (x: Tensor) => Tensor, ...shape: readonly number[]): Program {
  const x = filled(shape)
  const compiled = jax.jit(f)
  return dropping(() => compiled(x.ref))
}

function binary(
  f: (x: Tensor, y: Tensor) => Tensor,
  left: readonly number[],
  right = left,
): Program {
  const [x, y] = [filled(left, 1), filled(right, 2)]
  return dropping(() => f(x.ref, y.ref))
}

const matmul = jax.jit((x: Tensor, y: Tensor) => np.matmul(x, y))
const add = (x: Tensor, y: Tensor): Tensor => np.add(x, y)

/** It has no loops in programs: a step is compiled, and called so many times. */
function lorenz(steps: number): Program {
  const { h, sigma, rho, beta } = lorenzSize
  const slope = ([x, y, z]: Tensor[]): Tensor[] => [
    y.ref.sub(x.ref).mul(sigma),
    x.ref.mul(z.ref.mul(-1).add(rho)).sub(y.ref),
    x.mul(y).sub(z.mul(beta)),
  ]
  const step = jax.jit((at: Tensor[]) => {
    const along = (k: Tensor[], t: number): Tensor[] => at.map((v, i) => v.ref.add(k[i].ref.mul(t)))
    const k1 = slope(at.map((v) => v.ref))
    const k2 = slope(along(k1, h / 2))
    const k3 = slope(along(k2, h / 2))
    const k4 = slope(along(k3, h))
    return at.map((v, i) => {
      const mean = k1[i].add(k2[i].mul(2)).add(k3[i].mul(2)).add(k4[i])
      return v.add(mean.mul(h / 6))
    })
  })
  const solve = async (): Promise<number[]> => {
    let at = [1, 1, 1].map((v) => np.array(v, { dtype: np.float32 }))
    for (let i = 0; i < steps; i++) {
      at = step(at)
      // Work that nobody waits for queues up there, and a long queue makes every step slow.
      for (const v of at) await v.blockUntilReady()
    }
    const ends: number[] = []
    for (const v of at) ends.push((await v.data())[0])
    return ends
  }
  return {
    run: async () => {
      await solve()
    },
    result: solve,
  }
}

function chain(equations: number): (x: Tensor) => Tensor {
  return (x) => {
    let y = x
    for (let i = 0; i < equations; i += 2) y = np.sin(y).mul(1 + i / equations)
    return y
  }
}

/** The gradient of a recurrent network that is written out step by step. */
function unrolledGradient(steps: number): Program {
  const { width, batch } = unrolled
  const weight = np.array(numbers(width * width, 1 / Math.sqrt(width), 1)).reshape([width, width])
  const x = filled([batch, width], 2)
  const gradient = jax.jit(
    jax.grad((weight: Tensor, x: Tensor) => {
      let h = x.ref
      for (let i = 0; i < steps; i++) h = np.tanh(np.matmul(h, weight.ref).add(x.ref))
      weight.dispose()
      x.dispose()
      return np.sum(h)
    }),
  )
  return dropping(() => gradient(weight.ref, x.ref))
}

/** Runs that a GPU has before it at one time. */
const QUEUE_ON_GPU = 16

export async function jaxJs(onGpu: boolean): Promise<Peer> {
  const device = onGpu ? 'webgpu' : 'wasm'
  if (onGpu) setQueueLength(QUEUE_ON_GPU)
  await jax.init(device)
  jax.defaultDevice(device)
  const require = createRequire(import.meta.url)
  const entry = require.resolve('@jax-js/jax')
  const { version } = require(entry.replace(/dist\/.*$/, 'package.json')) as { version: string }
  return {
    version,
    programs: {
      matmul: ({ n }) => binary(matmul, [n, n]),
      'batched-matmul': ({ batch, n }) => binary(matmul, [batch, n, n]),
      matvec: ({ n }) => binary(matmul, [n, n], [n]),
      affine: ({ n }) => unary((x) => x.mul(2).add(1), n),
      exp: ({ n }) => unary((x) => np.exp(x), n),
      gelu: ({ n }) => unary((x) => nn.gelu(x), n),
      sum: ({ n }) => unary((x) => np.sum(x), n),
      'sum-axis': ({ n, axis }) => unary((x) => np.sum(x, axis), n, n),
      softmax: ({ rows, columns }) => unary((x) => nn.softmax(x, -1), rows, columns),
      layernorm: ({ rows, columns }) => {
        const [scale, offset] = [filled([columns], 2), filled([columns], 3)]
        const normalise = jax.jit((x: Tensor, scale: Tensor, offset: Tensor) =>
          nn.standardize(x, -1, { epsilon: 1e-5 }).mul(scale).add(offset),
        )
        const x = filled([rows, columns])
        return dropping(() => normalise(x.ref, scale.ref, offset.ref))
      },
      mlp,
      gpt,
      cnn,
      tiny,
      'jit-add': ({ n }) => binary(jax.jit(add), [n]),
      'eager-add': ({ n }) => binary(add, [n]),
      'per-example': perExample,
      lorenz: ({ steps }) => lorenz(steps),
      chain: ({ equations }) => unary(chain(equations), 1024),
      unrolled: ({ steps }) => unrolledGradient(steps),
    },
  }
}
