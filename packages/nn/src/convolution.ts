/** Convolutions over one, two or three axes, features last (`NHWC` with `HWIO` filters). */
import { ArgumentError, lax, np, random, ShapeError, type NDArray, type Shape } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { type Initializer, lecunNormal, zeros } from './initializers'
import { type Layer, requireParams } from './layer'
import type { LinearParams, WeightParams } from './linear'
import { paddingOf, type WindowPadding } from './window-padding'

/** The padding of convolutions. */
export type ConvPadding = WindowPadding

export interface ConvTransposeLayerOptions {
  /** One number for all axes, or one per axis. */
  readonly stride?: number | readonly number[]
  /** `'SAME'` unless given. */
  readonly padding?: ConvPadding
  /** Distance between the elements of a filter. */
  readonly dilation?: number | readonly number[]
  readonly useBias?: boolean
  readonly weightInit?: Initializer
  readonly biasInit?: Initializer
}

const transposeNames = [
  'stride',
  'padding',
  'dilation',
  'useBias',
  'weightInit',
  'biasInit',
] as const

export interface ConvOptions extends ConvTransposeLayerOptions {
  /** Into how many groups inputs and outputs fall, each convolved on its own. */
  readonly groups?: number
}

type Window = number | readonly number[]
type WithBias = { readonly useBias?: true }
type WithoutBias = { readonly useBias: false }

/** One entry per spatial axis. */
const perAxis = (value: number | readonly number[], axes: number): readonly number[] =>
  typeof value === 'number' ? Array.from({ length: axes }, () => value) : value

/** How the user came by a layer: its name in errors, and a call of which the last argument is the window. */
interface Called {
  readonly op: string
  readonly example: string
}

const calledAs = (name: string, inputs: number, outputs: number): Called => ({
  op: `${name}(${inputs}, ${outputs}, …)`,
  example: `${name}(inputs, outputs, 3)`,
})

function windowOf({ op, example }: Called, window: Window, axes: number): readonly number[] {
  // Without types a window may be missing.
  const sizes = Array.isArray(window) ? (window as readonly number[]) : perAxis(window, axes)
  if (sizes?.length === axes) return sizes
  throw new ArgumentError({
    op,
    problem: sizes === undefined ? 'the window is missing' : `a window of ${sizes.length} axes`,
    rule: `the window is one number, or ${axes} of them`,
    hint: `give the size of the filters: ${example}`,
  })
}

/** Strides or dilations, one per axis. */
function stepsOf(op: string, name: string, value: number | readonly number[], axes: number) {
  const steps = perAxis(value, axes)
  if (steps.length === axes && steps.every((n) => Number.isInteger(n) && n > 0)) return steps
  throw new ArgumentError({
    op,
    problem: `${name} is ${typeof value === 'number' ? value : `[${value.join(', ')}]`}`,
    rule: `${name} is one positive integer, or ${axes} of them`,
  })
}

const layouts = [
  ['NWC', 'WIO', 'NWC'],
  ['NHWC', 'HWIO', 'NHWC'],
  ['NDHWC', 'DHWIO', 'NDHWC'],
] as const

/** Applies `f`, which takes one batch axis, to an array with any number of them. */
function overOneBatchAxis(x: NDArray, inner: number, f: (x: NDArray) => NDArray): NDArray {
  const batch = x.shape.slice(0, x.ndim - inner)
  if (batch.length === 1) return f(x)
  const count = batch.reduce((product, n) => product * n, 1)
  const y = f(x.reshape([count, ...x.shape.slice(x.ndim - inner)]))
  return y.reshape([...batch, ...y.shape.slice(1)])
}

function requireImage(op: string, x: NDArray, axes: number, inputs: number): void {
  if (x.ndim > axes && x.shape.at(-1) === inputs) return
  const spatial = ['width', 'height, width', 'depth, height, width'][axes - 1]
  throw new ShapeError({
    op,
    problem:
      x.ndim > axes
        ? `the last axis of x is not ${inputs} long`
        : `x has fewer than ${axes + 1} axes`,
    operands: [{ name: 'x', aval: x.aval }],
    rule: `x has shape [..., ${spatial}, ${inputs}]`,
    hint: 'features are the last axis',
  })
}

