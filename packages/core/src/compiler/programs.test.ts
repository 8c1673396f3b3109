import { describe, expect, test } from 'vitest'
import type { Jaxpr, Var } from '../jaxpr/ir'
import { Aval } from '../types/aval'
import { lower } from './compile'
import { printProgram } from './print'
import { CompilationUnit } from './lowering'
import { adamStep } from './testing/classifier'
import { alongAxis } from './views'
import { Recorder, runPlanned, runSeparately, scalar } from './testing/programs'

const both = (
  jaxpr: Jaxpr,
  inputs: readonly (readonly number[])[],
  donated: readonly boolean[] = [],
) => {
  const { program, plan } = lower(jaxpr, { donated })
  const separately = runSeparately(program, inputs)
  expect(runPlanned(program, plan, inputs)).toEqual(separately)
  return { results: separately, program, plan }
}

/** `(c, x) → (c + x, c · x)` on vectors of three. */
function runningSum(): Jaxpr {
  const r = new Recorder()
  const c = r.input([3])
  const x = r.input([3])
  return r.jaxpr([r.binary('add', c, x), r.binary('mul', c, x)], 'running')
}

describe('scan', () => {
  const scanned = (reverse: boolean): Jaxpr => {
    const r = new Recorder()
    const c = r.input([3])
    const xs = r.input([4, 3])
    const avals = [new Aval([3], 'float32'), new Aval([4, 3], 'float32')]
    const body = runningSum()
    const outputs = r.applyAll('scan', [c, xs], avals, (context, carry, x) =>
      context.scan({ body, constants: [], carries: [carry], xs: [x], length: 4, reverse }),
    )
    return r.jaxpr(outputs)
  }
  const xs = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]

  test('carries and collects', () => {
    const { results } = both(scanned(false), [[1, 1, 1], xs])
    expect(results).toEqual([
      [23, 27, 31],
      [1, 2, 3, 8, 15, 24, 84, 120, 162, 130, 176, 228].map((_, i) => {
        const row = Math.floor(i / 3)
        let c = 1
        for (let k = 0; k < row; k++) c += xs[k * 3 + (i % 3)]
        return c * xs[i]
      }),
    ])
  })

  test('runs backwards', () => {
    const { results } = both(scanned(true), [[0, 0, 0], xs])
    expect(results[0]).toEqual([22, 26, 30])
    expect(results[1].slice(9)).toEqual([0, 0, 0])
    expect(results[1].slice(0, 3)).toEqual([21, 48, 81])
  })

  test('updates a carry in place where the body reads it only at the index it writes', () => {
    const r = new Recorder()
    const c = r.input([3])
    const body = new Recorder()
    const b = body.input([3])
    const jaxpr = body.jaxpr([body.unary('tanh', b)])
    const out = r.applyAll('scan', [c], [c.aval], (context, carry) =>
      context.scan({
        body: jaxpr,
        constants: [],
        carries: [carry],
        xs: [],
        length: 5,
        reverse: false,
      }),
    )
    const { plan, program } = both(r.jaxpr(out), [[1, 2, 3]], [true])
    expect(plan.inner.get(program.nodes[0])?.carries).toEqual([{ inPlace: true, scratch: null }])
    expect(plan.outputStorage).toEqual([0])
    expect(plan.arenaBytes).toBe(0)
  })

  test('adds to a slice of a carry without copying the carry', () => {
    const body = new Recorder()
    const [buffer, i] = [body.input([100]), body.input([], 'int32')]
    const slice = new Aval([1], 'float32')
    const taken = body.apply('dynamic_slice', [buffer, i], slice, (c, x, at) =>
      c.dynamicSlice(x, slice, [at]),
    )
    const more = body.binary('add', taken, body.broadcast(scalar(1), [1], []))
    const put = body.apply(
      'dynamic_update_slice',
      [buffer, more, i],
      buffer.aval,
      (c, x, piece, at) =>
        c.assemble(buffer.aval, x, [{ value: piece, start: [0], step: [1], dynamicStart: [at] }]),
    )
    const jaxpr = body.jaxpr([put])
    const r = new Recorder()
    const [c, xs] = [r.input([100]), r.input([6], 'int32')]
    const out = r.applyAll('scan', [c, xs], [c.aval], (context, carry, x) =>
      context.scan({
        body: jaxpr,
        constants: [],
        carries: [carry],
        xs: [x],
        length: 6,
        reverse: false,
      }),
    )
    const zeros = Array.from({ length: 100 }, () => 0)
    const { plan, program, results } = both(r.jaxpr(out), [zeros, [3, 99, 3, 0, 7, 3]])
    expect(plan.inner.get(program.nodes[0])?.carries).toEqual([{ inPlace: true, scratch: null }])
    expect(results[0].map((n, at) => (n === 0 ? '' : `${at}: ${n}`)).filter(Boolean)).toEqual([
      '0: 1',
      '3: 3',
      '7: 1',
      '99: 1',
    ])
  })

  test('exchanges two carries without mixing them up', () => {
    const r = new Recorder()
    const [a, b] = [r.input([2]), r.input([2])]
    const body = new Recorder()
    const [x, y] = [body.input([2]), body.input([2])]
    const jaxpr = body.jaxpr([body.unary('neg', y), x])
    const out = r.applyAll('scan', [a, b], [a.aval, b.aval], (context, u, v) =>
      context.scan({
        body: jaxpr,
        constants: [],
        carries: [u, v],
        xs: [],
        length: 3,
        reverse: false,
      }),
    )
    const { results } = both(
      r.jaxpr(out),
      [
        [1, 2],
        [3, 4],
      ],
      [true, true],
    )
    expect(results).toEqual([
      [3, 4],
      [-1, -2],
    ])
  })
})

