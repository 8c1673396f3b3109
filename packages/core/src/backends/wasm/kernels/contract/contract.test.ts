import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Affine, Scalar } from '../../../../compiler/expr'
import type { ContractNode } from '../../../../compiler/nodes'
import type { Shape } from '../../../../types/aval'
import { wasmFeatures } from '../../emit/index'
import { compileNode, newBuffer } from '../run-node'
import { sizeOf } from './axes'
import { emitContract } from './contract'
import { problemFor } from './contract'
import { choose } from './strategy'

const relaxations = wasmFeatures().relaxed ? [true, false] : [false]

const rowMajor = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))

/** Strides of axes laid out in some order, with some padding at the end of each. */
function layout(
  shape: Shape,
  order: readonly number[],
  padding: number,
): Affine & { size: number } {
  const strides = shape.map(() => 0)
  let step = 1
  for (const axis of [...order].reverse()) {
    strides[axis] = step
    step *= (shape[axis] ?? 1) + padding
  }
  return { offset: padding, strides, size: padding + Math.max(1, step) }
}

const load = (
  dtype: ContractNode['dtype'],
  size: number,
  at: Affine,
): Scalar & { kind: 'load' } => ({
  kind: 'load',
  dtype,
  source: newBuffer(dtype, size),
  at: { offset: at.offset, strides: at.strides },
  offsets: [],
})

interface Case {
  readonly batch: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
  readonly dtype: ContractNode['dtype']
  readonly lhs: Affine & { readonly size: number }
  readonly rhs: Affine & { readonly size: number }
  readonly out?: Affine & { readonly size: number }
}

function nodeOf(c: Case): ContractNode {
  const shape = [...c.batch, ...c.m, ...c.n]
  const out = c.out ?? { offset: 0, strides: rowMajor(shape), size: sizeOf(shape) }
  const { dtype, batch, m, n, k } = c
  return {
    kind: 'contract',
    dtype,
    batch,
    m,
    n,
    k,
    lhs: { value: load(dtype, c.lhs.size, c.lhs) },
    rhs: { value: load(dtype, c.rhs.size, c.rhs) },
    stores: [
      {
        target: newBuffer(dtype, out.size),
        at: { offset: out.offset, strides: out.strides },
        offsets: [],
        value: { kind: 'accumulator', dtype, slot: 0 },
      },
    ],
  }
}

/** Every address of an affine map, in row-major order. */
function addresses(shape: Shape, at: Affine): number[] {
  return shape.reduce<number[]>(
    (found, size, axis) =>
      found.flatMap((base) =>
        Array.from({ length: size }, (_, i) => base + i * (at.strides[axis] ?? 0)),
      ),
    [at.offset],
  )
}

const pick = (at: Affine, first: number, count: number): Affine => ({
  offset: 0,
  strides: at.strides.slice(first, first + count),
})

/** The product by its definition, in doubles (or int32), in row-major order. */
function reference(c: Case, a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  const parts = (at: Affine, free: Shape): number[][] => [
    addresses(c.batch, pick(at, 0, c.batch.length)),
    addresses(free, pick(at, c.batch.length, free.length)),
    addresses(c.k, pick(at, c.batch.length + free.length, c.k.length)),
  ]
  const [aBatch = [], rows = [], aK = []] = parts(c.lhs, c.m)
  const [bBatch = [], columns = [], bK = []] = parts(c.rhs, c.n)
  const result: number[] = []
  aBatch.forEach((aBase, batch) => {
    for (const row of rows) {
      for (const column of columns) {
        let sum = 0
        aK.forEach((k, i) => {
          const x = a[c.lhs.offset + aBase + row + k] ?? NaN
          const y = b[c.rhs.offset + (bBatch[batch] ?? 0) + column + (bK[i] ?? 0)] ?? NaN
          sum = c.dtype === 'int32' ? (sum + Math.imul(x, y)) | 0 : sum + x * y
        })
        result.push(sum)
      }
    }
  })
  return result
}

function fillAt(
  data: { [index: number]: number; length: number },
  dtype: string,
  seed: number,
): void {
  let state = seed | 1
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0
    data[i] = dtype === 'int32' ? Math.imul(state, 97) : (state >> 8) / 2 ** 23
  }
}

const tolerance = { float32: 2e-6, float64: 1e-14, int32: 0 }

