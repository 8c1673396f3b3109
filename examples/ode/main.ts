/**
 * Foxes and hares: the four rates of a Lotka–Volterra system are found from noisy counts, by the
 * gradient of a Runge–Kutta solution, which is a `scan`.
 *
 *   pnpm example ode [--steps 300] [--out FILE] [--quick]
 */
import { np, random, type NDArray } from '@adjoint/core'
import { adam, applyUpdates, cosineDecay, type OptState } from '@adjoint/optim'
import { jit, scan, valueAndGrad } from '@adjoint/transforms'
import { outputPath, saveChart, saveResult } from '../chart'
import { flagsOf, heading, numberFlag, progress } from '../terminal'

const flags = flagsOf({
  steps: { type: 'string', default: '300' },
  out: { type: 'string' },
  quick: { type: 'boolean', default: false },
})
const steps = flags.quick ? 30 : numberFlag('steps', flags.steps, { integer: true })

const [points, h] = [200, 0.05]

/** Hares grow and are eaten, foxes eat and die: ẋ = αx − βxy, ẏ = δxy − γy. */
function rates(state: NDArray, theta: NDArray): NDArray {
  const [hares, foxes] = state
  const [alpha, beta, gamma, delta] = theta
  const meetings = hares.mul(foxes)
  return np.stack([
    alpha.mul(hares).sub(beta.mul(meetings)),
    delta.mul(meetings).sub(gamma.mul(foxes)),
  ])
}

/** The states after each of `points` steps of the classical Runge–Kutta method. */
function solution(theta: NDArray): NDArray {
  const step = (y: NDArray, _: null): [NDArray, NDArray] => {
    const k1 = rates(y, theta)
    const k2 = rates(y.add(k1.mul(h / 2)), theta)
    const k3 = rates(y.add(k2.mul(h / 2)), theta)
    const k4 = rates(y.add(k3.mul(h)), theta)
    const next = y.add(
      k1
        .add(k2.mul(2))
        .add(k3.mul(2))
        .add(k4)
        .mul(h / 6),
    )
    return [next, next]
  }
  const [, path] = scan(step, np.array([2, 1], { dtype: 'float32' }), null, { length: points })
  return path
}

const truth = np.array([1.1, 0.4, 0.4, 0.1])
const noise = random.normal(random.key(0), [points, 2]).mul(0.2)
const counted = jit(solution)(truth).add(noise)

/** The rates are positive, so their logarithms are what is learnt. */
const loss = (logTheta: NDArray): NDArray =>
  np.mean(np.square(solution(np.exp(logTheta)).sub(counted)))

const start = np.log(np.array([0.8, 0.3, 0.6, 0.2]))

heading(`the gradient through ${points} steps of Runge–Kutta`)
const lossAndGradient = jit(valueAndGrad(loss))
const gradient = lossAndGradient(start)[1]
const direction = np.array([1, -1, 0.5, 0.25])
const step = 1e-2
const [up, down] = [step, -step].map((t) => Number(loss(start.add(direction.mul(t)))))
console.log(`  along one direction: ${Number(np.dot(gradient, direction)).toFixed(4)}`)
console.log(`  by differences:      ${((up - down) / (2 * step)).toFixed(4)}`)

heading('finding the rates')
const optimiser = adam(cosineDecay(0.05, steps))
const update = jit((logTheta: NDArray, optState: OptState) => {
  const [value, g] = valueAndGrad(loss)(logTheta)
  const [updates, next] = optimiser.update(g, optState, logTheta)
  return [applyUpdates(logTheta, updates), next, value] as const
})
let [logTheta, optState] = [start, optimiser.init(start)]
const bar = progress(steps)
const reports: string[] = []
/** The rates before each step, and the loss there. */
const path: { readonly rates: readonly number[]; readonly loss: number }[] = []
for (let i = 1; i <= steps; i++) {
  const [nextTheta, nextState, value] = update(logTheta, optState)
  path.push({ rates: np.exp(logTheta).toArray() as number[], loss: Number(value) })
  logTheta = nextTheta
  optState = nextState
  bar.update(i, Number(value))
  if (i === 1 || i % Math.ceil(steps / 6) === 0) {
    reports.push(`  step ${String(i).padStart(4)}: mean squared error ${Number(value).toFixed(4)}`)
  }
}
bar.stop()
console.log(reports.join('\n'))
console.log('  the noise alone has 0.0400')

const [found, wanted] = [np.exp(logTheta).toArray() as number[], truth.toArray() as number[]]
const names = ['hares born', 'hares eaten', 'foxes dying', 'foxes thriving']
names.forEach((name, i) => {
  console.log(`  ${name.padEnd(14)}  ${found[i].toFixed(3)}   truth ${wanted[i].toFixed(3)}`)
})

const { target, shown } = outputPath('ode', flags)
const animals = ['hares', 'foxes']
/** Numbers of animals by time, as rows of a table. */
const rows = (states: NDArray, curve: string) =>
  (states.toArray() as number[][]).flatMap((pair, i) =>
    pair.map((count, k) => ({ time: h * (i + 1), count, animal: animals[k], curve })),
  )
const solved = jit(solution)
const time = { field: 'time', type: 'quantitative' } as const
const count = { field: 'count', type: 'quantitative' } as const
const animal = { field: 'animal', type: 'nominal', sort: animals } as const
await saveChart(
  {
    hconcat: [
      {
        title: { text: 'Hares and foxes', subtitle: 'dots: counted; lines: by the equation' },
        width: 420,
        height: 300,
        layer: [
          {
            data: { values: rows(counted, 'counted') },
            mark: { type: 'point', filled: true, size: 14, opacity: 0.45 },
            encoding: { x: time, y: count, color: animal },
          },
          {
            data: {
              values: [
                ...rows(solved(np.exp(logTheta)), 'rates found'),
                ...rows(solved(np.exp(start)), 'rates at first'),
              ],
            },
            mark: { type: 'line' },
            encoding: {
              x: time,
              y: count,
              color: animal,
              strokeDash: { field: 'curve', type: 'nominal', title: null, sort: ['rates found'] },
            },
          },
        ],
      },
      {
        title: { text: 'Rates on the way', subtitle: 'dashed: the truth' },
        width: 320,
        height: 300,
        layer: [
          {
            data: {
              values: path.flatMap(({ rates: now }, i) =>
                now.map((rate, k) => ({ step: i, rate, name: names[k] })),
              ),
            },
            mark: { type: 'line' },
            encoding: {
              x: { field: 'step', type: 'quantitative', scale: { nice: false } },
              y: { field: 'rate', type: 'quantitative' },
              color: { field: 'name', type: 'nominal', title: null, sort: names },
            },
          },
          {
            data: { values: wanted.map((rate, k) => ({ rate, name: names[k] })) },
            mark: { type: 'rule', strokeDash: [4, 4] },
            encoding: {
              y: { field: 'rate', type: 'quantitative' },
              color: { field: 'name', type: 'nominal', sort: names },
            },
          },
        ],
      },
    ],
    resolve: { scale: { color: 'independent' } },
  },
  `${target}.svg`,
)
saveResult({ found, wanted, path }, `${target}.json`)
console.log(`\nsaved: ${shown('svg')}, ${shown('json')}`)
