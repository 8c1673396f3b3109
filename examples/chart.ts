/** Charts as SVG files. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import * as vega from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

/** Draws a chart that Vega-Lite describes. */
export async function saveChart(chart: TopLevelSpec, file: string): Promise<void> {
  const { spec } = compile({ ...chart, background: 'white' })
  mkdirSync(dirname(file), { recursive: true })
  const view = new vega.View(vega.parse(spec), { renderer: 'none' })
  writeFileSync(file, await view.toSVG())
}

/** Writes numbers down, so that they need not be computed again. */
export function saveResult(result: unknown, file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`)
}

/**
 * Where an example's files go, without their endings: `--out`, or a place of its own in
 * `examples/output`, another one in quick mode.
 */
export function outputPath(
  name: string,
  { out, quick }: { readonly out?: string | undefined; readonly quick?: boolean | undefined },
): { readonly target: string; readonly shown: (ending: string) => string } {
  // Package managers change the directory and say in INIT_CWD where the command was given.
  const here = process.env['INIT_CWD'] ?? process.cwd()
  const target =
    out === undefined
      ? resolve(import.meta.dirname, 'output', quick ? `${name}-quick` : name)
      : resolve(here, out)
  return { target, shown: (ending) => relative(here, `${target}.${ending}`) }
}