function parameters(
  key: random.Key,
  shape: Shape,
  { useBias = true, weightInit = lecunNormal(), biasInit = zeros }: ConvTransposeLayerOptions,
): { params: LinearParams | WeightParams; state: null } {
  const [weightKey, biasKey] = random.split(key)
  const weight = weightInit(weightKey, shape)
  const params = useBias ? { weight, bias: biasInit(biasKey, shape.slice(-1)) } : { weight }
  return { params, state: null }
}

const withBias = (y: NDArray, params: LinearParams | WeightParams): NDArray =>
  'bias' in params ? np.add(y, params.bias) : y

function convolution(
  axes: number,
  inputs: number,
  outputs: number,
  window: Window,
  options: ConvOptions,
  called = calledAs(`conv${axes}d`, inputs, outputs),
): Layer<LinearParams | WeightParams> {
  const { op } = called
  checkOptions(op, options, [...transposeNames, 'groups'])
  const sizes = windowOf(called, window, axes)
  const { groups = 1 } = options
  const strides = stepsOf(op, 'stride', options.stride ?? 1, axes)
  const dilations = stepsOf(op, 'dilation', options.dilation ?? 1, axes)
  const padding = paddingOf(op, options.padding ?? 'SAME', axes)
  if (inputs % groups !== 0 || outputs % groups !== 0) {
    throw new ArgumentError({
      op,
      problem: `${groups} groups do not divide ${inputs} inputs and ${outputs} outputs`,
      rule: 'inputs and outputs are multiples of groups',
    })
  }
  return {
    init: (key) => parameters(key, [...sizes, inputs / groups, outputs], options),
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireImage(op, x, axes, inputs)
      const convolve = (batch: NDArray): NDArray =>
        lax.convGeneralDilated(batch, params.weight, strides, padding, {
          dimensionNumbers: layouts[axes - 1],
          rhsDilation: dilations,
          featureGroupCount: groups,
        })
      return [withBias(overOneBatchAxis(x, axes + 1, convolve), params), null]
    },
  }
}

function transposedConvolution(
  axes: number,
  inputs: number,
  outputs: number,
  window: Window,
  options: ConvTransposeLayerOptions,
): Layer<LinearParams | WeightParams> {
  const called = calledAs(`convTranspose${axes}d`, inputs, outputs)
  const { op } = called
  checkOptions(op, options, transposeNames)
  const sizes = windowOf(called, window, axes)
  const strides = stepsOf(op, 'stride', options.stride ?? 1, axes)
  const dilations = stepsOf(op, 'dilation', options.dilation ?? 1, axes)
  const padding = paddingOf(op, options.padding ?? 'SAME', axes)
  return {
    init: (key) => parameters(key, [...sizes, inputs, outputs], options),
    apply: ({ params }, x) => {
      requireParams(op, params)
      requireImage(op, x, axes, inputs)
      const convolve = (batch: NDArray): NDArray =>
        lax.convTranspose(batch, params.weight, strides, padding, {
          dimensionNumbers: layouts[axes - 1],
          rhsDilation: dilations,
        })
      return [withBias(overOneBatchAxis(x, axes + 1, convolve), params), null]
    },
  }
}

/** A constructor of layers whose parameters have a bias unless `useBias` is false. */
interface Constructor<Options> {
  (
    inputs: number,
    outputs: number,
    window: Window,
    options: Options & WithoutBias,
  ): Layer<WeightParams>
  (
    inputs: number,
    outputs: number,
    window: Window,
    options?: Options & WithBias,
  ): Layer<LinearParams>
}

const constructor = <Options extends ConvTransposeLayerOptions>(
  axes: number,
  make: (
    axes: number,
    inputs: number,
    outputs: number,
    window: Window,
    options: Options | Record<string, never>,
  ) => Layer<LinearParams | WeightParams>,
): Constructor<Options> =>
  ((inputs: number, outputs: number, window: Window, options: Options | undefined) =>
    make(axes, inputs, outputs, window, options ?? {})) as Constructor<Options>

