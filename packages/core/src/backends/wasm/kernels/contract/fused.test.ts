import * as fc from 'fast-check'
import { describe, it } from 'vitest'

import type { Affine, Load, Scalar } from '../../../../compiler/expr'
import { binary, constant, convert, index, select, unary } from '../../../../compiler/expr'
import type { ContractNode, Store } from '../../../../compiler/nodes'
import { rowMajor } from '../../../../compiler/views'
import type { Shape } from '../../../../types/aval'
import type { DType } from '../../../../types/dtype'
import { wasmFeatures } from '../../emit/index'
import { expectAsInterpreted, newBuffer } from '../run-node'
import { sizeOf } from './axes'
import { emitContract } from './contract'

const relaxations = wasmFeatures().relaxed ? [true, false] : [false]

const load = (dtype: DType, shape: Shape, at: Affine = rowMajor(shape)): Load => ({
  kind: 'load',
  dtype,
  source: newBuffer(dtype, sizeOf(shape)),
  at,
  offsets: [],
})

const store = (dtype: DType, shape: Shape, value: Scalar, at: Affine = rowMajor(shape)): Store => ({
  target: newBuffer(dtype, sizeOf(shape)),
  at,
  offsets: [],
  value,
})

const transposed = (shape: Shape): Affine => {
  const { strides } = rowMajor([...shape].reverse())
  return { offset: 0, strides: [...strides].reverse() }
}

/** Stores that contractions are fused with, over the result's shape. */
const epilogues: Record<string, (sum: Scalar, shape: Shape, n: Shape) => Store[]> = {
  'bias and relu': (sum, shape, n) => {
    const bias = load('float32', n, {
      offset: 0,
      strides: [...shape.slice(n.length).map(() => 0), ...rowMajor(n).strides],
    })
    const value = binary(
      'max',
      'float32',
      binary('add', 'float32', sum, bias),
      constant('float32', 0),
    )
    return [store('float32', shape, value)]
  },
  'a step of gradient descent': (sum, shape) => {
    const step = binary('mul', 'float32', sum, constant('float32', 0.125))
    return [store('float32', shape, binary('sub', 'float32', load('float32', shape), step))]
  },
  'the product and its mask': (sum, shape) => [
    store('float32', shape, sum),
    store('bool', shape, binary('gt', 'bool', sum, constant('float32', 0))),
  ],
  'a transposed result': (sum, shape) => [
    store('float32', shape, unary('tanh', 'float32', sum), transposed(shape)),
  ],
  'axes in another order': (sum, shape) => {
    const turned = rowMajor([...shape.slice(1), shape[0] ?? 1]).strides
    const at = { offset: 0, strides: [turned.at(-1) ?? 0, ...turned.slice(0, -1)] }
    return [store('float32', shape, sum, at)]
  },
  'a term for some axes': (sum, shape) => {
    const rest = shape.slice(1)
    const at = { offset: 0, strides: [0, ...rowMajor(rest).strides] }
    const term: Load = { ...load('float32', rest), at }
    return [store('float32', shape, binary('add', 'float32', sum, term))]
  },
  'both layouts': (sum, shape) => [
    store('float32', shape, sum),
    store('float32', shape, sum, transposed(shape)),
  ],
  'a triangle': (sum, shape) => {
    const at = { offset: 0, strides: shape.map((_, i) => (i === 0 ? 1 : i === 1 ? -1 : 0)) }
    const below = binary('gt', 'bool', index(at), constant('int32', 0))
    return [store('float32', shape, select(below, sum, constant('float32', -1)))]
  },
  'half precision': (sum, shape) => [store('float16', shape, convert('float16', sum))],
  'every second element': (sum, shape) => {
    const { strides } = rowMajor([...shape.slice(0, -1), 2 * (shape.at(-1) ?? 1)])
    const at = { offset: 1, strides: strides.map((s, i) => (i === shape.length - 1 ? 2 : s)) }
    const target = newBuffer('float32', 2 * sizeOf(shape))
    return [{ target, at, offsets: [], value: sum }]
  },
}

