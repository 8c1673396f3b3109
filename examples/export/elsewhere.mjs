/**
 * Runs exported programs. All it has is in its own folder: the `.wasm` files, `loader.mjs`, and some
 * digits. In a page, `fetch('classifier.wasm')` takes the place of `readFile`.
 */
import { readFile } from 'node:fs/promises'
import { load } from './loader.mjs'

const count = Number(process.argv[2] ?? 10_000)
const [pixels, labels] = [await readFile('images.bin'), await readFile('labels.bin')]

const classifier = await load(readFile('classifier.wasm'))
let correct = 0
let started = performance.now()
for (let i = 0; i < count; i++) {
  const probabilities = classifier.run(pixels.subarray(784 * i, 784 * (i + 1)))
  if (probabilities.indexOf(Math.max(...probabilities)) === labels[i]) correct++
}
const perImage = ((performance.now() - started) / count).toFixed(3)
console.log(`  ${correct} of ${count} digits recognised, ${perImage} ms each`)

const initial = await load(readFile('initial.wasm'))
const training = await load(readFile('training.wasm'))
const [{ shape }] = training.manifest.inputs.slice(-2)
const batch = shape[0]
let [params, state] = initial.run([0, 1])
let loss = 0
started = performance.now()
const steps = 30
for (let i = 0; i < steps; i++) {
  const start = (i * batch) % (count - batch)
  const images = pixels.subarray(784 * start, 784 * (start + batch))
  ;[params, state, loss] = training.run(
    params,
    state,
    images,
    labels.subarray(start, start + batch),
  )
  if (i % 10 === 9) console.log(`  training: step ${i + 1}, loss ${loss.toFixed(4)}`)
}
const perStep = ((performance.now() - started) / steps).toFixed(1)
console.log(`  ${perStep} ms a step`)
