/** A small residual network (He et al. 2016) for images of 28 by 28 pixels. */
import { np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'

const relu = nn.activation(nn.relu)

/** A convolution without bias, because the norm after it has one. */
const convolution = (inputs: number, outputs: number, window: number, stride = 1) =>
  nn.sequential(
    nn.conv2d(inputs, outputs, window, {
      stride,
      useBias: false,
      weightInit: nn.initializers.heNormal(),
    }),
    nn.batchNorm(outputs, { momentum: 0.95 }),
  )

const block = (features: number) =>
  nn.sequential(
    nn.residual(
      nn.sequential(convolution(features, features, 3), relu, convolution(features, features, 3)),
    ),
    relu,
  )

/** Half the resolution; the shortcut is a projection. */
const halving = (inputs: number, outputs: number) =>
  nn.sequential(
    nn.residual(
      nn.sequential(convolution(inputs, outputs, 3, 2), relu, convolution(outputs, outputs, 3)),
      convolution(inputs, outputs, 1, 2),
    ),
    relu,
  )

/** `[..., 28, 28, 1]` to scores `[..., 10]`. */
export const model = nn.sequential(
  convolution(1, 16, 3),
  relu,
  nn.activation((x) => nn.maxPool(x, [2, 2])),
  block(16),
  halving(16, 32),
  halving(32, 64),
  nn.activation((x) => nn.globalAveragePool(x)),
  nn.linear(64, 10),
)

export type Variables = ReturnType<typeof model.init>
export type Params = Variables['params']
export type State = Variables['state']

/** Bytes `[..., 784]` as images with values of about unit variance. */
const imagesOf = (bytes: NDArray): NDArray =>
  np
    .divide(np.subtract(bytes.astype('float32'), 33), 79)
    .reshape([...bytes.shape.slice(0, -1), 28, 28, 1])

/** The mean cross-entropy of a batch, and the statistics after it. */
export function loss(
  params: Params,
  state: State,
  images: NDArray,
  labels: NDArray,
): [NDArray, State] {
  const [scores, next] = model.apply({ params, state }, imagesOf(images), { train: true })
  return [np.mean(optim.softmaxCrossEntropyWithIntegerLabels(scores, labels)), next]
}

export const classify = (params: Params, state: State, images: NDArray): NDArray =>
  np.argmax(model.apply({ params, state }, imagesOf(images))[0], -1)
