import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adamStep } from '../../../compiler/testing/classifier'
import { Recorder, scalar } from '../../../compiler/testing/programs'
import { randomPrograms } from '../../../compiler/testing/random-programs'
import { planned, treePlansOf } from '../../../compiler/testing/tree-programs'
import { lower } from '../../../compiler/compile'
import { binary, constant, index } from '../../../compiler/expr'
import { alongAxis, clampIndex } from '../../../compiler/views'
import type { Jaxpr } from '../../../jaxpr/ir'
import { Aval } from '../../../types/aval'
import type { DeviceData } from '../../backend'
import { registerDevice, setDevice } from '../../../array/device'
import { mannerOf, shareEverything, usualSharing } from '../codegen/sharing'
import { createWasmBackend } from '../index'
import { emitCholesky, emitTriangularSolve } from '../kernels/linear-algebra'
import { nameKernel } from '../kernels/named'
import type { WasmBackend } from '../index'

// What the lowering rules of the primitives do.
nameKernel('cholesky', emitCholesky)
nameKernel('triangularSolve', emitTriangularSolve)

const alone = createWasmBackend({ threads: 1 })
const sharers = [2, 3].map((threads) => createWasmBackend({ threads, sharing: shareEverything }))
const strict = [1, 2, 3].map((threads) =>
  createWasmBackend({ threads, sharing: shareEverything, relaxedSimd: false }),
)

/** `x · 2 + 1`, large enough for every device to start its workers. */
function large(): Jaxpr {
  const r = new Recorder()
  const x = r.input([1 << 18])
  const two = r.broadcast(scalar(2), [1 << 18], [])
  return r.jaxpr([r.binary('add', r.binary('mul', x, two), r.broadcast(scalar(1), [1 << 18], []))])
}

/** Workers start by themselves, without the event loop. */
function start(backend: WasmBackend, threads: number): void {
  runOn(backend, large())
  const until = performance.now() + 20_000
  while (backend.runningThreads < threads && performance.now() < until);
  expect(backend.runningThreads).toBe(threads)
}

const dataOf = (aval: Aval, seed: number): DeviceData => {
  const wave = (i: number): number => Math.sin(1.3 * i + seed) * (1 + (i % 7))
  if (aval.dtype === 'int32') return Int32Array.from({ length: aval.size }, (_, i) => i % 5)
  if (aval.dtype === 'bool') return Uint8Array.from({ length: aval.size }, (_, i) => i % 2)
  return Float32Array.from({ length: aval.size }, (_, i) => wave(i))
}

/** The bits of a program's results. */
function runOn(backend: WasmBackend, jaxpr: Jaxpr, inputs?: readonly DeviceData[]): Uint8Array[] {
  const executable = backend.compile(jaxpr, { donated: [], name: jaxpr.name })
  const storages = jaxpr.inAvals.map((aval, i) =>
    backend.fromHost(aval, inputs?.[i] ?? dataOf(aval, i)),
  )
  const results = executable.run(storages)
  const bits = results.map((storage) => {
    const data = backend.read(storage)
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  })
  for (const storage of [...storages, ...results]) backend.release(storage)
  executable.dispose()
  return bits
}

function expectSameBits(backends: readonly WasmBackend[], jaxpr: Jaxpr): void {
  const [first, ...others] = backends
  if (!first) return
  const expected = runOn(first, jaxpr)
  for (const other of others) {
    const actual = runOn(other, jaxpr)
    expect(actual.length).toBe(expected.length)
    actual.forEach((bits, i) => {
      if (Buffer.compare(bits, expected[i] ?? new Uint8Array()) !== 0) {
        throw new Error(`result ${i} of ${jaxpr.name} differs with ${other.runningThreads} threads`)
      }
    })
  }
}

type Build = (r: Recorder) => Jaxpr
const built = (build: Build): Jaxpr => build(new Recorder())

const matmul =
  (m: number, k: number, n: number): Build =>
  (r) =>
    r.jaxpr([r.matmul(r.input([m, k]), r.input([k, n]))], `matmul ${m} ${k} ${n}`)

/** The left operand has its rows side by side, as in the gradient of a layer's weights. */
const gradientOfWeights =
  (m: number, k: number, n: number): Build =>
  (r) => {
    const product = r.matmul(r.transpose(r.input([k, m]), [1, 0]), r.input([k, n]))
    return r.jaxpr([product], `gradient of weights ${m} ${k} ${n}`)
  }

/** Matrices times their own transposes, and products that stand next to them. */
const grams =
  (...shapes: readonly (readonly [batch: number, rows: number, depth: number])[]): Build =>
  (r) => {
    const results = shapes.map(([batch, rows, depth]) => {
      const aval = new Aval([batch, rows, rows], 'float32')
      return r.apply('gram', [r.input([batch, rows, depth])], aval, (c, x) => {
        const product = { batch: [batch], m: [rows], n: [rows], k: [depth] }
        return c.contract({ ...product, lhs: x, rhs: x, aval })
      })
    })
    const other = r.matmul(r.input([70, 90]), r.input([90, 50]))
    return r.jaxpr([...results, other], `grams ${JSON.stringify(shapes)}`)
  }