test('while runs as long as its condition holds', () => {
  const r = new Recorder()
  const limit = r.input([])
  const start = r.input([])
  const condition = new Recorder()
  const [bound, value] = [condition.input([]), condition.input([])]
  const flag = new Aval([], 'bool')
  const less = condition.apply('lt', [value, bound], flag, (c, x, y) =>
    c.map(flag, (e, f) => ({ kind: 'binary', op: 'lt', dtype: 'bool', x: e, y: f }), x, y),
  )
  const body = new Recorder()
  const doubled = body.input([])
  const step = body.jaxpr([body.binary('mul', doubled, scalar(2))])
  const out = r.applyAll('while', [limit, start], [start.aval], (c, n, s) =>
    c.while({
      condition: condition.jaxpr([less]),
      conditionConstants: [n],
      body: step,
      bodyConstants: [],
      carries: [s],
    }),
  )
  expect(both(r.jaxpr(out), [[100], [3]]).results).toEqual([[192]])
  expect(both(r.jaxpr(out), [[1], [3]]).results).toEqual([[3]])
})

test('branch runs one case, and a case known beforehand is no branch', () => {
  const cases = (['neg', 'abs'] as const).map((op) => {
    const r = new Recorder()
    return r.jaxpr([r.unary(op, r.input([2]))])
  })
  const r = new Recorder()
  const which = r.input([], 'int32')
  const x = r.input([2])
  const out = r.applyAll('cond', [which, x], [x.aval], (c, i, v) =>
    c.branch({ index: i, branches: cases, operands: [v] }),
  )
  expect(both(r.jaxpr(out), [[0], [1, -2]]).results).toEqual([[-1, 2]])
  expect(both(r.jaxpr(out), [[1], [1, -2]]).results).toEqual([[1, 2]])

  const known = new Recorder()
  const y = known.input([2])
  const result = known.applyAll('cond', [scalar(1, 'int32'), y], [y.aval], (c, i, v) =>
    c.branch({ index: i, branches: cases, operands: [v] }),
  )
  expect(lower(known.jaxpr(result)).program.nodes.map((n) => n.kind)).toEqual(['map'])
})

