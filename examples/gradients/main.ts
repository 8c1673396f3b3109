/**
 * Vanishing and exploding gradients: a network of 30 layers that begins with weights too small, too
 * large or right, with and without residual connections and clipping, and what `nn.gradientHealth`
 * says of it.
 *
 *   pnpm example gradients [--steps 300] [--rate 0.005] [--out FILE] [--quick]
 */
import { np, random, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit, valueAndGrad } from '@adjoint/transforms'
import { outputPath, saveChart, saveResult } from '../chart'
import { flagsOf, heading, numberFlag, progress } from '../terminal'

const flags = flagsOf({
  steps: { type: 'string', default: '300' },
  rate: { type: 'string', default: '0.005' },
  out: { type: 'string' },
  quick: { type: 'boolean', default: false },
})
const steps = flags.quick ? 10 : numberFlag('steps', flags.steps, { integer: true })
const rate = numberFlag('rate', flags.rate)
const [depth, width, examples] = [30, 48, 256]

/** Two arms of a spiral, one for each class. */
function spirals(): { readonly x: NDArray; readonly y: NDArray } {
  const turn = random.uniform(random.key(1), [examples], { minval: 0.15, maxval: 1 })
  const y = np.mod(np.arange(examples), 2)
  const angle = turn.mul(2.5 * Math.PI).add(y.mul(Math.PI))
  const noise = random.normal(random.key(2), [examples, 2]).mul(0.03)
  const arms = np.stack([turn.mul(np.cos(angle)), turn.mul(np.sin(angle))], { axis: 1 })
  return { x: arms.add(noise).mul(2), y }
}
const { x, y } = spirals()

interface Setup {
  readonly name: string
  /** Standard deviation of the weights, in multiples of He's √(2 / width). */
  readonly scale: number
  readonly residual: boolean
  readonly activation: (x: NDArray) => NDArray
  /** The largest norm of a step's gradient. */
  readonly clip?: number
}

const plain = { residual: false, activation: nn.relu }
const setups: readonly Setup[] = [
  { ...plain, name: 'sigmoids', scale: 1, activation: nn.sigmoid },
  { ...plain, name: 'small weights', scale: 0.5 },
  { ...plain, name: 'small weights, residual', scale: 0.1, residual: true },
  { ...plain, name: 'large weights', scale: 1.35 },
  { ...plain, name: 'large weights, clipped', scale: 1.35, clip: 1 },
  { ...plain, name: 'He weights', scale: 1 },
  { ...plain, name: 'He weights, clipped', scale: 1, clip: 1 },
]

function modelOf({ scale, residual, activation }: Setup) {
  const weightInit = nn.initializers.normal(scale * Math.sqrt(2 / width))
  const layer = nn.sequential(nn.linear(width, width, { weightInit }), nn.activation(activation))
  return nn.sequential(
    nn.linear(2, width),
    nn.activation(nn.relu),
    nn.repeat(residual ? nn.residual(layer) : layer, depth),
    nn.linear(width, 2),
  )
}

interface Outcome {
  readonly name: string
  /** Norms of the gradients of the layers' weights, before the first step. */
  readonly norms: readonly number[]
  readonly findings: readonly string[]
  readonly losses: readonly number[]
  readonly accuracy: number
}

