/**
 * Activations under JAX's names; each takes and returns an array of any shape. JAX's keyword
 * arguments are options, of which the first may also stand by itself: `softmax(x, 0)`.
 */
import { type ArrayLike, type DType, lax, NDArray, np, ShapeError, special } from '@adjoint/core'
import { checkOptions, canonicalAxes, canonicalAxis } from '@adjoint/core/internal'
import { customJvp, stopGradient } from '@adjoint/transforms'

type Axes = number | readonly number[]

const isOptions = <Options extends object>(given: unknown): given is Options =>
  typeof given === 'object' &&
  given !== null &&
  !(given instanceof NDArray) &&
  !Array.isArray(given)

/** The number that an activation has besides its operand, by position or by name. */
const parameter = <Name extends string>(
  op: string,
  given: ArrayLike | Readonly<Partial<Record<Name, ArrayLike>>>,
  name: Name,
  fallback: number,
): ArrayLike =>
  isOptions<Readonly<Partial<Record<Name, ArrayLike>>>>(given)
    ? (checkOptions<Partial<Record<Name, ArrayLike>>>(op, given, [name])[name] ?? fallback)
    : given

export interface AxisOptions {
  /** The last unless given. */
  readonly axis?: Axes
}

export interface SoftmaxOptions extends AxisOptions {
  /** Which elements take part; the others have the probability 0. */
  readonly where?: NDArray
}

const optionsOf = <Options extends AxisOptions>(
  op: string,
  given: Axes | Options,
  names: readonly (keyof Options & string)[],
): Options | AxisOptions =>
  isOptions<Options>(given) ? checkOptions(op, given, names) : { axis: given }

/**
 * `max(x, 0)` with derivative 0 at 0, as JAX has it.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * relu(x) // Array([0, 0, 2], dtype=int32)
 */
export const relu: (x: NDArray) => NDArray = customJvp((x: NDArray) => np.maximum(x, 0)).defjvp(
  ([x], [xDot]) => [relu(x), np.where(np.greater(x, 0), xDot, 0)],
)

/**
 * `1 / (1 + e^−x)`.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * sigmoid(x) // Array([0.2689414, 0.5 , 0.8807971], dtype=float32)
 */
export const sigmoid = (x: ArrayLike): NDArray => special.expit(x)

/**
 * `x · σ(x)` with the derivative `σ(x) (1 + x (1 − σ(x)))`. Elfwing et al. 2018.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * silu(x) // Array([-0.2689414, 0. , 1.7615942], dtype=float32)
 */
export const silu: (x: NDArray) => NDArray = customJvp((x: NDArray) =>
  np.multiply(x, sigmoid(x)),
).defjvp(([x], [xDot]) => {
  const s = sigmoid(x)
  const slope = np.multiply(s, np.add(1, np.multiply(x, np.subtract(1, s))))
  return [np.multiply(x, s), np.multiply(slope, xDot)]
})

/** `silu` and `hardSilu` under their other names. */
export { silu as swish, hardSilu as hardSwish }

/**
 * `log(1 + e^x)`, without overflow.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * softplus(x) // Array([0.3132617, 0.6931472, 2.126928 ], dtype=float32)
 */
export const softplus = (x: ArrayLike): NDArray => np.logaddexp(x, 0)

/**
 * `log(sigmoid(x))`, without underflow.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * logSigmoid(x) // Array([-1.3132617, -0.6931472, -0.126928 ], dtype=float32)
 */
export const logSigmoid = (x: NDArray): NDArray => np.negative(softplus(np.negative(x)))

/**
 * `x` where positive, `slope · x` elsewhere. Maas et al. 2013.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * leakyRelu(x) // Array([-0.01, 0. , 2. ], dtype=float32, weak_type=True)
 */
export const leakyRelu = (
  x: NDArray,
  negativeSlope: ArrayLike | { readonly negativeSlope?: ArrayLike } = 0.01,
): NDArray =>
  np.where(
    np.greaterEqual(x, 0),
    x,
    np.multiply(parameter('leakyRelu', negativeSlope, 'negativeSlope', 0.01), x),
  )

/**
 * `x` where positive, `alpha (e^x − 1)` elsewhere. Clevert et al. 2016.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * elu(x) // Array([-0.63212055, 0. , 2. ], dtype=float32)
 */
export function elu(x: NDArray, alpha: ArrayLike | { readonly alpha?: ArrayLike } = 1): NDArray {
  const positive = np.greater(x, 0)
  // The branch not taken must not overflow, or its derivative would be NaN.
  const safe = np.where(positive, 0, x)
  return np.where(positive, x, np.multiply(parameter('elu', alpha, 'alpha', 1), np.expm1(safe)))
}

