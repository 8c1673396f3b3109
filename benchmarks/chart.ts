/** Measurements as pictures. */
import { writeFileSync } from 'node:fs'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { adapterName, type Report } from './benchmark'
import { peerNames } from './case'
import type { Series } from './cases'
import type { Measurement } from './measure'

const color = {
  field: 'peer',
  type: 'nominal',
  title: null,
  scale: {
    domain: [...peerNames],
    range: ['#d62728', '#1f77b4', '#17becf', '#2ca02c', '#ff7f0e', '#7f7f7f'],
  },
} as const

/** How long each peer takes for what takes this project one: left of the line it is faster. */
function ratioChart({ measurements, machine: { threads, gpu } }: Report): TopLevelSpec {
  const values = measurements.flatMap(({ case: name, medians }) => {
    const { adjoint } = medians
    return Object.entries(medians).flatMap(([peer, time]) =>
      adjoint === undefined ? [] : [{ case: name, peer, ratio: time / adjoint }],
    )
  })
  const where =
    gpu !== undefined ? adapterName(gpu) : threads === 1 ? 'one thread' : `${threads} threads`
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: `Time relative to Adjoint's, ${where}`,
      subtitle: 'logarithmic; to the right of the line a peer takes longer',
    },
    width: 560,
    height: { step: 18 },
    background: 'white',
    data: { values },
    encoding: {
      y: {
        field: 'case',
        type: 'nominal',
        sort: measurements.map((m) => m.case),
        title: null,
        axis: { grid: true },
      },
      x: {
        field: 'ratio',
        type: 'quantitative',
        scale: { type: 'log' },
        title: "time divided by Adjoint's",
        axis: { format: '~g' },
      },
      color,
    },
    layer: [
      { mark: { type: 'rule', color: '#d62728' }, encoding: { x: { datum: 1 }, y: undefined } },
      {
        transform: [{ filter: "datum.peer !== 'adjoint'" }],
        mark: { type: 'point', filled: true, size: 60, opacity: 0.9 },
      },
    ],
  }
}

/** Time against the amount of work, both logarithmic, one panel for each series. */
function growthChart(
  measurements: readonly Measurement[],
  growth: readonly Series[],
): TopLevelSpec {
  const of = new Map(measurements.map((m) => [m.case, m.medians]))
  const panels = growth.map(({ name, of: what, cases }) => ({
    title: name,
    width: 260,
    height: 200,
    data: {
      values: cases.flatMap((benchmark) =>
        Object.entries(of.get(benchmark.name) ?? {}).map(([peer, time]) => ({
          amount: benchmark.amount,
          peer,
          time,
        })),
      ),
    },
    mark: { type: 'line' as const, point: true },
    encoding: {
      x: {
        field: 'amount',
        type: 'quantitative' as const,
        scale: { type: 'log' as const },
        title: what,
        axis: { format: '~s' },
      },
      y: {
        field: 'time',
        type: 'quantitative' as const,
        scale: { type: 'log' as const },
        title: 'ms',
        axis: { format: '~g' },
      },
      color,
    },
  }))
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    columns: 2,
    concat: panels,
  }
}

async function draw(file: string, spec: TopLevelSpec): Promise<void> {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
  writeFileSync(file, await view.toSVG())
}

/** The peers beside this project, case by case. */
export const drawRatios = (file: string, report: Report): Promise<void> =>
  draw(file, ratioChart(report))

export const drawGrowth = (
  file: string,
  { measurements }: Report,
  growth: readonly Series[],
): Promise<void> => draw(file, growthChart(measurements, growth))
