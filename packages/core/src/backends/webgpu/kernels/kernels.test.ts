import { beforeAll, describe, expect, it } from 'vitest'
import { binary, constant, index, load, type Scalar } from '../../../compiler/expr'
import type {
  CumulativeNode,
  LoopNode,
  ScatterNode,
  SelectAndScatterNode,
  SortNode,
} from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import type { DType } from '../../../types/dtype'
import { isFloating } from '../../../types/dtype'
import type { NodeKernel } from '../kernel'
import { nodeKernels } from './index'
import { differenceOf, newBuffer, nextRandom, NodeRunner } from './run-node.fixture'
import { onGpu } from '../testing/on-gpu.fixture'

onGpu('kernels on WebGPU', { timeout: 30_000 }, () => {
  let runner: NodeRunner
  beforeAll(async () => {
    runner = await NodeRunner.open()
  })

  async function check<N extends LoopNode>(
    kernel: NodeKernel<N>,
    node: N,
    tolerance = 0,
    fill?: (buffer: { readonly id: number; readonly dtype: DType }, i: number) => number,
  ): Promise<void> {
    const facts = { ...runner.facts, invocations: 64 }
    const difference = await differenceOf(runner, kernel, node, {
      tolerance,
      facts,
      ...(fill && { fill }),
    })
    expect(difference).toBe(null)
  }

  const awkward = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 2.5]
  const withEdges = ({ dtype }: { readonly dtype: DType }): number => {
    const x = nextRandom()
    if (!isFloating(dtype)) return Math.floor(x * 20) - (dtype.startsWith('u') ? 0 : 10)
    return x < 0.2 ? awkward[Math.floor(x * 40)] : Math.floor(x * 12) - 6
  }

  describe('cumulative operations', () => {
    const node = (
      monoid: CumulativeNode['monoid'],
      dtype: DType,
      [outer, length, inner]: readonly [number, number, number],
      reverse = false,
    ): CumulativeNode => ({
      kind: 'cumulative',
      monoid,
      outer,
      length,
      inner,
      reverse,
      source: newBuffer(dtype, outer * length * inner),
      target: newBuffer(dtype, outer * length * inner),
    })
    it.each(['sum', 'prod', 'max', 'min', 'logsumexp'] as const)('%s', async (monoid) => {
      const tolerance = monoid === 'logsumexp' ? 2e-5 : monoid === 'prod' ? 1e-6 : 0
      const { cumulative } = nodeKernels
      for (const shape of [
        [3, 17, 2],
        [1, 300, 3],
        [2, 131, 1],
      ] as const) {
        await check(cumulative, node(monoid, 'float32', shape), tolerance)
        await check(cumulative, node(monoid, 'float32', shape, true), tolerance)
        if (monoid !== 'logsumexp') await check(cumulative, node(monoid, 'int32', shape))
      }
      if (monoid === 'max' || monoid === 'min')
        await check(cumulative, node(monoid, 'float32', [2, 200, 2]), 0, withEdges)
    })
    it('logsumexp of what is not finite', async () => {
      const values = [-Infinity, 1, -Infinity, 80, -100, Infinity, 3]
      const fill = (_: object, i: number): number => values[i % 7]
      await check(nodeKernels.cumulative, node('logsumexp', 'float32', [1, 140, 1]), 1e-6, fill)
    })
  })

  describe('sorting', () => {
    const node = (
      rows: number,
      length: number,
      dtypes: readonly DType[],
      numKeys: number,
    ): SortNode => ({
      kind: 'sort',
      rows,
      length,
      numKeys,
      sources: dtypes.map((dtype) => newBuffer(dtype, rows * length)),
      targets: dtypes.map((dtype) => newBuffer(dtype, rows * length)),
    })
    const { sort } = nodeKernels
    it.each(['float32', 'int32', 'uint32', 'int8', 'float16', 'bool'] as const)(
      'of %s, stably',
      async (dtype) => {
        await check(sort, node(2, 33, [dtype, 'int32'], 1), 0, withEdges)
        await check(sort, node(1, 1, [dtype], 1), 0, withEdges)
      },
    )
    it('of rows that are longer than a workgroup', async () => {
      await check(sort, node(2, 700, ['float32', 'int32'], 1), 0, withEdges)
      await check(sort, node(1, 512, ['int32'], 1))
    })
    it('by several keys', async () => {
      await check(sort, node(2, 300, ['int32', 'float32', 'uint8', 'int32'], 3), 0, withEdges)
    })
  })

  describe('scattering', () => {
    const scatter = (
      shape: readonly number[],
      target: readonly [DType, number],
      position: Scalar,
      combine: ScatterNode['combine'],
      inBounds: Scalar | null = null,
    ): ScatterNode => ({
      kind: 'scatter',
      shape,
      target: newBuffer(...target),
      position,
      inBounds,
      update: load(newBuffer(target[0], sizeOf(shape)), rowMajor(shape)),
      combine,
    })
    const positions = (count: number, strides: readonly number[]): Scalar =>
      load(newBuffer('uint32', count), { offset: 0, strides })
    const int = (x: Scalar): Scalar => ({ kind: 'convert', dtype: 'int32', x })
    const place = ({ dtype }: { readonly dtype: DType }): number =>
      dtype === 'uint32' ? Math.floor(nextRandom() * 12) : Math.floor(nextRandom() * 32) / 16 - 1
    const combines = ['set', 'add', 'mul', 'min', 'max'] as const
    it.each(combines)('%s of elements, few and many', async (combine) => {
      for (const count of [7, 200]) {
        const node = scatter([count], ['float32', 12], int(positions(count, [1])), combine)
        await check(nodeKernels.scatter, node, 1e-6, place)
      }
    })
    it.each(combines)('%s of rows, few and many', async (combine) => {
      for (const count of [5, 90]) {
        const row = binary('mul', 'int32', int(positions(count, [1, 0])), constant('int32', 6))
        const at = binary('add', 'int32', row, index({ offset: 0, strides: [0, 1] }))
        const inside = binary('lt', 'bool', int(positions(count, [1, 0])), constant('int32', 9))
        await check(
          nodeKernels.scatter,
          scatter([count, 6], ['float32', 72], at, combine),
          1e-6,
          place,
        )
        const inBounds: Scalar = inside
        const limited = scatter([count, 5], ['float32', 72], at, combine, inBounds)
        await check(nodeKernels.scatter, limited, 1e-6, place)
      }
    })
    it('rows that overlap', async () => {
      const at = binary(
        'add',
        'int32',
        int(positions(80, [1, 0])),
        index({ offset: 0, strides: [0, 1] }),
      )
      await check(nodeKernels.scatter, scatter([80, 4], ['float32', 20], at, 'set'), 0, place)
      await check(nodeKernels.scatter, scatter([80, 4], ['float32', 20], at, 'add'), 0, place)
    })
    it('narrow integers that wrap', async () => {
      const node = scatter([300], ['int8', 12], int(positions(300, [1])), 'add')
      const fill = ({ dtype }: { readonly dtype: DType }): number =>
        dtype === 'uint32' ? Math.floor(nextRandom() * 12) : Math.floor(nextRandom() * 200) - 100
      await check(nodeKernels.scatter, node, 0, fill)
    })
  })

  it('with all buffers in one binding', async () => {
    const facts = { ...runner.facts, invocations: 64, storageBuffers: 2 }
    const words = (dtype: DType): ReturnType<typeof newBuffer> => newBuffer(dtype, 150)
    const sort: SortNode = {
      kind: 'sort',
      rows: 1,
      length: 150,
      numKeys: 2,
      sources: [words('int32'), words('float32')],
      targets: [words('int32'), words('float32')],
    }
    const cumulative: CumulativeNode = {
      kind: 'cumulative',
      monoid: 'sum',
      outer: 1,
      length: 150,
      inner: 1,
      reverse: false,
      source: words('float32'),
      target: words('float32'),
    }
    const expected = { tolerance: 0, facts }
    expect(await differenceOf(runner, nodeKernels.sort, sort, expected)).toBe(null)
    expect(await differenceOf(runner, nodeKernels.cumulative, cumulative, expected)).toBe(null)
  })

  it.each(['max', 'min'] as const)('the gradient of pooling: %s', async (which) => {
    for (const [operandShape, window, strides] of [
      [
        [9, 10],
        [3, 2],
        [2, 2],
      ],
      [
        [2, 7, 3],
        [1, 3, 1],
        [1, 1, 1],
      ],
      [[11], [2], [3]],
    ] as const) {
      const sourceShape = operandShape.map((n, a) => Math.floor((n - window[a]) / strides[a]) + 1)
      const node: SelectAndScatterNode = {
        kind: 'selectAndScatter',
        which,
        operandShape,
        sourceShape,
        geometry: { window, strides },
        operand: newBuffer('float32', sizeOf(operandShape)),
        source: newBuffer('float32', sizeOf(sourceShape)),
        target: newBuffer('float32', sizeOf(operandShape)),
      }
      await check(nodeKernels.selectAndScatter, node)
      const fill = (buffer: { readonly id: number; readonly dtype: DType }): number =>
        buffer.id === node.operand.id ? withEdges(buffer) : 0.5
      await check(nodeKernels.selectAndScatter, node, 0, fill)
    }
  })

  it('factorises', async () => {
    for (const [batch, n] of [
      [3, 1],
      [2, 5],
      [1, 37],
    ]) {
      const source = newBuffer('float32', batch * n * n)
      const target = newBuffer('float32', batch * n * n)
      // Symmetric, with a dominant diagonal.
      const fill = (_: object, i: number): number => {
        const [row, column] = [Math.floor(i / n) % n, i % n]
        return row === column ? n + 1 : ((row * column) % 7) / 8
      }
      await check(nodeKernels.cholesky, { kind: 'cholesky', batch, n, source, target }, 1e-5, fill)
      const indefinite = (_: object, i: number): number =>
        i % n === Math.floor(i / n) % n ? -1 : 0
      await check(
        nodeKernels.cholesky,
        { kind: 'cholesky', batch, n, source, target },
        0,
        indefinite,
      )
    }
  })

  it.each([
    [true, false],
    [true, true],
    [false, false],
    [false, true],
  ])('solves triangular systems, lower %s, transposed %s', async (lower, transpose) => {
    for (const [batch, n, columns] of [
      [2, 1, 3],
      [2, 6, 1],
      [1, 9, 37],
    ]) {
      for (const unitDiagonal of [false, true]) {
        const a = newBuffer('float32', batch * n * n)
        const b = newBuffer('float32', batch * n * columns)
        const target = newBuffer('float32', batch * n * columns)
        await check(
          nodeKernels.triangularSolve,
          {
            kind: 'triangularSolve',
            batch,
            n,
            columns,
            lower,
            transpose,
            unitDiagonal,
            a,
            b,
            target,
          },
          1e-5,
          ({ id }, i) =>
            id === a.id && i % n === Math.floor(i / n) % n ? 2 + (i % 3) : nextRandom() - 0.5,
        )
      }
    }
  })
})
