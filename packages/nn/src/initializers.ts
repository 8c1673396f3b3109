/** Initialisers under JAX's names: functions of a key and a shape. */
import {
  ArgumentError,
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
import { checkOptions } from '@adjoint/core/internal'

export type Initializer = (key: Key, shape: Shape, dtype?: DType) => NDArray

export const zeros: Initializer = (_key, shape, dtype = 'float32') => np.zeros(shape, { dtype })
export const ones: Initializer = (_key, shape, dtype = 'float32') => np.ones(shape, { dtype })

type Axes = number | readonly number[]

export interface DTypeOptions {
  /** The dtype of what is drawn, where the initialiser is not given one; float32 unless given. */
  readonly dtype?: DType
}

/** Which axes of a shape are what; all others are the receptive field. */
export interface FanOptions extends DTypeOptions {
  /** The axes of the inputs; the last but one unless given. */
  readonly inAxis?: Axes
  /** The axes of the outputs; the last unless given. */
  readonly outAxis?: Axes
  /** Axes of several weights side by side, which share nothing. */
  readonly batchAxis?: Axes
}

/** What the variance is divided by: `fanGeoAvg` is the geometric mean of both. */
export type FanMode = 'fanIn' | 'fanOut' | 'fanAvg' | 'fanGeoAvg'
export type Distribution = 'truncatedNormal' | 'normal' | 'uniform'

/** The standard deviation of a unit normal cut off at ±2. */
const truncatedDeviation = 0.8796256610342398

/** `fan_in` is `fanIn`: JAX's own spelling will do. */
const camel = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function oneOf<Name extends string>(what: string, given: string, names: readonly Name[]): Name {
  const known = names.find((name) => name === camel(given))
  if (known !== undefined) return known
  throw new ArgumentError({
    op: 'varianceScaling(scale, mode, distribution)',
    problem: `there is no ${what} ${given}`,
    rule: `${what} is ${names.join(', ')}`,
  })
}

function fansOf(
  shape: Shape,
  { inAxis = -2, outAxis = -1, batchAxis = [] }: FanOptions,
): Readonly<Record<FanMode, number>> {
  const size = (axes: Axes): number =>
    (typeof axes === 'number' ? [axes] : axes).reduce(
      (product, axis) => product * (shape.at(axis) ?? 1),
      1,
    )
  const total = shape.reduce((product, n) => product * n, 1) / size(batchAxis)
  const [fanIn, fanOut] = [total / size(outAxis), total / size(inAxis)]
  return { fanIn, fanOut, fanAvg: (fanIn + fanOut) / 2, fanGeoAvg: Math.sqrt(fanIn * fanOut) }
}

/**
 * Zero mean, variance `scale / fan`. Glorot & Bengio 2010; He et al. 2015.
 *
 * For a weight of shape `[...field, in, out]` the fans are `in · |field|` and `out · |field|`.
 *
 * @param mode which fan: `'fanIn'`, `'fanOut'`, their mean `'fanAvg'` or geometric mean `'fanGeoAvg'`
 * @param distribution `'truncatedNormal'`, `'normal'` or `'uniform'`
 */
export function varianceScaling(
  scale: number,
  mode: FanMode | 'fan_in' | 'fan_out' | 'fan_avg' | 'fan_geo_avg',
  distribution: Distribution | 'truncated_normal',
  options: FanOptions = {},
): Initializer {
  checkOptions('varianceScaling', options, ['inAxis', 'outAxis', 'batchAxis', 'dtype'])
  const fan = oneOf('mode', mode, ['fanIn', 'fanOut', 'fanAvg', 'fanGeoAvg'])
  const drawn = oneOf('distribution', distribution, ['truncatedNormal', 'normal', 'uniform'])
  return (key, shape, dtype = options.dtype ?? 'float32') => {
    const variance = scale / Math.max(fansOf(shape, options)[fan], 1)
    switch (drawn) {
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
  (scale: number, mode: FanMode, distribution: Distribution) =>
  (options: FanOptions = {}): Initializer =>
    varianceScaling(scale, mode, distribution, options)

export const glorotUniform = named(1, 'fanAvg', 'uniform')
export const glorotNormal = named(1, 'fanAvg', 'truncatedNormal')
export const heUniform = named(2, 'fanIn', 'uniform')
export const heNormal = named(2, 'fanIn', 'truncatedNormal')
export const lecunUniform = named(1, 'fanIn', 'uniform')
export const lecunNormal = named(1, 'fanIn', 'truncatedNormal')

/** One value everywhere. */
export const constant =
  (value: number, options: DTypeOptions = {}): Initializer =>
  (_key, shape, dtype = options.dtype ?? 'float32') =>
    np.full(shape, value, { dtype })

/** Normal numbers of this standard deviation, 0.01 unless given: `normal(0.02)`, `normal({ stddev: 0.02 })`. */
export function normal(
  options: number | (DTypeOptions & { readonly stddev?: number }) = {},
): Initializer {
  const { stddev = 1e-2, dtype: own = 'float32' } =
    typeof options === 'number'
      ? { stddev: options }
      : checkOptions('normal', options, ['stddev', 'dtype'])
  return (key, shape, dtype = own) => np.multiply(random.normal(key, shape, { dtype }), stddev)
}

/** Uniform numbers from 0 to `scale`, 0.01 unless given. */
export function uniform(
  options: number | (DTypeOptions & { readonly scale?: number }) = {},
): Initializer {
  const { scale = 1e-2, dtype: own = 'float32' } =
    typeof options === 'number'
      ? { scale: options }
      : checkOptions('uniform', options, ['scale', 'dtype'])
  return (key, shape, dtype = own) => np.multiply(random.uniform(key, shape, { dtype }), scale)
}

export interface TruncatedNormalOptions extends DTypeOptions {
  /** The standard deviation of the numbers before they are cut off; 0.01 unless given. */
  readonly stddev?: number
  /** Where they are cut off, in standard deviations; −2 and 2 unless given. */
  readonly lower?: number
  readonly upper?: number
}

/** Normal numbers cut off at `lower` and `upper` deviations. */
export function truncatedNormal(options: number | TruncatedNormalOptions = {}): Initializer {
  const {
    stddev = 1e-2,
    lower = -2,
    upper = 2,
    dtype: own = 'float32',
  }: TruncatedNormalOptions = typeof options === 'number'
    ? { stddev: options }
    : checkOptions('truncatedNormal', options, ['stddev', 'lower', 'upper', 'dtype'])
  return (key, shape, dtype = own) =>
    np.multiply(random.truncatedNormal(key, lower, upper, shape, { dtype }), stddev)
}

export interface OrthogonalOptions extends DTypeOptions {
  /** 1 unless given. */
  readonly scale?: number
  /** The axis along which columns are counted; the last unless given. */
  readonly columnAxis?: number
}

/**
 * A matrix with orthonormal columns (rows, where it is wider than high), uniformly distributed,
 * times `scale`. All axes but that of the columns count as rows. Saxe et al. 2014.
 *
 * It is the orthogonal factor, with a positive diagonal in the other, of a matrix of normal numbers
 * (Mezzadri 2007).
 *
 * @param options the scale, or `{ scale, columnAxis }`
 * @throws ShapeError when the shape has fewer than two axes
 */
export function orthogonal(options: number | OrthogonalOptions = {}): Initializer {
  const {
    scale = 1,
    columnAxis = -1,
    dtype: own = 'float32',
  }: OrthogonalOptions = typeof options === 'number'
    ? { scale: options }
    : checkOptions('orthogonal', options, ['scale', 'columnAxis', 'dtype'])
  return (key, shape, dtype = own) => {
    if (shape.length < 2) {
      throw new ShapeError({
        op: 'orthogonal()(key, shape)',
        problem: `[${shape.join(',')}] is not the shape of a matrix`,
        rule: 'shape has at least two axes',
      })
    }
    const columns = shape.at(columnAxis) ?? 0
    const others = shape.filter((_, axis) => axis !== (columnAxis + shape.length) % shape.length)
    const rows = others.reduce((product, n) => product * n, 1)
    const [high, wide] = [Math.max(rows, columns), Math.min(rows, columns)]
    const basis = orthonormalColumns(random.normal(key, [high, wide]))
    const matrix = rows < columns ? basis.T : basis
    const shaped = np.multiply(matrix, scale).reshape([...others, columns])
    return np.moveaxis(shaped, -1, columnAxis).astype(dtype)
  }
}

/**
 * Kernels that are an orthogonal matrix in their middle and zero elsewhere: a deep stack of such
 * convolutions keeps norms. Xiao et al. 2018.
 *
 * @throws ShapeError unless the shape is `[...window, inputs, outputs]` with no more inputs than outputs
 */
export function deltaOrthogonal(options: number | OrthogonalOptions = {}): Initializer {
  const inner = orthogonal(options)
  return (key, shape, dtype) => {
    const [inputs, outputs] = shape.slice(-2)
    if (shape.length < 3 || inputs > outputs) {
      throw new ShapeError({
        op: 'deltaOrthogonal()(key, shape)',
        problem: `[${shape.join(',')}] is not the shape of kernels that keep norms`,
        rule: 'shape is [...window, inputs, outputs], with no more inputs than outputs',
      })
    }
    const matrix = inner(key, [inputs, outputs], dtype)
    const middle = shape.slice(0, -2).map((size) => Math.floor((size - 1) / 2))
    return np
      .zeros(shape, { dtype: matrix.dtype })
      .at(...middle)
      .set(matrix)
  }
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
