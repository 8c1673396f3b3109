import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accumulator, load } from '../../../compiler/expr'
import type { ReduceNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import { compileNode, newBuffer } from '../kernels/run-node'
import { differenceOf, randomReduce, seeds, testedDTypes } from './random-nodes'
import { emitReduce } from './reduce'

describe('reduce nodes', () => {
  it('compute what the plain interpreter computes', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitReduce, randomReduce(seed, testedDTypes), seed)).toBe(null)
      }),
      { numRuns: 300 },
    )
  })
  it.each(testedDTypes)('compute the same on %s alone', (dtype) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitReduce, randomReduce(seed, [dtype]), seed)).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
})

describe('long reductions', () => {
  it.each([
    [[], [70_003]],
    [[11], [24_577]],
    [[2, 3], [50_001]],
    [[3], [40_001]],
    [[40_001], [3]],
    [[1500], [45]],
    [[3, 1100], [37]],
    [[13], [17, 301]],
    [[2], [70_001, 2]],
  ])(
    'of %j by %j agree in every order of axes',
    (shape, reduced) => {
      const whole = [...shape, ...reduced]
      const forward = rowMajor(whole)
      const backward = { offset: 0, strides: rowMajor([...whole].reverse()).strides.toReversed() }
      for (const at of [forward, backward]) {
        for (const monoid of ['sum', 'max', 'argmin'] as const) {
          const value = load(newBuffer('int32', sizeOf(whole)), at)
          const target = newBuffer('int32', sizeOf(shape))
          const node: ReduceNode = {
            kind: 'reduce',
            shape,
            reduced,
            reductions: [{ monoid, value }],
            stores: [{ target, at: rowMajor(shape), offsets: [], value: accumulator('int32', 0) }],
          }
          expect(differenceOf(emitReduce, node, 1)).toBe(null)
        }
      }
    },
    20_000,
  )
})

describe('sums of float32', () => {
  const sumOf = (count: number, valueAt: (i: number) => number, columns = 1): Float32Array => {
    const x = newBuffer('float32', count * columns)
    const target = newBuffer('float32', columns)
    const node: ReduceNode = {
      kind: 'reduce',
      shape: [columns],
      reduced: [count],
      reductions: [{ monoid: 'sum', value: load(x, { offset: 0, strides: [1, columns] }) }],
      stores: [{ target, at: rowMajor([columns]), offsets: [], value: accumulator('float32', 0) }],
    }
    const compiled = compileNode(emitReduce, node)
    const data = compiled.data(x)
    for (let i = 0; i < data.length; i++) data[i] = valueAt(i)
    compiled.run()
    return Float32Array.from(compiled.data(target))
  }

  it('do not lose digits with their length', () => {
    expect((sumOf(20_000_000, () => 0.1)[0] ?? 0) / 20_000_000).toBeCloseTo(0.1, 8)
    const columns = sumOf(1_000_000, () => 0.1, 4)
    for (const sum of columns) expect(sum / 1_000_000).toBeCloseTo(0.1, 8)
  })

  it('are the same, bit for bit, beside other rows and alone', () => {
    const columns = 24_577
    const rowsOf = (rows: number, first: number): Float32Array => {
      const x = newBuffer('float32', rows * columns)
      const target = newBuffer('float32', rows)
      const value = load(x, rowMajor([rows, columns]))
      const compiled = compileNode<ReduceNode>(emitReduce, {
        kind: 'reduce',
        shape: [rows],
        reduced: [columns],
        reductions: [{ monoid: 'sum', value }],
        stores: [{ target, at: rowMajor([rows]), offsets: [], value: accumulator('float32', 0) }],
      })
      const data = compiled.data(x)
      const valueAt = (i: number): number => Math.sin(i) * 10 ** (i % 5)
      for (let i = 0; i < data.length; i++) data[i] = valueAt(first * columns + i)
      compiled.run()
      return Float32Array.from(compiled.data(target))
    }
    const together = rowsOf(11, 0)
    for (const row of [0, 3, 7, 8, 10]) expect(rowsOf(1, row)[0]).toBe(together[row])
  })

  it('are rounded as a sum of doubles is, where terms differ in size', () => {
    const valueAt = (i: number): number => Math.fround(Math.sin(i) * 10 ** (i % 7))
    let exact = 0
    for (let i = 0; i < 100_000; i++) exact += valueAt(i)
    expect(Math.abs((sumOf(100_000, valueAt)[0] ?? 0) - exact)).toBeLessThan(20)
  })
})