/**
 * `max(x, 0) + min(0, alpha (e^(x / alpha) − 1))`. Barron 2017.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * celu(x) // Array([-0.63212055, 0. , 2. ], dtype=float32)
 */
export function celu(x: NDArray, alpha: ArrayLike | { readonly alpha?: ArrayLike } = 1): NDArray {
  const a = parameter('celu', alpha, 'alpha', 1)
  return np.add(np.maximum(x, 0), np.multiply(a, np.expm1(np.divide(np.minimum(x, 0), a))))
}

/**
 * `elu` with the constants that keep mean 0 and variance 1 from layer to layer. Klambauer et al.
 * 2017.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * selu(x) // Array([-1.1113307, 0. , 2.101402 ], dtype=float32)
 */
export const selu = (x: NDArray): NDArray =>
  np.multiply(1.0507009873554805, elu(x, 1.6732632423543772))

/**
 * `max(x, 0)` up to 6, with derivative 0 at both ends. Krizhevsky 2010.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * relu6(x) // Array([0, 0, 2], dtype=int32)
 */
export const relu6: (x: NDArray) => NDArray = customJvp((x: NDArray) =>
  np.minimum(np.maximum(x, 0), 6),
).defjvp(([x], [xDot]) => [
  relu6(x),
  np.where(np.logicalAnd(np.greater(x, 0), np.less(x, 6)), xDot, 0),
])

/**
 * `x` between −1 and 1, and the nearer of the two elsewhere.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * hardTanh(x) // Array([-1, 0, 1], dtype=int32)
 */
export const hardTanh = (x: NDArray): NDArray =>
  np.where(np.greater(x, 1), 1, np.where(np.less(x, -1), -1, x))

/**
 * `relu6(x + 3) / 6`.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * hardSigmoid(x) // Array([0.33333334, 0.5 , 0.8333333 ], dtype=float32)
 */
export const hardSigmoid = (x: NDArray): NDArray => np.divide(relu6(np.add(x, 3)), 6)

/**
 * `x · hardSigmoid(x)`. Howard et al. 2019.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * hardSilu(x) // Array([-0.33333334, 0. , 1.6666666 ], dtype=float32)
 */
export const hardSilu = (x: NDArray): NDArray => np.multiply(x, hardSigmoid(x))

/**
 * `x · tanh(softplus(x))`. Misra 2019.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * mish(x) // Array([-0.30340147, 0. , 1.943959 ], dtype=float32)
 */
export const mish = (x: NDArray): NDArray => np.multiply(x, np.tanh(softplus(x)))

/**
 * `x / (|x| + 1)`.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * softSign(x) // Array([-0.5 , 0. , 0.6666667], dtype=float32)
 */
export const softSign = (x: NDArray): NDArray => np.divide(x, np.add(np.abs(x), 1))

/**
 * `(x + √(x² + b)) / 2`. Barron 2021.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * squareplus(x) // Array([0.618034 , 1. , 2.4142137], dtype=float32)
 */
export const squareplus = (x: NDArray, b: ArrayLike | { readonly b?: ArrayLike } = 4): NDArray =>
  np.divide(np.add(x, np.sqrt(np.add(np.square(x), parameter('squareplus', b, 'b', 4)))), 2)

/**
 * 0 below −1, `(x + 1)² / 4` up to 1, `x` above. Correia et al. 2019: what `sparseSigmoid` is the
 * slope of.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * sparsePlus(x) // Array([0. , 0.25, 2. ], dtype=float32)
 */
export const sparsePlus = (x: NDArray): NDArray =>
  np.where(
    np.lessEqual(x, -1),
    0,
    np.where(np.greaterEqual(x, 1), x, np.divide(np.square(np.add(x, 1)), 4)),
  )

/**
 * `(x + 1) / 2` between 0 and 1.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * sparseSigmoid(x) // Array([0. , 0.5, 1. ], dtype=float32, weak_type=True)
 */
export const sparseSigmoid = (x: NDArray): NDArray => np.multiply(0.5, np.clip(np.add(x, 1), 0, 2))

/**
 * `x`.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * identity(x) // Array([-1, 0, 2], dtype=int32)
 */
export const identity = (x: NDArray): NDArray => x

/**
 * `tanh(x)`.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * tanh(x) // Array([-0.7615942, 0. , 0.9640276], dtype=float32)
 */
export const tanh = (x: ArrayLike): NDArray => np.tanh(x)

/**
 * `log(1 − e^−x)` for positive `x`, exact at both ends. Mächler 2012.
 *
 * @example
 * log1mexp(np.array([1e-3, 1, 20]))
 * // Array([-6.9082550e+00, -4.5867515e-01, -2.0611537e-09], dtype=float32)
 */
