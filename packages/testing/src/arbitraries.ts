/** fast-check arbitraries of shapes, arrays and trees. */
import { np, type DType, type NDArray, type Shape } from '@adjoint/core'
import fc from 'fast-check'

export interface ShapeOptions {
  readonly minRank?: number
  readonly maxRank?: number
  readonly minSize?: number
  readonly maxSize?: number
}

/** Shapes of a few elements; `minSize: 0` includes empty ones. */
export const arbitraryShape = (options: ShapeOptions = {}): fc.Arbitrary<Shape> =>
  fc.array(fc.integer({ min: options.minSize ?? 1, max: options.maxSize ?? 4 }), {
    minLength: options.minRank ?? 0,
    maxLength: options.maxRank ?? 3,
  })

export interface ArrayOptions extends ShapeOptions {
  readonly shape?: Shape
  readonly dtype?: DType
  /** Range of the elements. */
  readonly min?: number
  readonly max?: number
}

/** Concrete arrays on the current device, with elements that float32 holds exactly. */
export function arbitraryArray(options: ArrayOptions = {}): fc.Arbitrary<NDArray> {
  const { dtype = 'float32', min = -2, max = 2 } = options
  const element = fc.integer({ min: Math.ceil(min * 64), max: Math.floor(max * 64) }).map((n) => n / 64)
  const shapes = options.shape ? fc.constant(options.shape) : arbitraryShape(options)
  return shapes.chain((shape) => {
    const size = shape.reduce((product, n) => product * n, 1)
    return fc
      .array(element, { minLength: size, maxLength: size })
      .map((values) => np.array(values, { dtype }).reshape(shape))
  })
}

/** Trees of objects, tuples and nulls around the given leaves. */
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
