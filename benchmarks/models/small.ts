/** Programs in which calls and steps cost more than arithmetic. */
import { np, type NDArray } from '@adjoint/core'
import * as optim from '@adjoint/optim'
import { grad, jit, scan, valueAndGrad, vmap } from '@adjoint/transforms'
import { numbers, parameterSource } from '../numbers'
import { type Training, trainingOf } from './training'

// --- a perceptron that fits into a thought -----------------------------------------------------------

export const tiny = { batch: 16, sizes: [4, 8, 1] }

interface TwoLayers {
  readonly w1: NDArray
  readonly b1: NDArray
  readonly w2: NDArray
  readonly b2: NDArray
}

function twoLayers([inputs, hidden, outputs]: readonly number[]): TwoLayers {
  const draw = parameterSource()
  return {
    w1: np.array(draw(inputs, inputs * hidden)).reshape([inputs, hidden]),
    b1: np.zeros([hidden]),
    w2: np.array(draw(hidden, hidden * outputs)).reshape([hidden, outputs]),
    b2: np.zeros([outputs]),
  }
}

const predict = ({ w1, b1, w2, b2 }: TwoLayers, x: NDArray): NDArray =>
  np.add(np.matmul(np.tanh(np.add(np.matmul(x, w1), b1)), w2), b2)

const squaredError = (params: TwoLayers, x: NDArray, y: NDArray): NDArray =>
  np.mean(np.square(np.subtract(predict(params, x), y)))

export const tinyTraining = ({ batch, sizes } = tiny): Training<TwoLayers> =>
  trainingOf<TwoLayers>({
    lossAndGradient: valueAndGrad(squaredError),
    params: twoLayers(sizes),
    optimiser: optim.sgd(0.01),
    data: [
      np.array(numbers(batch * sizes[0], 1, 1)).reshape([batch, sizes[0]]),
      np.array(numbers(batch, 1, 2)).reshape([batch, 1]),
    ],
  })

// --- a gradient for every example --------------------------------------------------------------------

export const perExample = { examples: 256, sizes: [32, 64, 1] }

/** The gradient of the loss of every example by itself, as a function without arguments. */
export function perExampleGradients({ examples, sizes } = perExample): () => TwoLayers {
  const params = twoLayers(sizes)
  const x = np.array(numbers(examples * sizes[0], 1, 1)).reshape([examples, sizes[0]])
  const y = np.array(numbers(examples, 1, 2)).reshape([examples, 1])
  const gradients = jit(vmap(grad(squaredError), { inAxes: [null, 0, 0] }))
  return () => gradients(params, x, y)
}

// --- the Lorenz system -------------------------------------------------------------------------------

export const lorenz = { steps: 10_000, h: 0.001, sigma: 10, rho: 28, beta: 8 / 3 }

type Point = [x: NDArray, y: NDArray, z: NDArray]

/** Where a point is after `steps` steps of Runge–Kutta. */
export function lorenzEnd(start: Point, { steps, h, sigma, rho, beta } = lorenz): Point {
  const slope = ([x, y, z]: Point): Point => [
    y.sub(x).mul(sigma),
    x.mul(np.subtract(rho, z)).sub(y),
    x.mul(y).sub(z.mul(beta)),
  ]
  const step = (at: Point, _: null): [Point, null] => {
    const along = (k: Point, t: number): Point => [
      at[0].add(k[0].mul(t)),
      at[1].add(k[1].mul(t)),
      at[2].add(k[2].mul(t)),
    ]
    const k1 = slope(at)
    const k2 = slope(along(k1, h / 2))
    const k3 = slope(along(k2, h / 2))
    const k4 = slope(along(k3, h))
    const mean = (i: 0 | 1 | 2): NDArray => k1[i].add(k2[i].mul(2)).add(k3[i].mul(2)).add(k4[i])
    return [along([mean(0), mean(1), mean(2)], h / 6), null]
  }
  return scan(step, start, null, { length: steps })[0]
}

export const lorenzStart = (): Point => [
  np.array(1, { dtype: 'float32' }),
  np.array(1, { dtype: 'float32' }),
  np.array(1, { dtype: 'float32' }),
]

// --- a recurrent network without a loop --------------------------------------------------------------

export const unrolled = { width: 32, batch: 8 }
