/**
 * Trains a classifier on the 60,000 digits of MNIST and tests it on the other 10,000.
 *
 *   pnpm start [--epochs 8] [--batch 128] [--rate 0.001] [--curve FILE.svg] [--quick]
 */
import { mkdirSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { np, random } from '@adjoint/core'
import { adam, warmupCosineDecay } from '@adjoint/optim'
import { flagsOf, heading, numberFlag, progress } from '../terminal'
import { drawLossCurve, type Point } from './curve'
import { batchOf, type Digits, loadDigits } from './data'
import { model, type Params, predict, trainingStep } from './model'
import { showTransformations } from './show'

const options = flagsOf({
  epochs: { type: 'string', default: '8' },
  batch: { type: 'string', default: '128' },
  rate: { type: 'string', default: '0.001' },
  /** Where the loss curve goes; by default examples/output/loss-curve.svg. */
  curve: { type: 'string' },
  /** One epoch over a tenth of the images: a check that everything runs. */
  quick: { type: 'boolean', default: false },
})

const train = loadDigits('train')
const batchSize = numberFlag('batch', options.batch, { integer: true, max: train.count / 10 })
const rate = numberFlag('rate', options.rate)
/** Package managers change the directory and say in INIT_CWD where the command was given. */
const here = process.env['INIT_CWD'] ?? process.cwd()
const curveFile =
  options.curve === undefined
    ? resolve(import.meta.dirname, '../output/loss-curve.svg')
    : resolve(here, options.curve)
const test = loadDigits('t10k')
const examples = options.quick ? train.count / 10 : train.count
const epochs = options.quick ? 1 : numberFlag('epochs', options.epochs, { integer: true })
const stepsPerEpoch = Math.floor(examples / batchSize)
const totalSteps = epochs * stepsPerEpoch

function accuracy(params: Params, digits: Digits): number {
  const chunk = 1000
  let correct = 0
  for (let start = 0; start < digits.count; start += chunk) {
    const { images, labels } = batchOf(
      digits,
      Array.from({ length: chunk }, (_, i) => start + i),
    )
    const predicted = predict(params, np.array(images).reshape([chunk, 784]))
    correct += np.sum(np.equal(predicted, np.array(labels))).item() as number
  }
  return correct / digits.count
}

console.log(`MNIST: ${examples} digits to train on, ${test.count} to test on`)
console.log(
  `an MLP 784-512-256-10, Adam, ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'} of ${stepsPerEpoch} steps with ${batchSize} digits each`,
)

const initial = model.init(random.key(0)).params
const sample = batchOf(
  train,
  Array.from({ length: 32 }, (_, i) => i),
)
showTransformations(initial, np.array(sample.images).reshape([32, 784]), np.array(sample.labels))

heading('training')
const optimiser = adam(
  warmupCosineDecay(0, rate, Math.min(100, Math.floor(totalSteps / 10)), totalSteps),
)
const step = trainingStep(optimiser)
const bar = progress(totalSteps)
const curve: Point[] = []
let params = initial
let optState = optimiser.init(params)
const started = performance.now()
for (let epoch = 0; epoch < epochs; epoch++) {
  const order = random.permutation(random.key(epoch + 1), examples).dataSync()
  for (let i = 0; i < stepsPerEpoch; i++) {
    const { images, labels } = batchOf(train, order.subarray(i * batchSize, (i + 1) * batchSize))
    const [nextParams, nextState, loss] = step(
      params,
      optState,
      np.array(images).reshape([batchSize, 784]),
      np.array(labels),
    )
    params = nextParams
    optState = nextState
    const value = loss.item() as number
    curve.push({ step: curve.length, loss: value })
    bar.update(curve.length, value)
  }
}
bar.stop()
const seconds = (performance.now() - started) / 1000

mkdirSync(dirname(curveFile), { recursive: true })
await drawLossCurve(curve, curveFile)
console.log(
  `  ${totalSteps} steps in ${seconds.toFixed(1)} s, ${((seconds / totalSteps) * 1000).toFixed(1)} ms each`,
)
console.log(`  loss curve: ${relative(here, curveFile)}`)
console.log(`  test accuracy: ${(accuracy(params, test) * 100).toFixed(2)} %`)