/**
 * Slides filters over the last axis but one: `[..., width, inputs]` to `[..., width', outputs]`.
 *
 * @param window how wide the filters are
 * @param options.groups `inputs` groups make it depthwise
 * @example
 * const layer = conv1d(3, 8, 5)
 * layer.apply(layer.init(random.key(0)), np.ones([10, 3]))[0].shape // [ 10, 8 ]
 */
export const conv1d: Constructor<ConvOptions> = constructor(1, convolution)

/**
 * Slides filters over images: `[..., height, width, inputs]` to `[..., height', width', outputs]`.
 * The weight has shape `[...window, inputs / groups, outputs]`.
 *
 * @param window the size of the filters, one number for both axes or `[height, width]`
 * @example
 * const half = conv2d(3, 16, 3, { stride: 2 })
 * half.apply(half.init(random.key(0)), np.ones([8, 8, 3]))[0].shape // [ 4, 4, 16 ]
 */
export const conv2d: Constructor<ConvOptions> = constructor(2, convolution)

/**
 * Slides filters over volumes: `[..., depth, height, width, inputs]`.
 *
 * @example
 * const layer = conv3d(1, 4, 3)
 * layer.apply(layer.init(random.key(0)), np.ones([4, 4, 4, 1]))[0].shape // [ 4, 4, 4, 4 ]
 */
export const conv3d: Constructor<ConvOptions> = constructor(3, convolution)

/**
 * The transposed convolution over one axis, which `stride` makes longer.
 *
 * @example
 * const layer = convTranspose1d(3, 8, 4, { stride: 2 })
 * layer.apply(layer.init(random.key(0)), np.ones([5, 3]))[0].shape // [ 10, 8 ]
 */
export const convTranspose1d: Constructor<ConvTransposeLayerOptions> = constructor(
  1,
  transposedConvolution,
)

/**
 * The transposed ("fractionally strided") convolution of images, which `stride` makes larger. Zeiler
 * et al. 2010. The filters are not flipped: JAX's `conv_transpose`.
 *
 * @example
 * const layer = convTranspose2d(3, 8, 4, { stride: 2 })
 * layer.apply(layer.init(random.key(0)), np.ones([5, 5, 3]))[0].shape // [ 10, 10, 8 ]
 */
export const convTranspose2d: Constructor<ConvTransposeLayerOptions> = constructor(
  2,
  transposedConvolution,
)

/**
 * The transposed convolution of volumes.
 *
 * @example
 * const layer = convTranspose3d(1, 2, 2, { stride: 2 })
 * layer.apply(layer.init(random.key(0)), np.ones([2, 2, 2, 1]))[0].shape // [ 4, 4, 4, 2 ]
 */
export const convTranspose3d: Constructor<ConvTransposeLayerOptions> = constructor(
  3,
  transposedConvolution,
)

export interface DepthwiseOptions extends ConvTransposeLayerOptions {
  /** How many filters each feature has; 1 unless given. */
  readonly multiplier?: number
}

/**
 * Filters each feature of an image by itself: `[..., features]` to `[..., features · multiplier]`.
 *
 * @example
 * const layer = depthwiseConv2d(3, 3, { multiplier: 2 })
 * layer.apply(layer.init(random.key(0)), np.ones([8, 8, 3]))[0].shape // [ 8, 8, 6 ]
 */
export function depthwiseConv2d(
  features: number,
  window: Window,
  options: DepthwiseOptions & WithoutBias,
): Layer<WeightParams>
export function depthwiseConv2d(
  features: number,
  window: Window,
  options?: DepthwiseOptions & WithBias,
): Layer<LinearParams>
export function depthwiseConv2d(
  features: number,
  window: Window,
  given: DepthwiseOptions = {},
): Layer<LinearParams | WeightParams> {
  const op = `depthwiseConv2d(${features}, …)`
  checkOptions(op, given, [...transposeNames, 'multiplier'])
  const { multiplier = 1, ...options } = given
  const own = { ...options, groups: features }
  return convolution(2, features, features * multiplier, window, own, {
    op,
    example: 'depthwiseConv2d(features, 3)',
  })
}
