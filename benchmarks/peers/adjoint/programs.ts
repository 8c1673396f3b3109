/** This project, from source. */
import { np, type NDArray, setDevice } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import { grad, jit } from '@adjoint/transforms'
import type { Size } from '../../case'
import { cnn, cnnTraining } from '../../models/cnn'
import { gpt, gptTraining } from '../../models/gpt'
import { mlp, mlpTraining } from '../../models/mlp'
import {
  lorenz,
  lorenzEnd,
  lorenzStart,
  perExample,
  perExampleGradients,
  tinyTraining,
} from '../../models/small'
import type { Training } from '../../models/training'
import { numbers } from '../../numbers'
import { firstLosses, type Numbers, type Peer, type Program, type Programs } from '../program'
import { chain, unrolledGradient, unrolledStart } from './long-functions'

/** The elements of an array on any device. */
const read = (x: NDArray): Promise<Numbers> => x.data()

async function readAll(scalars: readonly NDArray[]): Promise<number[]> {
  const values: number[] = []
  for (const x of scalars) values.push((await read(x))[0])
  return values
}

/** A function whose result is dropped at once. */
const dropping = (f: () => NDArray): Program => ({
  run: () => {
    f().dispose()
  },
  result: () => read(f()),
})

function unary(f: (x: NDArray) => NDArray, ...shape: readonly number[]): Program {
  const size = shape.reduce((product, n) => product * n, 1)
  const x = np.array(numbers(size)).reshape(shape)
  const compiled = jit(f)
  return dropping(() => compiled(x))
}

function binary(f: (x: NDArray, y: NDArray) => NDArray, left: number[], right = left): Program {
  const of = (shape: readonly number[], seed: number): NDArray =>
    np
      .array(
        numbers(
          shape.reduce((product, n) => product * n, 1),
          1,
          seed,
        ),
      )
      .reshape(shape)
  const [x, y] = [of(left, 1), of(right, 2)]
  return dropping(() => f(x, y))
}

const training = <P>({ next }: Training<P>): Program => ({
  run: () => {
    next()
  },
  result: () => readAll(Array.from({ length: firstLosses }, next)),
})

const matmul = jit((x: NDArray, y: NDArray) => np.matmul(x, y))
const add = (x: NDArray, y: NDArray): NDArray => np.add(x, y)

const programs: Programs = {
  matmul: ({ n }) => binary(matmul, [n, n]),
  'batched-matmul': ({ batch, n }) => binary(matmul, [batch, n, n]),
  matvec: ({ n }) => binary(matmul, [n, n], [n]),
  affine: ({ n }) => unary((x) => np.add(np.multiply(x, 2), 1), n),
  exp: ({ n }) => unary((x) => np.exp(x), n),
  gelu: ({ n }) => unary((x) => nn.gelu(x), n),
  sum: ({ n }) => unary((x) => np.sum(x), n),
  'sum-axis': ({ n, axis }) => unary((x) => np.sum(x, { axis }), n, n),
  softmax: ({ rows, columns }) => unary((x) => nn.softmax(x), rows, columns),
  layernorm: ({ rows, columns }) => {
    const [scale, offset] = [numbers(columns, 1, 2), numbers(columns, 1, 3)].map((v) => np.array(v))
    const normalise = jit((x: NDArray, scale: NDArray, offset: NDArray) => {
      const centred = x.sub(np.mean(x, { axis: -1, keepdims: true }))
      const variance = np.mean(np.square(centred), { axis: -1, keepdims: true })
      return centred
        .mul(np.divide(1, np.sqrt(variance.add(1e-5))))
        .mul(scale)
        .add(offset)
    })
    const x = np.array(numbers(rows * columns)).reshape([rows, columns])
    return dropping(() => normalise(x, scale, offset))
  },
  mlp: ({ batch }) => training(mlpTraining({ ...mlp, batch })),
  gpt: (size) => training(gptTraining({ ...gpt, ...size })),
  cnn: ({ batch }) => training(cnnTraining({ ...cnn, batch })),
  tiny: () => training(tinyTraining()),
  'jit-add': ({ n }) => binary(jit(add), [n]),
  'eager-add': ({ n }) => binary(add, [n]),
  'per-example': ({ examples }) => {
    const gradients = perExampleGradients({ ...perExample, examples })
    return {
      run: () => {
        for (const gradient of Object.values(gradients())) gradient.dispose()
      },
      result: () => read(gradients().w1),
    }
  },
  lorenz: ({ steps }) => {
    const solve = jit((start: ReturnType<typeof lorenzStart>) =>
      lorenzEnd(start, { ...lorenz, steps }),
    )
    const start = lorenzStart()
    return {
      run: () => {
        for (const x of solve(start)) x.dispose()
      },
      result: () => readAll(solve(start)),
    }
  },
  'lorenz-gradient': ({ steps }: Size) => {
    const gradient = jit(
      grad((start: ReturnType<typeof lorenzStart>) => {
        const [x, y, z] = lorenzEnd(start, { ...lorenz, steps })
        return x.add(y).add(z)
      }),
    )
    const start = lorenzStart()
    return {
      run: () => {
        for (const x of gradient(start)) x.dispose()
      },
      result: () => readAll(gradient(start)),
    }
  },
  chain: ({ equations }) => unary(chain(equations), 1024),
  unrolled: ({ steps }) => {
    const gradient = jit(unrolledGradient(steps))
    const start = unrolledStart()
    return dropping(() => gradient(...start))
  },
}

/**
 * The device does its work in the order of the calls: the result of a small program that was called
 * last has waited for all others. (Numbers that nothing was computed from would be there at once.)
 */
function finishing(factories: Programs): Programs {
  const zero = np.array(0)
  const last = jit((x: NDArray) => np.add(x, 1))
  const finish = async (): Promise<void> => {
    const y = last(zero)
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

export async function adjoint(onGpu = false): Promise<Peer> {
  const version = 'from source'
  if (!onGpu) return { version, programs }
  await setDevice('webgpu')
  return { version, programs: finishing(programs) }
}
