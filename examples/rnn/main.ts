/**
 * A recurrent network learns to repeat what it heard a few steps before: `grad` through `scan`.
 *
 *   pnpm example rnn [--steps 400] [--quick]
 */
import { np, random, type NDArray } from '@adjoint/core'
import { adam, applyUpdates, type OptState } from '@adjoint/optim'
import { grad, jit, makeJaxpr, scan, valueAndGrad } from '@adjoint/transforms'
import { flagsOf, heading, numberFlag, progress } from '../terminal'

const flags = flagsOf({
  steps: { type: 'string', default: '400' },
  quick: { type: 'boolean', default: false },
})
const steps = flags.quick ? 40 : numberFlag('steps', flags.steps, { integer: true })

const [hidden, delay, length, batch] = [32, 4, 32, 32]

interface Params {
  readonly recurrent: NDArray
  readonly input: NDArray
  readonly bias: NDArray
  readonly output: NDArray
}

function init(key: random.Key): Params {
  const [a, b, c] = random.split(key, 3)
  return {
    recurrent: random.normal(a, [hidden, hidden]).mul(1 / Math.sqrt(hidden)),
    input: random.normal(b, [1, hidden]),
    bias: np.zeros([hidden]),
    output: random.normal(c, [hidden, 1]).mul(1 / Math.sqrt(hidden)),
  }
}

/** Sequences `[length, batch, 1]` to sequences of the same shape. */
function network(params: Params, sequence: NDArray): NDArray {
  const cell = (state: NDArray, x: NDArray): [NDArray, NDArray] => {
    const next = np.tanh(
      np.matmul(state, params.recurrent).add(np.matmul(x, params.input)).add(params.bias),
    )
    return [next, np.matmul(next, params.output)]
  }
  const [, heard] = scan(cell, np.zeros([sequence.shape[1], hidden]), sequence)
  return heard
}

/** Mean squared error of the echo, from the step on at which there is one. */
function loss(params: Params, sequence: NDArray): NDArray {
  const echo = network(params, sequence).get(`${delay}:`)
  return np.mean(np.square(echo.sub(sequence.get(`:-${delay}`))))
}

const sequences = jit((key: random.Key) =>
  random.uniform(key, [length, batch, 1], { minval: -1, maxval: 1 }),
)

const optimiser = adam(0.01)
const step = jit(
  (params: Params, optState: OptState, sequence: NDArray) => {
    const [value, gradient] = valueAndGrad(loss)(params, sequence)
    const [updates, next] = optimiser.update(gradient, optState, params)
    return [applyUpdates(params, updates), next, value] as const
  },
  { donateArgnums: [0, 1] },
)

const initial = init(random.key(0))
const sample = sequences(random.key(1))

heading('backpropagation through time is two loops')
const loops = (jaxpr: string): string => {
  const count = (direction: string): number => jaxpr.split(`reverse=${direction}`).length - 1
  return `${count('False')} scan forwards, ${count('True')} backwards`
}
console.log(`  the loss:     ${loops(String(makeJaxpr(loss)(initial, sample)))}`)
console.log(`  its gradient: ${loops(String(makeJaxpr(grad(loss))(initial, sample)))}`)

heading(`learning to repeat a number ${delay} steps later`)
let [params, optState] = [initial, optimiser.init(initial)]
const bar = progress(steps)
const started = performance.now()
const reports: string[] = []
for (let i = 1; i <= steps; i++) {
  const [nextParams, nextState, value] = step(params, optState, sequences(random.key(i)))
  params = nextParams
  optState = nextState
  bar.update(i, Number(value))
  if (i === 1 || i % Math.ceil(steps / 8) === 0) {
    reports.push(`  step ${String(i).padStart(4)}: mean squared error ${Number(value).toFixed(4)}`)
  }
}
bar.stop()
const milliseconds = (performance.now() - started) / steps
console.log(reports.join('\n'))
console.log(`  guessing 0 would give ${(1 / 3).toFixed(4)}; ${milliseconds.toFixed(2)} ms a step`)

heading('what it says now')
const unseen = sequences(random.key(12345))
const said = network(params, unseen).get(`${delay}:`, 0, 0).toArray() as number[]
const wanted = unseen.get(`:-${delay}`, 0, 0).toArray() as number[]
const row = (numbers: readonly number[]): string =>
  numbers
    .slice(0, 10)
    .map((x) => x.toFixed(2).padStart(6))
    .join('')
console.log(`  heard ${delay} steps before: ${row(wanted)}`)
console.log(`  says:                 ${row(said)}`)