function run(setup: Setup, tick: (loss: number) => void): Outcome {
  const model = modelOf(setup)
  const { params: initial, state } = model.init(random.key(0))
  const scores = (params: typeof initial): NDArray => model.apply({ params, state }, x)[0]
  const loss = (params: typeof initial): NDArray =>
    np.mean(optim.softmaxCrossEntropyWithIntegerLabels(scores(params), y))

  const optimiser = optim.chain(
    setup.clip === undefined ? optim.identity : optim.clipByGlobalNorm(setup.clip),
    optim.sgd(rate, { momentum: 0.9 }),
  )
  const step = jit((params: typeof initial, optState: optim.OptState) => {
    const [value, gradient] = valueAndGrad(loss)(params)
    const [updates, next] = optimiser.update(gradient, optState, params)
    return [optim.applyUpdates(params, updates), next, value, gradient] as const
  })

  let [params, optState] = [initial, optimiser.init(initial)]
  let first: nn.GradientHealth | undefined
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const before = params
    const [nextParams, nextState, value, gradient] = step(params, optState)
    params = nextParams
    optState = nextState
    first ??= nn.gradientHealth(gradient, { params: before, stacked: '2.**' })
    losses.push(Number(value))
    tick(Number(value))
  }
  const isStacked = /^2\..*weight\[\d+\]$/
  const accuracy = np.mean(np.equal(np.argmax(scores(params), 1), y).astype('float32'))
  return {
    name: setup.name,
    norms: first?.layers.filter(({ path }) => isStacked.test(path)).map(({ norm }) => norm) ?? [],
    findings: first?.findings.map(({ message }) => message) ?? [],
    losses,
    accuracy: Number(accuracy),
  }
}

console.log(`${depth} layers of ${width} units, two spirals of ${examples} points`)
console.log(`SGD with momentum, ${steps} steps of ${rate}`)
const bar = progress(setups.length * steps)
let done = 0
const outcomes = setups.map((setup) => run(setup, (loss) => bar.update(++done, loss)))
bar.stop()

const sentences = (text: string): string => text.split('. ').join('.\n    ')
for (const { name, norms, findings, losses, accuracy } of outcomes) {
  heading(name)
  const [near, far] = [norms[norms.length - 1], norms[0]].map((n) => n.toExponential(1))
  console.log(`  gradient of the last layer ${near}, of the first ${far}`)
  for (const message of findings.length > 0 ? findings : ['nothing to remark']) {
    console.log(`  - ${sentences(message)}`)
  }
  const [before, after] = [losses[0], losses[losses.length - 1]].map((l) => l.toPrecision(3))
  console.log(`  loss ${before} → ${after}, ${(100 * accuracy).toFixed(0)} % right`)
}

const { target, shown } = outputPath('gradients', flags)
const color = {
  field: 'network',
  type: 'nominal',
  sort: setups.map(({ name }) => name),
  legend: { labelLimit: 240 },
} as const
await saveChart(
  {
    hconcat: [
      {
        title: {
          text: 'Gradients before the first step',
          subtitle: 'norm of each layer’s weights',
        },
        width: 380,
        height: 320,
        data: {
          values: outcomes.flatMap(({ name, norms }) =>
            norms.map((norm, i) => ({ network: name, layer: i + 1, norm })),
          ),
        },
        mark: { type: 'line', point: { size: 18 } },
        encoding: {
          x: { field: 'layer', type: 'quantitative', title: 'layer', scale: { nice: false } },
          y: {
            field: 'norm',
            type: 'quantitative',
            title: 'norm of the gradient (logarithmic)',
            scale: { type: 'log' },
            axis: { format: '.0e' },
          },
          color,
        },
      },
      {
        title: { text: 'Training', subtitle: 'loss, until it is not finite any more' },
        width: 380,
        height: 320,
        data: {
          values: outcomes.flatMap(({ name, losses }) =>
            losses
              .map((loss, i) => ({ network: name, step: i + 1, loss }))
              .filter(({ loss }) => Number.isFinite(loss)),
          ),
        },
        mark: { type: 'line', clip: true },
        encoding: {
          x: { field: 'step', type: 'quantitative', title: 'step', scale: { nice: false } },
          y: {
            field: 'loss',
            type: 'quantitative',
            title: 'cross-entropy in nats (logarithmic)',
            scale: { type: 'log', domain: [1e-5, 1000] },
          },
          color,
        },
      },
    ],
  },
  `${target}.svg`,
)
saveResult(outcomes, `${target}.json`)
console.log(`\nsaved: ${shown('svg')}, ${shown('json')}`)
