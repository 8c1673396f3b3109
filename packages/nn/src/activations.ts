/** Activations under JAX's names; each takes and returns an array of any shape. */
import { np, special, type ArrayLike, type NDArray } from '@adjoint/core'
import { customJvp, stopGradient } from '@adjoint/transforms'

/** `max(x, 0)` with derivative 0 at 0, as JAX has it. */
export const relu: (x: NDArray) => NDArray = customJvp((x: NDArray) => np.maximum(x, 0)).defjvp(
  ([x], [xDot]) => [relu(x), np.where(np.greater(x, 0), xDot, 0)],
)

/** `1 / (1 + e^−x)`. */
export const sigmoid = (x: ArrayLike): NDArray => special.expit(x)

/** `x · sigmoid(x)`. Elfwing et al. 2018. */
export const silu = (x: NDArray): NDArray => np.multiply(x, sigmoid(x))

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

/** Gaussian error linear unit. Hendrycks & Gimpel 2016; the tanh form (equation 2) by default. */
export function gelu(x: NDArray, options: { readonly approximate?: boolean } = {}): NDArray {
  if (options.approximate === false) {
    return np.multiply(np.multiply(0.5, x), special.erfc(np.multiply(-Math.SQRT1_2, x)))
  }
  const cubic = np.multiply(np.multiply(0.044715, np.square(x)), x)
  const inner = np.multiply(Math.sqrt(2 / Math.PI), np.add(x, cubic))
  return np.multiply(x, np.multiply(0.5, np.add(1, np.tanh(inner))))
}

/** `e^x / Σ e^x` over an axis, shifted by the maximum so that nothing overflows. */
export function softmax(x: NDArray, axis = -1): NDArray {
  const shifted = np.exp(np.subtract(x, maximumOf(x, axis)))
  return np.divide(shifted, np.sum(shifted, { axis, keepdims: true }))
}

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
