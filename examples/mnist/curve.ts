/** The loss curve as an SVG file. */
import { writeFileSync } from 'node:fs'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

export interface Point {
  readonly step: number
  readonly loss: number
}

export async function drawLossCurve(points: readonly Point[], file: string): Promise<void> {
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: 'Training loss',
    width: 640,
    height: 320,
    background: 'white',
    data: { values: points.map((p) => ({ ...p })) },
    encoding: {
      x: { field: 'step', type: 'quantitative', title: 'step' },
      y: {
        field: 'loss',
        type: 'quantitative',
        scale: { type: 'log' },
        title: 'cross-entropy (nats), logarithmic',
      },
    },
    layer: [
      { mark: { type: 'line', opacity: 0.25, strokeWidth: 1 } },
      {
        transform: [{ window: [{ op: 'mean', field: 'loss', as: 'mean' }], frame: [-25, 25] }],
        mark: { type: 'line', strokeWidth: 2.5 },
        encoding: { y: { field: 'mean', type: 'quantitative', scale: { type: 'log' } } },
      },
    ],
  }
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
  writeFileSync(file, await view.toSVG())
}
