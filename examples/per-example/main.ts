/**
 * One gradient per example, by `vmap(grad(loss))`: they find the examples with wrong labels, and
 * clipped they are what private training adds up (Abadi et al., "Deep Learning with Differential
 * Privacy", 2016).
 *
 *   pnpm example per-example [--wrong 12] [--quick]
 */
import { np, random, tree, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { grad, jit, valueAndGrad, vmap } from '@adjoint/transforms'
import { flagsOf, heading, numberFlag } from '../terminal'

const flags = flagsOf({
  wrong: { type: 'string', default: '12' },
  quick: { type: 'boolean', default: false },
})
const count = 200
const wrong = numberFlag('wrong', flags.wrong, { integer: true, max: count / 4 })
const steps = flags.quick ? 60 : 300

/** Two interleaved half circles with noise, the first `wrong` of them with the other's label. */
function moons(key: random.Key): { points: NDArray; labels: NDArray; isWrong: boolean[] } {
  const [angleKey, noiseKey, classKey] = random.split(key, 3)
  const angle = random.uniform(angleKey, [count]).mul(Math.PI)
  const label = random.bernoulli(classKey, 0.5, [count]).astype('float32')
  const side = np.subtract(1, label.mul(2))
  const points = np
    .stack([np.cos(angle).mul(side).add(label), np.sin(angle).mul(side).add(label.mul(0.5))], 1)
    .add(random.normal(noiseKey, [count, 2]).mul(0.1))
  const isWrong = Array.from({ length: count }, (_, i) => i < wrong)
  return { points, labels: np.where(np.array(isWrong), np.subtract(1, label), label), isWrong }
}

const model = nn.sequential(nn.linear(2, 8), nn.activation(np.tanh), nn.linear(8, 1))
const { params: initial, state } = model.init(random.key(0))
type Params = typeof initial

/** Of one example or the mean of many. */
function loss(params: Params, point: NDArray, label: NDArray): NDArray {
  const [score] = model.apply({ params, state }, point)
  return np.mean(optim.sigmoidBinaryCrossEntropy(score.squeeze(-1), label))
}

const { points, labels, isWrong } = moons(random.key(1))

const optimiser = optim.adam(0.05)
const step = jit((params: Params, optState: optim.OptState) => {
  const [value, gradient] = valueAndGrad(loss)(params, points, labels)
  const [updates, next] = optimiser.update(gradient, optState, params)
  return [optim.applyUpdates(params, updates), next, value] as const
})
let [params, optState, value] = step(initial, optimiser.init(initial))
for (let i = 1; i < steps; i++) [params, optState, value] = step(params, optState)
console.log(`${count} points in two classes, ${wrong} of them with the wrong label`)
console.log(`loss after ${steps} steps: ${Number(value).toFixed(4)}`)

heading('one gradient per example')
const perExample = jit(vmap(grad(loss), { inAxes: [null, 0, 0] }))
const gradients = perExample(params, points, labels)
const [batchNorm, meanNorm, distance] = jit((each: Params) => {
  const mean = tree.map((g: NDArray) => np.mean(g, 0), each) as Params
  const batch = grad(loss)(params, points, labels)
  const difference = tree.map((a: NDArray, b: NDArray) => a.sub(b), mean, batch) as Params
  return [optim.globalNorm(batch), optim.globalNorm(mean), optim.globalNorm(difference)]
})(gradients)
console.log(`  norm of the batch gradient:        ${Number(batchNorm).toExponential(4)}`)
console.log(`  norm of the mean of ${count} others: ${Number(meanNorm).toExponential(4)}`)
console.log(`  norm of their difference:          ${Number(distance).toExponential(1)}`)

heading('who pulls hardest')
const norms = jit(vmap((g: Params) => optim.globalNorm(g)))(gradients)
const order = np.argsort(norms).toArray() as number[]
const hardest = order.slice(-wrong)
const found = hardest.filter((i) => isWrong[i]).length
console.log(
  `  median norm ${Number(np.median(norms)).toFixed(4)}, largest ${Number(np.max(norms)).toFixed(2)}`,
)
console.log(`  of the ${wrong} examples with the largest gradients, ${found} have a wrong label`)

heading('clipped, as private training adds them up')
const clipped = jit((each: Params) => {
  const clip = (g: Params): Params => {
    const factor = np.minimum(1, np.divide(1, optim.globalNorm(g)))
    return tree.map((leaf: NDArray) => leaf.mul(factor), g) as Params
  }
  return vmap(clip)(each)
})(gradients)
const largest = np.max(vmap((g: Params) => optim.globalNorm(g))(clipped))
console.log(`  no example counts for more than ${Number(largest).toFixed(4)}`)
