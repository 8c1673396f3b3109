/** Samples of the elementwise primitives: an interval to differentiate in, dtypes to try everything with. */
import fc from 'fast-check'
import type { DType } from '../types/dtype'
import { isFloating } from '../types/dtype'
import type { Params } from '../trace/primitive'
import {
  arrayOf,
  between,
  defaultTolerance,
  edgeElement,
  type PrimitiveSamples,
  sample,
  smallShape,
} from './samples'
import type { HostArray } from './strided'

const floats: readonly DType[] = ['float32', 'float64', 'float16', 'bfloat16']
const ints: readonly DType[] = ['int32', 'uint32', 'int8', 'uint8', 'int16', 'uint16']
const signedTypes: readonly DType[] = ['float32', 'float64', 'int32', 'int8']
const numbers: readonly DType[] = [...floats, ...ints]
const everything: readonly DType[] = [...numbers, 'bool']
const logicals: readonly DType[] = [...ints, 'bool']

type Interval = readonly [low: number, high: number]

/** Operands of one shape and dtype. */
const operandsOf = (
  count: number,
  dtype: DType,
  element: (operand: number) => fc.Arbitrary<number>,
): fc.Arbitrary<HostArray[]> =>
  smallShape().chain((shape) =>
    fc.tuple(...Array.from({ length: count }, (_, i) => arrayOf(shape, dtype, element(i)))),
  )

interface Spec {
  readonly dtypes: readonly DType[]
  /** One interval per operand where the function is smooth; null where it has no derivative. */
  readonly smooth: readonly (Interval | null)[]
  readonly params?: fc.Arbitrary<Params>
  readonly tolerance?: number
}

const elementwise = (
  name: string,
  { dtypes, smooth, params, tolerance }: Spec,
): PrimitiveSamples => {
  const anyParams = params ?? fc.constant({})
  const differentiable = smooth.map((interval) => interval !== null && isFloating(dtypes[0]))
  return {
    name,
    smooth: fc
      .tuple(
        operandsOf(smooth.length, dtypes[0], (i) => {
          const interval = smooth[i]
          return interval === null ? edgeElement(dtypes[0]) : between(...interval)
        }),
        anyParams,
      )
      .map(([operands, p]) => sample(operands, p, differentiable, tolerance ?? defaultTolerance)),
    edges: fc
      .tuple(fc.constantFrom(...dtypes), anyParams)
      .chain(([dtype, p]) =>
        operandsOf(smooth.length, dtype, () => edgeElement(dtype)).map((operands) =>
          sample(operands, p),
        ),
      ),
  }
}

const unary = (
  name: string,
  dtypes: readonly DType[],
  interval: Interval | null,
): PrimitiveSamples => elementwise(name, { dtypes, smooth: [interval] })

const binary = (
  name: string,
  dtypes: readonly DType[],
  x: Interval | null,
  y: Interval | null = x,
): PrimitiveSamples => elementwise(name, { dtypes, smooth: [x, y] })

/** Two operands of which the first is always the larger one or always the smaller one: no ties. */
const extremum = (name: 'max' | 'min'): PrimitiveSamples => ({
  name,
  smooth: fc
    .boolean()
    .chain((swap) =>
      operandsOf(2, 'float32', (i) =>
        (i === 0) === swap ? between(-3, -0.5) : between(0.5, 3),
      ).map((operands) => sample(operands)),
    ),
  edges: binary(name, everything, null).edges,
})

const integerPow: PrimitiveSamples = {
  ...elementwise('integer_pow', {
    dtypes: ['float32', 'float64'],
    smooth: [[0.3, 2]],
    params: fc.integer({ min: -4, max: 6 }).map((y) => ({ y })),
  }),
}

/** A floating base with a floating or integer exponent. */
const power: PrimitiveSamples = {
  name: 'pow',
  smooth: smallShape().chain((shape) =>
    fc
      .boolean()
      .chain((integer) =>
        fc
          .tuple(
            arrayOf(shape, 'float32', between(0.25, 3)),
            integer
              ? arrayOf(shape, 'int32', fc.integer({ min: -2, max: 3 }))
              : arrayOf(shape, 'float32', between(-2, 2)),
          )
          .map((operands) => sample(operands)),
      ),
  ),
  edges: operandsOf(2, 'float32', () => edgeElement('float32')).map((operands) => sample(operands)),
}

