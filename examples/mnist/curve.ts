/** The loss curve as an SVG file. */
import { writeFileSync } from 'node:fs'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

export interface Point {
  readonly step: number
  readonly loss: number
}

/** Every step, and the mean over the steps around it; a fiftieth of the training to each side. */
export async function drawLossCurve(points: readonly Point[], file: string): Promise<void> {
  const around = Math.max(1, Math.round(points.length / 50))
  const y = (field: string): object => ({
    field,
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    title: 'cross-entropy in nats (logarithmic)',
  })
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: 'Training loss',
      subtitle: `thin: of each step; thick: mean of ${2 * around + 1} steps`,
    },
    width: 640,
    height: 320,
    background: 'white',
    data: { values: points.map((p) => ({ ...p })) },
    encoding: {
      x: { field: 'step', type: 'quantitative', title: 'step', scale: { nice: false } },
    },
    layer: [
      { mark: { type: 'line', opacity: 0.4, strokeWidth: 0.75 }, encoding: { y: y('loss') } },
      {
        transform: [
          { window: [{ op: 'mean', field: 'loss', as: 'mean' }], frame: [-around, around] },
        ],
        mark: { type: 'line', strokeWidth: 2.5 },
        encoding: { y: y('mean') },
      },
    ],
  }
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
  writeFileSync(file, await view.toSVG())
}
