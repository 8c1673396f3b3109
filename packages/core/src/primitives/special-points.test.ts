/** Values and derivatives at points where conventions decide. Expected numbers are JAX 0.10.2's. */
import { describe, expect, it } from 'vitest'
import type { NDArray } from '../array/ndarray'
import type { DType } from '../types/dtype'
import { withInterpreter } from '../trace/interpreter'
import { isZero, type Params, type Primitive, type Tangent, zeroLike } from '../trace/primitive'
import { evaluating, fromHost, toHost } from './evaluating.fixture'
import * as p from './index'
import { hostOf } from './samples'
import { Tape } from './tape.fixture'

const array = (
  values: readonly number[],
  dtype: DType = 'float64',
  shape = [values.length],
): NDArray => fromHost(hostOf(shape, dtype, values))
const scalar = (value: number, dtype: DType): NDArray => array([value], dtype, [])
const list = (x: NDArray): number[] => [...toHost(x).data]

/** The value of one call. */
const valueOf = (call: () => NDArray): number[] => evaluating(() => list(call()))

/** The gradient of the sum of a primitive's first result with respect to one operand. */
function gradient<P extends Params>(
  { primitive }: { readonly primitive: Primitive<P> },
  operands: readonly NDArray[],
  params: P,
  wrt = 0,
): number[] {
  return evaluating(() => {
    const tape = new Tape()
    const tangents = operands.map((o, i): Tangent =>
      i === wrt ? tape.tracer(o.aval) : zeroLike(o),
    )
    const { primals, tangents: results } = withInterpreter(tape, () =>
      primitive.jvp(operands, tangents, params),
    )
    const [bar] = tape.pullback(
      results.slice(0, 1),
      [p.onesLike(primals[0])],
      tangents.filter((t): t is NDArray => !isZero(t)),
    )
    return list(p.instantiate(bar))
  })
}

const closeTo = (values: readonly number[]): readonly unknown[] =>
  values.map((v) => (Number.isFinite(v) ? expect.closeTo(v, 12) : v))

describe('derivatives where several are possible', () => {
  it('extrema share ties evenly', () => {
    const ones = array([1, 1, 1])
    expect(gradient(p.max, [array([0, 1, 2]), ones], {})).toEqual([0, 0.5, 1])
    expect(gradient(p.reduceMax, [array([2, 1, 2])], { axes: [0] })).toEqual([0.5, 0, 0.5])
    const forwards = { axis: 0, reverse: false }
    expect(gradient(p.cummax, [array([2, 2, 2, 1, 2])], forwards)).toEqual([
      2.125, 1.125, 1.25, 0, 0.5,
    ])
  })

  it('abs has slope 1 and sqrt an infinite one at zero', () => {
    expect(gradient(p.abs, [array([0, -1])], {})).toEqual([1, -1])
    expect(gradient(p.sqrt, [array([0])], {})).toEqual([Infinity])
  })

  it('powers of zero', () => {
    const zeros = array([0, 0, 0])
    expect(gradient(p.pow, [zeros, array([2, 0, 0.5])], {})).toEqual([0, NaN, Infinity])
    expect(gradient(p.pow, [array([0, 2, 0]), array([0, 0, 2])], {}, 1)).toEqual(
      closeTo([0, Math.LN2, 0]),
    )
    const exponents = array([0, 1, 2, -1], 'int32')
    expect(gradient(p.pow, [array([0, 0, 0, 2]), exponents], {})).toEqual([0, 1, 0, -0.25])
    expect(gradient(p.integerPow, [array([0])], { y: 0 })).toEqual([0])
  })

  it('powers of 1 and −1, also to infinity', () => {
    const exponents = array([Infinity, -Infinity, NaN])
    expect(valueOf(() => p.pow(array([1, 1, 1]), exponents))).toEqual([1, 1, 1])
    expect(valueOf(() => p.pow(array([-1, -1, -1]), exponents))).toEqual([1, 1, NaN])
  })

  it('products do not divide by zeros', () => {
    expect(gradient(p.reduceProd, [array([0, 2, 3])], { axes: [0] })).toEqual([6, 0, 0])
    expect(gradient(p.reduceProd, [array([0, 0, 3])], { axes: [0] })).toEqual([0, 0, 0])
    const forwards = { axis: 0, reverse: false }
    expect(gradient(p.cumprod, [array([2, 0, 3, 0])], forwards)).toEqual([1, 8, 0, 0])
  })

  it('a clamped value passes its tangent strictly inside the bounds', () => {
    const operands = [scalar(0, 'float64'), array([-1, 0, 0.5, 1, 2]), scalar(1, 'float64')]
    expect(gradient(p.clamp, operands, {}, 1)).toEqual([0, 0, 1, 0, 0])
  })

  it('remainders and log-sum-exps', () => {
    expect(gradient(p.rem, [array([5.5, -5.5]), array([2, 2])], {}, 1)).toEqual([-2, 2])
    expect(gradient(p.cumlogsumexp, [array([0, 1, -1])], { axis: 0, reverse: false })).toEqual(
      closeTo([1.5136698924247927, 1.396299534404827, 0.09003057317038043]),
    )
  })

  it('an empty beginning does not spoil a log-sum-exp (in JAX it is NaN)', () => {
    const forwards = { axis: 0, reverse: false }
    expect(gradient(p.cumlogsumexp, [array([-Infinity, 1])], forwards)).toEqual([1, 1])
  })

  it('sums of exponentials of infinities, and of NaN', () => {
    const xs = array([Infinity, -Infinity, 0, 0, NaN, 0])
    const ys = array([Infinity, -Infinity, -Infinity, 0, 0, NaN])
    for (const f of [p.logaddexp, p.logaddexp2]) {
      expect(valueOf(() => f(xs, ys))).toEqual([
        Infinity,
        -Infinity,
        0,
        f === p.logaddexp ? Math.LN2 : 1,
        NaN,
        NaN,
      ])
      expect(gradient(f, [xs, ys], {}, 0)).toEqual([1, NaN, 1, 0.5, NaN, NaN])
      expect(gradient(f, [xs, ys], {}, 1)).toEqual([1, NaN, 0, 0.5, NaN, NaN])
    }
  })

  it('products with logarithms vanish with their first operand, and their derivatives do not', () => {
    const xs = array([0, -0, 0, 0, 2])
    const ys = array([0, 0.5, -1, NaN, 0])
    expect(valueOf(() => p.xlogy(xs, ys))).toEqual([0, 0, 0, NaN, -Infinity])
    expect(gradient(p.xlogy, [xs, ys], {}, 0)).toEqual([
      -Infinity,
      Math.log(0.5),
      NaN,
      NaN,
      -Infinity,
    ])
    expect(gradient(p.xlogy, [xs, ys], {}, 1)).toEqual([NaN, -0, -0, NaN, Infinity])
    const at = [array([0, 0]), array([-1, 0.5])]
    expect(gradient(p.xlog1py, at, {}, 0)).toEqual([-Infinity, Math.log1p(0.5)])
    expect(gradient(p.xlog1py, at, {}, 1)).toEqual([NaN, 0])
  })

  it('the first maximum of a window gets its tangent', () => {
    const window = { windowDimensions: [2], windowStrides: [1], padding: [[0, 0]] as const }
    const params = { ...window, baseDilation: [1], windowDilation: [1] }
    expect(gradient(p.reduceWindowMax, [array([1, 1, 0, 0])], params)).toEqual([1, 1, 1, 0])
    // Nothing compares with NaN: what follows it in a window replaces it.
    const withNaN = [array([1, 2, NaN, 0, 1.5])]
    expect(gradient(p.reduceWindowMax, withNaN, params)).toEqual([0, 1, 1, 1, 1])
    expect(gradient(p.reduceWindowMin, withNaN, params)).toEqual([1, 0, 1, 2, 0])
  })
})

