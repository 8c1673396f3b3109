import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../array/inspect'
import { lower } from '../../compiler/compile'
import { binary } from '../../compiler/expr'
import { adamStep } from '../../compiler/testing/classifier'
import type { Numbers } from '../../compiler/testing/programs'
import { joining } from '../../compiler/joint'
import { Recorder, runSeparately, scalar } from '../../compiler/testing/programs'
import { randomPrograms } from '../../compiler/testing/random-programs'
import { planned, treePlansOf } from '../../compiler/testing/tree-programs'
import type { Jaxpr, Var } from '../../jaxpr/ir'
import { Aval } from '../../types/aval'
import type { DeviceData } from '../backend'
import { createWasmBackend } from './index'

const relaxed = createWasmBackend()
const strict = createWasmBackend({ relaxedSimd: false })

const dataOf = (aval: Aval, values: Numbers): DeviceData =>
  aval.dtype === 'int32'
    ? Int32Array.from(values)
    : aval.dtype === 'bool'
      ? Uint8Array.from(values)
      : Float32Array.from(values)

function runOn(
  backend: typeof relaxed,
  jaxpr: Jaxpr,
  inputs: readonly Numbers[],
  donated: readonly boolean[] = [],
): readonly Numbers[] {
  const executable = backend.compile(jaxpr, { donated, name: jaxpr.name })
  const storages = jaxpr.inAvals.map((aval, i) =>
    backend.fromHost(aval, dataOf(aval, inputs[i] ?? [])),
  )
  const results = executable.run(storages)
  const numbers = results.map((storage) => Array.from(backend.read(storage), (x) => x + 0))
  for (const storage of [...storages, ...results]) backend.release(storage)
  executable.dispose()
  return numbers
}

function expectClose(
  actual: readonly Numbers[],
  expected: readonly Numbers[],
  tolerance = 2e-6,
): void {
  expect(actual.map((values) => values.length)).toEqual(expected.map((values) => values.length))
  actual.forEach((values, i) =>
    values.forEach((value, k) => {
      const wanted = expected[i]?.[k] ?? NaN
      const same =
        Object.is(value, wanted) ||
        Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted))
      if (!same) throw new Error(`result ${i}[${k}] is ${value}, not ${wanted}`)
    }),
  )
}

/** Against the interpreter of loops, on both kinds of SIMD, with and without donation. */
function check(jaxpr: Jaxpr, inputs: readonly Numbers[], tolerance?: number): readonly Numbers[] {
  const expected = runSeparately(lower(jaxpr).program, inputs)
  for (const backend of [relaxed, strict]) {
    for (const donate of [false, true]) {
      const results = runOn(
        backend,
        jaxpr,
        inputs,
        jaxpr.inputs.map(() => donate),
      )
      expectClose(results, expected, tolerance)
    }
  }
  return expected
}

describe('random programs', () => {
  it('mean what their operations mean', () => {
    fc.assert(
      fc.property(randomPrograms, ({ jaxpr, inputs, expected }) => {
        const largest = Math.max(1, ...expected.flat().map(Math.abs))
        if (largest < 1e30) expectClose(runOn(relaxed, jaxpr, inputs), expected, 1e-5 * largest)
      }),
      { numRuns: 150 },
    )
  })
})

describe('loops over the leaves of a tree', () => {
  it.each([
    [30, 40, 1e-4],
    // The interpreter adds up in single precision, element by element.
    [280, 2, 2e-3],
  ])('do the same to each, of up to %i rows', (most, numRuns, tolerance) => {
    let joint = 0
    fc.assert(
      fc.property(treePlansOf(fc.integer({ min: 1, max: most })), (tree) => {
        const { jaxpr, inputs, donated } = planned(tree)
        const { program } = lower(jaxpr, { joint: joining })
        if (program.nodes.some((node) => node.kind === 'joint')) joint++
        const expected = runSeparately(program, inputs)
        const largest = expected.flat().reduce((most, x) => Math.max(most, Math.abs(x)), 1)
        for (const backend of [relaxed, strict]) {
          for (const given of [[], donated])
            expectClose(runOn(backend, jaxpr, inputs, given), expected, tolerance * largest)
        }
      }),
      { numRuns },
    )
    if (numRuns > 20) expect(joint).toBeGreaterThan(numRuns / 4)
  })
})

