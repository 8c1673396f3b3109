import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Var } from '../jaxpr/ir'
import { Aval } from '../types/aval'
import { lower } from './compile'
import { type Numbers, Recorder, runPlanned, runSeparately } from './testing/programs'
import { alongAxis } from './views'

/** `rev` reads at another index than it writes, so what follows it must not be in place by mistake. */
type Step = {
  readonly op: 'add' | 'sub' | 'neg' | 'rev' | 'set'
  readonly x: number
  readonly y: number
}

interface Body {
  readonly steps: readonly Step[]
  /** Which value each carry becomes; carries come first, then the steps' results. */
  readonly next: readonly number[]
}

const size = 5
const bodies = (carries: number): fc.Arbitrary<Body> =>
  fc.record({
    steps: fc.array(
      fc.record({
        op: fc.constantFrom('add', 'sub', 'neg', 'rev', 'set'),
        x: fc.nat(20),
        y: fc.nat(20),
      }),
      { maxLength: 6 },
    ),
    next: fc.array(fc.nat(20), { minLength: carries, maxLength: carries }),
  })

function meaning({ steps, next }: Body, carries: readonly Numbers[]): readonly Numbers[] {
  const values = [...carries]
  for (const { op, x, y } of steps) {
    const [a, b] = [values[x % values.length], values[y % values.length]]
    if (op === 'neg') values.push(a.map((e) => -e))
    else if (op === 'rev') values.push(a.toReversed())
    else if (op === 'set') values.push(a.map((e, i) => (i === 2 ? b[0] : e)))
    else values.push(a.map((e, i) => (op === 'add' ? e + b[i] : e - b[i])))
  }
  return next.map((k) => values[k % values.length])
}

function recorded({ steps, next }: Body): ReturnType<Recorder['jaxpr']> {
  const r = new Recorder()
  const values: Var[] = next.map(() => r.input([size]))
  const aval = new Aval([size], 'float32')
  const one = new Aval([1], 'float32')
  for (const { op, x, y } of steps) {
    const [a, b] = [values[x % values.length], values[y % values.length]]
    if (op === 'neg') values.push(r.unary('neg', a))
    else if (op === 'rev') {
      values.push(
        r.apply('rev', [a], aval, (c, t) => c.reindex(t, aval, [alongAxis(1, 0, -1, size - 1)])),
      )
    } else if (op === 'set') {
      values.push(
        r.apply('set', [a, b], aval, (c, t, u) => {
          const value = c.reindex(u, one, [{ offset: 0, strides: [0] }])
          return c.assemble(aval, t, [{ value, start: [2], step: [1] }])
        }),
      )
    } else values.push(r.binary(op, a, b))
  }
  return r.jaxpr(next.map((k) => values[k % values.length]))
}

test('carries of loops take their new values together, in place or not', () => {
  const cases = fc
    .integer({ min: 1, max: 3 })
    .chain((n) => fc.tuple(bodies(n), fc.integer({ min: 1, max: 4 })))
  fc.assert(
    fc.property(cases, fc.boolean(), ([body, length], donate) => {
      const initial = body.next.map((_, i) => Array.from({ length: size }, (_, k) => 3 * i + k + 1))
      let expected: readonly Numbers[] = initial
      for (let i = 0; i < length; i++) expected = meaning(body, expected)

      const jaxpr = recorded(body)
      const r = new Recorder()
      const inputs = body.next.map(() => r.input([size]))
      const outputs = r.applyAll(
        'scan',
        inputs,
        inputs.map((v) => v.aval),
        (c, ...carries) =>
          c.scan({ body: jaxpr, constants: [], carries, xs: [], length, reverse: false }),
      )
      const { program, plan } = lower(r.jaxpr(outputs), { donated: inputs.map(() => donate) })
      const plain = expected.map((values) => values.map((e) => e + 0))
      expect(runSeparately(program, initial)).toEqual(plain)
      expect(runPlanned(program, plan, initial)).toEqual(plain)
    }),
    { numRuns: 600 },
  )
})