describe('scatter', () => {
  const params = {
    dimensionNumbers: {
      updateWindowDims: [],
      insertedWindowDims: [0],
      scatterDimsToOperandDims: [0],
      operandBatchingDims: [],
      scatterIndicesBatchingDims: [],
    },
    indicesAreSorted: false,
    uniqueIndices: false,
    mode: 'fill' as const,
  }
  const x = array([3, 1, 2])
  const at = fromHost(hostOf([3, 1], 'int32', [0, 0, 2]))
  const updates = array([5, 3, 2])

  it('the last update at a place wins, and takes the whole derivative', () => {
    expect(valueOf(() => p.scatter(x, at, updates, params))).toEqual([3, 1, 2])
    expect(gradient(p.scatter, [x, at, updates], params, 0)).toEqual([0, 1, 0])
    expect(gradient(p.scatter, [x, at, updates], params, 2)).toEqual([0, 1, 1])
  })

  it('equal candidates for a maximum share', () => {
    expect(valueOf(() => p.scatterMax(x, at, updates, params))).toEqual([5, 1, 2])
    expect(gradient(p.scatterMax, [x, at, updates], params, 0)).toEqual([0, 1, 0.5])
    expect(gradient(p.scatterMax, [x, at, updates], params, 2)).toEqual([1, 0, 0.5])
    const tied = array([3, 3, 2])
    expect(gradient(p.scatterMax, [x, at, tied], params, 0)).toEqual(closeTo([1 / 3, 1, 0.5]))
    expect(gradient(p.scatterMax, [x, at, tied], params, 2)).toEqual(closeTo([1 / 3, 1 / 3, 0.5]))
  })

  it('a derivative that needs distinct indices says so', () => {
    expect(() => gradient(p.scatterMul, [x, at, updates], params, 2))
      .toThrowErrorMatchingInlineSnapshot(`
        [DifferentiationError: scatter-mul: its derivative is known only where no two updates meet
          rule: uniqueIndices is true
          hint: pass uniqueIndices: true if the indices are distinct
          inside: tape]
      `)
  })
})

