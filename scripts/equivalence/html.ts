/** The report as one HTML page that needs nothing else. */
import type { CaseResult } from './run.ts'

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')

const ulps = (x: number): string =>
  x < 1000 ? String(Number(x.toPrecision(2))) : x.toExponential(1)

/** From green at nothing to yellow at all that is allowed; red beyond. */
const colour = ({ agrees, share }: CaseResult): string =>
  agrees ? `hsl(${Math.round(120 - 60 * Math.min(1, share))} 60% 85%)` : 'hsl(0 80% 80%)'

function cell(result: CaseResult | undefined): string {
  if (result === undefined) return '<td class="none">not on this device</td>'
  const { worst, aspects, explanation, agrees } = result
  const title = `${aspects.join(', ')}${worst ? `; largest: ${worst.aspect}, ${worst.where}` : ''}`
  const text = agrees
    ? worst === null
      ? 'equal'
      : `${ulps(worst.ulps)} ulp in ${worst.aspect}`
    : `<details><summary>differs</summary><pre>${escaped(explanation ?? '')}</pre></details>`
  return `<td style="background:${colour(result)}" title="${escaped(title)}">${text}</td>`
}

function table(title: string, results: readonly CaseResult[], devices: readonly string[]): string {
  const names = [...new Set(results.map(({ name }) => name))]
  const rows = names.map((name) => {
    const cells = devices.map((device) =>
      cell(results.find((result) => result.name === name && result.device === device)),
    )
    return `<tr><th scope="row">${escaped(name)}</th>${cells.join('')}</tr>`
  })
  const head = devices.map((device) => `<th scope="col">${escaped(device)}</th>`).join('')
  return `<h2>${title}</h2>
<table><thead><tr><th></th>${head}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`
}

function summary(results: readonly CaseResult[], devices: readonly string[]): string {
  const items = devices.map((device) => {
    const own = results.filter((result) => result.device === device)
    const failed = own.filter(({ agrees }) => !agrees).length
    const verdict = failed === 0 ? 'all agree' : `<strong>${failed} differ</strong>`
    return `<li>${escaped(device)}: ${own.length} cases, ${verdict} with the reference</li>`
  })
  return `<ul>${items.join('')}</ul>`
}

/** The page. */
export const html = (results: readonly CaseResult[], devices: readonly string[]): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Equivalence of devices</title>
<style>
  body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border: 1px solid #ccc; padding: .2rem .5rem; text-align: left; vertical-align: top }
  th[scope=row] { font-weight: normal; font-family: ui-monospace, monospace; font-size: 13px }
  .none { color: #777 }
  pre { white-space: pre-wrap; font-size: 12px }
</style>
<h1>Equivalence of devices</h1>
<p>Each program's value, derivative, gradient, batched gradient and Hessian-vector product, compared
with the reference device, which computes in double precision. A cell gives the largest error that is
closest to what is allowed, in units in the last place, and is the greener the less of the allowance
was used.</p>
${summary(results, devices)}
${table(
  'Whole programs',
  results.filter(({ group }) => group === 'program'),
  devices,
)}
${table(
  'Primitives',
  results.filter(({ group }) => group === 'primitive'),
  devices,
)}
</html>
`
