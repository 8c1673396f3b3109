/**
 * The language model of the example gpt, trained twice from the same weights on the same text: by one
 * worker that sees whole batches, and by two that see half of each and average their gradients.
 *
 *   pnpm example distributed [--steps 100] [--workers 2] [--out FILE] [--quick]
 */
import { random, setDevice, tree, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit, pmap, pmean, valueAndGrad } from '@adjoint/transforms'
import { outputPath, saveChart, saveResult } from '../chart'
import { gpt, type GptParams, lossOf } from '../gpt/model'
import { alphabetOf, corpusOf, novel, randomWindows } from '../gpt/texts'
import { flagsOf, heading, numberFlag, progress, refuse } from '../terminal'

const flags = flagsOf({
  steps: { type: 'string', default: '100' },
  workers: { type: 'string', default: '2' },
  /** Where to save: this with .svg and .json after it. */
  out: { type: 'string' },
  quick: { type: 'boolean', default: false },
})
const workers = numberFlag('workers', flags.workers, { integer: true })
const size = flags.quick
  ? { features: 32, layers: 2, heads: 2, context: 32, steps: 6, batch: 8 }
  : {
      features: 128,
      layers: 4,
      heads: 4,
      context: 64,
      steps: numberFlag('steps', flags.steps, { integer: true }),
      batch: 16,
    }
if (size.batch % workers !== 0) refuse(`a batch of ${size.batch} has no ${workers} equal parts`)

const text = novel()
const alphabet = alphabetOf(text)
const { train } = corpusOf(alphabet.encode(text))
const model = gpt({ vocabulary: alphabet.size, ...size })
const optimiser = optim.chain(optim.clipByGlobalNorm(1), optim.adamw(3e-3, { weightDecay: 0.1 }))
const lossAndGradient = valueAndGrad((params: GptParams, windows: NDArray) =>
  lossOf(model, params, windows),
)

type State = readonly [params: GptParams, optState: optim.OptState]
type Step = (state: State, windows: NDArray) => readonly [State, NDArray]

const updated = ([params, optState]: State, gradient: GptParams): State => {
  const [updates, next] = optimiser.update(gradient, optState, params)
  return [optim.applyUpdates(params, updates), next]
}

/** The whole batch at once. */
const alone: Step = (state, windows) => {
  const [loss, gradient] = lossAndGradient(state[0], windows)
  return [updated(state, gradient), loss]
}

/** One worker's part of the batch; gradients are averaged, so that all take the same step. */
const together: Step = (state, windows) => {
  const [loss, gradient] = lossAndGradient(state[0], windows)
  const mean = tree.map((g: NDArray) => pmean(g, 'workers'), gradient)
  return [updated(state, mean), pmean(loss, 'workers')]
}

interface Run {
  readonly name: string
  readonly step: Step
  readonly losses: number[]
  state: State
  milliseconds: number
}

function run(name: string, step: Step): Run {
  const { params } = model.init(random.key(0))
  return { name, step, losses: [], state: [params, optimiser.init(params)], milliseconds: 0 }
}

const parts = (windows: NDArray): NDArray =>
  windows.reshape([workers, size.batch / workers, size.context + 1])
const shared = pmap(together, {
  axisName: 'workers',
  devices: workers,
  inAxes: [null, 0],
  outAxes: null,
  donateArgnums: 0,
})
const runs = [
  run('one worker', jit(alone, { donateArgnums: 0 })),
  run(`${workers} workers`, (state, windows) => shared(state, parts(windows))),
]

function advance(each: Run, windows: NDArray): number {
  const started = performance.now()
  const [state, loss] = each.step(each.state, windows)
  const value = loss.item() as number
  each.milliseconds += performance.now() - started
  each.state = state
  each.losses.push(value)
  return value
}

heading(`${size.steps} steps, by one worker and by ${workers}`)
console.log(`  ${nn.summary(runs[0].state[0]).count.toLocaleString('en')} parameters`)
// Programs keep to the number of threads that there are when they are compiled.
const batches = random.split(random.key(1), size.steps)
const bar = progress(size.steps)
for (let i = 0; i < size.steps; i++) {
  const windows = randomWindows(train, batches.get(i), size.batch, size.context + 1)
  const values = runs.map((each, worker) => {
    if (i === 0) setDevice('wasm', { threads: worker === 0 ? 1 : workers })
    return advance(each, windows)
  })
  bar.update(i + 1, values[0])
}
bar.stop()

const [one, many] = runs
const apart = Math.max(
  ...one.losses.map((loss, i) => Math.abs(loss - many.losses[i]) / Math.abs(loss)),
)
for (const { name, losses, milliseconds } of runs) {
  console.log(
    `  ${name.padEnd(12)} loss ${losses[0].toFixed(4)} → ${(losses.at(-1) ?? NaN).toFixed(4)}, ` +
      `${(milliseconds / size.steps).toFixed(0)} ms a step`,
  )
}
console.log(`  the curves are at most ${(100 * apart).toPrecision(2)} % apart`)
if (apart > 1e-2) refuse('the workers do not compute what one computes')

const { target, shown } = outputPath('distributed', flags)
saveResult({ workers, runs: runs.map(({ name, losses }) => ({ name, losses })) }, `${target}.json`)
await saveChart(
  {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: 'The same training', subtitle: 'by one worker, and by several on parts' },
    width: 480,
    height: 300,
    data: {
      values: runs.flatMap(({ name, losses }) =>
        losses.map((loss, i) => ({ by: name, step: i + 1, loss })),
      ),
    },
    mark: { type: 'line', opacity: 0.7 },
    encoding: {
      x: { field: 'step', type: 'quantitative' },
      y: { field: 'loss', type: 'quantitative', title: 'nats a character', scale: { zero: false } },
      color: { field: 'by', type: 'nominal', title: null },
      strokeDash: { field: 'by', type: 'nominal', title: null },
    },
  },
  `${target}.svg`,
)
console.log(`  ${shown('svg')} shows both curves`)
