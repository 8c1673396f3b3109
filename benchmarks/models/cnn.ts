/** Two convolutions with pooling and a dense layer over 28 by 28 images, trained by Adam. */
import { lax, np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { valueAndGrad } from '@adjoint/transforms'
import { integers, numbers, parameterSource } from '../numbers'
import { type Training, trainingOf } from './training'

export const cnn = { batch: 64, side: 28, channels: [1, 16, 32], classes: 10 }

interface Layer {
  readonly weight: NDArray
  readonly bias: NDArray
}
interface CnnParams {
  readonly filters: readonly Layer[]
  readonly dense: Layer
}

const convolve = (x: NDArray, { weight, bias }: Layer): NDArray =>
  np.add(
    lax.convGeneralDilated(x, weight, [1, 1], 'SAME', {
      dimensionNumbers: ['NHWC', 'HWIO', 'NHWC'],
    }),
    bias,
  )

const maxPool = (x: NDArray): NDArray =>
  lax.reduceWindow(x, -Infinity, lax.max, [1, 2, 2, 1], [1, 2, 2, 1], 'VALID')

export function cnnTraining({ batch, side, channels, classes } = cnn): Training<CnnParams> {
  const draw = parameterSource()
  const layer = (shape: readonly number[]): Layer => {
    const outputs = shape[shape.length - 1]
    const inputs = shape.slice(0, -1).reduce((product, n) => product * n, 1)
    return {
      weight: np.array(draw(inputs, inputs * outputs)).reshape(shape),
      bias: np.zeros([outputs]),
    }
  }
  const filters = channels.slice(1).map((outputs, i) => layer([3, 3, channels[i], outputs]))
  const pooled = side / 2 ** filters.length
  const loss = (params: CnnParams, images: NDArray, labels: NDArray): NDArray => {
    const features = params.filters.reduce((x, f) => maxPool(nn.relu(convolve(x, f))), images)
    const logits = np.add(
      np.matmul(features.reshape([batch, -1]), params.dense.weight),
      params.dense.bias,
    )
    return np.mean(optim.softmaxCrossEntropyWithIntegerLabels(logits, labels))
  }
  return trainingOf<CnnParams>({
    lossAndGradient: valueAndGrad(loss),
    params: { filters, dense: layer([pooled ** 2 * channels[channels.length - 1], classes]) },
    optimiser: optim.adam(1e-3),
    data: [
      np.array(numbers(batch * side ** 2, 1, 1)).reshape([batch, side, side, 1]),
      np.array(integers(batch, classes, 2)),
    ],
  })
}
