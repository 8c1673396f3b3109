/** How the chains moved, and what they say about presidents. */
import type { TopLevelSpec } from 'vega-lite'
import type { Summary } from './diagnostics'
import type { Speeches } from './speeches'

type Series = readonly (readonly [name: string, chains: readonly (readonly number[])[]])[]

export interface Posterior {
  readonly data: Speeches
  /** What presidents share, by name and chain. */
  readonly series: Series
  /** Of each president. */
  readonly intercepts: readonly Summary[]
  readonly slopes: readonly Summary[]
}

const [quantitative, nominal] = ['quantitative', 'nominal'] as const
const [line, point, rule] = ['line', 'point', 'rule'] as const

const tracesShown = ['level', 'trend', 'slope', 'tauAlpha', 'tauBeta']
const pointsShown = 500

function trace(name: string, chains: readonly (readonly number[])[]) {
  const every = Math.max(1, Math.floor(chains[0].length / pointsShown))
  const values = chains.flatMap((chain, c) =>
    chain
      .map((value, i) => ({ draw: i + 1, value, chain: `chain ${c + 1}` }))
      .filter((_, i) => i % every === 0),
  )
  return {
    title: `trace of ${name}`,
    width: 380,
    height: 80,
    data: { values },
    mark: { type: line, strokeWidth: 0.6, opacity: 0.8 },
    encoding: {
      x: { field: 'draw', type: quantitative, scale: { nice: false } },
      y: { field: 'value', type: quantitative, title: name, scale: { zero: false } },
      color: { field: 'chain', type: nominal, title: null },
    },
  }
}

/** Every address, and the line of each president. */
function fits({ data, intercepts, slopes }: Posterior) {
  const addresses = data.wordsPerSentence.map((words, i) => ({
    year: data.firstYears[data.speaker[i]] + data.yearsSince[i],
    words,
  }))
  const lines = data.yearsSince.map((years, i) => {
    const speaker = data.speaker[i]
    return {
      year: data.firstYears[speaker] + years,
      words: Math.exp(intercepts[speaker].mean + (slopes[speaker].mean * years) / 10),
      president: data.presidents[speaker],
    }
  })
  return {
    title: {
      text: 'Words in a sentence',
      subtitle: 'dots: addresses; lines: each president, mean of the posterior',
    },
    width: 460,
    height: 610,
    encoding: {
      x: {
        field: 'year',
        type: quantitative,
        scale: { zero: false, nice: false },
        axis: { format: 'd' },
      },
      y: { field: 'words', type: quantitative, scale: { zero: false } },
    },
    layer: [
      {
        data: { values: addresses },
        mark: { type: point, filled: true, size: 18, color: '#999999' },
      },
      {
        data: { values: lines },
        mark: { type: line, strokeWidth: 2, color: '#1f77b4' },
        encoding: { detail: { field: 'president' } },
      },
      {
        data: { values: lines.filter((_, i) => data.yearsSince[i] === 0) },
        mark: { type: point, filled: true, size: 30, color: '#1f77b4' },
      },
    ],
  }
}

function slopeIntervals({ data, slopes }: Posterior) {
  const values = slopes.map(({ mean, interval: [low, high] }, i) => ({
    president: data.presidents[i],
    mean,
    low,
    high,
  }))
  return {
    title: { text: 'Slopes', subtitle: 'mean and 90 % of the posterior' },
    width: 240,
    height: 610,
    data: { values },
    encoding: { y: { field: 'president', type: nominal, sort: null, title: null } },
    layer: [
      {
        mark: { type: rule, strokeWidth: 2 },
        encoding: {
          x: { field: 'low', type: quantitative, title: 'log words, per decade' },
          x2: { field: 'high' },
        },
      },
      {
        mark: { type: point, filled: true, size: 40 },
        encoding: { x: { field: 'mean', type: quantitative } },
      },
    ],
  }
}

export function posteriorChart(posterior: Posterior): TopLevelSpec {
  const shown = posterior.series.filter(([name]) => tracesShown.includes(name))
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    // The legend of the traces stays beside them.
    resolve: { legend: { color: 'independent' } },
    hconcat: [
      { vconcat: shown.map(([name, chains]) => trace(name, chains)) },
      fits(posterior),
      slopeIntervals(posterior),
    ],
  }
}
