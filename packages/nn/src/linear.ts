/** Layers of matrices: linear maps, embeddings, and stacks of linear maps. */
import { DTypeError, np, random, ShapeError, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { relu } from './activations'
import { glorotUniform, type Initializer, normal, zeros } from './initializers'
import { type Layer, requireParams } from './layer'

export interface WeightParams {
  /** `[inputs, outputs]` */
  readonly weight: NDArray
}

export interface LinearParams extends WeightParams {
  /** `[outputs]` */
  readonly bias: NDArray
}

const linearNames = ['weightInit', 'biasInit', 'useBias'] as const

export interface LinearOptions {
  readonly weightInit?: Initializer
  readonly biasInit?: Initializer
  /** Whether there is a bias; true unless given. */
  readonly useBias?: boolean
}

/**
 * `x @ weight + bias`: shape `[..., inputs]` to `[..., outputs]`.
 *
 * @throws ShapeError when the last axis of `x` is not `inputs` long
 * @example
 * const layer = linear(3, 2)
 * layer.apply(layer.init(random.key(0)), np.ones([5, 3]))[0].shape // [ 5, 2 ]
 */
export function linear(
  inputs: number,
  outputs: number,
  options: LinearOptions & { readonly useBias: false },
): Layer<WeightParams>
export function linear(
  inputs: number,
  outputs: number,
  options?: LinearOptions & { readonly useBias?: true },
): Layer<LinearParams>
export function linear(
  inputs: number,
  outputs: number,
  options?: LinearOptions,
): Layer<WeightParams | LinearParams>
export function linear(
  inputs: number,
  outputs: number,
  options: LinearOptions = {},
): Layer<WeightParams | LinearParams> {
  const op = `linear(${inputs}, ${outputs})`
  const {
    weightInit = glorotUniform(),
    biasInit = zeros,
    useBias = true,
  } = checkOptions(op, options, linearNames)
  return {
    init: (key) => {
      const [weightKey, biasKey] = random.split(key)
      const weight = weightInit(weightKey, [inputs, outputs])
      return {
        params: useBias ? { weight, bias: biasInit(biasKey, [outputs]) } : { weight },
        state: null,
      }
    },
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireFeatures(op, x, inputs, 'inputs')
      const y = np.matmul(x, params.weight)
      return ['bias' in params ? np.add(y, params.bias) : y, null]
    },
  }
}

/** Refuses an input whose last axis is not as long as the layer's parameters say. */
export function requireFeatures(op: string, x: NDArray, features: number, name: string): void {
  if (x.shape.at(-1) === features) return
  throw new ShapeError({
    op,
    problem: `the last axis of x is not ${features} long`,
    operands: [{ name: 'x', aval: x.aval }],
    rule: `x has shape [..., ${name}]`,
  })
}

export interface MlpOptions extends LinearOptions {
  /** Between the linear maps; `relu` unless given. */
  readonly activation?: (x: NDArray) => NDArray
}

/**
 * Linear maps with an activation between them: `mlp([784, 128, 10])` has two linear maps.
 *
 * @param sizes the number of features before, between and after
 * @example
 * const layer = mlp([3, 8, 2])
 * layer.apply(layer.init(random.key(0)), np.ones([5, 3]))[0].shape // [ 5, 2 ]
 */
export function mlp(
  sizes: readonly number[],
  options: MlpOptions & { readonly useBias: false },
): Layer<readonly WeightParams[], readonly null[]>
export function mlp(
  sizes: readonly number[],
  options?: MlpOptions & { readonly useBias?: true },
): Layer<readonly LinearParams[], readonly null[]>
export function mlp(
  sizes: readonly number[],
  options: MlpOptions = {},
): Layer<readonly (WeightParams | LinearParams)[], readonly null[]> {
  const op = `mlp([${sizes.join(', ')}])`
  checkOptions(op, options, ['activation', ...linearNames])
  const { activation: f = relu, ...linearOptions } = options
  const maps = sizes.slice(1).map((outputs, i) => linear(sizes[i], outputs, linearOptions))
  return {
    init: (key) => {
      const variables = maps.map((map, i) => map.init(random.foldIn(key, i)))
      return { params: variables.map((v) => v.params), state: variables.map(() => null) }
    },
    apply: ({ params, state }, x) => {
      requireParams(op, params)
      if (maps.length > 0) requireFeatures(op, x, sizes[0], 'inputs')
      let y = x
      maps.forEach((map, i) => {
        if (i > 0) y = f(y)
        ;[y] = map.apply({ params: params[i], state: null }, y)
      })
      return [y, state]
    },
  }
}

export interface EmbeddingLayer extends Layer<WeightParams> {
  /**
   * Scores of all entries for each vector, by the same weights: `[..., features]` to
   * `[..., count]`. Press & Wolf 2017.
   */
  attend(params: WeightParams, x: NDArray): NDArray
}

/**
 * One vector of `features` for each of `count` integers: shape `[...]` to `[..., features]`. An
 * integer out of range gives NaN.
 *
 * @throws DTypeError when `x` does not hold integers
 * @example
 * const layer = embedding(100, 8)
 * const { params, state } = layer.init(random.key(0))
 * const [vectors] = layer.apply({ params, state }, np.array([3, 1, 4]))
 * layer.attend(params, vectors).shape // [ 3, 100 ]
 */
export function embedding(
  count: number,
  features: number,
  options: { readonly weightInit?: Initializer } = {},
): EmbeddingLayer {
  const op = `embedding(${count}, ${features})`
  const { weightInit = normal(1 / Math.sqrt(features)) } = checkOptions(op, options, ['weightInit'])
  return {
    init: (key) => ({ params: { weight: weightInit(key, [count, features]) }, state: null }),
    apply: ({ params }, x) => {
      requireParams(op, params)
      if (!x.dtype.includes('int')) {
        throw new DTypeError({
          op,
          problem: 'x does not hold integers',
          operands: [{ name: 'x', aval: x.aval }],
          rule: `x holds the numbers of entries, from 0 to ${count - 1}`,
        })
      }
      return [np.take(params.weight, x, 0), null]
    },
    attend: (params, x) => {
      requireFeatures(`${op}.attend`, x, features, 'features')
      return np.matmul(x, np.transpose(params.weight))
    },
  }
}