/** Operands that are computed while they are read. */
const operands: Record<string, (shape: Shape) => Scalar> = {
  plain: (shape) => load('float32', shape),
  transposed: (shape) => load('float32', shape, transposed(shape)),
  'a transposed absolute value': (shape) =>
    unary('abs', 'float32', load('float32', shape, transposed(shape))),
  'overlapping windows': (shape) => {
    const strides = shape.map((_, i) => (i % 2 === 0 ? 2 : -1))
    const behind = shape.reduce((sum, size, i) => sum + (i % 2 === 0 ? 0 : size - 1), 0)
    const size = shape.reduce((sum, n, i) => sum + (i % 2 === 0 ? 2 : 1) * n, 1)
    const source = newBuffer('float32', size)
    const at = { offset: behind, strides }
    return unary('neg', 'float32', { kind: 'load', dtype: 'float32', source, at, offsets: [] })
  },
  masked: (shape) =>
    select(
      binary('gt', 'bool', load('float32', shape), constant('float32', 0)),
      load('float32', shape),
      constant('float32', 0),
    ),
  widened: (shape) => convert('float32', load('bfloat16', shape)),
  'a column repeated': (shape) => {
    const { strides } = rowMajor(shape.map((size, i) => (i === shape.length - 1 ? 1 : size)))
    const at = { offset: 0, strides: strides.map((s, i) => (i === shape.length - 1 ? 0 : s)) }
    return unary('neg', 'float32', load('float32', shape, at))
  },
}

function nodeOf(
  groups: Pick<ContractNode, 'batch' | 'm' | 'n' | 'k'>,
  lhs: string,
  rhs: string,
  epilogue: string,
): ContractNode {
  const { batch, m, n, k } = groups
  const sum: Scalar = { kind: 'accumulator', dtype: 'float32', slot: 0 }
  const value = (name: string, shape: Shape): Scalar =>
    operands[name]?.(shape) ?? constant('float32', 0)
  return {
    kind: 'contract',
    dtype: 'float32',
    ...groups,
    lhs: { value: value(lhs, [...batch, ...m, ...k]) },
    rhs: { value: value(rhs, [...batch, ...n, ...k]) },
    stores: epilogues[epilogue]?.(sum, [...batch, ...m, ...n], n) ?? [],
  }
}

describe('a contraction with work before and after', () => {
  const axis = fc.integer({ min: 1, max: 12 })
  const cases = fc.record({
    batch: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
    m: fc.array(axis, { minLength: 1, maxLength: 3 }),
    n: fc.array(axis, { minLength: 1, maxLength: 2 }),
    k: fc.array(axis, { maxLength: 2 }),
    lhs: fc.constantFrom(...Object.keys(operands)),
    rhs: fc.constantFrom(...Object.keys(operands)),
    epilogue: fc.constantFrom(...Object.keys(epilogues)),
    relaxed: fc.constantFrom(...relaxations),
  })

  it('is what the interpreter computes', () => {
    fc.assert(
      fc.property(cases, ({ batch, m, n, k, lhs, rhs, epilogue, relaxed }) => {
        fc.pre(sizeOf([...batch, ...m, ...n, ...k]) < 30_000)
        const node = nodeOf({ batch, m, n, k }, lhs, rhs, epilogue)
        expectAsInterpreted(emitContract, node, { relaxed, tolerance: 1e-5 })
      }),
      { numRuns: 150 },
    )
  })

  it('keeps sums of a long k apart until the last block', () => {
    for (const epilogue of Object.keys(epilogues)) {
      for (const relaxed of relaxations) {
        for (const [m, n] of [
          [7, 13],
          [1, 9],
        ] as const) {
          const node = nodeOf(
            { batch: [], m: [m], n: [n], k: [500] },
            'plain',
            'transposed',
            epilogue,
          )
          expectAsInterpreted(emitContract, node, { relaxed, tolerance: 1e-5 })
        }
      }
    }
  })
})
