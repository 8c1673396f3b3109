import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Jaxpr, type Var } from '../jaxpr/ir'
import { Aval } from '../types/aval'
import { lower } from './compile'
import { rootsOf } from './dependence'
import { measureAll } from './measure'
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

describe('what does not change in a loop', () => {
  const square = (r: Recorder, x: Var): Var => r.matmul(x, x)

  test('is computed before a scan', () => {
    const inner = new Recorder()
    const [k, w, c] = [inner.input([4]), inner.input([4, 4]), inner.input([4])]
    const scale = inner.unary('exp', inner.binary('mul', k, k))
    const row = inner.reduce('sum', square(inner, w), [0])
    const body = inner.jaxpr([inner.binary('add', inner.binary('mul', c, scale), row)], 'body')
    const r = new Recorder()
    const inputs = [r.input([4]), r.input([4, 4]), r.input([4])]
    const outputs = r.applyAll('scan', inputs, [c.aval], (context, k0, w0, c0) =>
      context.scan({
        body,
        constants: [k0, w0],
        carries: [c0],
        xs: [],
        length: 3,
        reverse: false,
      }),
    )
    const { program, plan } = lower(r.jaxpr(outputs))
    const scan = program.nodes.find((n) => n.kind === 'scan')
    expect(scan?.kind === 'scan' && scan.body.nodes.map((n) => n.kind)).toEqual(['map'])
    expect(scan?.kind === 'scan' && measureAll(scan.body.nodes.flatMap(rootsOf)).cost).toBe(2)
    const [k0, w0, c0] = [
      [0, 0.5, -0.5, 1],
      Array.from({ length: 16 }, (_, i) => (i % 5) - 2),
      [1, 2, 3, 4],
    ]
    const sums = c0.map((_, j) =>
      c0.reduce((sum, _v, i) => {
        const product = c0.reduce((e, _u, m) => e + w0[4 * i + m] * w0[4 * m + j], 0)
        return sum + product
      }, 0),
    )
    let expected: Numbers = c0
    for (let i = 0; i < 3; i++)
      expected = expected.map((e, j) => e * Math.exp(k0[j] * k0[j]) + sums[j])
    for (const [actual] of [
      runSeparately(program, [k0, w0, c0]),
      runPlanned(program, plan, [k0, w0, c0]),
    ])
      actual.forEach((e, j) => expect(e).toBeCloseTo(expected[j], 2))
  })

  test('is left where it is if it costs nothing there', () => {
    const inner = new Recorder()
    const [k, c] = [inner.input([2, 3]), inner.input([3, 2])]
    const body = inner.jaxpr([inner.binary('sub', c, inner.transpose(k, [1, 0]))])
    const r = new Recorder()
    const inputs = [r.input([2, 3]), r.input([3, 2])]
    const outputs = r.applyAll('scan', inputs, [c.aval], (context, k0, c0) =>
      context.scan({ body, constants: [k0], carries: [c0], xs: [], length: 2, reverse: false }),
    )
    expect(lower(r.jaxpr(outputs)).program.nodes.map((n) => n.kind)).toEqual(['scan'])
  })

  test('changes no result', () => {
    const cases = fc.tuple(
      bodies(3),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 2 }),
    )
    let found = 0
    fc.assert(
      fc.property(cases, ([body, length, fixed]) => {
        const initial = body.next.map((_, i) =>
          Array.from({ length: size }, (_, k) => 3 * i + k + 1),
        )
        const constants = initial.slice(0, fixed)
        let carries: readonly Numbers[] = initial.slice(fixed)
        for (let i = 0; i < length; i++)
          carries = meaning(body, [...constants, ...carries]).slice(fixed)
        const whole = recorded(body)
        const jaxpr = new Jaxpr(whole.inputs, whole.equations, whole.outputs.slice(fixed))
        const r = new Recorder()
        const inputs = body.next.map(() => r.input([size]))
        const outputs = r.applyAll(
          'scan',
          inputs,
          inputs.slice(fixed).map((v) => v.aval),
          (c, ...operands) =>
            c.scan({
              body: jaxpr,
              constants: operands.slice(0, fixed),
              carries: operands.slice(fixed),
              xs: [],
              length,
              reverse: false,
            }),
        )
        const { program, plan } = lower(r.jaxpr(outputs))
        const scan = program.nodes.find((n) => n.kind === 'scan')
        if (scan?.kind === 'scan' && scan.constants.length > fixed) found++
        const plain = carries.map((values) => values.map((e) => e + 0))
        expect(runSeparately(program, initial)).toEqual(plain)
        expect(runPlanned(program, plan, initial)).toEqual(plain)
      }),
      { numRuns: 400 },
    )
    expect(found).toBeGreaterThan(5)
  })
})
