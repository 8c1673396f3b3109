/** The classifier: 784-512-256-10 with ReLU, and its loss. */
import { np, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit, valueAndGrad } from '@adjoint/transforms'

export const model = nn.sequential(
  nn.linear(784, 512, { weightInit: nn.initializers.heNormal() }),
  nn.activation(nn.relu),
  nn.linear(512, 256, { weightInit: nn.initializers.heNormal() }),
  nn.activation(nn.relu),
  nn.linear(256, 10),
)

export type Variables = ReturnType<typeof model.init>
export type Params = Variables['params']

const state: Variables['state'] = [null, null, null, null, null]

/** Scores per class from bytes: `[..., 784]` to `[..., 10]`. */
export function logits(params: Params, images: NDArray): NDArray {
  const [scores] = model.apply({ params, state }, np.divide(images.astype('float32'), 255))
  return scores
}

/** The mean cross-entropy of a batch; also of one example without a batch axis. */
export function loss(params: Params, images: NDArray, labels: NDArray): NDArray {
  return np.mean(optim.softmaxCrossEntropyWithIntegerLabels(logits(params, images), labels))
}

export const lossAndGradient = jit(valueAndGrad(loss))

export const predict = jit((params: Params, images: NDArray) =>
  np.argmax(logits(params, images), -1),
)

/** One step of an optimiser as one compiled program that reuses the buffers of what it replaces. */
export function trainingStep(optimiser: optim.GradientTransformation) {
  return jit(
    (params: Params, optState: optim.OptState, images: NDArray, labels: NDArray) => {
      const [value, gradient] = lossAndGradient(params, images, labels)
      const [updates, next] = optimiser.update(gradient, optState, params)
      return [optim.applyUpdates(params, updates), next, value] as const
    },
    { donateArgnums: [0, 1], name: 'trainingStep' },
  )
}
