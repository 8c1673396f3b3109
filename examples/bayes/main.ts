/**
 * Eight schools: a hierarchical regression whose posterior is sampled by Hamiltonian Monte Carlo.
 * A chain is a `scan`, its chains are a `vmap`, its gradients come from `grad`, all in one program.
 *
 *   pnpm example bayes [--chains 4] [--draws 4000] [--warmup 1000] [--out FILE] [--quick]
 */
import { np, random, type NDArray } from '@adjoint/core'
import { jit, vmap } from '@adjoint/transforms'
import { outputPath, saveChart, saveResult } from '../chart'
import { flagsOf, heading, numberFlag, progress } from '../terminal'
import { summarize } from './diagnostics'
import { type ChainState, type Draw, sampler } from './sampler'

const flags = flagsOf({
  chains: { type: 'string', default: '4' },
  draws: { type: 'string', default: '4000' },
  warmup: { type: 'string', default: '1000' },
  out: { type: 'string' },
  quick: { type: 'boolean', default: false },
})
const chains = numberFlag('chains', flags.chains, { integer: true })
const draws = flags.quick ? 400 : numberFlag('draws', flags.draws, { integer: true })
const warmup = flags.quick ? 200 : numberFlag('warmup', flags.warmup, { integer: true })

/**
 * How much coaching helped in eight schools, and the standard errors of that. Rubin, "Estimation in
 * Parallel Randomized Experiments" (1981), table 1.
 */
const schools = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H']
const effects = np.array([28, 8, -3, 7, -1, 1, 18, 12])
const errors = np.array([15, 10, 16, 11, 9, 11, 10, 18])

/**
 * The parameters, from ten numbers of about the same scale: without that the posterior is a funnel,
 * narrow where tau is small. Betancourt & Girolami, "Hamiltonian Monte Carlo for Hierarchical Models" (2015).
 */
function parametersOf(position: NDArray) {
  const [first, logTau] = [position.get(0), position.get(1)]
  const mu = first.mul(5)
  const tau = np.exp(logTau)
  return { mu, tau, theta: mu.add(tau.mul(position.get('2:'))) }
}

/** mu ~ N(0, 5), tau ~ half-Cauchy(5), theta ~ N(mu, tau), effect ~ N(theta, error). */
function logDensity(position: NDArray): NDArray {
  const { tau, theta } = parametersOf(position)
  const standard = np
    .sum(np.square(position))
    .sub(np.square(position.get(1)))
    .mul(-0.5)
  // The last term is for the change of variables, from tau to its logarithm.
  const scale = np.negative(np.log1p(np.square(tau.div(5)))).add(position.get(1))
  const likelihood = np.sum(np.square(np.subtract(effects, theta).div(errors))).mul(-0.5)
  return standard.add(scale).add(likelihood)
}

const { start, run } = sampler(logDensity, { leapfrogs: 12, targetAcceptance: 0.85 })
const begin = jit(vmap(start))
const warm = jit(vmap((state: ChainState, keys: NDArray) => run(state, keys, true)))
const sample = jit(vmap((state: ChainState, keys: NDArray) => run(state, keys, false)))

/** Each chain has a key of its own, and each of its draws. */
const keysOf = (seed: number, count: number): NDArray =>
  vmap((key: NDArray) => random.split(key, count))(random.split(random.key(seed), chains))

console.log(`${chains} chains of ${warmup} + ${draws} draws, 12 leapfrog steps each`)
// A chain is one loop. Where there is a bar it is cut into rounds, each of which goes on where the last
// one ended, so that the bar moves.
const rounds = process.stderr.isTTY ? Math.min(20, draws) : 1
const bar = progress(rounds + 1, 'accepted')
const started = performance.now()
let [state] = warm(begin(random.normal(random.key(0), [chains, 10])), keysOf(1, warmup))
bar.update(1, 0)
const keys = keysOf(2, draws)
const pieces: Draw[] = []
for (let round = 0; round < rounds; round++) {
  const [from, to] = [round, round + 1].map((r) => Math.floor((r * draws) / rounds))
  const [next, piece] = sample(state, keys.get(':', `${from}:${to}`))
  state = next
  pieces.push(piece)
  bar.update(round + 2, Number(np.mean(piece.acceptance)))
}
bar.stop()
const seconds = (performance.now() - started) / 1000

