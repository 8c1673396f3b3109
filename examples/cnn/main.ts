/**
 * A convolutional network with batch norm and residual connections learns the digits of MNIST.
 *
 *   pnpm example cnn [--epochs 3] [--batch 128] [--rate 0.003] [--out FILE] [--quick]
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { np, random, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit, valueAndGrad } from '@adjoint/transforms'
import { outputPath } from '../chart'
import { drawLossCurve, type Point } from '../mnist/curve'
import { batchOf, type Digits, loadDigits } from '../mnist/data'
import { flagsOf, heading, numberFlag, progress } from '../terminal'
import { classify, loss, model, type Params, type State } from './model'

const flags = flagsOf({
  epochs: { type: 'string', default: '3' },
  batch: { type: 'string', default: '128' },
  rate: { type: 'string', default: '0.003' },
  /** Where to save: this with .safetensors and .svg after it. */
  out: { type: 'string' },
  /** A few steps: a check that everything runs. */
  quick: { type: 'boolean', default: false },
})
const train = loadDigits('train')
const test = loadDigits('t10k')
const batch = flags.quick ? 32 : numberFlag('batch', flags.batch, { integer: true, max: 6000 })
const epochs = flags.quick ? 1 : numberFlag('epochs', flags.epochs, { integer: true })
const rate = numberFlag('rate', flags.rate)
const stepsPerEpoch = flags.quick ? 20 : Math.floor(train.count / batch)
const totalSteps = epochs * stepsPerEpoch
const { target, shown } = outputPath('cnn', flags)

const optimiser = optim.adamw(
  optim.warmupCosineDecay(0, rate, Math.ceil(totalSteps / 10), totalSteps),
  { weightDecay: 0.01, mask: optim.byPath(/weight$/) },
)

/** One step as one compiled program that reuses the buffers of what it replaces. */
const step = jit(
  (params: Params, state: State, optState: optim.OptState, images: NDArray, labels: NDArray) => {
    const [[value, nextState], gradient] = valueAndGrad(loss, { hasAux: true })(
      params,
      state,
      images,
      labels,
    )
    const [updates, nextOptState] = optimiser.update(gradient, optState, params)
    return [optim.applyUpdates(params, updates), nextState, nextOptState, value] as const
  },
  { donateArgnums: [0, 1, 2], name: 'step' },
)

const compiledClassify = jit(classify)
function accuracy(params: Params, state: State, digits: Digits, count: number): number {
  const chunk = 500
  let correct = 0
  for (let start = 0; start < count; start += chunk) {
    const indices = Array.from({ length: chunk }, (_, i) => start + i)
    const { images, labels } = batchOf(digits, indices)
    const said = compiledClassify(params, state, np.array(images).reshape([chunk, 784]))
    correct += np.sum(np.equal(said, np.array(labels))).item() as number
  }
  return correct / count
}

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`

let { params, state } = model.init(random.key(0))
let optState = optimiser.init(params)
heading('a residual network')
console.log(
  `  ${nn.summary(params).count} parameters, ${nn.summary(state).count} running statistics`,
)

heading('learning digits')
console.log(`  ${epochs} × ${stepsPerEpoch} steps with ${batch} digits each`)
const bar = progress(totalSteps)
const curve: Point[] = []
const started = performance.now()
for (let epoch = 0; epoch < epochs; epoch++) {
  const order = random.permutation(random.key(epoch + 1), train.count).dataSync()
  for (let i = 0; i < stepsPerEpoch; i++) {
    const { images, labels } = batchOf(train, order.subarray(i * batch, (i + 1) * batch))
    const [nextParams, nextState, nextOptState, value] = step(
      params,
      state,
      optState,
      np.array(images).reshape([batch, 784]),
      np.array(labels),
    )
    params = nextParams
    state = nextState
    optState = nextOptState
    const now = value.item() as number
    curve.push({ step: curve.length, loss: now })
    bar.update(curve.length, now)
  }
  const tested = accuracy(params, state, test, flags.quick ? 1000 : test.count)
  console.log(`  epoch ${epoch + 1}: ${percent(tested)} of the test digits`)
}
bar.stop()
const seconds = (performance.now() - started) / 1000
console.log(
  `  ${totalSteps} steps in ${seconds.toFixed(0)} s, ${((seconds / totalSteps) * 1000).toFixed(1)} ms each`,
)

mkdirSync(dirname(target), { recursive: true })
await nn.saveSafetensors(`${target}.safetensors`, { params, state })
await drawLossCurve(curve, `${target}.svg`)
console.log(`  saved: ${shown('svg')}, ${shown('safetensors')}`)
