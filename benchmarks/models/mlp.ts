/** A classifier of digits, 784-512-256-10, trained by Adam. */
import { np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { valueAndGrad } from '@adjoint/transforms'
import { integers, numbers, parameterSource } from '../numbers'
import { type Training, trainingOf } from './training'

export const mlp = { batch: 128, sizes: [784, 512, 256, 10], learningRate: 1e-3 }

interface Dense {
  readonly weight: NDArray
  readonly bias: NDArray
}

export function mlpTraining({ batch, sizes, learningRate } = mlp): Training<readonly Dense[]> {
  const draw = parameterSource()
  const layer = (inputs: number, outputs: number): Dense => ({
    weight: np.array(draw(inputs, inputs * outputs)).reshape([inputs, outputs]),
    bias: np.zeros([outputs]),
  })
  const loss = (params: readonly Dense[], x: NDArray, labels: NDArray): NDArray => {
    const logits = params.reduce((h, { weight, bias }, i) => {
      const z = np.add(np.matmul(h, weight), bias)
      return i < params.length - 1 ? nn.relu(z) : z
    }, x)
    return np.mean(optim.softmaxCrossEntropyWithIntegerLabels(logits, labels))
  }
  return trainingOf<readonly Dense[]>({
    lossAndGradient: valueAndGrad(loss),
    params: sizes.slice(1).map((outputs, i) => layer(sizes[i], outputs)),
    optimiser: optim.adam(learningRate),
    data: [
      np.array(numbers(batch * sizes[0], 1, 1)).reshape([batch, sizes[0]]),
      np.array(integers(batch, sizes[sizes.length - 1], 2)),
    ],
  })
}
