import fc from 'fast-check'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { textOf } from '../../array/inspect'
import { lower } from '../../compiler/compile'
import { binary } from '../../compiler/expr'
import { adamStep } from '../../compiler/testing/classifier'
import { type Numbers, Recorder, runSeparately, scalar } from '../../compiler/testing/programs'
import { randomPrograms } from '../../compiler/testing/random-programs'
import type { Jaxpr, Var } from '../../jaxpr/ir'
import { Aval } from '../../types/aval'
import { elementData } from '../../types/element'
import { createWebGpuBackend, type WebGpuBackend } from './backend'
import { onGpu } from './testing/on-gpu.fixture'

let gpu: WebGpuBackend
/** A device with narrow limits: few bindings, dispatches along two dimensions, loops over dispatches. */
let narrow: WebGpuBackend
/** Kernels for the other kind of driver: of a GPU where there is none, and the other way round. */
let other: WebGpuBackend

async function runOn(
  backend: WebGpuBackend,
  jaxpr: Jaxpr,
  inputs: readonly Numbers[],
  donated: readonly boolean[] = [],
): Promise<readonly Numbers[]> {
  const executable = backend.compile(jaxpr, { donated, name: jaxpr.name })
  const storages = jaxpr.inAvals.map((aval, i) => {
    const data = elementData(aval.dtype, aval.size)
    data.set(inputs[i] ?? [])
    return backend.fromHost(aval, data)
  })
  const results = executable.run(storages)
  const numbers = await Promise.all(
    results.map(async (storage) => Array.from(await backend.readAsync(storage), (x) => x + 0)),
  )
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

/** Against the interpreter of loops, with and without donation, and with narrow limits. */
async function check(
  jaxpr: Jaxpr,
  inputs: readonly Numbers[],
  tolerance?: number,
): Promise<readonly Numbers[]> {
  const expected = runSeparately(lower(jaxpr).program, inputs)
  for (const backend of [gpu, narrow, other]) {
    for (const donate of backend === other ? [false] : [false, true]) {
      const donated = jaxpr.inputs.map(() => donate)
      expectClose(await runOn(backend, jaxpr, inputs, donated), expected, tolerance)
    }
  }
  return expected
}

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 30_000 })

