/** Whole programs that every device must agree on: small models and solvers as people write them. */
import { lax, linalg, np, type NDArray, random } from '@adjoint/core'
import { grad, scan, vmap, whileLoop } from '@adjoint/transforms'
import type { EquivalenceOptions } from '../equivalence'

/** One program with its arguments, made when it runs. */
export interface SuiteProgram {
  readonly name: string
  readonly f: (...args: never[]) => unknown
  readonly args: () => readonly unknown[]
  readonly options?: EquivalenceOptions
}

const normal = (seed: number, shape: readonly number[], scale = 1): NDArray =>
  np.multiply(random.normal(random.key(seed), shape), scale)

const logSoftmax = (x: NDArray): NDArray => {
  const shifted = np.subtract(x, lax.stopGradient(np.max(x, { axis: -1, keepdims: true })))
  return np.subtract(shifted, np.log(np.sum(np.exp(shifted), { axis: -1, keepdims: true })))
}

/** Σ −log p of the right class, by one-hot labels. */
const crossEntropy = (logits: NDArray, labels: NDArray): NDArray =>
  np.negative(np.mean(np.sum(np.multiply(logSoftmax(logits), labels), -1)))

interface Dense {
  readonly w: NDArray
  readonly b: NDArray
}

const dense = (seed: number, inputs: number, outputs: number): Dense => ({
  w: normal(seed, [inputs, outputs], 1 / Math.sqrt(inputs)),
  b: normal(seed + 100, [outputs], 0.1),
})

const apply = ({ w, b }: Dense, x: NDArray): NDArray => np.add(np.matmul(x, w), b)

const labels = (seed: number, rows: number, classes: number): NDArray =>
  np
    .equal(
      np.expandDims(random.randint(random.key(seed), [rows], 0, classes), 1),
      np.arange(classes),
    )
    .astype('float32')

const perceptron: SuiteProgram = {
  name: 'multilayer perceptron',
  f: (layers: Dense[], x: NDArray, y: NDArray) => {
    const hidden = layers.slice(0, -1).reduce((h, layer) => np.tanh(apply(layer, h)), x)
    return crossEntropy(apply(layers[layers.length - 1], hidden), y)
  },
  args: () => [
    [dense(1, 6, 8), dense(2, 8, 8), dense(3, 8, 4)],
    normal(4, [5, 6]),
    labels(5, 5, 4),
  ],
}

const convolutional: SuiteProgram = {
  name: 'convolutional network',
  f: (kernel: NDArray, head: Dense, x: NDArray, y: NDArray) => {
    const features = np.tanh(
      lax.convGeneralDilated(x, kernel, [1, 1], 'SAME', {
        dimensionNumbers: ['NHWC', 'HWIO', 'NHWC'],
      }),
    )
    const window = [1, 2, 2, 1]
    const pooled = lax.reduceWindow(features, -Infinity, lax.max, window, window, 'VALID')
    return crossEntropy(apply(head, np.reshape(pooled, [x.shape[0], -1])), y)
  },
  args: () => [
    normal(1, [3, 3, 2, 4], 0.3),
    dense(2, 36, 3),
    normal(3, [2, 6, 6, 2]),
    labels(4, 2, 3),
  ],
}

const attention: SuiteProgram = {
  name: 'causal attention',
  f: (wq: NDArray, wk: NDArray, wv: NDArray, x: NDArray) => {
    const [q, k, v] = [wq, wk, wv].map((w) => np.matmul(x, w))
    const scores = np.divide(np.matmul(q, np.swapaxes(k, -1, -2)), Math.sqrt(wq.shape[1]))
    const time = np.arange(x.shape[1])
    const visible = np.greaterEqual(np.expandDims(time, 1), np.expandDims(time, 0))
    return np.matmul(np.exp(logSoftmax(np.where(visible, scores, -1e9))), v)
  },
  args: () => [
    normal(1, [6, 4], 0.4),
    normal(2, [6, 4], 0.4),
    normal(3, [6, 4]),
    normal(4, [2, 5, 6]),
  ],
}

const recurrent: SuiteProgram = {
  name: 'recurrent network by scan',
  f: (cell: Dense, input: NDArray, xs: NDArray) => {
    const step = (h: NDArray, x: NDArray): [NDArray, NDArray] => {
      const next = np.tanh(np.add(apply(cell, h), np.matmul(x, input)))
      return [next, np.sum(np.square(next))]
    }
    const [last, energies] = scan(step, np.zeros([4]), xs)
    return np.add(np.sum(last), np.mean(energies))
  },
  args: () => [dense(1, 4, 4), normal(2, [3, 4], 0.5), normal(3, [6, 3])],
}

/** One step of the classical Runge–Kutta method (Kutta 1901). */
function rungeKutta(f: (y: NDArray) => NDArray, y: NDArray, h: number): NDArray {
  const k1 = f(y)
  const k2 = f(np.add(y, np.multiply(k1, h / 2)))
  const k3 = f(np.add(y, np.multiply(k2, h / 2)))
  const k4 = f(np.add(y, np.multiply(k3, h)))
  const slope = np.add(np.add(k1, k4), np.multiply(2, np.add(k2, k3)))
  return np.add(y, np.multiply(slope, h / 6))
}