/** A sum with a term before and a term after it. */
const sumOf =
  (shape: readonly number[], axes: readonly number[]): Build =>
  (r) => {
    const x = r.input(shape)
    const sum = r.reduce('sum', r.unary('exp', r.binary('mul', x, full(r, 0.1, shape))), axes)
    return r.jaxpr([r.unary('sqrt', sum)], `sum ${shape.join('×')} over ${axes.join()}`)
  }

/** One loop over rows, whose steps hand on what lies in each thread's own working memory. */
const softmax =
  (rows: number, columns: number): Build =>
  (r) => {
    const shape = [rows, columns]
    const x = r.input(shape)
    const largest = r.broadcast(r.reduce('max', x, [1]), shape, [0])
    const e = r.unary('exp', r.binary('sub', x, largest))
    const sum = r.broadcast(r.reduce('sum', e, [1]), shape, [0])
    return r.jaxpr([r.binary('div', e, sum)], `softmax ${rows}×${columns}`)
  }

const full = (r: Recorder, value: number, shape: readonly number[]) =>
  shape.length === 0 ? scalar(value) : r.broadcast(scalar(value), shape, [])

/** A loop whose body has products, sums and work for one thread. */
const network =
  (length: number): Build =>
  (r) => {
    const [w, h, xs] = [r.input([48, 48]), r.input([48]), r.input([length, 48])]
    const body = built((b) => {
      const [weights, state, x] = [b.input([48, 48]), b.input([48]), b.input([48])]
      const product = b.reduce(
        'sum',
        b.binary('mul', weights, b.broadcast(state, [48, 48], [1])),
        [1],
      )
      const next = b.unary('tanh', b.binary('add', product, x))
      return b.jaxpr([next, b.reduce('sum', next, [0])])
    })
    const avals = [h.aval, new Aval([length], 'float32')]
    const outputs = r.applyAll('scan', [w, h, xs], avals, (context, weights, carry, slices) =>
      context.scan({
        body,
        constants: [weights],
        carries: [carry],
        xs: [slices],
        length,
        reverse: false,
      }),
    )
    return r.jaxpr(outputs, `network of ${length} steps`)
  }

const programs: readonly Build[] = [
  large,
  matmul(1, 300, 500),
  matmul(3, 64, 1000),
  matmul(7, 33, 65),
  matmul(128, 784, 512),
  matmul(300, 1000, 130),
  matmul(512, 10, 4),
  // Rows that end in a part of a tile, which begins anywhere in a group of panels.
  ...[40, 130, 256, 510, 511, 512].map((rows) => gradientOfWeights(rows, 128, 256)),
  (r) => {
    const product = r.matmul(r.input([70, 90]), r.transpose(r.input([50, 90]), [1, 0]))
    return r.jaxpr([r.unary('tanh', r.binary('add', product, r.input([70, 50])))], 'epilogue')
  },
  sumOf([1 << 18], [0]),
  sumOf([2, 200_000], [1]),
  sumOf([333, 77], [1]),
  sumOf([333, 77], [0]),
  sumOf([4000, 5], [0]),
  softmax(3, 700),
  softmax(501, 130),
  sumOf([9, 10, 11, 12], [0, 2]),
  (r) => r.jaxpr([r.reduce('max', r.input([150_000]), [0])], 'max'),
  (r) => r.jaxpr([r.transpose(r.input([300, 211]), [1, 0])], 'transpose'),
  grams([1, 130, 100], [1, 40, 1000], [1, 300, 60]),
  grams([4, 64, 64], [3, 50, 500], [1, 20, 20], [2, 10, 4]),
  network(1),
  network(6),
  () => adamStep([40, 64, 10], 32),
]

/** A product of operands in any layout, with or without work in its stores. */
const products = fc.record({
  m: fc.integer({ min: 1, max: 150 }),
  k: fc.integer({ min: 1, max: 700 }),
  n: fc.integer({ min: 1, max: 150 }),
  lhs: fc.boolean(),
  rhs: fc.boolean(),
  epilogue: fc.boolean(),
})

interface Product {
  readonly m: number
  readonly k: number
  readonly n: number
  readonly lhs: boolean
  readonly rhs: boolean
  readonly epilogue: boolean
}