const joined = (pick: (draw: Draw) => NDArray): NDArray =>
  np.concatenate(pieces.map(pick), { axis: 1 })
const { mu, tau, theta } = vmap(vmap(parametersOf))(joined((draw) => draw.position))
const divergences = Number(np.sum(joined((draw) => draw.diverged)))
const acceptance = Number(np.mean(joined((draw) => draw.acceptance)))
const stepSizes = np.exp(state.logStepMean).toArray() as number[]

const series: Record<string, number[][]> = {
  mu: mu.toArray() as number[][],
  tau: tau.toArray() as number[][],
}
schools.forEach((school, i) => {
  series[`theta ${school}`] = theta.get('...', i).toArray() as number[][]
})
const summaries = Object.entries(series).map(([name, values]) => summarize(name, values))

heading('what the chains agree on')
console.log('             mean     sd        5 %      95 %    R̂      effective draws')
for (const s of summaries) {
  const numbers = [s.mean, s.deviation, ...s.interval].map((x) => x.toFixed(2).padStart(8))
  const [low, high] = numbers.slice(2)
  console.log(
    `  ${s.name.padEnd(8)} ${numbers[0]} ${numbers[1]}   ${low}  ${high}   ${s.rHat.toFixed(3)}   ${s.effectiveSize.toFixed(0).padStart(6)}`,
  )
}
const worst = Math.max(...summaries.map((s) => s.rHat))
console.log(`  largest R̂ ${worst.toFixed(3)}, ${divergences} divergences`)
console.log(
  `  step sizes ${stepSizes.map((s) => s.toFixed(2)).join(', ')}, accepted ${(100 * acceptance).toFixed(0)} %`,
)
console.log(
  `  ${((chains * (warmup + draws)) / seconds / 1000).toFixed(1)} thousand draws a second, compiling included`,
)

const { target, shown } = outputPath('bayes', flags)
const every = Math.max(1, Math.floor(draws / 500))
const trace = (name: string) => ({
  title: `trace of ${name}`,
  width: 420,
  height: 110,
  data: {
    values: series[name].flatMap((chain, c) =>
      chain
        .map((value, i) => ({ draw: i + 1, value, chain: `chain ${c + 1}` }))
        .filter((_, i) => i % every === 0),
    ),
  },
  mark: { type: 'line' as const, strokeWidth: 0.6, opacity: 0.8 },
  encoding: {
    x: { field: 'draw', type: 'quantitative' as const, scale: { nice: false } },
    y: { field: 'value', type: 'quantitative' as const, title: name },
    color: { field: 'chain', type: 'nominal' as const, title: null },
  },
})
const measured = (effects.toArray() as number[]).map((effect, i) => ({
  school: schools[i],
  effect,
}))
await saveChart(
  {
    hconcat: [
      { vconcat: ['mu', 'tau', 'theta A'].map(trace) },
      {
        title: {
          text: 'What coaching does in each school',
          subtitle: 'mean and 90 % of the posterior; crosses: as measured',
        },
        width: 320,
        height: 420,
        layer: [
          {
            data: {
              values: summaries.slice(2).map((s, i) => ({
                school: schools[i],
                mean: s.mean,
                low: s.interval[0],
                high: s.interval[1],
              })),
            },
            layer: [
              {
                mark: { type: 'rule', strokeWidth: 2 },
                encoding: {
                  x: { field: 'low', type: 'quantitative', title: 'points in the test' },
                  x2: { field: 'high' },
                },
              },
              {
                mark: { type: 'point', filled: true, size: 80 },
                encoding: { x: { field: 'mean', type: 'quantitative' } },
              },
            ],
            encoding: { y: { field: 'school', type: 'nominal' } },
          },
          {
            data: { values: measured },
            mark: { type: 'point', shape: 'cross', color: '#d62728', filled: true, size: 60 },
            encoding: {
              x: { field: 'effect', type: 'quantitative' },
              y: { field: 'school', type: 'nominal' },
            },
          },
        ],
      },
    ],
  },
  `${target}.svg`,
)
saveResult(
  { chains, draws, warmup, divergences, acceptance, stepSizes, summaries },
  `${target}.json`,
)
console.log(`\nsaved: ${shown('svg')}, ${shown('json')}`)