describe('chains along rows', () => {
  const overRow = (r: Recorder, monoid: 'sum' | 'max', x: Var): Var =>
    r.broadcast(r.reduce(monoid, x, [1]), x.aval.shape, [0])

  it.each([
    [3, 17],
    [40, 64],
    [35, 1030],
  ])('softmax of %i rows of %i', (rows, columns) => {
    const r = new Recorder()
    const x = r.input([rows, columns])
    const e = r.unary('exp', r.binary('sub', x, overRow(r, 'max', x)))
    const p = r.binary('div', e, overRow(r, 'sum', e))
    const jaxpr = r.jaxpr([p])
    const values = Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 8)
    const [result] = check(jaxpr, [values])
    const total = result?.slice(0, columns).reduce((sum, v) => sum + v, 0)
    expect(total).toBeCloseTo(1, 5)
    const executable = relaxed.compile(jaxpr, { donated: [true], name: 'softmax' })
    expect(textOf(executable, 'loops')).toContain(`rows i < ${rows}, 4 steps`)
  })

  it('with the gradient of layer normalisation', () => {
    const r = new Recorder()
    const [x, y] = [r.input([50, 700]), r.input([50, 700])]
    const scaled = (v: Var, by: number): Var =>
      r.binary('mul', v, r.broadcast(scalar(by), v.aval.shape, []))
    const mean = (v: Var): Var => scaled(overRow(r, 'sum', v), 1 / 700)
    const centred = r.binary('sub', x, mean(x))
    const factor = r.unary('rsqrt', mean(r.binary('mul', centred, centred)))
    const normal = r.binary('mul', centred, factor)
    const along = r.binary('mul', normal, mean(r.binary('mul', y, normal)))
    const gradient = r.binary('mul', r.binary('sub', r.binary('sub', y, mean(y)), along), factor)
    const values = (seed: number): Numbers =>
      Array.from({ length: 35_000 }, (_, i) => ((i * seed) % 97) / 16 - 3)
    const jaxpr = r.jaxpr([normal, gradient])
    check(jaxpr, [values(31), values(17)], 2e-5)
    const executable = relaxed.compile(jaxpr, { donated: [], name: 'layerNorm' })
    expect(executable.cost().loops).toBe(1)
  })
})

/** `(c, x) → (c + x, c · x)` on vectors of three. */
function runningSum(): Jaxpr {
  const r = new Recorder()
  const [c, x] = [r.input([3]), r.input([3])]
  return r.jaxpr([r.binary('add', c, x), r.binary('mul', c, x)])
}