const polygamma: PrimitiveSamples = {
  name: 'polygamma',
  smooth: smallShape().chain((shape) =>
    fc
      .tuple(
        arrayOf(shape, 'float32', fc.integer({ min: 0, max: 3 })),
        arrayOf(shape, 'float32', between(0.5, 6)),
      )
      .map((operands) => sample(operands, {}, [false, true])),
  ),
  edges: smallShape().chain((shape) =>
    fc
      .tuple(
        arrayOf(shape, 'float32', fc.integer({ min: 0, max: 3 })),
        arrayOf(shape, 'float32', between(0.25, 20)),
      )
      .map((operands) => sample(operands, {}, [false, true])),
  ),
}

const conversions: PrimitiveSamples = {
  name: 'convert_element_type',
  smooth: fc
    .tuple(fc.constantFrom<DType>('float64', 'float32'), smallShape())
    .chain(([newDtype, shape]) =>
      arrayOf(shape, 'float32', between(-3, 3)).map((x) =>
        sample([x], { newDtype, weakType: false, sharding: null }),
      ),
    ),
  edges: fc
    .tuple(fc.constantFrom(...everything), fc.constantFrom(...everything), smallShape())
    .chain(([from, to, shape]) =>
      arrayOf(shape, from, edgeElement(from)).map((x) =>
        sample([x], { newDtype: to, weakType: false, sharding: null }, [
          isFloating(from) && isFloating(to),
        ]),
      ),
    ),
}

const bitcasts: PrimitiveSamples = (() => {
  const pairs: readonly (readonly [DType, DType])[] = [
    ['float32', 'uint32'],
    ['uint32', 'float32'],
    ['int32', 'float32'],
    ['float16', 'uint16'],
    ['bfloat16', 'int16'],
    ['int8', 'uint8'],
    ['uint32', 'int32'],
  ]
  const arbitrary = fc
    .tuple(fc.constantFrom(...pairs), smallShape())
    .chain(([[from, to], shape]) =>
      arrayOf(shape, from, isFloating(from) ? between(-8, 8) : edgeElement(from)).map((x) =>
        sample([x], { newDtype: to }, [false]),
      ),
    )
  return { name: 'bitcast_convert_type', smooth: arbitrary, edges: arbitrary }
})()

const reducedPrecision: PrimitiveSamples = (() => {
  const formats = fc.constantFrom(
    { exponentBits: 5, mantissaBits: 10 },
    { exponentBits: 8, mantissaBits: 7 },
    { exponentBits: 4, mantissaBits: 3 },
  )
  const arbitrary = fc
    .tuple(smallShape(), formats)
    .chain(([shape, format]) =>
      arrayOf(shape, 'float32', edgeElement('float32')).map((x) => sample([x], format, [false])),
    )
  return { name: 'reduce_precision', smooth: arbitrary, edges: arbitrary }
})()

const selections: PrimitiveSamples = (() => {
  const arbitrary = (element: fc.Arbitrary<number>): fc.Arbitrary<ReturnType<typeof sample>> =>
    fc
      .tuple(smallShape(), fc.boolean(), fc.integer({ min: 1, max: 3 }))
      .chain(([shape, scalar, cases]) => {
        const dtype: DType = cases === 2 ? 'bool' : 'int32'
        const which = fc.integer({ min: 0, max: cases - 1 })
        return fc
          .tuple(
            arrayOf(scalar ? [] : shape, dtype, which),
            ...Array.from({ length: cases }, () => arrayOf(shape, 'float32', element)),
          )
          .map((operands) => sample(operands))
      })
  return {
    name: 'select_n',
    smooth: arbitrary(between(-3, 3)),
    edges: arbitrary(edgeElement('float32')),
  }
})()

const clamps: PrimitiveSamples = (() => {
  const arbitrary = (
    element: fc.Arbitrary<number>,
    bound: (side: 1 | -1) => fc.Arbitrary<number>,
  ) =>
    fc
      .tuple(smallShape(), fc.boolean(), fc.boolean())
      .chain(([shape, scalarLow, scalarHigh]) =>
        fc
          .tuple(
            arrayOf(scalarLow ? [] : shape, 'float32', bound(-1)),
            arrayOf(shape, 'float32', element),
            arrayOf(scalarHigh ? [] : shape, 'float32', bound(1)),
          )
          .map((operands) => sample(operands)),
      )
  // Values keep away from the bounds, where the derivative jumps.
  const away = fc.oneof(between(-4, -2.1), between(-0.9, 0.9), between(2.1, 4))
  return {
    name: 'clamp',
    smooth: arbitrary(away, (side) => between(1, 2).map((b) => side * b)),
    edges: arbitrary(edgeElement('float32'), (side) => between(0, 2).map((b) => side * b)),
  }
})()