describe('results', () => {
  test('may be inputs, literals and repeated', () => {
    const r = new Recorder()
    const x = r.input([2])
    const y = r.unary('neg', x)
    const { results, program } = both(r.jaxpr([x, y, y, scalar(7), x]), [[1, 2]])
    expect(results).toEqual([[1, 2], [-1, -2], [-1, -2], [7], [1, 2]])
    expect(new Set(program.outputs).size).toBe(5)
    expect(program.outputs.some((b) => program.inputs.includes(b))).toBe(false)
  })

  test('a donated input that is passed through keeps its storage', () => {
    const r = new Recorder()
    const { plan } = lower(r.jaxpr([r.input([8])]), { donated: [true] })
    expect(plan.outputStorage).toEqual([0])
  })

  test('may be empty', () => {
    const r = new Recorder()
    const x = r.input([0, 3])
    const { results } = both(r.jaxpr([r.unary('neg', x), r.reduce('sum', x, [0])]), [[]])
    expect(results).toEqual([[], [0, 0, 0]])
  })
})

test('a call inside a program is no border for loops', () => {
  const inner = new Recorder()
  const a = inner.input([4, 3])
  const called = inner.jaxpr([inner.unary('exp', inner.unary('neg', a))])
  const r = new Recorder()
  const x = r.input([4, 3])
  const [y] = r.applyAll('jit', [x], [x.aval], (c, v) => c.inline(called, [v]))
  const { program } = both(r.jaxpr([r.reduce('sum', y, [1])]), [
    Array.from({ length: 12 }, (_, i) => i / 8),
  ])
  expect(program.nodes.map((n) => n.kind)).toEqual(['reduce'])
})

test('unused equations are not lowered', () => {
  const r = new Recorder()
  const x = r.input([2])
  r.apply('never', [x], x.aval, () => {
    throw new Error('lowered')
  })
  expect(lower(r.jaxpr([r.unary('neg', x)])).program.nodes).toHaveLength(1)
})

describe('long programs', () => {
  test('chains stay loops of bounded size, in linear time', () => {
    const r = new Recorder()
    let x = r.input([32])
    const y = r.input([32])
    for (let i = 0; i < 4000; i++) x = r.binary(i % 2 ? 'add' : 'mul', x, y)
    const started = performance.now()
    const { program } = lower(r.jaxpr([x]))
    expect(performance.now() - started).toBeLessThan(4000)
    expect(program.nodes.length).toBeGreaterThan(10)
    expect(program.nodes.length).toBeLessThan(60)
  })

  test('doublings do not explode', () => {
    const r = new Recorder()
    let x = r.input([4])
    for (let i = 0; i < 200; i++) x = r.binary('add', x, x)
    const { results } = both(r.jaxpr([x]), [[1, 0, 0, 0]])
    expect(results[0][0]).toBe(Infinity)
  })
})

test('an optimizer update over one parameter is one loop', () => {
  const r = new Recorder()
  const shape = [6, 4]
  const [p, g, m, v] = [r.input(shape), r.input(shape), r.input(shape), r.input(shape)]
  const full = (x: number) => r.broadcast(scalar(x), shape, [])
  const m2 = r.binary('add', r.binary('mul', m, full(0.9)), r.binary('mul', g, full(0.1)))
  const v2 = r.binary(
    'add',
    r.binary('mul', v, full(0.99)),
    r.binary('mul', r.binary('mul', g, g), full(0.01)),
  )
  const p2 = r.binary(
    'sub',
    p,
    r.binary('div', m2, r.binary('add', r.unary('sqrt', v2), full(1e-8))),
  )
  const { program, plan } = lower(r.jaxpr([p2, m2, v2]), { donated: [true, false, true, true] })
  expect(plan.arenaBytes).toBe(0)
  expect(printProgram(program, plan, 'adam')).toMatchInlineSnapshot(`
    "adam: 1 loop, 264 operations, reads 384 bytes, writes 288 bytes, 0 bytes of temporaries
      takes in0: f32[24], in1: f32[24], in2: f32[24], in3: f32[24]
      gives out0: f32[24] in place of in0, out1: f32[24] in place of in2, out2: f32[24] in place of in3

    1. map over i < 24 — 264 operations, reads 384 bytes, writes 288 bytes
         v0 = (in2[i] * 0.9) + (in1[i] * 0.1)
         v1 = (in3[i] * 0.99) + ((in1[i] * in1[i]) * 0.01)
         out1[i] = v0
         out2[i] = v1
         out0[i] = in0[i] - (v0 / (sqrt(v1) + 1e-8))"
  `)
})

