import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Load, Scalar } from '../../../../compiler/expr'
import { accumulator, binary, constant } from '../../../../compiler/expr'
import type { ContractNode, Store } from '../../../../compiler/nodes'
import { rowMajor } from '../../../../compiler/views'
import type { Shape } from '../../../../types/aval'
import { wasmFeatures } from '../../emit/index'
import { compileNode, expectAsInterpreted, newBuffer, nextRandom } from '../run-node'
import { sizeOf } from './axes'
import { emitContract } from './contract'
import { isOwnTranspose } from './own-transpose'

const relaxations = wasmFeatures().relaxed ? [true, false] : [false]

interface Case {
  readonly batch: Shape
  readonly rows: number
  readonly depth: number
  readonly dtype: ContractNode['dtype']
  /** Whether the rows of the matrix are columns in memory: `XᵀX`. */
  readonly isTall: boolean
  readonly stores: 'plain' | 'polynomial' | 'both layouts'
}

const cases = fc.record<Case>({
  batch: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  rows: fc.integer({ min: 32, max: 70 }),
  depth: fc.oneof(fc.integer({ min: 32, max: 70 }), fc.constant(500)),
  dtype: fc.constantFrom('float32', 'float64', 'int32'),
  isTall: fc.boolean(),
  stores: fc.constantFrom('plain', 'polynomial', 'both layouts'),
})

/** `X Xᵀ` of matrices in memory, or of two buffers. */
function nodeOf({ batch, rows, depth, dtype, isTall, stores }: Case, apart = false): ContractNode {
  const memory = rowMajor(isTall ? [...batch, depth, rows] : [...batch, rows, depth])
  const strides = [...memory.strides]
  const [last = 0, outer = 0] = [strides.pop(), strides.pop()]
  const at = { offset: 0, strides: [...strides, ...(isTall ? [last, outer] : [outer, last])] }
  const size = sizeOf([...batch, rows, depth])
  const load: Load = { kind: 'load', dtype, source: newBuffer(dtype, size), at, offsets: [] }
  const shape = [...batch, rows, rows]
  const sum = accumulator(dtype, 0)
  const result = (value: Scalar, isTransposed = false): Store => {
    const { strides } = rowMajor(shape)
    const [row = 0, column = 0] = strides.slice(-2)
    const turned = [...strides.slice(0, -2), column, row]
    const at = { offset: 0, strides: isTransposed ? turned : strides }
    return { target: newBuffer(dtype, sizeOf(shape)), at, offsets: [], value }
  }
  const other: Load = { ...load, source: newBuffer(dtype, sizeOf(shape)), at: rowMajor(shape) }
  const twice = binary('mul', dtype, constant(dtype, 2), sum)
  return {
    kind: 'contract',
    dtype,
    batch,
    m: [rows],
    n: [rows],
    k: [depth],
    lhs: { value: load },
    rhs: { value: apart ? { ...load, source: newBuffer(dtype, size) } : load },
    stores:
      stores === 'plain'
        ? [result(sum)]
        : stores === 'polynomial'
          ? [result(binary('add', dtype, other, twice))]
          : [result(sum, true), result(twice)],
  }
}

describe('a matrix times its own transpose', () => {
  it('is what the interpreter computes', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(...relaxations), (given, relaxed) => {
        fc.pre(sizeOf([...given.batch, given.rows, given.rows, given.depth]) < 150_000)
        const node = nodeOf(given)
        expect(isOwnTranspose(node)).toBe(true)
        expectAsInterpreted(emitContract, node, { relaxed, tolerance: 1e-5 })
      }),
      { numRuns: 8 },
    )
  })

  it('is what it is as a product of two matrices, to the last bit', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const results = [false, true].map((apart) => {
          const node = nodeOf(given, apart)
          expect(isOwnTranspose(node)).toBe(!apart)
          const compiled = compileNode(emitContract, node)
          const sources = [node.lhs.value, node.rhs.value].map((e) => (e as Load).source)
          const data = sources.map((source) => compiled.data(source))
          // Numbers whose sums are rounded, so that their order shows.
          const values = Array.from(data[0], (_, i) => Math.sin(i) * (1 + (i % 7)))
          data.forEach((memory) => memory.set(values))
          if (given.stores === 'polynomial') {
            const value = node.stores[0].value as Scalar & { x: Load }
            compiled.data(value.x.source).fill(1)
          }
          compiled.run()
          return node.stores.map(({ target }) => Array.from(compiled.data(target)))
        })
        expect(results[0]).toEqual(results[1])
      }),
      { numRuns: 60 },
    )
  })

  it('is told from other products', () => {
    const given: Case = {
      batch: [2],
      rows: 40,
      depth: 60,
      dtype: 'float32',
      isTall: false,
      stores: 'plain',
    }
    const node = nodeOf(given)
    const moved = (change: Partial<Load['at']>): ContractNode => {
      const load = node.rhs.value as Load
      return { ...node, rhs: { value: { ...load, at: { ...load.at, ...change } } } }
    }
    expect(isOwnTranspose(node)).toBe(true)
    expect(isOwnTranspose(moved({ offset: 1 }))).toBe(false)
    expect(isOwnTranspose(moved({ strides: [2400, 1, 40] }))).toBe(false)
    // One matrix for all of the batch: its rows and those of the batch would be mixed up.
    const same = { offset: 0, strides: [0, 60, 1] }
    const value: Load = { ...(node.lhs.value as Load), at: same }
    expect(isOwnTranspose({ ...node, lhs: { value }, rhs: { value } })).toBe(false)
  })

  it('takes little more than half of the time', () => {
    const given: Case = {
      batch: [],
      rows: 256,
      depth: 256,
      dtype: 'float32',
      isTall: false,
      stores: 'plain',
    }
    const [own, two] = [false, true].map((apart) => {
      const node = nodeOf(given, apart)
      const compiled = compileNode(emitContract, node)
      for (const e of [node.lhs.value, node.rhs.value])
        compiled.data((e as Load).source).forEach((_, i, memory) => (memory[i] = nextRandom()))
      return () => {
        const start = performance.now()
        compiled.run()
        return performance.now() - start
      }
    })
    const least = [Infinity, Infinity]
    for (let i = 0; i < 60; i++)
      [own, two].forEach((run, k) => (least[k] = Math.min(least[k], run())))
    expect(least[0] / least[1]).toBeLessThan(0.9)
  })
})