const threefry: PrimitiveSamples = (() => {
  const arbitrary = operandsOf(4, 'uint32', () => edgeElement('uint32')).map((operands) =>
    sample(operands),
  )
  return { name: 'threefry2x32', smooth: arbitrary, edges: arbitrary }
})()

const barriers: PrimitiveSamples = (() => {
  const arbitrary = fc
    .tuple(arrayOf([2], 'float32', between(-2, 2)), arrayOf([2, 2], 'int32', edgeElement('int32')))
    .map((operands) => sample(operands))
  return { name: 'optimization_barrier', smooth: arbitrary, edges: arbitrary }
})()

export const elementwiseSamples: readonly PrimitiveSamples[] = [
  unary('neg', numbers, [-3, 3]),
  unary('sign', numbers, [0.25, 3]),
  unary('abs', signedTypes, [0.25, 3]),
  unary('floor', floats, [0.1, 0.9]),
  unary('ceil', floats, [0.1, 0.9]),
  elementwise('round', {
    dtypes: floats,
    smooth: [[0.6, 1.4]],
    params: fc.constantFrom(0, 1).map((roundingMethod) => ({ roundingMethod })),
  }),
  unary('is_finite', floats, null),
  unary('exp', floats, [-3, 3]),
  unary('exp2', floats, [-3, 3]),
  unary('log', floats, [0.25, 4]),
  unary('expm1', floats, [-2, 2]),
  unary('log1p', floats, [-0.5, 3]),
  unary('logistic', floats, [-4, 4]),
  unary('sin', floats, [-4, 4]),
  unary('cos', floats, [-4, 4]),
  unary('tan', floats, [-1, 1]),
  unary('asin', floats, [-0.8, 0.8]),
  unary('acos', floats, [-0.8, 0.8]),
  unary('atan', floats, [-3, 3]),
  unary('sinh', floats, [-2, 2]),
  unary('cosh', floats, [-2, 2]),
  unary('tanh', floats, [-2, 2]),
  unary('asinh', floats, [-3, 3]),
  unary('acosh', floats, [1.25, 4]),
  unary('atanh', floats, [-0.75, 0.75]),
  unary('sqrt', floats, [0.25, 4]),
  unary('rsqrt', floats, [0.25, 4]),
  unary('cbrt', floats, [0.25, 4]),
  unary('square', numbers, [-3, 3]),
  integerPow,
  power,
  unary('erf', floats, [-2, 2]),
  unary('erfc', floats, [-2, 2]),
  unary('erf_inv', floats, [-0.75, 0.75]),
  unary('lgamma', floats, [0.5, 6]),
  unary('digamma', floats, [0.5, 6]),
  polygamma,
  unary('copy', everything, [-3, 3]),
  // Its derivative is zero by decree, whatever a finite difference says.
  unary('stop_gradient', everything, null),
  unary('not', logicals, null),
  unary('population_count', ints, null),
  unary('clz', ints, null),
  binary('add', numbers, [-3, 3]),
  binary('add_any', numbers, [-3, 3]),
  binary('sub', numbers, [-3, 3]),
  binary('mul', numbers, [-3, 3]),
  binary('div', numbers, [-3, 3], [0.5, 3]),
  // 0.1 … 0.9 of a period of length at least 1.
  binary('rem', numbers, [0.1, 0.9], [1.1, 3]),
  extremum('max'),
  extremum('min'),
  binary('atan2', floats, [0.5, 3]),
  binary('logaddexp', floats, [-3, 3]),
  binary('logaddexp2', floats, [-3, 3]),
  binary('xlogy', floats, [-3, 3], [0.25, 3]),
  binary('xlog1py', floats, [-3, 3], [-0.5, 3]),
  binary('nextafter', ['float32', 'float64'], null),
  ...['eq', 'ne', 'lt', 'le', 'gt', 'ge'].map((name) => binary(name, everything, null)),
  ...['and', 'or', 'xor'].map((name) => binary(name, logicals, null)),
  ...['shift_left', 'shift_right_logical', 'shift_right_arithmetic'].map((name) =>
    binary(name, ints, null),
  ),
  conversions,
  bitcasts,
  reducedPrecision,
  selections,
  clamps,
  threefry,
  barriers,
]
