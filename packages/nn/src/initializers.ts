/** Initialisers under JAX's names: functions of a key and a shape. */
import {
  lax,
  linalg,
  np,
  random,
  ShapeError,
  type DType,
  type Key,
  type NDArray,
  type Shape,
} from '@adjoint/core'

export type Initializer = (key: Key, shape: Shape, dtype?: DType) => NDArray

export const zeros: Initializer = (_key, shape, dtype = 'float32') => np.zeros(shape, { dtype })
export const ones: Initializer = (_key, shape, dtype = 'float32') => np.ones(shape, { dtype })

export interface VarianceScalingOptions {
  readonly scale: number
  readonly mode: 'fanIn' | 'fanOut' | 'fanAvg'
  readonly distribution: 'truncatedNormal' | 'normal' | 'uniform'
  /** Axes of inputs and outputs; all others are the receptive field. */
  readonly inAxis?: number
  readonly outAxis?: number
}

/** The standard deviation of a unit normal cut off at ±2. */
const truncatedDeviation = 0.8796256610342398

/**
 * Zero mean, variance `scale / fan`. Glorot & Bengio 2010; He et al. 2015.
 *
 * For a weight of shape `[...field, in, out]` the fans are `in · |field|` and `out · |field|`.
 */
export function varianceScaling(options: VarianceScalingOptions): Initializer {
  const { scale, mode, distribution, inAxis = -2, outAxis = -1 } = options
  return (key, shape, dtype = 'float32') => {
    const size = (axis: number): number => shape[axis < 0 ? axis + shape.length : axis] ?? 1
    const total = shape.reduce((product, n) => product * n, 1)
    const [fanIn, fanOut] = [total / size(outAxis), total / size(inAxis)]
    const fan = { fanIn, fanOut, fanAvg: (fanIn + fanOut) / 2 }[mode]
    const variance = scale / Math.max(fan, 1)
    switch (distribution) {
      case 'normal':
        return np.multiply(random.normal(key, shape, { dtype }), Math.sqrt(variance))
      case 'uniform': {
        const limit = Math.sqrt(3 * variance)
        return random.uniform(key, shape, { dtype, minval: -limit, maxval: limit })
      }
      default:
        return np.multiply(
          random.truncatedNormal(key, -2, 2, shape, { dtype }),
          Math.sqrt(variance) / truncatedDeviation,
        )
    }
  }
}

const named =
  (
    scale: number,
    mode: VarianceScalingOptions['mode'],
    distribution: VarianceScalingOptions['distribution'],
  ) =>
  (): Initializer =>
    varianceScaling({ scale, mode, distribution })

export const glorotUniform = named(1, 'fanAvg', 'uniform')
export const glorotNormal = named(1, 'fanAvg', 'truncatedNormal')
export const heUniform = named(2, 'fanIn', 'uniform')
export const heNormal = named(2, 'fanIn', 'truncatedNormal')
export const lecunUniform = named(1, 'fanIn', 'uniform')
export const lecunNormal = named(1, 'fanIn', 'truncatedNormal')

/** One value everywhere. */
export const constant =
  (value: number): Initializer =>
  (_key, shape, dtype = 'float32') =>
    np.full(shape, value, { dtype })

/** Normal numbers of this standard deviation. */
export const normal =
  (deviation = 1e-2): Initializer =>
  (key, shape, dtype = 'float32') =>
    np.multiply(random.normal(key, shape, { dtype }), deviation)

/** Uniform numbers from 0 to `scale`. */
export const uniform =
  (scale = 1e-2): Initializer =>
  (key, shape, dtype = 'float32') =>
    np.multiply(random.uniform(key, shape, { dtype }), scale)

/**
 * Normal numbers cut off at `lower` and `upper` deviations. `deviation` is that of the normal
 * numbers before they are cut off.
 */
export const truncatedNormal =
  (deviation = 1e-2, lower = -2, upper = 2): Initializer =>
  (key, shape, dtype = 'float32') =>
    np.multiply(random.truncatedNormal(key, lower, upper, shape, { dtype }), deviation)

/**
 * A matrix with orthonormal columns (rows, where it is wider than high), uniformly distributed,
 * times `scale`. Leading axes count as rows. Saxe et al. 2014.
 *
 * It is the orthogonal factor, with a positive diagonal in the other, of a matrix of normal numbers
 * (Mezzadri 2007).
 *
 * @throws ShapeError when the shape has fewer than two axes
 */
export const orthogonal =
  (scale = 1): Initializer =>
  (key, shape, dtype = 'float32') => {
    const columns = shape.at(-1) ?? 0
    if (shape.length < 2) {
      throw new ShapeError({
        op: 'orthogonal()(key, shape)',
        problem: `[${shape.join(',')}] is not the shape of a matrix`,
        rule: 'shape has at least two axes',
      })
    }
    const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1)
    const [high, wide] = [Math.max(rows, columns), Math.min(rows, columns)]
    const basis = orthonormalColumns(random.normal(key, [high, wide]))
    const matrix = rows < columns ? basis.T : basis
    return np.multiply(matrix, scale).reshape(shape).astype(dtype)
  }

/**
 * The orthogonal factor of a matrix of full rank by three Cholesky factorisations, the first of
 * AᵀA shifted by s = 11 (mn + n(n + 1)) u ‖A‖². Fukaya et al. 2020, algorithm 4.1.
 */
function orthonormalColumns(matrix: NDArray): NDArray {
  const [m, n] = matrix.shape
  const unit = 2 ** -24
  const shift = np.multiply(11 * (m * n + n * (n + 1)) * unit, np.sum(np.square(matrix)))
  const shifted = np.add(np.matmul(matrix.T, matrix), np.multiply(shift, np.eye(n)))
  const first = dividedByFactor(matrix, shifted)
  const second = dividedByFactor(first, np.matmul(first.T, first))
  return dividedByFactor(second, np.matmul(second.T, second))
}

/** A L⁻ᵀ, where L Lᵀ = gram. */
const dividedByFactor = (matrix: NDArray, gram: NDArray): NDArray =>
  lax.triangularSolve(linalg.cholesky(gram), matrix, {
    leftSide: false,
    lower: true,
    transposeA: true,
  })

/** Glorot's initialisers under their other name, that of the first name. */
export const xavierUniform = glorotUniform
export const xavierNormal = glorotNormal
/** He's initialisers under their other name, that of the first name. */
export const kaimingUniform = heUniform
export const kaimingNormal = heNormal
