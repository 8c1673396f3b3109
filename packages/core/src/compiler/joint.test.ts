import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lower } from './compile'
import { programCost } from './cost'
import { accessesOf } from './dependence'
import { joining, withoutJoints } from './joint'
import type { Var } from '../jaxpr/ir'
import type { Program } from './nodes'
import { printProgram } from './print'
import { usualRows } from './rows'
import {
  randomProgramsOfAnyDType,
  Recorder,
  runPlanned,
  runSeparately,
  scalar,
} from './testing/programs'
import { planned, treePlansOf, treeProgram } from './testing/tree-programs'

const anyLength = { ...usualRows, shortest: 1 }
const hasJoint = ({ nodes }: Program): boolean => nodes.some((n) => n.kind === 'joint')

describe('joint nodes', () => {
  test('change no result of a program over a tree, in planned memory and taken apart', () => {
    let found = 0
    fc.assert(
      fc.property(treePlansOf(fc.integer({ min: 1, max: 5 })), fc.boolean(), (tree, inRows) => {
        const { jaxpr, inputs, donated } = planned(tree)
        const rows = inRows ? { rows: anyLength } : {}
        const expected = runSeparately(lower(jaxpr).program, inputs)
        const { program, plan } = lower(jaxpr, { donated, joint: joining, ...rows })
        if (hasJoint(program)) found++
        expect(runSeparately(program, inputs)).toEqual(expected)
        expect(runPlanned(program, plan, inputs)).toEqual(expected)
        expect(runSeparately(withoutJoints(program), inputs)).toEqual(expected)
      }),
      { numRuns: 150 },
    )
    expect(found).toBeGreaterThan(40)
  })

  test('change no result of any program', () => {
    let found = 0
    fc.assert(
      fc.property(
        randomProgramsOfAnyDType,
        fc.array(fc.boolean()),
        ({ jaxpr, inputs, expected, text }, donated) => {
          const { program, plan } = lower(jaxpr, { donated, rows: anyLength, joint: joining })
          if (hasJoint(program)) found++
          expect(runSeparately(program, inputs), text).toEqual(expected)
          expect(runPlanned(program, plan, inputs), text).toEqual(expected)
        },
      ),
      { numRuns: 400 },
    )
    expect(found).toBeGreaterThan(3)
  })
})

test('the norms of all leaves are one loop, and what is done with them another', () => {
  const jaxpr = treeProgram([[300, 7], [7], [90]], ['clip', 'momentum'])
  const donated = [true, true, true]
  const { program, plan } = lower(jaxpr, { donated, rows: usualRows, joint: joining })
  expect(printProgram(program, plan, 'update')).toMatchInlineSnapshot(`
    "update: 4 loops, 15.4 thousand operations, reads 34.4 KiB, writes 17.2 KiB, 192 bytes of temporaries
      takes in0: f32[2100], in1: f32[7], in2: f32[90], in3: f32[2100], in4: f32[7], in5: f32[90]
      gives out0: f32[2100] in place of in0, out1: f32[7] in place of in1, out2: f32[90] in place of in2, out3: f32[2100], out4: f32[7], out5: f32[90]

    1. 3 parts of 2197 elements in one loop: reduce one element over i < 2100 — 4394 operations, reads 8.6 KiB, writes 12 bytes
         sum of in3[i] * in3[i]
         t0[0] = sum
         and so on:
           reduce one element over i < 7, to t1
           reduce one element over i < 90, to t2

    2. map over one element — 2 operations, reads 12 bytes, writes 4 bytes
         t3[0] = (t0[0] + t1[0]) + t2[0]

    3. 3 parts of 2197 elements in one loop: map over i < 2100 — 11.0 thousand operations, reads 17.2 KiB, writes 8.6 KiB
         out0[i] = (in0[i] * 0.5) + (in3[i] * rsqrt(t3[0] + 1))
         and so on:
           map over i < 7, to out1
           map over i < 90, to out2

    4. 3 parts of 2197 elements in one loop: copy — 0 operations, reads 8.6 KiB, writes 8.6 KiB
         out3 = out0
         and so on:
           copy, to out4
           copy, to out5"
  `)
})