function check(c: Case, relaxed: boolean): void {
  const node = nodeOf(c)
  const compiled = compileNode(emitContract, node, { relaxed })
  const [lhs, rhs] = [node.lhs.value, node.rhs.value]
  const [store] = node.stores
  if (lhs.kind !== 'load' || rhs.kind !== 'load' || !store) throw new Error('not a plain product')
  const [a, b] = [compiled.data(lhs.source), compiled.data(rhs.source)]
  fillAt(a, c.dtype, 11)
  fillAt(b, c.dtype, 77)
  const target = compiled.data(store.target)
  target.fill(42)
  compiled.run()
  const expected = reference(c, a, b)
  const written = addresses([...c.batch, ...c.m, ...c.n], store.at)
  const bound = tolerance[c.dtype] * Math.max(1, sizeOf(c.k))
  let worst = 0
  written.forEach((at, i) => {
    const error = Math.abs((target[at] ?? NaN) - (expected[i] ?? NaN))
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error
  })
  const problem = problemFor(node)
  const shown = (): string =>
    JSON.stringify({ ...c, relaxed, strategy: problem && choose(problem, relaxed) })
  expect(worst, worst <= bound ? '' : shown()).toBeLessThanOrEqual(bound)
  const inside = new Set(written)
  let elsewhere = 0
  for (let at = 0; at < target.length; at++) if (target[at] !== 42 && !inside.has(at)) elsewhere++
  expect(elsewhere, 'elements written outside of the result').toBe(0)
}

/** Every order in which two or three axes can lie in memory. */
const permutations = (axes: readonly number[]): number[][] =>
  axes.length === 0
    ? [[]]
    : axes.flatMap((axis) => permutations(axes.filter((a) => a !== axis)).map((p) => [axis, ...p]))

const matmul = (
  [m, n, k]: readonly [number, number, number],
  dtype: ContractNode['dtype'],
  transposeA = false,
  transposeB = false,
  padding = 0,
): Case => ({
  batch: [],
  m: [m],
  n: [n],
  k: [k],
  dtype,
  lhs: layout([m, k], transposeA ? [1, 0] : [0, 1], padding),
  rhs: layout([n, k], transposeB ? [0, 1] : [1, 0], padding),
})

