/** fast-check arbitraries of shapes, arrays and trees. */
import { np, type DType, type NDArray, type Shape } from '@adjoint/core'
import { isFloating } from '@adjoint/core/internal'
import fc from 'fast-check'

/** Which shapes are drawn. */
export interface ShapeOptions {
  /** Fewest axes; 0 unless given. */
  readonly minRank?: number
  /** Most axes; 3 unless given. */
  readonly maxRank?: number
  /** Smallest size of an axis; 1 unless given. */
  readonly minSize?: number
  /** Largest size of an axis; 4 unless given. */
  readonly maxSize?: number
}

/**
 * Shapes of a few elements; `minSize: 0` includes empty ones.
 *
 * @example
 * fc.assert(fc.property(arbitraryShape({ maxRank: 2 }), (shape) => np.zeros(shape).ndim <= 2))
 */
export const arbitraryShape = (options: ShapeOptions = {}): fc.Arbitrary<Shape> =>
  fc.array(fc.integer({ min: options.minSize ?? 1, max: options.maxSize ?? 4 }), {
    minLength: options.minRank ?? 0,
    maxLength: options.maxRank ?? 3,
  })

/** Which arrays are drawn. */
export interface ArrayOptions extends ShapeOptions {
  /** One shape for all; a random one unless given. */
  readonly shape?: Shape
  /** `'float32'` unless given. */
  readonly dtype?: DType
  /** Smallest element; -2 unless given. */
  readonly min?: number
  /** Largest element; 2 unless given. */
  readonly max?: number
}

/**
 * Concrete arrays on the current device. Elements are multiples of 1/64, and whole numbers in arrays
 * of integers, so that float32 holds them exactly.
 *
 * @example
 * fc.assert(
 *   fc.property(arbitraryArray({ shape: [3], min: 0 }), (x) => Number(np.min(x).item()) >= 0),
 * )
 */
export function arbitraryArray(options: ArrayOptions = {}): fc.Arbitrary<NDArray> {
  const { dtype = 'float32', min = -2, max = 2 } = options
  const parts = isFloating(dtype) ? 64 : 1
  const element = fc
    .integer({ min: Math.ceil(min * parts), max: Math.floor(max * parts) })
    .map((n) => n / parts)
  const shapes = options.shape ? fc.constant(options.shape) : arbitraryShape(options)
  return shapes.chain((shape) => {
    const size = shape.reduce((product, n) => product * n, 1)
    return fc
      .array(element, { minLength: size, maxLength: size })
      .map((values) => np.array(values, { dtype }).reshape(shape))
  })
}

/**
 * Trees of objects, tuples and nulls around the given leaves.
 *
 * @param leaf what stands at the leaves
 * @example
 * const arrays = arbitraryTree(arbitraryArray())
 * fc.assert(
 *   fc.property(arrays, (params) => {
 *     requireClose('twice negated', tree.map(np.negative, tree.map(np.negative, params)), params)
 *   }),
 * )
 */
export const arbitraryTree = <Leaf>(leaf: fc.Arbitrary<Leaf>): fc.Arbitrary<unknown> =>
  fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.constant(null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie('tree'), { maxKeys: 3 }),
    ),
  })).tree
