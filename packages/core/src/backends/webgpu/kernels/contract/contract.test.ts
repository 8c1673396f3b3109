import { beforeAll, expect, it } from 'vitest'
import type { Affine, Load, Scalar } from '../../../../compiler/expr'
import { binary, constant, load, select, unary, index } from '../../../../compiler/expr'
import type { ContractNode, Store } from '../../../../compiler/nodes'
import { rowMajor } from '../../../../compiler/views'
import { type Shape, sizeOf } from '../../../../types/aval'
import { differenceOf, newBuffer, NodeRunner } from '../run-node.fixture'
import { contractKernel, contractWith } from './index'
import { problemOf } from './problem'
import { choose, type Strategy } from './strategy'
import { onGpu } from '../../testing/on-gpu.fixture'

/** A load over `[...shape]` whose axes lie in memory in the given order. */
function operand(dtype: ContractNode['dtype'], shape: Shape, order: readonly number[]): Load {
  const strides = shape.map(() => 0)
  let step = 1
  for (const axis of order.toReversed()) {
    strides[axis] = step
    step *= shape[axis]
  }
  return load(newBuffer(dtype, step), { offset: 0, strides })
}

const storeOf = (shape: Shape, value: Scalar, at: Affine = rowMajor(shape)): Store => ({
  target: newBuffer(value.dtype, sizeOf(shape)),
  at,
  offsets: [],
  value,
})

interface Sizes {
  readonly batch?: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
}

function product(
  { batch = [], m, n, k }: Sizes,
  {
    dtype = 'float32',
    transposeLeft = false,
    transposeRight = false,
    stores,
  }: {
    readonly dtype?: ContractNode['dtype']
    readonly transposeLeft?: boolean
    readonly transposeRight?: boolean
    readonly stores?: (sum: Scalar, shape: Shape) => readonly Store[]
  } = {},
): ContractNode {
  const side = (free: Shape, kInside: boolean): Load => {
    const shape = [...batch, ...free, ...k]
    const axes = [...shape.keys()]
    const head = axes.slice(0, batch.length)
    const middle = axes.slice(batch.length, batch.length + free.length)
    const tail = axes.slice(batch.length + free.length)
    return operand(dtype, shape, [
      ...head,
      ...(kInside ? [...middle, ...tail] : [...tail, ...middle]),
    ])
  }
  const sum: Scalar = { kind: 'accumulator', dtype, slot: 0 }
  const shape = [...batch, ...m, ...n]
  return {
    kind: 'contract',
    dtype,
    batch,
    m,
    n,
    k,
    lhs: { value: side(m, !transposeLeft) },
    rhs: { value: side(n, transposeRight) },
    stores: stores?.(sum, shape) ?? [storeOf(shape, sum)],
  }
}

const strategies: readonly Strategy[] = [
  { kind: 'tiled', tile: 16, registers: 4, splits: 1 },
  { kind: 'tiled', tile: 32, registers: 4, splits: 1 },
  { kind: 'tiled', tile: 64, registers: 4, splits: 1 },
  { kind: 'tiled', tile: 32, registers: 4, splits: 3 },
  { kind: 'tiled', tile: 16, registers: 8, splits: 1 },
  { kind: 'tiled', tile: 64, registers: 8, splits: 1 },
  { kind: 'tiled', tile: 32, registers: 8, splits: 3 },
  { kind: 'registers', splits: 1 },
  { kind: 'registers', splits: 2 },
  { kind: 'each', splits: 1 },
  { kind: 'each', splits: 4 },
  { kind: 'dots', splits: 1 },
]

const named = (strategy: Strategy): string => Object.values(strategy).join(' ')

