import { beforeAll, describe, expect, it } from 'vitest'
import { binary, bitcast, constant, load, type Scalar } from '../../../compiler/expr'
import type { MapNode } from '../../../compiler/nodes'
import { isFloating, type DType } from '../../../types/dtype'
import { Choices, randomMap, testedDTypes } from '../../wasm/codegen/random-nodes'
import { plainMap } from '../kernels/map.fixture'
import {
  differenceOf,
  newBuffer,
  NodeRunner,
  numbersOf,
  wordsOf,
} from '../kernels/run-node.fixture'
import { isLiteral } from './literals'
import { onGpu } from '../testing/on-gpu.fixture'
const dtypes = testedDTypes.filter((dtype) => dtype !== 'float64')
const edgeValues = [0, -0, 1, -1, NaN, Infinity, -Infinity, 0.5, 2.5, 65504, 1e-7, 3e38]

function numbers(choose: Choices): (buffer: { readonly dtype: DType }) => number {
  return ({ dtype }) => {
    if (dtype === 'bool') return choose.below(2)
    if (isFloating(dtype)) {
      return choose.chance(6) ? choose.oneOf(edgeValues) : (choose.below(2001) - 1000) / 16
    }
    return choose.chance(4) ? choose.below(2 ** 32) - 2 ** 31 : choose.below(41) - 20
  }
}

onGpu('scalar expressions in WGSL', { timeout: 20_000 }, () => {
  let runner: NodeRunner
  beforeAll(async () => {
    runner = await NodeRunner.open()
  })

  // Division may err by a unit or two, also on the way to a narrower format.
  const tolerance = 2 ** -7
  it.each(['mixed', ...dtypes] as const)(
    'compute what the interpreter computes: %s',
    async (which) => {
      for (let seed = 1; seed <= (which === 'mixed' ? 60 : 8); seed++) {
        const node = randomMap(seed, which === 'mixed' ? dtypes : [which])
        const fill = numbers(new Choices(seed))
        const exact = which !== 'mixed' && !isFloating(which)
        const difference = await differenceOf(runner, plainMap, node, {
          tolerance: exact ? 0 : tolerance,
          fill,
        })
        expect(difference, `seed ${seed}`).toBe(null)
      }
    },
  )

  it('keep every constant, and do not compute with them at compile time', async () => {
    const values: readonly (readonly [DType, number])[] = [
      ...[0, -0, 1e30, -2.5, NaN, Infinity, -Infinity].map((x) => ['float32', x] as const),
      ...[0, -0, 65504, NaN, -Infinity, 0.1].map((x) => ['float16', x] as const),
      ...[0, -1, 2 ** 31 - 1, -(2 ** 31)].map((x) => ['int32', x] as const),
      ...[0, 2 ** 32 - 1].map((x) => ['uint32', x] as const),
      ...[-128, 127].map((x) => ['int8', x] as const),
    ]
    for (const [dtype, x] of values) {
      const target = newBuffer(dtype, 2)
      const same = constant(dtype, x)
      const twice: Scalar = { kind: 'binary', op: 'add', dtype, x: same, y: same }
      const node: MapNode = {
        kind: 'map',
        shape: [],
        stores: [same, twice].map((value, i) => ({
          target,
          at: { offset: i, strides: [] },
          offsets: [],
          value,
        })),
      }
      const difference = await differenceOf(runner, plainMap, node, { tolerance: 0 })
      expect(difference, `${dtype} ${x}`).toBe(null)
    }
  })

  it('round 32-bit integers once', async () => {
    const integers = [
      16777217, 16777219, 2147483647, -2147483521, 4294967295, 33554434, 65519, 65520,
    ]
    for (const from of ['int32', 'uint32'] as const) {
      for (const to of ['float32', 'float16', 'bfloat16'] as const) {
        const source = newBuffer(from, integers.length)
        const at = { offset: 0, strides: [1] }
        const value: Scalar = { kind: 'convert', dtype: to, x: load(source, at) }
        const target = newBuffer(to, integers.length)
        const node: MapNode = {
          kind: 'map',
          shape: [integers.length],
          stores: [{ target, at, offsets: [], value }],
        }
        const difference = await differenceOf(runner, plainMap, node, {
          tolerance: 0,
          fill: ({ dtype }, i) => (dtype === from ? integers[i] : 0),
        })
        expect(difference, `${from} to ${to}`).toBe(null)
      }
    }
  })

  it('make many calls of one function in a loop', async () => {
    const size = 5
    const at = { offset: 0, strides: [1] }
    const x = load(newBuffer('float32', size), at)
    const power = (base: Scalar, exponent: number): Scalar =>
      binary('pow', 'float32', base, constant('float32', exponent))
    // Six calls that need nothing of each other, and one of their sum.
    const powers = [1.5, 2.5, -0.5, 3, 4, 0.25].map((exponent) => power(x, exponent))
    const sum = powers.reduce((a, b) => binary('add', 'float32', a, b))
    const target = newBuffer('float32', size)
    const node: MapNode = {
      kind: 'map',
      shape: [size],
      stores: [{ target, at, offsets: [], value: power(sum, 0.5) }],
    }
    let wgsl = ''
    const kernel: typeof plainMap = (n, space) => {
      const dispatches = plainMap(n, space)
      wgsl = dispatches.map((d) => d.wgsl).join('')
      return dispatches
    }
    const fill = (_: object, i: number): number => i + 0.5
    expect(await differenceOf(runner, kernel, node, { tolerance: 1e-6, fill })).toBe(null)
    const main = wgsl.slice(wgsl.indexOf('fn main'))
    expect(main.match(/pow_f32\(/g)).toHaveLength(2)
  })

  it('read bits as another dtype', async () => {
    const at = { offset: 0, strides: [1] }
    const size = 65536
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const source = newBuffer('uint16', size)
      const there = newBuffer(dtype, size)
      const back = newBuffer('uint16', size)
      const value = bitcast(dtype, load(source, at))
      const node: MapNode = {
        kind: 'map',
        shape: [size],
        stores: [
          { target: there, at, offsets: [], value },
          {
            target: back,
            at,
            offsets: [],
            // A NaN may be any, and so may what devices flush.
            value: binary(
              'mul',
              'uint16',
              { ...value, kind: 'bitcast', dtype: 'uint16', x: value },
              constant('uint16', 1),
            ),
          },
        ],
      }
      const difference = await differenceOf(runner, plainMap, node, {
        tolerance: 0,
        fill: ({ dtype: of }, i) => (of === 'uint16' ? (isNaNBits(dtype, i) ? 0 : i) : 0),
      })
      expect(difference, dtype).toBe(null)
    }
  })
})

const isNaNBits = (dtype: 'float16' | 'bfloat16', bits: number): boolean =>
  dtype === 'float16' ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80

describe('literals', () => {
  it.each([
    ['1.5f', true],
    ['(-1e-30f)', true],
    ['0u', true],
    ['v3', false],
    ['from_bits(2143289344u)', false],
  ])('%s', (text, expected) => expect(isLiteral(text)).toBe(expected))
})

// Numbers and words are each other's inverse, or the tests above compare nothing.
describe('words', () => {
  it.each(dtypes)('%s', (dtype) => {
    const values = dtype === 'bool' ? [0, 1] : [0, 1, 5]
    expect(numbersOf(dtype, wordsOf(dtype, values))).toEqual(values)
  })
})
