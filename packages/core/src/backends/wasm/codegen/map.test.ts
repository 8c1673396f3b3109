import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binary, index, load } from '../../../compiler/expr'
import type { Affine } from '../../../compiler/expr'
import type { MapNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import { newBuffer } from '../kernels/run-node'
import { emitMap } from './map'
import { differenceOf, randomMap, seeds, testedDTypes } from './random-nodes'

describe('map nodes', () => {
  it('compute what the plain interpreter computes', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitMap, randomMap(seed, testedDTypes), seed)).toBe(null)
      }),
      { numRuns: 300 },
    )
  })
  it.each(testedDTypes)('compute the same on %s alone', (dtype) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(differenceOf(emitMap, randomMap(seed, [dtype]), seed)).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
})

/** Shapes whose loops are split into several calls, with rows and columns of awkward lengths. */
const large: readonly (readonly number[])[] = [
  [70_003],
  [3, 70_001],
  [257, 301],
  [12_345, 7],
  [40_001, 2],
  [5, 33, 411],
]

describe('long loops', () => {
  const plain = (shape: readonly number[], order: readonly number[]): Affine => {
    const permuted = rowMajor(order.map((axis) => shape[axis] ?? 1)).strides
    return { offset: 0, strides: shape.map((_, axis) => permuted[order.indexOf(axis)] ?? 0) }
  }

  it.each(large)('cover every element once: %s %s %s', (...shape) => {
    const sizes = shape.filter((size) => typeof size === 'number')
    const axes = sizes.map((_, axis) => axis)
    for (const order of [axes, [...axes].reverse()]) {
      const x = load(newBuffer('int32', sizeOf(sizes)), plain(sizes, order))
      const value = binary('add', 'int32', x, index(rowMajor(sizes)))
      const target = newBuffer('int32', sizeOf(sizes))
      const node: MapNode = {
        kind: 'map',
        shape: sizes,
        stores: [{ target, at: rowMajor(sizes), offsets: [], value }],
      }
      expect(differenceOf(emitMap, node, 1)).toBe(null)
    }
  })
})
