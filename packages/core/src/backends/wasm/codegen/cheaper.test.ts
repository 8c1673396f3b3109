import fc from 'fast-check'
import { expect, it } from 'vitest'
import { binary, constant, load, unary } from '../../../compiler/expr'
import type { MapNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { compileNode, newBuffer } from '../kernels/run-node'
import { withCheaperForms } from './cheaper'
import { emitMap } from './map'

const count = 16
const x = newBuffer('float32', count)
const y = newBuffer('float32', count)
const target = newBuffer('float32', count)
const at = rowMajor([count])
const [a, b] = [load(x, at), load(y, at)]
const one = constant('float32', 1)
const half = constant('float32', 0.5)
const gate = binary('add', 'float32', one, unary('tanh', 'float32', a))

const nodeOf = (value: MapNode['stores'][number]['value']): MapNode => ({
  kind: 'map',
  shape: [count],
  stores: [{ target, at, offsets: [], value }],
})

/** e^−2x is right to a few units and enters the sum with less than its own weight. */
const TOLERANCE = 4 * 2 ** -24

const forms = {
  'y · (½ · (1 + tanh x))': [
    binary('mul', 'float32', b, binary('mul', 'float32', half, gate)),
    (u: number, v: number) => v / (1 + Math.exp(-2 * u)),
  ],
  '½ · (1 + tanh x)': [
    binary('mul', 'float32', gate, half),
    (u: number) => 1 / (1 + Math.exp(-2 * u)),
  ],
  'y · (1 + tanh x)': [
    binary('mul', 'float32', gate, b),
    (u: number, v: number) => (v * 2) / (1 + Math.exp(-2 * u)),
  ],
} as const

it.each(Object.entries(forms))('%s becomes a quotient that is as near', (_name, [value, exact]) => {
  const cheaper = withCheaperForms(nodeOf(value))
  expect(JSON.stringify(cheaper)).not.toContain('tanh')
  const compiled = compileNode(emitMap, cheaper)
  const numbers = fc.array(
    fc.oneof(
      fc.float({ min: -40, max: 40, noNaN: true }),
      fc.constantFrom(0, -0, Infinity, -Infinity, NaN),
    ),
    { minLength: count, maxLength: count },
  )
  fc.assert(
    fc.property(numbers, numbers, (us, vs) => {
      compiled.data(x).set(us)
      compiled.data(y).set(vs)
      compiled.run()
      us.forEach((u, i) => {
        const v = vs[i] ?? 0
        const wanted = exact(u, v)
        const got = compiled.data(target)[i] ?? NaN
        if (Number.isFinite(wanted) && Math.abs(wanted) > 2 ** -120) {
          expect(Math.abs(got - wanted)).toBeLessThanOrEqual(TOLERANCE * Math.abs(wanted))
        } else if (!Number.isFinite(wanted)) expect(got).toBe(wanted)
        else expect(Math.abs(got)).toBeLessThan(2 ** -119)
      })
    }),
  )
})