onGpu('contractions on WebGPU', { timeout: 30_000 }, () => {
  let runner: NodeRunner
  beforeAll(async () => {
    runner = await NodeRunner.open()
  })

  // Sixteenths and small integers: sums are exact.
  const check = async (node: ContractNode, strategy?: Strategy, tolerance = 0): Promise<void> => {
    const difference = await differenceOf(
      runner,
      strategy === undefined ? contractKernel : (n, space) => contractWith(n, space, strategy),
      node,
      { tolerance },
    )
    expect(difference, strategy === undefined ? '' : named(strategy)).toBe(null)
  }

  it.each(strategies.map((s) => [named(s), s] as const))(
    'in any layout: %s',
    async (_, strategy) => {
      // Compiling tiles takes a software device its time.
      const layoutsTried =
        strategy.kind !== 'tiled' ? [0, 1, 2, 3] : strategy.tile === 64 ? [2] : [1, 2]
      for (const layout of layoutsTried) {
        const layouts = { transposeLeft: layout % 2 === 1, transposeRight: layout > 1 }
        await check(product({ m: [33], n: [37], k: [5] }, layouts), strategy)
      }
      // Whole tiles, whose rows and columns are read by vectors.
      const tile = strategy.kind === 'tiled' ? strategy.tile : 8
      const depth = tile === 64 ? 16 : 8
      await check(product({ m: [tile], n: [tile], k: [depth] }, { transposeLeft: true }), strategy)
      if (depth === 16) return
      await check(product({ batch: [3], m: [4, 3], n: [2, 5], k: [3, 7] }), strategy)
      await check(product({ batch: [2], m: [40], n: [], k: [] }), strategy)
      await check(product({ m: [9], n: [35], k: [18] }, { dtype: 'int32' }), strategy)
      await check(product({ m: [10], n: [9], k: [3, 8] }, { transposeRight: true }), strategy)
    },
  )

  const small = strategies.filter((s) => s.kind !== 'tiled' || s.tile === 32 || s.registers === 8)
  it.each(small.map((s) => [named(s), s] as const))(
    'with what is fused around it: %s',
    async (_, strategy) => {
      const sizes = { m: [36], n: [40], k: [4] }
      const node = product(sizes, {
        stores: (sum, shape) => {
          const bias = load(newBuffer('float32', shape[1]), { offset: 0, strides: [0, 1] })
          const biased = binary('add', 'float32', sum, bias)
          return [
            storeOf(shape, binary('max', 'float32', biased, constant('float32', 0))),
            storeOf(shape, binary('gt', 'bool', sum, constant('float32', 0)), {
              offset: 0,
              strides: [1, shape[0]],
            }),
          ]
        },
      })
      // A left operand that is zero beyond a diagonal, and a right one that is negated.
      const below = binary(
        'le',
        'bool',
        index({ offset: 0, strides: [-1, 1] }),
        constant('int32', 3),
      )
      await check(
        {
          ...node,
          lhs: { value: select(below, node.lhs.value, constant('float32', 0)) },
          rhs: { value: unary('neg', 'float32', node.rhs.value) },
        },
        strategy,
      )
    },
  )

  it('convolves through windows of the input', async () => {
    const [images, height, width, input, output, window] = [1, 7, 8, 3, 9, 3]
    const out = [height - window + 1, width - window + 1]
    const image = newBuffer('float32', images * height * width * input)
    const strides = [height * width * input, width * input, input, 1]
    const node: ContractNode = {
      kind: 'contract',
      dtype: 'float32',
      batch: [],
      m: [images, ...out],
      n: [output],
      k: [window, window, input],
      lhs: {
        value: load(image, { offset: 0, strides: [...strides.slice(0, 3), ...strides.slice(1)] }),
      },
      rhs: { value: operand('float32', [output, window, window, input], [1, 2, 3, 0]) },
      stores: [
        storeOf([images, ...out, output], { kind: 'accumulator', dtype: 'float32', slot: 0 }),
      ],
    }
    await check(node)
    await check(node, { kind: 'tiled', tile: 32, registers: 4, splits: 1 })
  })

  it('with subgroups where there are any, and without', async () => {
    for (const subgroups of new Set([runner.facts.subgroups, false])) {
      let wgsl = ''
      const kernel: typeof contractKernel = (n, space) => {
        const dispatches = contractWith(n, space, { kind: 'dots', splits: 1 })
        wgsl = dispatches.map((d) => d.wgsl).join('')
        return dispatches
      }
      const node = product({ m: [3], n: [5], k: [70] }, { transposeRight: true })
      const facts = { ...runner.facts, subgroups }
      expect(await differenceOf(runner, kernel, node, { tolerance: 0, facts })).toBe(null)
      expect(wgsl.includes('subgroupShuffleXor')).toBe(subgroups)
    }
  })

  it('with all buffers in one binding', async () => {
    const node = product({ m: [12], n: [32], k: [8] }, { transposeLeft: true })
    for (const strategy of strategies.filter(({ kind }) => kind !== 'tiled')) {
      const difference = await differenceOf(
        runner,
        (n, space) => contractWith(n, space, strategy),
        node,
        { tolerance: 0, facts: { ...runner.facts, storageBuffers: 2 } },
      )
      expect(difference, named(strategy)).toBe(null)
    }
  })

  it('of nothing', async () => {
    await check(product({ m: [3], n: [4], k: [0] }))
    await check(product({ m: [0], n: [4], k: [3] }))
  })

  it('uses the strategy that fits', () => {
    const facts = { ...runner.facts, invocations: 256, software: false }
    const of = (sizes: Sizes, transposeLeft = false): string =>
      named(choose(problemOf(product(sizes, { transposeLeft })), facts))
    expect(of({ m: [4096], n: [4096], k: [512] })).toBe('tiled 64 8 1')
    expect(of({ m: [1024], n: [1024], k: [512] })).toBe('tiled 64 4 1')
    expect(of({ m: [8192], n: [192], k: [512] })).toBe('tiled 64 4 1')
    expect(of({ m: [128], n: [64], k: [4096] })).toBe('tiled 32 4 32')
    expect(of({ m: [4096], n: [1], k: [4096] })).toBe('dots 1')
    expect(of({ m: [4096], n: [1], k: [4096] }, true)).toBe('each 4')
    expect(of({ m: [8], n: [8], k: [8] })).toBe('each 1')
    const onCores = (sizes: Sizes): string =>
      named(choose(problemOf(product(sizes)), { ...facts, software: true }))
    expect(onCores({ m: [512], n: [512], k: [512] })).toBe('registers 1')
    expect(onCores({ m: [4096], n: [1], k: [4096] })).toBe('each 1')
  })
})