onGpu('programs on the GPU', () => {
  beforeAll(async () => {
    gpu = await createWebGpuBackend()
    const { software } = gpu.runtime.facts
    other = await createWebGpuBackend({ limits: { software: !software } })
    narrow = await createWebGpuBackend({
      limits: {
        storageBuffers: 4,
        workgroups: 2,
        residentLoops: false,
        subgroups: false,
        software: false,
      },
    })
  })

  it('mean what their operations mean', async () => {
    let turn = 0
    await fc.assert(
      fc.asyncProperty(randomPrograms, async ({ jaxpr, inputs, expected }) => {
        const largest = Math.max(1, ...expected.flat().map(Math.abs))
        if (largest >= 1e30) return
        const backend = [narrow, gpu, other, gpu][turn++ & 3] ?? gpu
        expectClose(await runOn(backend, jaxpr, inputs), expected, 1e-5 * largest)
      }),
      { numRuns: 16 },
    )
  })

  describe('loops inside programs', () => {
    /** `(c, x) → (c + x, c · x)` on vectors of three. */
    function runningSum(): Jaxpr {
      const r = new Recorder()
      const [c, x] = [r.input([3]), r.input([3])]
      return r.jaxpr([r.binary('add', c, x), r.binary('mul', c, x)])
    }
    const xs = Array.from({ length: 12 }, (_, i) => i + 1)

    it.each([
      [0, false],
      [1, false],
      [4, false],
      [3, true],
    ])('scan over %i slices, reversed: %s', async (length, reverse) => {
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
      await check(r.jaxpr(outputs), [[1, 1, 1], xs.slice(0, 3 * length)])
    })

    it.each([1, 3])('exchanges carries in %i steps without mixing them up', async (length) => {
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
          length,
          reverse: false,
        }),
      )
      await check(r.jaxpr(out), [
        [1, 2],
        [3, 4],
      ])
    })

    it('runs while its condition holds, also not at all, also for long', async () => {
      const r = new Recorder()
      const [limit, start] = [r.input([]), r.input([])]
      const condition = new Recorder()
      const [bound, value] = [condition.input([]), condition.input([])]
      const flag = new Aval([], 'bool')
      const less = condition.apply('lt', [value, bound], flag, (c, x, y) =>
        c.map(flag, (e, f) => binary('lt', 'bool', e, f), x, y),
      )
      const body = new Recorder()
      const before = body.input([])
      const step = body.jaxpr([body.binary('add', before, scalar(2))])
      const out = r.applyAll('while', [limit, start], [start.aval], (c, n, s) =>
        c.while({
          condition: condition.jaxpr([less]),
          conditionConstants: [n],
          body: step,
          bodyConstants: [],
          carries: [s],
        }),
      )
      expect(await check(r.jaxpr(out), [[10], [3]])).toEqual([[11]])
      expect(await check(r.jaxpr(out), [[1], [3]])).toEqual([[3]])
      expect(await check(r.jaxpr(out), [[100], [3]])).toEqual([[101]])
    })

    it('branches', async () => {
      const cases = (['neg', 'abs', 'floor'] as const).map((op) => {
        const r = new Recorder()
        return r.jaxpr([r.unary(op, r.input([2]))])
      })
      const r = new Recorder()
      const [which, x] = [r.input([], 'int32'), r.input([2])]
      const out = r.applyAll('cond', [which, x], [x.aval], (c, i, v) =>
        c.branch({ index: i, branches: cases, operands: [v] }),
      )
      expect(await check(r.jaxpr(out), [[0], [1.5, -2.5]])).toEqual([[-1.5, 2.5]])
      expect(await check(r.jaxpr(out), [[1], [1.5, -2.5]])).toEqual([[1.5, 2.5]])
      expect(await check(r.jaxpr(out), [[2], [1.5, -2.5]])).toEqual([[1, -3]])
    })
  })

  describe('chains along rows', () => {
    const overRow = (r: Recorder, monoid: 'sum' | 'max', x: Var): Var =>
      r.broadcast(r.reduce(monoid, x, [1]), x.aval.shape, [0])
    const values = (size: number, seed: number): Numbers =>
      Array.from({ length: size }, (_, i) => ((i * seed) % 101) / 16 - 3)

    it.each([
      [3, 40],
      [2, 1500],
      [17, 40],
      [140, 33],
    ])('softmax of %i rows of %i', async (rows, columns) => {
      const r = new Recorder()
      const x = r.input([rows, columns])
      const e = r.unary('exp', r.binary('sub', x, overRow(r, 'max', x)))
      const jaxpr = r.jaxpr([r.binary('div', e, overRow(r, 'sum', e))])
      await check(jaxpr, [values(rows * columns, 37)])
      const executable = gpu.compile(jaxpr, { donated: [true], name: 'softmax' })
      expect(textOf(executable, 'wgsl').match(/fn main/g)).toHaveLength(1)
    })

    it('inside a loop', async () => {
      const body = new Recorder()
      const x = body.input([3, 33])
      const e = body.unary('exp', body.binary('sub', x, overRow(body, 'max', x)))
      const step = body.jaxpr([body.binary('div', e, overRow(body, 'sum', e))])
      const r = new Recorder()
      const c = r.input([3, 33])
      const out = r.applyAll('scan', [c], [c.aval], (context, carry) =>
        context.scan({
          body: step,
          constants: [],
          carries: [carry],
          xs: [],
          length: 3,
          reverse: false,
        }),
      )
      await check(r.jaxpr(out), [values(99, 37)])
    })

    it.each([6, 20])('with the gradient of layer normalisation of %i rows', async (rows) => {
      const r = new Recorder()
      const [x, y] = [r.input([rows, 70]), r.input([rows, 70])]
      const scaled = (v: Var, by: number): Var =>
        r.binary('mul', v, r.broadcast(scalar(by), v.aval.shape, []))
      const mean = (v: Var): Var => scaled(overRow(r, 'sum', v), 1 / 70)
      const centred = r.binary('sub', x, mean(x))
      const factor = r.unary('rsqrt', mean(r.binary('mul', centred, centred)))
      const normal = r.binary('mul', centred, factor)
      const along = r.binary('mul', normal, mean(r.binary('mul', y, normal)))
      const gradient = r.binary('mul', r.binary('sub', r.binary('sub', y, mean(y)), along), factor)
      const jaxpr = r.jaxpr([normal, gradient])
      await check(jaxpr, [values(rows * 70, 31), values(rows * 70, 17)], 2e-5)
      expect(gpu.compile(jaxpr, { donated: [], name: 'layerNorm' }).cost().loops).toBe(1)
    })
  })

  describe('reductions', () => {
    const values = (size: number): Numbers =>
      Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 16 - 3)
    const reduction = (shape: readonly number[], axes: readonly number[]): Jaxpr => {
      const r = new Recorder()
      const x: Var = r.input(shape)
      return r.jaxpr([r.reduce('sum', x, axes), r.reduce('max', x, axes)])
    }

    it.each([
      [[5], [0]],
      [[3, 40], [1]],
      [[2, 5000], [1]],
      [[3000, 3], [0]],
      [
        [7, 300, 2],
        [0, 2],
      ],
      [[2500, 33], [1]],
    ])('of %o over %o', async (shape, axes) => {
      await check(reduction(shape, axes), [values(shape.reduce((n, m) => n * m, 1))], 1e-5)
    })
  })

  it('computes a whole training step', async () => {
    const jaxpr = adamStep([7, 6, 5], 4)
    const inputs = jaxpr.inAvals.map(({ size }, i) =>
      Array.from({ length: size }, (_, k) => (((k * 7 + i * 5) % 11) + 1) / 16),
    )
    await check(jaxpr, inputs, 1e-4)
  })
})