export function log1mexp(x: NDArray): NDArray {
  const isSmall = np.less(x, Math.LN2)
  // The branch not taken must not be infinite, or its derivative would be NaN.
  const [small, large] = [np.where(isSmall, x, Math.LN2), np.where(isSmall, Math.LN2, x)]
  return np.where(
    isSmall,
    np.log(np.negative(np.expm1(np.negative(small)))),
    np.log1p(np.negative(np.exp(np.negative(large)))),
  )
}

/**
 * One half of an axis times the sigmoid of the other. Dauphin et al. 2017.
 *
 * @example
 * glu(np.array([1, 2, 0, 0])) // Array([0.5, 1. ], dtype=float32)
 */
export function glu(x: NDArray, axis: number | { readonly axis?: number } = -1): NDArray {
  const [op, array] = ['glu(x, axis)', np.asarray(x)]
  if (isOptions<{ readonly axis?: number }>(axis)) checkOptions('glu', axis, ['axis'])
  const along = canonicalAxis(op, isOptions(axis) ? (axis.axis ?? -1) : axis, array)
  if (array.shape[along] % 2 !== 0) {
    throw new ShapeError({
      op,
      problem: `axis ${along} does not fall into halves`,
      operands: [{ name: 'x', aval: array.aval }],
      axis: along,
      rule: 'the axis holds values and as many gates',
    })
  }
  const [value, gate] = np.split(array, 2, along)
  return np.multiply(value, sigmoid(gate))
}

/**
 * Gaussian error linear unit. Hendrycks & Gimpel 2016; the tanh form (equation 2) by default.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * gelu(x) // Array([-0.158808 , 0. , 1.9545977], dtype=float32, weak_type=True)
 */
export function gelu(x: NDArray, options: { readonly approximate?: boolean } = {}): NDArray {
  const { approximate = true } = checkOptions('gelu', options, ['approximate'])
  if (!approximate) {
    return np.multiply(np.multiply(0.5, x), special.erfc(np.multiply(-Math.SQRT1_2, x)))
  }
  return tanhGelu(x)
}

const geluScale = Math.sqrt(2 / Math.PI)

const geluTanh = (x: NDArray): NDArray => {
  const cubic = np.multiply(np.multiply(0.044715, np.square(x)), x)
  return np.tanh(np.multiply(geluScale, np.add(x, cubic)))
}

/** `x (1 + t) / 2` with `t = tanh(u)`: the derivative `(1 + t + x (1 − t²) u') / 2` is kept, and no more. */
const tanhGelu = customJvp((x: NDArray) =>
  np.multiply(x, np.multiply(0.5, np.add(1, geluTanh(x)))),
).defjvp(([x], [xDot]) => {
  const t = geluTanh(x)
  const half = np.multiply(0.5, np.add(1, t))
  const inner = np.multiply(geluScale, np.add(1, np.multiply(3 * 0.044715, np.square(x))))
  const slope = np.multiply(np.multiply(0.5, x), np.multiply(np.subtract(1, np.square(t)), inner))
  return [np.multiply(x, half), np.multiply(np.add(half, slope), xDot)]
})

/**
 * `e^x / Σ e^x` over an axis (or several), shifted by the maximum so that nothing overflows.
 *
 * @param options.where which elements take part; the others are 0
 * @example
 * const x = np.array([-1, 0, 2])
 * softmax(x) // Array([0.04201007, 0.1141952 , 0.8437947 ], dtype=float32)
 */
export function softmax(x: NDArray, options: Axes | SoftmaxOptions = -1): NDArray {
  const { axis = -1, where }: SoftmaxOptions = optionsOf('softmax', options, ['axis', 'where'])
  canonicalAxes('softmax(x, axis)', axis, np.asarray(x))
  if (where === undefined) return softmaxAlong(x, axis)
  return np.where(where, softmaxAlong(np.where(where, x, -Infinity), axis), 0)
}

/** Its derivative needs nothing but its result: `y (ẋ − Σ y ẋ)`. */
const softmaxAlong = customJvp(
  (x: NDArray, axis: Axes): NDArray => {
    const shifted = np.exp(np.subtract(x, maximumOf(x, axis)))
    return np.divide(shifted, np.sum(shifted, { axis, keepdims: true }))
  },
  { nondiffArgnums: 1 },
).defjvp((axis, [x], [xDot]) => {
  const y = softmaxAlong(x, axis)
  const weighed = np.multiply(y, xDot)
  return [y, np.subtract(weighed, np.multiply(y, np.sum(weighed, { axis, keepdims: true })))]
})