describe('values', () => {
  it('integers divide as XLA divides', () => {
    const [x, y] = [array([5, -5, 5, -(2 ** 31)], 'int32'), array([0, 2, -2, -1], 'int32')]
    expect(valueOf(() => p.div(x, y))).toEqual([-1, -2, -2, -(2 ** 31)])
    expect(valueOf(() => p.rem(x, y))).toEqual([5, -1, 1, 0])
    expect(valueOf(() => p.div(array([5], 'uint32'), array([0], 'uint32')))).toEqual([2 ** 32 - 1])
    expect(valueOf(() => p.mul(array([2 ** 30], 'int32'), array([6], 'int32')))).toEqual([
      -(2 ** 31),
    ])
  })

  it('shifts by too much push every bit out', () => {
    const amounts = array([32, 40, -1], 'int32')
    const ones = array([-1, -1, -1], 'int32')
    expect(valueOf(() => p.shiftLeft(ones, amounts))).toEqual([0, 0, 0])
    expect(valueOf(() => p.shiftRightLogical(ones, amounts))).toEqual([0, 0, 0])
    expect(valueOf(() => p.shiftRightArithmetic(ones, amounts))).toEqual([-1, -1, -1])
    const top = array([128, 128], 'uint8')
    expect(valueOf(() => p.shiftRightArithmetic(top, array([254, 3], 'uint8')))).toEqual([255, 240])
  })

  it('conversions truncate, saturate and map NaN to zero', () => {
    const x = array([1e20, -1e20, NaN, -3.7, 300])
    const to = (newDtype: DType): number[] => valueOf(() => p.convertElementType(x, { newDtype }))
    expect(to('int32')).toEqual([2 ** 31 - 1, -(2 ** 31), 0, -3, 300])
    expect(to('uint8')).toEqual([255, 0, 0, 0, 255])
    expect(to('int8')).toEqual([127, -128, 0, -3, 127])
    expect(to('bool')).toEqual([1, 1, 1, 1, 1])
  })

  it('rounds halves as asked', () => {
    const x = array([0.5, 1.5, 2.5, -0.5, -1.5])
    expect(valueOf(() => p.round(x, { roundingMethod: 0 }))).toEqual([1, 2, 3, -1, -2])
    expect(valueOf(() => p.round(x, { roundingMethod: 1 }))).toEqual([0, 2, 2, -0, -2])
  })

  it('steps to neighbours and cuts precision', () => {
    const step = (x: number, y: number): number[] =>
      valueOf(() => p.nextafter(array([x], 'float32'), array([y], 'float32')))
    expect(step(1, 2)).toEqual([1.0000001192092896])
    expect(step(0, -1)).toEqual([-(2 ** -149)])
    const x = array([1.0009765625, 65520, 1e-5, 3.14159, 6e-5])
    expect(valueOf(() => p.reducePrecision(x, { exponentBits: 5, mantissaBits: 10 }))).toEqual([
      1.0009765625,
      Infinity,
      0,
      3.140625,
      0,
    ])
  })

  it('sorts NaN last and takes it first among the largest', () => {
    const x = array([3, NaN, -0, 0, -Infinity])
    const sorted = valueOf(() => p.sort([x], { dimension: 0 })[0])
    expect(sorted).toEqual([-Infinity, -0, 0, 3, NaN])
    const [values, indices] = evaluating(() =>
      p.topK(array([1, NaN, 3, 3, Infinity]), { axis: 0, k: 4 }).map(list),
    )
    expect(values).toEqual([NaN, Infinity, 3, 3])
    expect(indices).toEqual([1, 4, 2, 3])
  })

  it('threefry gives the words of its known-answer test', () => {
    const words = [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3].map((w) => scalar(w, 'uint32'))
    const result = evaluating(() =>
      p.threefry2x32(words[0], words[1], words[2], words[3]).map(list),
    )
    expect(result).toEqual([[0xc4923a9c], [0x483df7a0]])
  })

  it('convolves with padding, strides and holes on both sides', () => {
    const image = fromHost(
      hostOf(
        [1, 1, 4, 4],
        'float64',
        Array.from({ length: 16 }, (_, i) => i),
      ),
    )
    const filter = fromHost(hostOf([1, 1, 2, 2], 'float64', [0, 1, 2, 3]))
    const result = valueOf(() =>
      p.convGeneralDilated(image, filter, {
        windowStrides: [2, 1],
        padding: [
          [1, 0],
          [0, 1],
        ],
        lhsDilation: [1, 2],
        rhsDilation: [2, 1],
      }),
    )
    expect(result).toEqual([8, 15, 10, 18, 12, 21, 14, 24, 44, 26, 48, 28, 52, 30])
  })

  it('0 to the 0 and 1 to the NaN are 1', () => {
    expect(valueOf(() => p.pow(array([0, 1, NaN]), array([0, NaN, 0])))).toEqual([1, 1, 1])
  })

  it('reductions of nothing are the neutral element', () => {
    const nothing = array([])
    const axes = { axes: [0] }
    expect(valueOf(() => p.reduceSum(nothing, axes))).toEqual([0])
    expect(valueOf(() => p.reduceProd(nothing, axes))).toEqual([1])
    expect(valueOf(() => p.reduceMax(nothing, axes))).toEqual([-Infinity])
    expect(valueOf(() => p.reduceAnd(array([], 'bool'), axes))).toEqual([1])
  })
})