describe('loops inside programs', () => {
  const xs = Array.from({ length: 12 }, (_, i) => i + 1)

  it.each([
    [0, false],
    [1, false],
    [3, false],
    [4, false],
    [4, true],
    [3, true],
  ])('scan over %i slices, reversed: %s', (length, reverse) => {
    const r = new Recorder()
    const [c, x] = [r.input([3]), r.input([length, 3])]
    const avals = [c.aval, new Aval([length, 3], 'float32')]
    const outputs = r.applyAll('scan', [c, x], avals, (context, carry, slices) =>
      context.scan({
        body: runningSum(),
        constants: [],
        carries: [carry],
        xs: [slices],
        length,
        reverse,
      }),
    )
    const results = check(r.jaxpr(outputs), [[1, 1, 1], xs.slice(0, 3 * length)])
    const sum = [0, 1, 2].map(
      (k) =>
        1 +
        xs
          .slice(0, 3 * length)
          .filter((_, i) => i % 3 === k)
          .reduce((a, b) => a + b, 0),
    )
    expect(results[0]).toEqual(sum)
  })

  it.each([1, 2, 3, 4])('exchanges carries in %i steps without mixing them up', (length) => {
    const r = new Recorder()
    const [a, b] = [r.input([2]), r.input([2])]
    const body = new Recorder()
    const [x, y] = [body.input([2]), body.input([2])]
    const jaxpr = body.jaxpr([body.unary('neg', y), x])
    const out = r.applyAll('scan', [a, b], [a.aval, b.aval], (context, u, v) =>
      context.scan({ body: jaxpr, constants: [], carries: [u, v], xs: [], length, reverse: false }),
    )
    check(r.jaxpr(out), [
      [1, 2],
      [3, 4],
    ])
  })

  it('carries more arrays than a function may have parameters', () => {
    const count = 600
    const body = new Recorder()
    const inner = Array.from({ length: count }, () => body.input([2]))
    const step = body.jaxpr(
      inner.map((_, i) => body.unary('neg', inner[(i + 1) % count] ?? scalar(0))),
    )
    const r = new Recorder()
    const carries = Array.from({ length: count }, () => r.input([2]))
    const out = r.applyAll(
      'scan',
      carries,
      carries.map((c) => c.aval),
      (context, ...tensors) =>
        context.scan({
          body: step,
          constants: [],
          carries: tensors,
          xs: [],
          length: 3,
          reverse: false,
        }),
    )
    const values = carries.map((_, i) => [i, i + 0.5])
    const results = runOn(relaxed, r.jaxpr(out), values)
    expect(results[1]).toEqual([-4, -4.5])
    expect(results[count - 1]).toEqual([-2, -2.5])
  })

  it('runs while its condition holds, also not at all', () => {
    const r = new Recorder()
    const [limit, start] = [r.input([]), r.input([])]
    const condition = new Recorder()
    const [bound, value] = [condition.input([]), condition.input([])]
    const flag = new Aval([], 'bool')
    const less = condition.apply('lt', [value, bound], flag, (c, x, y) =>
      c.map(flag, (e, f) => binary('lt', 'bool', e, f), x, y),
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
    expect(check(r.jaxpr(out), [[100], [3]])).toEqual([[192]])
    expect(check(r.jaxpr(out), [[1], [3]])).toEqual([[3]])
  })

  it('branches', () => {
    const cases = (['neg', 'abs', 'floor'] as const).map((op) => {
      const r = new Recorder()
      return r.jaxpr([r.unary(op, r.input([2]))])
    })
    const r = new Recorder()
    const [which, x] = [r.input([], 'int32'), r.input([2])]
    const out = r.applyAll('cond', [which, x], [x.aval], (c, i, v) =>
      c.branch({ index: i, branches: cases, operands: [v] }),
    )
    expect(check(r.jaxpr(out), [[0], [1.5, -2.5]])).toEqual([[-1.5, 2.5]])
    expect(check(r.jaxpr(out), [[1], [1.5, -2.5]])).toEqual([[1.5, 2.5]])
    expect(check(r.jaxpr(out), [[2], [1.5, -2.5]])).toEqual([[1, -3]])
  })
})

describe('a whole training step', () => {
  it('computes what the interpreter computes', () => {
    const jaxpr = adamStep([7, 6, 5], 4)
    const inputs = jaxpr.inAvals.map(({ size }, i) =>
      Array.from({ length: size }, (_, k) => (((k * 7 + i * 5) % 11) + 1) / 16),
    )
    check(jaxpr, inputs, 1e-4)
  })
})

describe('the text of a program', () => {
  it('lists the functions of the module', () => {
    const r = new Recorder()
    const x = r.input([8])
    const executable = relaxed.compile(r.jaxpr([r.binary('mul', x, x)]), {
      donated: [],
      name: 'square',
    })
    expect(textOf(executable, 'wat')).toMatchInlineSnapshot(`
      "(func $program (param i32)
        (local i32)
        local.get 0
        i32.load align=4
        local.set 1
        local.get 0
        i32.load offset=12 align=4
        local.get 0
        i32.load offset=8 align=4
        call $map0)

      (func $run (param i32)
        local.get 0
        i32.load offset=4 align=4
        global.set 0
        local.get 0
        call $program)

      (func $map0 (param i32 i32)
        (local i32 i32)
        (local v128)
        local.get 1
        local.set 2
        local.get 0
        local.set 3
        local.get 3
        local.get 2
        v128.load align=1
        local.tee 4
        local.get 4
        f32x4.mul
        v128.store align=1
        local.get 3
        local.get 2
        v128.load offset=16 align=1
        local.tee 4
        local.get 4
        f32x4.mul
        v128.store offset=16 align=1)"
    `)
  })
})

describe('the gate of GELU', () => {
  const gated = (keepsTanh: boolean): Jaxpr => {
    const r = new Recorder()
    const x = r.input([40])
    const t = r.unary('tanh', x)
    const sum = r.binary('add', r.broadcast(scalar(1), [40], []), t)
    return r.jaxpr([sum, ...(keepsTanh ? [t] : [])])
  }
  const values = [-Infinity, -100, -20, -9, -1, -0, 0, 1e-30, 0.5, 3, 30, Infinity, NaN]
  const inputs = [Array.from({ length: 40 }, (_, i) => values[i % values.length] ?? 0)]

  it('is right everywhere, and where the sum would cancel', () => {
    for (const backend of [relaxed, strict]) {
      const [result] = runOn(backend, gated(false), inputs)
      values.forEach((x, i) => {
        const expected = 2 / (1 + Math.exp(-2 * x))
        const actual = result?.[i] ?? 0
        if (Number.isNaN(expected)) expect(actual).toBeNaN()
        else expect(Math.abs(actual - expected)).toBeLessThanOrEqual(3e-7 * expected + 1e-38)
      })
    }
  })

  it('is computed from the tanh where that is needed as well', () => {
    const [sums, tanhs] = runOn(relaxed, gated(true), inputs)
    expect(sums).toEqual(tanhs?.map((t) => Math.fround(1 + t)))
  })
})

it('updates of parameters of all sizes are one kernel', () => {
  const update = (sizes: readonly number[]): Jaxpr => {
    const r = new Recorder()
    return r.jaxpr(
      sizes.map((n) => {
        const [p, g] = [r.input([n]), r.input([n])]
        const rate = r.broadcast(scalar(-0.1), [n], [])
        return r.binary('add', p, r.binary('mul', r.unary('tanh', g), rate))
      }),
    )
  }
  const bytes = (sizes: readonly number[]): number => {
    const executable = relaxed.compile(update(sizes), { donated: [], name: 'update' })
    return executable.cost().codeBytes
  }
  const one = bytes([4096])
  expect(bytes([4096, 8192, 50_000, 2048])).toBeLessThan(2 * one)
  // Those that leave something over have kernels of their own.
  expect(bytes([4096, 4097])).toBeGreaterThan(1.5 * one)
  const sizes = [1500, 1024, 40_001, 2048, 1025]
  const inputs = sizes.flatMap((n) =>
    [3, 7].map((step) => Array.from({ length: n }, (_, i) => ((i * step) % 11) / 4 - 1)),
  )
  check(update(sizes), inputs)
})