const product =
  ({ m, k, n, lhs, rhs, epilogue }: Product): Build =>
  (r) => {
    const operand = (rows: number, columns: number, transposed: boolean) =>
      transposed ? r.transpose(r.input([columns, rows]), [1, 0]) : r.input([rows, columns])
    const result = r.matmul(operand(m, k, lhs), operand(k, n, rhs))
    const name = `product ${m} ${k} ${n} ${lhs} ${rhs}`
    return r.jaxpr([epilogue ? r.unary('tanh', r.binary('mul', result, result)) : result], name)
  }

/** `while (n < count) x = sqrt(x + n), n = n + 1`: its length is seen by every thread. */
function countdown(): Jaxpr {
  const r = new Recorder()
  const [n, x] = [r.input([]), r.input([5000])]
  const below = built((b) => {
    const [count] = [b.input([]), b.input([5000])]
    const answer = b.apply('below', [count], new Aval([], 'bool'), (c, value) =>
      c.map(new Aval([], 'bool'), (e) => binary('lt', 'bool', e, constant('float32', 7)), value),
    )
    return b.jaxpr([answer])
  })
  const body = built((b) => {
    const [count, value] = [b.input([]), b.input([5000])]
    const sum = b.binary('add', b.unary('abs', value), b.broadcast(count, [5000], []))
    return b.jaxpr([b.binary('add', count, scalar(1)), b.unary('sqrt', sum)])
  })
  const outputs = r.applyAll('while', [n, x], [n.aval, x.aval], (context, ...carries) =>
    context.while({
      condition: below,
      conditionConstants: [],
      body,
      bodyConstants: [],
      carries,
    }),
  )
  return r.jaxpr(outputs, 'countdown')
}

/** Routines over rows, columns, matrices and slices that do not depend on each other. */
const routines = fc.record({
  which: fc.constantFrom(
    'sort',
    'cumulative',
    'cholesky',
    'solve',
    'solve transposed',
    'rows of a table',
    'many tables',
    'elements of many tables',
  ),
  outer: fc.integer({ min: 1, max: 9 }),
  length: fc.integer({ min: 1, max: 60 }),
  inner: fc.integer({ min: 1, max: 75 }),
})

type Routine = typeof routines extends fc.Arbitrary<infer T> ? T : never

const routine =
  ({ which, outer, length, inner }: Routine): Build =>
  (r) => {
    const name = `${which} ${outer} ${length} ${inner}`
    const shape = [outer, length, inner]
    switch (which) {
      case 'sort': {
        const [x, y] = [r.input([outer, length]), r.input([outer, length])]
        const sorted = r.applyAll(which, [x, y], [x.aval, y.aval], (c, a, b) =>
          c.sort([a, b], 1, 1),
        )
        return r.jaxpr(sorted, name)
      }
      case 'cumulative': {
        const x = r.input(shape)
        const sum = r.apply(which, [x], x.aval, (c, a) =>
          c.cumulative('sum', a, 1, inner % 2 === 0),
        )
        return r.jaxpr([sum], name)
      }
      case 'cholesky': {
        const x = r.input([outer, length, length])
        return r.jaxpr([r.apply(which, [x], x.aval, (c, a) => c.cholesky(a))], name)
      }
      case 'solve':
      case 'solve transposed': {
        const few = length % 2 === 0 ? 1 : outer
        const [a, b] = [r.input([few, length, length]), r.input([few, length, inner])]
        const options = { lower: true, transpose: which !== 'solve', unitDiagonal: true }
        const x = r.apply(which, [a, b], b.aval, (c, m, v) => c.triangularSolve(m, v, options))
        return r.jaxpr([x], name)
      }
      case 'rows of a table': {
        const [table, updates] = [r.input([length, inner]), r.input([outer * 40, inner])]
        const indices = r.input([outer * 40], 'int32')
        const result = r.apply(which, [table, updates, indices], table.aval, (c, t, u, i) => {
          const row = c.reindex(i, new Aval(u.aval.shape, 'int32'), [alongAxis(2, 0)]).value
          const position = [clampIndex(row, 0, length - 1, u.aval.shape), index(alongAxis(2, 1))]
          return c.scatter({ operand: t, updates: u, position, inBounds: null, combine: 'add' })
        })
        return r.jaxpr([result], name)
      }
      case 'many tables':
      case 'elements of many tables': {
        // Of every table some elements, or some rows of `inner`.
        const rows = which === 'many tables' ? [inner] : []
        const [table, updates] = [r.input([outer, length, ...rows]), r.input([outer, 30, ...rows])]
        const indices = r.input([outer, 30], 'int32')
        const result = r.apply(which, [table, updates, indices], table.aval, (c, t, u, i) => {
          const { shape, ndim } = u.aval
          const picks = [alongAxis(ndim, 0), alongAxis(ndim, 1)]
          const at = c.reindex(i, new Aval(shape, 'int32'), picks).value
          const position = [
            index(alongAxis(ndim, 0)),
            clampIndex(at, 0, length - 1, shape),
            ...rows.map(() => index(alongAxis(ndim, 2))),
          ]
          return c.scatter({ operand: t, updates: u, position, inBounds: null, combine: 'add' })
        })
        return r.jaxpr([result], name)
      }
    }
  }

