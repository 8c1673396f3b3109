import { describe, expect, it } from 'vitest'
import { binary, constant } from '../../../compiler/expr'
import type { Buffer, Load, Scalar } from '../../../compiler/expr'
import type { DType } from '../../../types/dtype'
import { keyOfAnySize, nodeKey } from './node-key'
import type { ComputingNode } from './nodes'

const buffer = (id: number, dtype: DType = 'float32', size = 8): Buffer => ({ id, dtype, size })
const load = (source: Buffer, stride = 1): Load => ({
  kind: 'load',
  dtype: source.dtype,
  source,
  at: { offset: 0, strides: [stride] },
  offsets: [],
})
const map = (target: Buffer, value: Scalar): ComputingNode => ({
  kind: 'map',
  shape: [8],
  stores: [{ target, at: { offset: 0, strides: [1] }, offsets: [], value }],
})
const sum = (x: Scalar, y: Scalar): Scalar => binary('add', x.dtype, x, y)

describe('keys of nodes', () => {
  it('are equal when only the buffers are others', () => {
    const node = (first: number) =>
      map(buffer(first), sum(load(buffer(first + 1)), load(buffer(first + 2))))
    expect(nodeKey(node(0))).toBe(nodeKey(node(7)))
  })

  it('differ where the code would', () => {
    const x = load(buffer(1))
    const shared = sum(x, x)
    const nodes = [
      map(buffer(0), sum(x, load(buffer(2)))),
      // One buffer read twice, in two ways.
      map(buffer(0), sum(x, load(buffer(1)))),
      map(buffer(0), shared),
      map(buffer(0), sum(x, load(buffer(1), 0))),
      // The target is read.
      map(buffer(0), sum(x, load(buffer(0)))),
      map(buffer(0), sum(load(buffer(0)), x)),
      map(buffer(0, 'float32', 9), sum(x, load(buffer(2)))),
      map(buffer(0), sum(x, constant('float32', 0))),
      map(buffer(0), sum(x, constant('float32', -0))),
      map(buffer(0), sum(x, constant('float32', NaN))),
      map(buffer(0, 'int32'), sum(load(buffer(1, 'int32')), constant('int32', 1))),
      map(buffer(0), sum(shared, shared)),
      map(buffer(0), sum(shared, sum(x, x))),
    ]
    expect(new Set(nodes.map(nodeKey)).size).toBe(nodes.length)
  })

  it('are equal for loops of any size where sizes are left out', () => {
    const node = (size: number): ComputingNode =>
      map(buffer(0, 'float32', size), sum(load(buffer(1, 'float32', size)), load(buffer(2))))
    const keys = [8, 12].map((size) => {
      const made = node(size)
      return made.kind === 'map' ? keyOfAnySize({ stores: made.stores }) : ''
    })
    expect(keys[0]).toBe(keys[1])
    expect(nodeKey(node(8))).not.toBe(nodeKey(node(12)))
  })
})