/** A damped pendulum: the angle after some time, as a function of its constants. */
const pendulumEnd = (y0: NDArray, theta: NDArray): NDArray => {
  const [stiffness, damping] = [theta.get(0), theta.get(1)]
  const field = (y: NDArray): NDArray =>
    np.stack([
      y.get(1),
      np.negative(np.add(np.multiply(stiffness, np.sin(y.get(0))), np.multiply(damping, y.get(1)))),
    ])
  const step = (y: NDArray): [NDArray, NDArray] => [rungeKutta(field, y, 0.1), y.get(0)]
  return scan(step, y0, null, { length: 16 })[0]
}

const ode: SuiteProgram = {
  name: 'ODE solve',
  f: pendulumEnd,
  args: () => [np.array([1, 0.2]), np.array([2, 0.3])],
}

const odeGradient: SuiteProgram = {
  name: 'gradient of an ODE solve',
  f: (y0: NDArray, theta: NDArray) =>
    grad((t: NDArray) => np.sum(np.square(pendulumEnd(y0, t))))(theta),
  args: ode.args,
}

const newton: SuiteProgram = {
  name: "Newton's method by while under vmap",
  f: (targets: NDArray) =>
    vmap((a: NDArray): NDArray => {
      const [root] = whileLoop(
        ([, n]: [NDArray, NDArray]) => np.less(n, 8),
        ([x, n]: [NDArray, NDArray]): [NDArray, NDArray] => [
          np.subtract(x, np.divide(np.subtract(np.power(x, 3), a), np.multiply(3, np.square(x)))),
          np.add(n, 1),
        ],
        [np.add(np.divide(a, 3), 1), np.array(0)] as [NDArray, NDArray],
      )
      return root
    })(targets),
  args: () => [np.array([0.5, 2, 7.5])],
  options: { modes: ['forward'] },
}

/** Hamiltonian Monte Carlo (Neal 2011), with the momenta and the coins given. */
const hamiltonian: SuiteProgram = {
  name: 'Hamiltonian Monte Carlo',
  f: (start: NDArray, momenta: NDArray, coins: NDArray) => {
    const energy = (q: NDArray): NDArray =>
      np.add(
        np.multiply(0.5, np.sum(np.square(q))),
        np.multiply(0.1, np.sum(np.multiply(np.square(q), np.square(q)))),
      )
    const force = grad(energy)
    const leapfrog = ([q, p]: [NDArray, NDArray]): [[NDArray, NDArray], null] => {
      const half = np.subtract(p, np.multiply(0.1, force(q)))
      const moved = np.add(q, np.multiply(0.2, half))
      return [[moved, np.subtract(half, np.multiply(0.1, force(moved)))], null]
    }
    const total = (q: NDArray, p: NDArray): NDArray =>
      np.add(energy(q), np.multiply(0.5, np.sum(np.square(p))))
    const step = (q: NDArray, [p, coin]: [NDArray, NDArray]): [NDArray, NDArray] => {
      const [[proposal, momentum]] = scan(leapfrog, [q, p] as [NDArray, NDArray], null, {
        length: 4,
      })
      const accept = np.less(coin, np.exp(np.subtract(total(q, p), total(proposal, momentum))))
      const next = np.where(accept, proposal, q)
      return [next, next]
    }
    return scan(step, start, [momenta, coins] as [NDArray, NDArray])[1]
  },
  args: () => [np.array([0.5, -0.3]), normal(1, [5, 2]), random.uniform(random.key(2), [5])],
}

/** −log N(y | 0, K): Rasmussen and Williams, Gaussian Processes for Machine Learning, 2.30. */
const gaussianProcess: SuiteProgram = {
  name: 'Gaussian process likelihood by Cholesky',
  f: (theta: NDArray, x: NDArray, y: NDArray) => {
    const [scale, length] = [np.exp(theta.get(0)), np.exp(theta.get(1))]
    const distance = np.divide(np.subtract(np.expandDims(x, 1), np.expandDims(x, 0)), length)
    const kernel = np.multiply(scale, np.exp(np.multiply(-0.5, np.square(distance))))
    const factor = linalg.cholesky(np.add(kernel, np.multiply(0.1, np.eye(x.shape[0]))))
    const whitened = lax.triangularSolve(factor, np.expandDims(y, 1), {
      leftSide: true,
      lower: true,
    })
    return np.add(
      np.multiply(0.5, np.sum(np.square(whitened))),
      np.sum(np.log(np.diagonal(factor))),
    )
  },
  args: () => [np.array([0.2, -0.4]), np.linspace(-1, 1, 6), normal(1, [6])],
}

export const suitePrograms: readonly SuiteProgram[] = [
  perceptron,
  convolutional,
  attention,
  recurrent,
  ode,
  odeGradient,
  newton,
  hamiltonian,
  gaussianProcess,
]