describe('contract', () => {
  const shapes: [number, number, number][] = [
    [1, 1, 1],
    [6, 8, 3],
    [7, 9, 5],
    [64, 64, 64],
    [67, 45, 39],
    [1, 10, 70],
    [2, 37, 19],
    [3, 50, 33],
    [10, 1, 70],
    [37, 2, 19],
    [50, 3, 33],
    [13, 300, 21],
    [130, 33, 300],
    [250, 270, 17],
    [67, 20, 900],
    [9, 130, 300],
    [1, 1, 1000],
    [1, 33, 500],
    [1, 1031, 262],
    [1031, 1, 262],
    [5, 1030, 40],
  ]
  for (const relaxed of relaxations) {
    for (const dtype of ['float32', 'float64', 'int32'] as const) {
      it(`multiplies ragged ${dtype} matrices in every layout, relaxed ${relaxed}`, () => {
        for (const shape of shapes) {
          for (const transposeA of [false, true]) {
            for (const transposeB of [false, true]) {
              check(matmul(shape, dtype, transposeA, transposeB, shape[0] % 2), relaxed)
            }
          }
        }
      })
    }
  }

  it('multiplies batches of tensors in any layout', () => {
    const axis = fc.integer({ min: 1, max: 9 })
    const group = (maxLength: number) => fc.array(axis, { maxLength })
    const cases = fc
      .record({
        batch: group(2),
        m: group(3),
        n: group(3),
        k: group(3),
        dtype: fc.constantFrom('float32' as const, 'float64' as const, 'int32' as const),
        padding: fc.integer({ min: 0, max: 2 }),
        broadcast: fc.boolean(),
        relaxed: fc.constantFrom(...relaxations),
      })
      .chain((c) => {
        const axes = (shape: Shape) => shape.map((_, i) => i)
        const [lhs, rhs] = [
          [...c.batch, ...c.m, ...c.k],
          [...c.batch, ...c.n, ...c.k],
        ]
        const order = (shape: Shape) =>
          fc.oneof(
            fc.constant(axes(shape)),
            fc.shuffledSubarray(axes(shape), { minLength: shape.length }),
          )
        return fc
          .record({ lhsOrder: order(lhs), rhsOrder: order(rhs) })
          .map(({ lhsOrder, rhsOrder }) => {
            const right = layout(rhs, rhsOrder, c.padding)
            const strides = right.strides.map((stride, i) =>
              c.broadcast && i < c.batch.length ? 0 : stride,
            )
            return {
              relaxed: c.relaxed,
              case: { ...c, lhs: layout(lhs, lhsOrder, c.padding), rhs: { ...right, strides } },
            }
          })
      })
    fc.assert(
      fc.property(cases, ({ relaxed, case: c }) => {
        const work = sizeOf([...c.batch, ...c.m, ...c.n, ...c.k])
        fc.pre(work < 200_000)
        check(c, relaxed)
      }),
      { numRuns: 250 },
    )
  })

  it('convolves through windows of the padded input, in NHWC and NCHW', () => {
    const sizes = fc.record({
      images: fc.integer({ min: 1, max: 3 }),
      height: fc.integer({ min: 3, max: 9 }),
      width: fc.integer({ min: 3, max: 14 }),
      input: fc.integer({ min: 1, max: 9 }),
      output: fc.integer({ min: 1, max: 20 }),
      window: fc.integer({ min: 1, max: 3 }),
      stride: fc.integer({ min: 1, max: 2 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      channelsLast: fc.boolean(),
      channelInside: fc.boolean(),
      imagesInRows: fc.boolean(),
      relaxed: fc.constantFrom(...relaxations),
    })
    fc.assert(
      fc.property(sizes, (s) => {
        const { images, height, width, input, output, window, stride, dilation } = s
        const reach = (window - 1) * dilation + 1
        fc.pre(reach <= Math.min(height, width))
        const out = [height, width].map((size) => Math.floor((size - reach) / stride) + 1)
        const [n, h, w, c] = s.channelsLast
          ? [height * width * input, width * input, input, 1]
          : [height * width * input, width, 1, height * width]
        if (!n || !h || !w || !c) throw new Error('no strides')
        const window4 = (
          innermost: 'channel' | 'window',
        ): { shape: Shape; x: number[]; f: number[] } =>
          innermost === 'channel'
            ? {
                shape: [window, window, input],
                x: [h * dilation, w * dilation, c],
                f: [window * input * output, input * output, output],
              }
            : {
                shape: [input, window, window],
                x: [c, h * dilation, w * dilation],
                f: [output, window * input * output, input * output],
              }
        const { shape: k, x, f } = window4(s.channelInside ? 'channel' : 'window')
        const pixels = [images, ...out]
        const common = { dtype: 'float32' as const, k }
        const outHW = (out[0] ?? 1) * (out[1] ?? 1)
        const inputAt = { offset: 0, size: images * height * width * input }
        const weightsSize = window * window * input * output
        if (s.channelsLast) {
          check(
            {
              ...common,
              batch: [],
              m: pixels,
              n: [output],
              lhs: { ...inputAt, strides: [n, h * stride, w * stride, ...x] },
              rhs: { offset: 0, size: weightsSize, strides: [1, ...f] },
            },
            s.relaxed,
          )
        } else if (s.imagesInRows) {
          check(
            {
              ...common,
              batch: [],
              m: pixels,
              n: [output],
              lhs: { ...inputAt, strides: [n, h * stride, w * stride, ...x] },
              rhs: { offset: 0, size: weightsSize, strides: [1, ...f] },
              out: {
                offset: 0,
                size: images * output * outHW,
                strides: [output * outHW, out[1] ?? 1, 1, outHW],
              },
            },
            s.relaxed,
          )
        } else {
          // The image is an axis of the batch, as the weights do not have it.
          check(
            {
              ...common,
              batch: [images],
              m: [output],
              n: out,
              lhs: { offset: 0, size: weightsSize, strides: [0, 1, ...f] },
              rhs: { ...inputAt, strides: [n, h * stride, w * stride, ...x] },
              out: {
                offset: 0,
                size: images * output * outHW,
                strides: [output * outHW, outHW, out[1] ?? 1, 1],
              },
            },
            s.relaxed,
          )
        }
        // The gradient of the weights contracts over the pixels.
        check(
          {
            batch: [],
            dtype: 'float32',
            m: k,
            n: [output],
            k: pixels,
            lhs: { ...inputAt, strides: [...x, n, h * stride, w * stride] },
            rhs: {
              offset: 0,
              size: images * outHW * output,
              strides: [1, outHW * output, (out[1] ?? 1) * output, output],
            },
          },
          s.relaxed,
        )
      }),
      { numRuns: 150 },
    )
  })

  it('reads reversed operands', () => {
    for (const [m, n, k] of shapes) {
      const reversed = (rows: number): Case['lhs'] => ({
        offset: rows * k - 1,
        strides: [-k, -1],
        size: rows * k,
      })
      check(
        { batch: [], dtype: 'float32', m: [m], n: [n], k: [k], lhs: reversed(m), rhs: reversed(n) },
        relaxations[0] ?? false,
      )
    }
  })

  it('writes nothing for an empty result and zeros for an empty sum', () => {
    for (const shape of [
      [0, 3, 4],
      [3, 0, 4],
      [3, 10, 0],
      [1, 8, 0],
    ] as const) {
      for (const relaxed of relaxations) check(matmul(shape, 'float32'), relaxed)
    }
  })
})