describe('products', () => {
  const kindsOf = (r: Recorder, results: readonly Var[]): readonly string[] =>
    lower(r.jaxpr(results), { joint: joining }).program.nodes.map((n) => n.kind)

  test('that do not need each other are one loop, whatever they look like', () => {
    const r = new Recorder()
    const x = r.input([6, 4])
    const query = r.unary('tanh', r.matmul(x, r.input([4, 5])))
    const key = r.matmul(x, r.input([4, 300]))
    const other = r.matmul(r.input([7, 2]), r.input([2, 3]))
    const { program, plan } = lower(r.jaxpr([query, key, other]), { joint: joining })
    expect(printProgram(program, plan, 'products')).toMatchInlineSnapshot(`
      "products: 1 loop, 14.8 thousand operations, reads 5.0 KiB, writes 7.2 KiB, 0 bytes of temporaries
        takes in0: f32[24], in1: f32[20], in2: f32[1200], in3: f32[14], in4: f32[6]
        gives out0: f32[30], out1: f32[1800], out2: f32[21]

      1. 3 parts of 7362 elements in one loop: contract m < 6, n < 5 over k < 4 — 14.8 thousand operations, reads 5.0 KiB, writes 7.2 KiB
           sum of in0[4*m + k] * in1[n + 5*k]
           out0[5*m + n] = tanh(sum)
           and so on:
             contract m < 6, n < 300 over k < 4
               sum of in0[4*m + k] * in2[n + 300*k]
               out1[300*m + n] = sum
             contract m < 7, n < 3 over k < 2
               sum of in3[2*m + k] * in4[n + 3*k]
               out2[3*m + n] = sum"
    `)
  })

  test('that need each other are not', () => {
    const r = new Recorder()
    const [x, y] = [r.input([4, 5]), r.input([5, 4])]
    expect(kindsOf(r, [r.matmul(r.matmul(x, y), x)])).toEqual(['contract', 'contract'])
    const s = new Recorder()
    const [a, b] = [s.input([4, 5]), s.input([5, 4])]
    const first = [s.matmul(a, b), s.matmul(b, a)]
    expect(kindsOf(s, [s.matmul(first[0], a), s.matmul(first[1], b)])).toEqual(['joint', 'joint'])
  })

  test('between which a large loop runs stay where they are', () => {
    const r = new Recorder()
    const x = r.input([200, 200])
    const first = r.matmul(x, x)
    const sums = r.reduce('sum', r.unary('exp', first), [0])
    const second = r.matmul(r.input([3, 200]), x)
    expect(kindsOf(r, [first, sums, second])).toEqual(['contract', 'reduce', 'contract'])
  })
})

test('chains along rows are parts as well', () => {
  const leaves = [
    [20, 40],
    [8, 24],
    [30, 17],
  ]
  const jaxpr = treeProgram(leaves, ['square', 'rows', 'rows'])
  const { program, plan } = lower(jaxpr, { rows: usualRows, joint: joining })
  const parts = program.nodes.map((n) => (n.kind === 'joint' ? n.parts : []))
  expect(parts.map((of) => of.map((p) => p.kind))).toContainEqual(['rows', 'rows', 'rows'])
  // A row that one step hands to the next is nobody else's.
  const locals = parts.flat().flatMap((p) => (p.kind === 'rows' ? p.locals : []))
  expect(locals.length).toBeGreaterThan(0)
  for (const { reads, writes } of program.nodes.map(accessesOf))
    for (const buffer of [...reads, ...writes]) expect(plan.placements.has(buffer)).toBe(true)
})

test('pieces of one buffer are parts as well', () => {
  const jaxpr = treeProgram([[3, 4], [5], [2, 2]], ['momentum', 'stack', 'norm'])
  const { program } = lower(jaxpr, { joint: joining })
  const parts = program.nodes.map((n) => (n.kind === 'joint' ? n.parts.length : 1))
  expect(parts).toEqual([3, 3, 3])
})

test('a loop that uses up what is large stays where it is', () => {
  const r = new Recorder()
  const results = [0, 1, 2].map(() => {
    const product = r.matmul(r.input([400, 3]), r.input([3, 400]))
    const old = r.input([400, 400])
    const slope = r.unary('tanh', r.unary('exp', r.unary('sin', product)))
    return r.binary('sub', old, r.binary('mul', slope, r.broadcast(scalar(0.5), [400, 400], [])))
  })
  const jaxpr = r.jaxpr(results)
  const [apart, joint] = [{}, { joint: joining }].map((fusion) => {
    const donated = jaxpr.inputs.map(() => true)
    const { program, plan } = lower(jaxpr, { donated, ...fusion })
    return { cost: programCost(program, plan), kinds: program.nodes.map((n) => n.kind) }
  })
  expect(joint).toEqual(apart)
})

test('temporaries that wait for each other take no more than a part of the inputs', () => {
  const r = new Recorder()
  // Each leaf is used up before the next one is made, where they do not wait.
  const results = Array.from({ length: 30 }, () => {
    const x = r.unary('exp', r.broadcast(r.input([300]), [300, 300], [0]))
    const largest = r.broadcast(r.reduce('max', x, [0, 1]), [300, 300], [])
    return r.reduce('sum', r.binary('sub', x, largest), [1])
  })
  const { plan } = lower(r.jaxpr(results), { joint: joining })
  expect(plan.peakBytes).toBeLessThan(2 ** 21)
})
