/**
 * Trains a classifier on the 60,000 digits of MNIST and tests it on the other 10,000.
 *
 *   node mnist/main.ts [--epochs 8] [--batch 128] [--rate 0.001] [--curve loss-curve.svg] [--quick]
 */
import { parseArgs } from 'node:util'
import { np, random } from '@adjoint/core'
import { adam, warmupCosineDecay } from '@adjoint/optim'
import { SingleBar } from 'cli-progress'
import { drawLossCurve, type Point } from './curve'
import { batchOf, type Digits, loadDigits } from './data'
import { model, type Params, predict, trainingStep } from './model'
import { showTransformations } from './show'

const { values: options } = parseArgs({
  options: {
    epochs: { type: 'string', default: '8' },
    batch: { type: 'string', default: '128' },
    rate: { type: 'string', default: '0.001' },
    curve: { type: 'string', default: 'loss-curve.svg' },
    /** One epoch over a tenth of the images: a check that everything runs. */
    quick: { type: 'boolean', default: false },
  },
})

const batchSize = Number(options.batch)
const train = loadDigits('train')
const test = loadDigits('t10k')
const examples = options.quick ? train.count / 10 : train.count
const epochs = options.quick ? 1 : Number(options.epochs)
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
console.log(`an MLP 784-512-256-10, Adam, ${epochs} epochs of ${stepsPerEpoch} steps with ${batchSize} digits each`)

const initial = model.init(random.key(0)).params
const sample = batchOf(train, Array.from({ length: 32 }, (_, i) => i))
showTransformations(
  initial,
  np.array(sample.images).reshape([32, 784]),
  np.array(sample.labels),
)

console.log('\n── training')
const optimiser = adam(
  warmupCosineDecay({
    initial: 0,
    peak: Number(options.rate),
    warmupSteps: Math.min(100, Math.floor(totalSteps / 10)),
    decaySteps: totalSteps,
  }),
)
const step = trainingStep(optimiser)
const bar = new SingleBar({
  format: '  {bar} {percentage}% │ step {value}/{total} │ loss {loss} │ {eta_formatted} left',
  barCompleteChar: '█',
  barIncompleteChar: '░',
  hideCursor: true,
})
const curve: Point[] = []
let params = initial
let optState = optimiser.init(params)
const started = performance.now()
bar.start(totalSteps, 0, { loss: '–' })
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
    bar.update(curve.length, { loss: value.toFixed(4) })
  }
}
bar.stop()
const seconds = (performance.now() - started) / 1000

await drawLossCurve(curve, options.curve)
console.log(`  ${totalSteps} steps in ${seconds.toFixed(1)} s, ${((seconds / totalSteps) * 1000).toFixed(1)} ms each`)
console.log(`  loss curve: ${options.curve}`)
console.log(`\ntest accuracy: ${(accuracy(params, test) * 100).toFixed(2)} %`)
