/** Activations under JAX's names; each takes and returns an array of any shape. */
import { np, special, type ArrayLike, type NDArray } from '@adjoint/core'
import { customJvp, stopGradient } from '@adjoint/transforms'

/** `max(x, 0)` with derivative 0 at 0, as JAX has it. */
export const relu: (x: NDArray) => NDArray = customJvp((x: NDArray) => np.maximum(x, 0)).defjvp(
  ([x], [xDot]) => [relu(x), np.where(np.greater(x, 0), xDot, 0)],
)

/** `1 / (1 + e^−x)`. */
export const sigmoid = (x: ArrayLike): NDArray => special.expit(x)

/** `x · σ(x)` with the derivative `σ(x) (1 + x (1 − σ(x)))`. Elfwing et al. 2018. */
export const silu: (x: NDArray) => NDArray = customJvp((x: NDArray) =>
  np.multiply(x, sigmoid(x)),
).defjvp(([x], [xDot]) => {
  const s = sigmoid(x)
  const slope = np.multiply(s, np.add(1, np.multiply(x, np.subtract(1, s))))
  return [np.multiply(x, s), np.multiply(slope, xDot)]
})

/** `silu` and `hardSilu` under their other names. */
export { silu as swish, hardSilu as hardSwish }

/** `log(1 + e^x)`, without overflow. */
export const softplus = (x: ArrayLike): NDArray => np.logaddexp(x, 0)

/** `log(sigmoid(x))`, without underflow. */
export const logSigmoid = (x: NDArray): NDArray => np.negative(softplus(np.negative(x)))

/** `x` where positive, `slope · x` elsewhere. Maas et al. 2013. */
export const leakyRelu = (x: NDArray, slope = 0.01): NDArray =>
  np.where(np.greaterEqual(x, 0), x, np.multiply(slope, x))

/** `x` where positive, `alpha (e^x − 1)` elsewhere. Clevert et al. 2016. */
export function elu(x: NDArray, alpha = 1): NDArray {
  const positive = np.greater(x, 0)
  // The branch not taken must not overflow, or its derivative would be NaN.
  const safe = np.where(positive, 0, x)
  return np.where(positive, x, np.multiply(alpha, np.expm1(safe)))
}

/** `max(x, 0) + min(0, alpha (e^(x / alpha) − 1))`. Barron 2017. */
export const celu = (x: NDArray, alpha = 1): NDArray =>
  np.add(np.maximum(x, 0), np.multiply(alpha, np.expm1(np.divide(np.minimum(x, 0), alpha))))

/** `elu` with the constants that keep mean 0 and variance 1 from layer to layer. Klambauer et al. 2017. */
export const selu = (x: NDArray): NDArray =>
  np.multiply(1.0507009873554805, elu(x, 1.6732632423543772))

/** `max(x, 0)` up to 6, with derivative 0 at both ends. Krizhevsky 2010. */
export const relu6: (x: NDArray) => NDArray = customJvp((x: NDArray) =>
  np.minimum(np.maximum(x, 0), 6),
).defjvp(([x], [xDot]) => [
  relu6(x),
  np.where(np.logicalAnd(np.greater(x, 0), np.less(x, 6)), xDot, 0),
])

/** `x` between −1 and 1, and the nearer of the two elsewhere. */
export const hardTanh = (x: NDArray): NDArray =>
  np.where(np.greater(x, 1), 1, np.where(np.less(x, -1), -1, x))

/** `relu6(x + 3) / 6`. */
export const hardSigmoid = (x: NDArray): NDArray => np.divide(relu6(np.add(x, 3)), 6)

/** `x · hardSigmoid(x)`. Howard et al. 2019. */
export const hardSilu = (x: NDArray): NDArray => np.multiply(x, hardSigmoid(x))

/** `x · tanh(softplus(x))`. Misra 2019. */
export const mish = (x: NDArray): NDArray => np.multiply(x, np.tanh(softplus(x)))

/** `x / (|x| + 1)`. */
export const softSign = (x: NDArray): NDArray => np.divide(x, np.add(np.abs(x), 1))

/** `(x + √(x² + b)) / 2`. Barron 2021. */
export const squareplus = (x: NDArray, b = 4): NDArray =>
  np.divide(np.add(x, np.sqrt(np.add(np.square(x), b))), 2)

/** One half of an axis times the sigmoid of the other. Dauphin et al. 2017. */
export function glu(x: NDArray, axis = -1): NDArray {
  const [value, gate] = np.split(x, 2, axis)
  return np.multiply(value, sigmoid(gate))
}

/** Gaussian error linear unit. Hendrycks & Gimpel 2016; the tanh form (equation 2) by default. */
export function gelu(x: NDArray, options: { readonly approximate?: boolean } = {}): NDArray {
  if (options.approximate === false) {
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

/** `e^x / Σ e^x` over an axis, shifted by the maximum so that nothing overflows. */
export function softmax(x: NDArray, axis = -1): NDArray {
  return softmaxAlong(x, axis)
}

/** Its derivative needs nothing but its result: `y (ẋ − Σ y ẋ)`. */
const softmaxAlong = customJvp(
  (x: NDArray, axis: number): NDArray => {
    const shifted = np.exp(np.subtract(x, maximumOf(x, axis)))
    return np.divide(shifted, np.sum(shifted, { axis, keepdims: true }))
  },
  { nondiffArgnums: 1 },
).defjvp((axis, [x], [xDot]) => {
  const y = softmax(x, axis)
  const weighed = np.multiply(y, xDot)
  return [y, np.subtract(weighed, np.multiply(y, np.sum(weighed, { axis, keepdims: true })))]
})

/** `x − logsumexp(x)` over an axis. */
export function logSoftmax(x: NDArray, axis = -1): NDArray {
  const shifted = np.subtract(x, maximumOf(x, axis))
  return np.subtract(shifted, np.log(np.sum(np.exp(shifted), { axis, keepdims: true })))
}

// The maximum only shifts: its own derivative cancels, and leaving it out keeps ties harmless.
const maximumOf = (x: NDArray, axis: number): NDArray =>
  stopGradient(np.max(x, { axis, keepdims: true }))

/** Rows of the identity matrix: integer labels of shape `[...]` become `[..., classes]`. */
export const oneHot = (
  labels: NDArray,
  classes: number,
  options: {
    readonly dtype?: 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int32' | 'bool'
  } = {},
): NDArray =>
  np
    .equal(np.expandDims(labels, -1), np.arange(classes, { dtype: labels.dtype }))
    .astype(options.dtype ?? 'float32')
