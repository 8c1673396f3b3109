/**
 * Trains a classifier of digits, and lets it leave: the classifier, the whole training step and the
 * initial parameters each become one `.wasm` file, which `elsewhere.mjs` runs in a process that has
 * nothing of this library.
 *
 *   pnpm example export [--steps 600] [--quick]
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { np, random, type NDArray } from '@adjoint/core'
import { adam } from '@adjoint/optim'
import { jit } from '@adjoint/transforms'
import { batchOf, loadDigits } from '../mnist/data'
import { logits, model, trainingStep } from '../mnist/model'
import { flagsOf, heading, numberFlag } from '../terminal'

const options = flagsOf({
  steps: { type: 'string', default: '600' },
  /** A few steps: a check that everything runs. */
  quick: { type: 'boolean', default: false },
})
const steps = options.quick ? 60 : numberFlag('steps', options.steps, { integer: true })
const batchSize = 128
const folder = resolve(import.meta.dirname, '../output/export')
mkdirSync(folder, { recursive: true })

heading('training')
const digits = loadDigits('train')
const optimiser = adam(1e-3)
const step = trainingStep(optimiser)
const initialise = jit((key: random.Key) => {
  const { params } = model.init(key)
  return [params, optimiser.init(params)] as const
})
const batches = Array.from({ length: steps }, (_, i) => {
  const { images, labels } = batchOf(
    digits,
    Array.from({ length: batchSize }, (_, k) => (i * batchSize + k) % digits.count),
  )
  return { images, labels }
})
let [params, optState] = initialise(random.key(0))
let loss = np.zeros([])
for (const { images, labels } of batches) {
  const x = np.array(images).reshape([batchSize, 784])
  ;[params, optState, loss] = step(params, optState, x, np.array(labels))
}
console.log(`  ${steps} steps; the loss is ${(loss.item() as number).toFixed(4)}`)

heading('leaving')
const trained = params
const probabilities = jit((image: NDArray) => {
  const scores = np.exp(logits(trained, image))
  return np.divide(scores, np.sum(scores))
})
const sample = batches[0]
const image = np.array(sample.images.slice(0, 784))
const x = np.array(sample.images).reshape([batchSize, 784])
const programs = {
  classifier: probabilities.lower(image).export(),
  training: step.lower(params, optState, x, np.array(sample.labels)).export(),
  initial: initialise.lower(random.key(0)).export(),
}
for (const [name, { wasm }] of Object.entries(programs)) {
  writeFileSync(resolve(folder, `${name}.wasm`), wasm)
  console.log(`  ${name}.wasm: ${Math.ceil(wasm.length / 1024)} KB`)
}
const { loader } = programs.classifier
writeFileSync(resolve(folder, 'loader.mjs'), loader)
console.log(`  loader.mjs: ${(loader.length / 1024).toFixed(1)} KB`)

heading('elsewhere')
const test = loadDigits('t10k')
writeFileSync(resolve(folder, 'images.bin'), test.images)
writeFileSync(resolve(folder, 'labels.bin'), test.labels)
copyFileSync(resolve(import.meta.dirname, 'elsewhere.mjs'), resolve(folder, 'main.mjs'))
console.log(`  node ${relative(process.cwd(), resolve(folder, 'main.mjs'))}`)
const { status } = spawnSync(process.execPath, ['main.mjs', options.quick ? '500' : '10000'], {
  cwd: folder,
  stdio: 'inherit',
})
process.exitCode = status ?? 1
