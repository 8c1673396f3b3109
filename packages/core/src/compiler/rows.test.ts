import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Atom, Jaxpr, Var } from '../jaxpr/ir'
import { Aval } from '../types/aval'
import { lower } from './compile'
import type { Program } from './nodes'
import { printProgram } from './print'
import { usualRows, withoutRows } from './rows'
import {
  randomProgramsOfAnyDType,
  Recorder,
  runPlanned,
  runSeparately,
  scalar,
} from './testing/programs'
import { constant, index, select, binary } from './expr'
import { alongAxis } from './views'

/** Rows of any length, so that small programs have them. */
const anyLength = { ...usualRows, shortest: 1 }

describe('row nodes', () => {
  test('change no result, in planned memory and taken apart', () => {
    let found = 0
    fc.assert(
      fc.property(
        randomProgramsOfAnyDType,
        fc.array(fc.boolean()),
        ({ jaxpr, inputs, expected, text }, donated) => {
          const { program, plan } = lower(jaxpr, { donated, rows: anyLength })
          if (program.nodes.some((n) => n.kind === 'rows')) found++
          expect(runSeparately(program, inputs), text).toEqual(expected)
          expect(runPlanned(program, plan, inputs), text).toEqual(expected)
          expect(runSeparately(withoutRows(program), inputs), text).toEqual(expected)
        },
      ),
      { numRuns: 600 },
    )
    expect(found).toBeGreaterThan(8)
  })
})

const kinds = ({ nodes }: Program): readonly string[] => nodes.map((n) => n.kind)

/** `f` of each row, along the last axis, repeated for its elements. */
const overRow = (r: Recorder, monoid: 'sum' | 'max', x: Var): Var =>
  r.broadcast(r.reduce(monoid, x, [1]), x.aval.shape, [0])

function softmax(r: Recorder, x: Var): Var {
  const e = r.unary('exp', r.binary('sub', x, overRow(r, 'max', x)))
  return r.binary('div', e, overRow(r, 'sum', e))
}

test('a softmax is one loop over rows, in place of its argument', () => {
  const r = new Recorder()
  const { program, plan } = lower(r.jaxpr([softmax(r, r.input([64, 32]))]), {
    donated: [true],
    rows: usualRows,
  })
  expect(printProgram(program, plan, 'softmax')).toMatchInlineSnapshot(`
    "softmax: 1 loop, 10.2 thousand operations, reads 8.0 KiB, writes 8.0 KiB, 0 bytes of temporaries
      takes in0: f32[2048]
      gives out0: f32[2048] in place of in0

    1. rows i < 64, 4 steps, each with t0: f32[1], t1: f32[32], t2: f32[1] — 10.2 thousand operations, reads 8.0 KiB, writes 8.0 KiB
         over j < 32
           max of in0[32*i + j]
           t0[0] = max
         over j < 32
           t1[j] = exp(in0[32*i + j] - t0[0])
         over j < 32
           sum of t1[j]
           t2[0] = sum
         over j < 32
           out0[32*i + j] = t1[j] / t2[0]"
  `)
})

/** The gradient of the cross-entropy of a softmax with integer labels, and the losses. */
function crossEntropy(rows: number, classes: number): Jaxpr {
  const r = new Recorder()
  const logits = r.input([rows, classes])
  const labels = r.input([rows], 'int32')
  const shifted = r.binary('sub', logits, overRow(r, 'max', logits))
  const e = r.unary('exp', shifted)
  const sum = r.reduce('sum', e, [1])
  const aval = new Aval([rows], 'float32')
  const chosen = r.apply('take', [shifted, labels], aval, (c, t, l) =>
    c.take(t, aval, [index(alongAxis(1, 0)), l.value]),
  )
  const loss = r.binary('sub', r.unary('log', sum), chosen)
  const full = logits.aval
  const picked = r.apply('one_hot', [r.broadcast(labels, full.shape, [0])], full, (c, l) =>
    c.map(
      full,
      (label) => {
        const here = binary('eq', 'bool', label, index(alongAxis(2, 1)))
        return select(here, constant('float32', 1), constant('float32', 0))
      },
      l,
    ),
  )
  const p = r.binary('div', e, r.broadcast(sum, full.shape, [0]))
  return r.jaxpr([loss, r.binary('sub', p, picked)], 'crossEntropy')
}

test('cross-entropy with labels and its gradient are one loop over rows', () => {
  const jaxpr = crossEntropy(6, 20)
  const { program, plan } = lower(jaxpr, { rows: usualRows })
  expect(kinds(program), printProgram(program, plan)).toEqual(['rows'])
  const inputs = [Array.from({ length: 120 }, (_, i) => ((i * 7) % 11) / 4), [3, 19, 0, 7, -4, 25]]
  const expected = runSeparately(lower(jaxpr).program, inputs)
  expect(runSeparately(program, inputs)).toEqual(expected)
  expect(runPlanned(program, plan, inputs)).toEqual(expected)
})

describe('rows stay apart', () => {
  const rowsOf = (build: (r: Recorder) => readonly Atom[]): readonly string[] => {
    const r = new Recorder()
    return kinds(lower(r.jaxpr(build(r)), { rows: usualRows }).program)
  }

  test('where a loop reads another row', () => {
    const shape = [8, 32]
    const found = rowsOf((r) => {
      const x = r.input(shape)
      const y = r.unary('exp', r.binary('sub', x, overRow(r, 'max', x)))
      const turned = r.apply('rev', [y], y.aval, (c, t) =>
        c.reindex(t, y.aval, [alongAxis(2, 0, -1, 7), alongAxis(2, 1)]),
      )
      return [y, r.binary('add', turned, overRow(r, 'sum', turned))]
    })
    expect(found).toEqual(['rows', 'rows'])
  })

  test('where rows are short, or too long for the cache', () => {
    expect(rowsOf((r) => [softmax(r, r.input([64, 4]))])).not.toContain('rows')
    expect(rowsOf((r) => [softmax(r, r.input([2, 1 << 18]))])).not.toContain('rows')
  })

  test('where elements of a row are not neighbours', () => {
    const found = rowsOf((r) => {
      const x = r.input([32, 64])
      const e = r.unary('exp', x)
      const sums = r.reduce('sum', e, [0])
      return [r.binary('div', e, r.broadcast(sums, [32, 64], [1]))]
    })
    expect(found).not.toContain('rows')
  })

  test('of two scalars', () => {
    expect(rowsOf((r) => [softmax(r, r.input([1, 64])), scalar(1)])).not.toContain('rows')
  })
})
