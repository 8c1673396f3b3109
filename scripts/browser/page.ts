/** What runs inside the browser: the equivalence suite and the training of the MNIST example. */
import { type DeviceName, np, random, setDevice } from '@adjoint/core'
import { adam } from '@adjoint/optim'
import { model, predict, trainingStep } from '../../examples/mnist/model'
import { runSuite } from '../equivalence/run'

/** What the page reports of a device. */
export interface PageReport {
  readonly isolated: boolean
  readonly cases: number
  /** The cases that differ from the reference, with their tables. */
  readonly failures: readonly string[]
  /** The loss before the first and after the last step of training. */
  readonly losses: readonly [first: number, last: number]
  /** The share of digits it has not seen that are recognised. */
  readonly accuracy: number
}

const BATCH = 128

async function fetched(path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(path)).arrayBuffer())
}

/** Trains the classifier of the MNIST example for a few steps on digits from the server. */
async function train(): Promise<Pick<PageReport, 'losses' | 'accuracy'>> {
  const [images, labels] = [await fetched('images'), await fetched('labels')]
  const digits = (start: number, count: number) => ({
    images: np.array(images.slice(start * 784, (start + count) * 784)).reshape([count, 784]),
    labels: np.array(Int32Array.from(labels.subarray(start, start + count))),
  })
  const steps = labels.length / BATCH - 1
  const optimiser = adam(2e-3)
  const step = trainingStep(optimiser)
  let params = model.init(random.key(0)).params
  let state = optimiser.init(params)
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const batch = digits(i * BATCH, BATCH)
    const [next, nextState, loss] = step(params, state, batch.images, batch.labels)
    ;[params, state] = [next, nextState]
    losses.push((await loss.data())[0])
  }
  const unseen = digits(steps * BATCH, BATCH)
  const right = np.mean(np.equal(predict(params, unseen.images), unseen.labels).astype('float32'))
  return { losses: [losses[0], losses[losses.length - 1]], accuracy: (await right.data())[0] }
}

async function run(device: DeviceName): Promise<PageReport> {
  await setDevice(device)
  const trained = await train()
  const results = await runSuite(device, device, 1, () => {})
  const failures = results
    .filter(({ agrees }) => !agrees)
    .map(({ name, explanation }) => `${name}\n${explanation}`)
  return { isolated: globalThis.crossOriginIsolated, cases: results.length, failures, ...trained }
}

Object.assign(globalThis, { adjointPage: run })
