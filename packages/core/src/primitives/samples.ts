/**
 * What the laws need to know about a primitive: arbitrary well-typed calls of it, with the edge values of
 * its domain. Only tests import this file and the `*.samples.ts` beside the families.
 */
import fc from 'fast-check'
import { Aval, type Shape, sizeOf } from '../types/aval'
import { type DType, integerRange, isFloating } from '../types/dtype'
import { roundToDType } from '../types/float-formats'
import type { Params } from '../trace/primitive'
import { allocateHost, hostArray, type HostArray } from './strided'

/** One call of a primitive. */
export interface PrimitiveSample {
  readonly operands: readonly HostArray[]
  readonly params: Params
  /** Per operand: differentiable here, so that a finite difference along it means something. */
  readonly smooth: readonly boolean[]
  /** Largest relative error to accept from finite differences in double precision. */
  readonly tolerance: number
}

export interface PrimitiveSamples {
  /** The primitive's name. */
  readonly name: string
  /** Ordinary operands, away from kinks and poles: for laws about derivatives. */
  readonly smooth: fc.Arbitrary<PrimitiveSample>
  /** Anything in the domain, edge values included: for laws about values. */
  readonly edges: fc.Arbitrary<PrimitiveSample>
}

export const defaultTolerance = 1e-5

/** Shapes of few elements: rank 0 to `maxRank`, now and then empty. */
export const smallShape = (maxRank = 3, minSize = 0): fc.Arbitrary<Shape> =>
  fc
    .array(
      fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 1, max: 3 }) },
        { weight: 1, arbitrary: fc.constant(Math.max(0, minSize)) },
      ),
      { minLength: 0, maxLength: maxRank },
    )
    .map((shape) => shape.map((n) => Math.max(n, minSize)))

/** An array of a given type from one arbitrary per element. */
export const arrayOf = (
  shape: Shape,
  dtype: DType,
  element: fc.Arbitrary<number>,
  weakType = false,
): fc.Arbitrary<HostArray> =>
  fc
    .array(element, { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
    .map((values) => hostOf(shape, dtype, values, weakType))

/** An array with these elements, rounded to the dtype. */
export function hostOf(
  shape: Shape,
  dtype: DType,
  values: readonly number[],
  weakType = false,
): HostArray {
  const data = allocateHost(dtype, sizeOf(shape))
  values.forEach((value, i) => {
    data[i] = isFloating(dtype) ? roundToDType(value, dtype) : value
  })
  return hostArray(new Aval(shape, dtype, weakType), data)
}

/** Numbers in an interval with a spacing coarse enough for float32 to hold them exactly. */
export const between = (low: number, high: number): fc.Arbitrary<number> =>
  fc.integer({ min: Math.ceil(low * 256), max: Math.floor(high * 256) }).map((n) => n / 256)

/** Floats with everything that is special about them. */
export const edgeFloat = (dtype: DType = 'float32'): fc.Arbitrary<number> => {
  const tiny = dtype === 'float64' ? 5e-324 : 1e-45
  const huge = dtype === 'float64' ? 1.7e308 : 3.4e38
  return fc.oneof(
    { weight: 3, arbitrary: between(-8, 8) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        0,
        -0,
        1,
        -1,
        0.5,
        -0.5,
        2,
        Infinity,
        -Infinity,
        NaN,
        tiny,
        -tiny,
        huge,
        -huge,
        1e10,
        -1e10,
      ),
    },
  )
}

/**
 * For sums and products of several elements: an intermediate overflow or cancellation would make the
 * result depend on the precision and the order, so there is nothing huge here and nothing tiny.
 */
export const accumulableElement = (dtype: DType): fc.Arbitrary<number> =>
  isFloating(dtype)
    ? fc.oneof(
        { weight: 4, arbitrary: between(-8, 8) },
        { weight: 1, arbitrary: fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, NaN) },
      )
    : edgeInteger(dtype)

/** Integers of a dtype: small ones and its limits. */
export const edgeInteger = (dtype: DType): fc.Arbitrary<number> => {
  const [low, high] = integerRange(dtype)
  return fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: Math.max(low, -9), max: Math.min(high, 9) }) },
    { weight: 1, arbitrary: fc.constantFrom(low, high, high - 1) },
    { weight: 1, arbitrary: fc.integer({ min: low, max: high }) },
  )
}

/** Any element of a dtype, edge values included. */
export const edgeElement = (dtype: DType): fc.Arbitrary<number> =>
  isFloating(dtype) ? edgeFloat(dtype) : edgeInteger(dtype)

/** Distinct values in random order, a distance of at least `gap` apart: extrema without ties. */
export const distinctValues = (count: number, gap = 0.25): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray(
    Array.from({ length: count }, (_, i) => (i - (count - 1) / 2) * gap),
    { minLength: count, maxLength: count },
  )

export const sample = (
  operands: readonly HostArray[],
  params: Params = {},
  smooth: readonly boolean[] = operands.map((o) => isFloating(o.aval.dtype)),
  tolerance = defaultTolerance,
): PrimitiveSample => ({ operands, params, smooth, tolerance })