test('a dense layer is one contraction, its gradient reads what it needs', () => {
  const r = new Recorder()
  const [x, w, b] = [r.input([8, 6]), r.input([6, 4]), r.input([4])]
  const z = r.binary('add', r.matmul(x, w), r.broadcast(b, [8, 4], [1]))
  const h = r.binary('max', z, r.broadcast(scalar(0), [8, 4], []))
  const g = r.transpose(r.matmul(r.transpose(h, [1, 0]), x), [1, 0])
  const w2 = r.binary('sub', w, g)
  const { program, plan } = lower(r.jaxpr([w2, r.reduce('sum', h, [0])], 'dense'), {
    donated: [false, true],
  })
  expect(printProgram(program, plan, 'dense')).toMatchInlineSnapshot(`
    "dense: 3 loops, 888 operations, reads 848 bytes, writes 240 bytes, 128 bytes of temporaries
      takes in0: f32[48], in1: f32[24], in2: f32[4]
      gives out0: f32[24] in place of in1, out1: f32[4]

    1. contract m < 8, n < 4 over k < 6 — 448 operations, reads 304 bytes, writes 128 bytes
         sum of in0[6*m + k] * in1[n + 4*k]
         t0[4*m + n] = max(sum + in2[n], 0)

    2. contract m < 6, n < 4 over k < 8 — 408 operations, reads 416 bytes, writes 96 bytes
         sum of in0[m + 6*k] * t0[n + 4*k]
         out0[4*m + n] = in1[4*m + n] - sum

    3. reduce i < 4 over j < 8 — 32 operations, reads 128 bytes, writes 16 bytes
         sum of t0[i + 4*j]
         out1[i] = sum"
  `)
})

test('a long epilogue is a loop of its own where there is much to compute', () => {
  const loops = (rows: number): readonly string[] => {
    const r = new Recorder()
    const product = r.matmul(r.input([rows, 8]), r.input([8, 256]))
    return lower(r.jaxpr([r.unary('tanh', r.unary('neg', product))])).program.nodes.map(
      (n) => n.kind,
    )
  }
  expect(loops(16)).toEqual(['contract'])
  expect(loops(64)).toEqual(['contract', 'map'])
})

test('a classifier and its Adam step become eight products, and one loop for each weight', () => {
  const { program, plan } = lower(adamStep([784, 512, 256, 10], 128), {
    donated: Array.from({ length: 21 }, (_, i) => i >= 2),
  })
  const count = (kind: string): number => program.nodes.filter((n) => n.kind === kind).length
  expect({ contract: count('contract'), reduce: count('reduce'), map: count('map') }).toEqual({
    contract: 8,
    reduce: 6,
    map: 5,
  })
  expect(program.nodes).toHaveLength(19)
  // Every new parameter and moment takes the place of an old one.
  expect(plan.outputStorage.filter((input) => input === null)).toHaveLength(1)
  // Products are stored as they are read, so updates run along memory.
  for (const node of program.nodes) {
    if (node.kind === 'map')
      expect(node.shape.length, printProgram(program, plan)).toBeLessThanOrEqual(
        node.shape[0] === 128 ? 2 : 1,
      )
  }
})

test('a classifier computes the same fused and planned', () => {
  const jaxpr = adamStep([6, 5, 4, 3], 7)
  const inputs = jaxpr.inputs.map((v, i) =>
    Array.from({ length: v.aval.size }, (_, k) => ((k * 13 + i * 5) % 11) / 11),
  )
  const plain = new CompilationUnit((p) => p).program(jaxpr)
  const { program, plan } = lower(jaxpr, { donated: jaxpr.inputs.map((_, i) => i >= 2) })
  const expected = runSeparately(plain, inputs)
  const actual = runPlanned(program, plan, inputs)
  actual.forEach((values, i) =>
    values.forEach((value, k) => expect(value).toBeCloseTo(expected[i][k], 5)),
  )
})