beforeAll(() => {
  sharers.forEach((backend, i) => start(backend, i + 2))
  strict.slice(1).forEach((backend, i) => start(backend, i + 2))
})
afterAll(() => {
  for (const backend of [...sharers, ...strict]) backend.setThreads(1)
})

describe('threads', () => {
  it.each(programs.map(built).map((jaxpr) => [jaxpr.name || 'large', jaxpr] as const))(
    'give the same bits however many they are: %s',
    (_name, jaxpr) => {
      expectSameBits([alone, ...sharers], jaxpr)
      expectSameBits(strict, jaxpr)
    },
  )

  it('go through loops of a length that depends on data', () => {
    expectSameBits([alone, ...sharers], countdown())
  })

  it('compute random programs with the same bits, whatever ran before', () => {
    fc.assert(
      fc.property(randomPrograms, ({ jaxpr }) => expectSameBits([alone, ...sharers], jaxpr)),
      { numRuns: 60 },
    )
  })

  it('compute routines over independent parts with the same bits', () => {
    fc.assert(
      fc.property(routines, (sizes) => expectSameBits([alone, ...sharers], built(routine(sizes)))),
      { numRuns: 80 },
    )
  })

  it.each([
    ['sort', [6, 3000, 1]],
    ['cumulative', [5, 200, 40]],
    ['cumulative', [1, 200, 400]],
    ['cholesky', [8, 40, 1]],
    ['solve', [8, 41, 60]],
    ['solve', [1, 40, 300]],
    ['rows of a table', [9, 50, 128]],
    ['many tables', [9, 50, 128]],
    ['elements of many tables', [400, 50, 1]],
  ] as const)('share a %s of %j', (which, [outer, length, inner]) => {
    const { program } = lower(built(routine({ which, outer, length, inner })))
    const manners = program.nodes.map((node) => [node.kind, mannerOf(node, 2, usualSharing)])
    const [kind] = which.split(' ')
    const names: Record<string, string> = { solve: 'triangularSolve' }
    const own = manners.find(([k]) => k === (names[kind ?? ''] ?? kind) || k === 'scatter')
    expect(own?.[1]).toBe('shared')
  })

  it.each([
    // Adding a thousand elements into a table takes less than two microseconds.
    ['rows of a table', [1, 50, 25]],
    ['many tables', [3, 43, 11]],
    ['elements of many tables', [40, 43, 1]],
  ] as const)('leave a %s of %j to one', (which, [outer, length, inner]) => {
    const { program } = lower(built(routine({ which, outer, length, inner })))
    const scatters = program.nodes.filter((node) => node.kind === 'scatter')
    expect(scatters.map((node) => mannerOf(node, 2, usualSharing))).toEqual(['alone'])
  })

  it('compute the leaves of a tree with the same bits', () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 200, max: 300 }))
    fc.assert(
      fc.property(treePlansOf(sizes), (tree) => {
        const { jaxpr } = planned({ ...tree, leaves: tree.leaves.slice(0, 3) })
        expectSameBits([alone, ...sharers], jaxpr)
      }),
      { numRuns: 12 },
    )
  })

  it('compute products of any size and layout with the same bits', () => {
    fc.assert(
      fc.property(products, (sizes) => expectSameBits([alone, ...sharers], built(product(sizes)))),
      { numRuns: 25 },
    )
  })

  it('give what they gave when the program runs again after others', () => {
    const program = built(sumOf([1 << 18], [0]))
    for (const backend of sharers) {
      const before = runOn(backend, program)
      for (const other of programs.slice(0, 8)) runOn(backend, built(other))
      expect(runOn(backend, program)).toEqual(before)
    }
  })

  it('are as many as they are asked to be', () => {
    const backend = createWasmBackend({ threads: 2, sharing: shareEverything })
    start(backend, 2)
    backend.setThreads(3)
    start(backend, 3)
    backend.setThreads(1)
    runOn(backend, large())
    expect(backend.runningThreads).toBe(1)
  })

  it('are as many as setDevice says', () => {
    const backend = createWasmBackend({ threads: 1, sharing: shareEverything })
    registerDevice('wasm', () => backend)
    setDevice('wasm', { threads: 2 })
    start(backend, 2)
    expect(() => setDevice('wasm', { threads: 0 })).toThrow(/threads is 0/)
    setDevice('wasm', { threads: 1 })
    expect(backend.runningThreads).toBe(1)
  })

  it.each([0, -1, 1.5, NaN, 33])('cannot be %s', (threads) => {
    expect(() => createWasmBackend({ threads })).toThrow(/the number of threads is a whole number/)
  })
})
