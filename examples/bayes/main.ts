/**
 * How long the sentences of presidents are, and what becomes of them in office: a hierarchical
 * regression whose posterior is sampled by Hamiltonian Monte Carlo. A chain is a `scan`, its chains
 * are a `vmap`, its gradients come from `grad`, all in one program.
 *
 *   pnpm example bayes [--chains 4] [--draws 4000] [--warmup 1000] [--out FILE] [--quick]
 */
import { np, random, type NDArray } from '@adjoint/core'
import { jit, vmap } from '@adjoint/transforms'
import { outputPath, saveChart, saveResult } from '../chart'
import { flagsOf, heading, numberFlag, progress } from '../terminal'
import { summarize } from './diagnostics'
import { regression } from './model'
import { posteriorChart } from './plot'
import { type ChainState, type Draw, sampler } from './sampler'
import { speeches } from './speeches'

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

const data = speeches()
const { size, parametersOf, logDensity } = regression(data)

const { start, run } = sampler(logDensity, { leapfrogs: 12, targetAcceptance: 0.85 })
const begin = jit(vmap(start))
const warm = jit(vmap((state: ChainState, keys: NDArray) => run(state, keys, true)))
const sample = jit(vmap((state: ChainState, keys: NDArray) => run(state, keys, false)))

/** Each chain has a key of its own, and each of its draws. */
const keysOf = (seed: number, count: number): NDArray =>
  vmap((key: NDArray) => random.split(key, count))(random.split(random.key(seed), chains))

console.log(
  `${data.speaker.length} addresses of ${data.presidents.length} presidents, ${size} parameters`,
)
console.log(`${chains} chains of ${warmup} + ${draws} draws, 12 leapfrog steps each`)
// A chain is one loop. Where there is a bar it is cut into rounds, each of which goes on where the last
// one ended, so that the bar moves.
const rounds = process.stderr.isTTY ? Math.min(20, draws) : 1
const bar = progress(rounds + 1, 'accepted')
const started = performance.now()
let [state] = warm(begin(random.normal(random.key(0), [chains, size])), keysOf(1, warmup))
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
const parameters = vmap(vmap(parametersOf))(joined((draw) => draw.position))
const shared = ['level', 'trend', 'slope', 'tauAlpha', 'tauBeta', 'rho', 'sigma'] as const
const divergences = Number(np.sum(joined((draw) => draw.diverged)))
const acceptance = Number(np.mean(joined((draw) => draw.acceptance)))
const stepSizes = np.exp(state.logStepMean).toArray() as number[]

const valuesOf = (x: NDArray): number[][] => x.toArray() as number[][]
const series = shared.map((name) => [name, valuesOf(parameters[name])] as const)
const summaries = series.map(([name, values]) => summarize(name, values))
const eachPresident = (name: string, x: NDArray) =>
  data.presidents.map((president, i) =>
    summarize(`${name} of ${president}`, valuesOf(x.get('...', i))),
  )
const intercepts = eachPresident('alpha', parameters.alpha)
const slopes = eachPresident('beta', parameters.beta)

heading('what the chains agree on')
console.log('              mean      sd       5 %     95 %     R̂      effective draws')
for (const s of summaries) {
  const [mean, deviation, low, high] = [s.mean, s.deviation, ...s.interval].map((x) =>
    x.toFixed(3).padStart(7),
  )
  console.log(
    `  ${s.name.padEnd(8)} ${mean} ${deviation}   ${low}  ${high}   ${s.rHat.toFixed(3)}   ${s.effectiveSize.toFixed(0).padStart(6)}`,
  )
}
const all = [...summaries, ...intercepts, ...slopes]
const worst = Math.max(...all.map((s) => s.rHat))
const fewest = Math.min(...all.map((s) => s.effectiveSize))
console.log(
  `  of all ${all.length}, intercepts and slopes of presidents included: largest R̂ ${worst.toFixed(3)}, fewest effective draws ${fewest.toFixed(0)}, ${divergences} divergences`,
)
console.log(
  `  step sizes ${stepSizes.map((s) => s.toFixed(2)).join(', ')}, accepted ${(100 * acceptance).toFixed(0)} %`,
)
console.log(
  `  ${((chains * (warmup + draws)) / seconds / 1000).toFixed(1)} thousand draws a second, compiling included`,
)

heading('in words')
const [level, trend] = summaries
const percent = (x: number): string => `${(100 * Math.expm1(x)).toFixed(0)} %`
console.log(
  `  a president who began in 1900: ${Math.exp(level.mean).toFixed(1)} words in a sentence`,
)
console.log(
  `  a century later: ${percent(trend.mean)} (90 %: ${trend.interval.map(percent).join(' to ')})`,
)
const changed = slopes.filter(({ interval: [low, high] }) => low > 0 || high < 0)
console.log(
  `  presidents whose sentences changed in office (90 % to one side of none): ${changed.length} of ${slopes.length}`,
)

const { target, shown } = outputPath('bayes', flags)
await saveChart(posteriorChart({ data, series, intercepts, slopes }), `${target}.svg`)
saveResult(
  { chains, draws, warmup, divergences, acceptance, stepSizes, summaries, intercepts, slopes },
  `${target}.json`,
)
console.log(`\nsaved: ${shown('svg')}, ${shown('json')}`)