test('a product read transposed, also in part, is stored transposed', () => {
  const r = new Recorder()
  const [x, y, z] = [r.input([4, 5]), r.input([5, 6]), r.input([6, 3])]
  const product = r.matmul(x, y)
  const part = new Aval([4, 3], 'float32')
  const some = r.apply('slice', [product], part, (c, t) =>
    c.reindex(t, part, [alongAxis(2, 0), alongAxis(2, 1, 2, 1)]),
  )
  const sum = r.binary(
    'add',
    r.transpose(product, [1, 0]),
    r.broadcast(r.reduce('sum', z, [1]), [6, 4], [0]),
  )
  const jaxpr = r.jaxpr([sum, r.unary('exp', r.transpose(some, [1, 0]))])
  const inputs = jaxpr.inputs.map((v, i) =>
    Array.from({ length: v.aval.size }, (_, k) => ((k * 5 + i) % 7) / 8 - 0.5),
  )
  const { results, program, plan } = both(jaxpr, inputs)
  expect(runSeparately(new CompilationUnit((p) => p).program(jaxpr), inputs)).toEqual(results)
  const contraction = program.nodes.find((n) => n.kind === 'contract')
  expect(
    contraction?.kind === 'contract' && [contraction.m, contraction.n],
    printProgram(program, plan),
  ).toEqual([[6], [4]])
})

test('products side by side, as the cotangent of a split, are written where they belong', () => {
  const r = new Recorder()
  const [x, y, z] = [r.input([4, 5]), r.input([5, 6]), r.input([5, 3])]
  const whole = new Aval([4, 9], 'float32')
  const among = (v: Var, start: number): Var =>
    r.apply('pad', [v], whole, (c, t) =>
      c.assemble(whole, c.constant(whole, 0), [{ value: t, start: [0, start], step: [1, 1] }]),
    )
  const parts = [among(r.matmul(x, y), 0), among(r.matmul(x, z), 6)]
  const sum = r.apply('add_any', parts, whole, (c, a, b) => c.accumulate(whole, a, b))
  const jaxpr = r.jaxpr([sum])
  const inputs = jaxpr.inputs.map((v, i) =>
    Array.from({ length: v.aval.size }, (_, k) => ((k * 5 + i) % 7) / 8 - 0.5),
  )
  const { program } = both(jaxpr, inputs)
  expect(program.nodes.map((n) => n.kind)).toEqual(['contract', 'contract'])
})

test('updates run right after their gradients, whose memory they free', () => {
  const layers = 12
  const { plan } = lower(
    adamStep(
      Array.from({ length: layers + 1 }, () => 32),
      4,
    ),
    {
      donated: Array.from({ length: 6 * layers + 3 }, (_, i) => i >= 2),
    },
  )
  // Two activations of 4·32 floats for each layer and some spare, but not all gradients of 32·32 at once.
  expect(plan.peakBytes).toBeLessThan(4 * (2 * 4 * 32 * (layers + 4) + 3 * 32 * 32))
  expect(plan.outputStorage.filter((input) => input === null)).toHaveLength(1)
})

test('loops and branches print their programs', () => {
  const r = new Recorder()
  const c = r.input([3])
  const xs = r.input([4, 3])
  const out = r.applyAll('scan', [c, xs], [c.aval, xs.aval], (context, carry, x) =>
    context.scan({
      body: runningSum(),
      constants: [],
      carries: [carry],
      xs: [x],
      length: 4,
      reverse: true,
    }),
  )
  const { program, plan } = lower(r.jaxpr(out))
  expect(printProgram(program, plan, 'sums')).toMatchInlineSnapshot(`
    "sums: 2 loops, 24 operations, reads 96 bytes, writes 96 bytes, 0 bytes of temporaries
      takes in0: f32[3], in1: f32[12]
      gives out0: f32[3], out1: f32[12]

    1. scan of 4, backwards — 24 operations, reads 96 bytes, writes 96 bytes
         with nothing; from in0; along in1
         to out0; collecting out1
        body:

        1. map over i < 3 — 6 operations, reads 24 bytes, writes 24 bytes
             out0[i] = in0[i] + in1[i]
             out1[i] = in0[i] * in1[i]"
  `)
})