/**
 * `x − logsumexp(x)` over an axis (or several).
 *
 * @param options.where which elements take part; the others are −∞
 * @example
 * const x = np.array([-1, 0, 2])
 * logSoftmax(x) // Array([-3.169846 , -2.169846 , -0.16984604], dtype=float32)
 */
export function logSoftmax(x: NDArray, options: Axes | SoftmaxOptions = -1): NDArray {
  const { axis = -1, where }: SoftmaxOptions = optionsOf('logSoftmax', options, ['axis', 'where'])
  canonicalAxes('logSoftmax(x, axis)', axis, np.asarray(x))
  const shown = where === undefined ? x : np.where(where, x, -Infinity)
  const shifted = np.subtract(shown, maximumOf(shown, axis))
  const logits = np.subtract(shifted, np.log(np.sum(np.exp(shifted), { axis, keepdims: true })))
  return where === undefined ? logits : np.where(where, logits, -Infinity)
}

// The maximum only shifts: its own derivative cancels, and leaving it out keeps ties harmless.
const maximumOf = (x: NDArray, axis: Axes): NDArray =>
  stopGradient(np.max(x, { axis, keepdims: true }))

export interface StandardizeOptions extends SoftmaxOptions {
  readonly mean?: ArrayLike
  readonly variance?: ArrayLike
  readonly epsilon?: ArrayLike
}

/**
 * `(x − mean) / √(variance + epsilon)` over an axis (or several), by its own statistics unless
 * given.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * standardize(x) // Array([-1.0690416, -0.2672604, 1.3363019], dtype=float32)
 */
export function standardize(x: NDArray, options: Axes | StandardizeOptions = -1): NDArray {
  const given: StandardizeOptions = optionsOf('standardize', options, [
    'axis',
    'where',
    'mean',
    'variance',
    'epsilon',
  ])
  const { axis = -1, epsilon = 1e-5, where } = given
  canonicalAxes('standardize(x, axis)', axis, np.asarray(x))
  const over = { axis, keepdims: true, ...(where && { where }) }
  const mean = given.mean ?? np.mean(x, over)
  const centred = np.subtract(x, mean)
  const variance =
    given.variance ??
    (given.mean === undefined
      ? np.mean(np.square(centred), over)
      : np.subtract(np.mean(np.square(x), over), np.square(mean)))
  return np.multiply(centred, lax.rsqrt(np.add(variance, epsilon)))
}

export interface ReductionOptions {
  /** All unless given. */
  readonly axis?: Axes
  readonly keepdims?: boolean
  /** Which elements take part. */
  readonly where?: NDArray
}

/**
 * `log(Σ e^x)` over all axes, or some, without overflow.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * logsumexp(x) // Array(2.169846, dtype=float32)
 */
export const logsumexp = (x: ArrayLike, options: Axes | ReductionOptions = {}): NDArray =>
  special.logsumexp(x, options)

/**
 * `log(mean(e^x))` over all axes, or some.
 *
 * @example
 * const x = np.array([-1, 0, 2])
 * logmeanexp(x) // Array(1.0712337, dtype=float32)
 */
export function logmeanexp(x: NDArray, options: Axes | ReductionOptions = {}): NDArray {
  const {
    axis,
    where,
    keepdims = false,
  }: ReductionOptions = optionsOf('logmeanexp', options, ['axis', 'where', 'keepdims'])
  canonicalAxes('logmeanexp(x, axis)', axis, np.asarray(x))
  const over = { ...(axis !== undefined && { axis }), keepdims }
  const count = np.sum(np.broadcastTo(where ?? np.array(true), x.shape).astype(x.dtype), over)
  return np.subtract(special.logsumexp(x, { ...over, ...(where && { where }) }), np.log(count))
}

/**
 * Rows of the identity matrix: integer labels of shape `[...]` become `[..., numClasses]`; labels
 * out of range become zeros.
 *
 * @param options.axis where the axis of classes goes: last unless given
 * @example
 * oneHot(np.array([2, 0]), 3) // Array([[0., 0., 1.], [1., 0., 0.]], dtype=float32)
 */
export function oneHot(
  labels: ArrayLike,
  numClasses: number,
  options: { readonly dtype?: DType; readonly axis?: number } = {},
): NDArray {
  const { dtype = 'float32', axis = -1 } = checkOptions('oneHot', options, ['dtype', 'axis'])
  const numbers = np.asarray(labels)
  const classes = np.arange(numClasses, { dtype: numbers.dtype })
  const place = axis < 0 ? axis + numbers.ndim + 1 : axis
  const aligned = classes.reshape([numClasses, ...numbers.shape.slice(place).map(() => 1)])
  return np.equal(np.expandDims(numbers, axis), aligned).astype(dtype)
}
