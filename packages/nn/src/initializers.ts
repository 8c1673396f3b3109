/** Initialisers under JAX's names: functions of a key and a shape. */
import { np, random, type DType, type Key, type NDArray, type Shape } from '@adjoint/core'

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
