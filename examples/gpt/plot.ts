/** Both trainings side by side. */
import type { TopLevelSpec } from 'vega-lite'

export interface Curve {
  readonly title: string
  readonly losses: readonly number[]
  readonly validation: readonly { readonly step: number; readonly loss: number }[]
}

/** Means of the losses over `around` steps to each side. */
const smoothed = (losses: readonly number[], around: number): number[] =>
  losses.map((_, i) => {
    const near = losses.slice(Math.max(0, i - around), i + around + 1)
    return near.reduce((sum, x) => sum + x, 0) / near.length
  })

export function curveChart(curves: readonly Curve[]): TopLevelSpec {
  const panel = ({ title, losses, validation }: Curve) => {
    const around = Math.max(1, Math.round(losses.length / 60))
    const means = smoothed(losses, around)
    const y = { field: 'loss', type: 'quantitative', scale: { zero: false } } as const
    return {
      title: { text: title, subtitle: 'line: training; dots: text that it never saw' },
      width: 420,
      height: 300,
      encoding: {
        x: { field: 'step', type: 'quantitative' as const, title: 'step', scale: { nice: false } },
      },
      layer: [
        {
          data: { values: losses.map((loss, i) => ({ step: i + 1, loss })) },
          mark: { type: 'line' as const, opacity: 0.3, strokeWidth: 0.75 },
          encoding: { y: { ...y, title: 'nats a character' } },
        },
        {
          data: { values: means.map((loss, i) => ({ step: i + 1, loss })) },
          mark: { type: 'line' as const, strokeWidth: 2.5 },
          encoding: { y },
        },
        {
          data: { values: validation.map((point) => ({ ...point })) },
          mark: { type: 'point' as const, filled: true, size: 60, color: '#d62728' },
          encoding: { y },
        },
      ],
    }
  }
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    hconcat: curves.map(panel),
  }
}
