/** The layers of the spine. All take any number of leading batch axes. */
import { ArgumentError, np, random, type NDArray, ShapeError } from '@adjoint/core'
import { glorotUniform, type Initializer, zeros } from './initializers'
import type { Layer } from './layer'

export interface LinearParams {
  /** `[inputs, outputs]` */
  readonly weight: NDArray
  /** `[outputs]` */
  readonly bias: NDArray
}

/**
 * `x @ weight + bias`: shape `[..., inputs]` to `[..., outputs]`.
 *
 * @throws ShapeError when the last axis of `x` is not `inputs` long
 */
export function linear(
  inputs: number,
  outputs: number,
  options: { readonly weightInit?: Initializer; readonly biasInit?: Initializer } = {},
): Layer<LinearParams> {
  const { weightInit = glorotUniform(), biasInit = zeros } = options
  return {
    init: (key) => {
      const [weightKey, biasKey] = random.split(key)
      return {
        params: {
          weight: weightInit(weightKey, [inputs, outputs]),
          bias: biasInit(biasKey, [outputs]),
        },
        state: null,
      }
    },
    apply: ({ params }, x) => {
      if (x.shape.at(-1) !== inputs) {
        throw new ShapeError({
          op: `linear(${inputs}, ${outputs})`,
          problem: `the last axis of x is not ${inputs} long`,
          operands: [{ name: 'x', aval: x.aval }],
          rule: 'x has shape [..., inputs]',
        })
      }
      return [np.add(np.matmul(x, params.weight), params.bias), null]
    },
  }
}

/**
 * While training, zeroes each element with probability `rate` and scales the others by
 * `1 / (1 − rate)`; otherwise the identity. Srivastava et al. 2014. Needs a key in the context.
 */
export function dropout(rate: number): Layer<null> {
  return {
    init: () => ({ params: null, state: null }),
    apply: (_variables, x, context = {}) => {
      if (!context.train || rate === 0) return [x, null]
      if (!context.key) {
        throw new ArgumentError({
          op: `dropout(${rate})`,
          problem: 'needs a key while training',
          hint: 'apply(variables, x, { train: true, key })',
        })
      }
      const keep = random.bernoulli(context.key, 1 - rate, x.shape)
      return [np.where(keep, np.divide(x, 1 - rate), 0), null]
    },
  }
}

export interface NormParams {
  readonly scale: NDArray
  readonly bias: NDArray
}

/** Zero mean and unit variance over the last axis, then scale and shift. Ba et al. 2016. */
export function layerNorm(
  features: number,
  options: { readonly eps?: number } = {},
): Layer<NormParams> {
  const { eps = 1e-6 } = options
  return {
    init: () => ({
      params: { scale: np.ones([features]), bias: np.zeros([features]) },
      state: null,
    }),
    apply: ({ params }, x) => {
      const centred = np.subtract(x, np.mean(x, { axis: -1, keepdims: true }))
      const variance = np.mean(np.square(centred), { axis: -1, keepdims: true })
      const normal = np.divide(centred, np.sqrt(np.add(variance, eps)))
      return [np.add(np.multiply(normal, params.scale), params.bias), null]
    },
  }
}
