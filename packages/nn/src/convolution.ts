/** Convolutions over one, two or three axes, features last (`NHWC` with `HWIO` filters). */
import { ArgumentError, lax, np, random, ShapeError, type NDArray, type Shape } from '@adjoint/core'
import { type Initializer, lecunNormal, zeros } from './initializers'
import type { Layer } from './layer'
import type { LinearParams, WeightParams } from './linear'

/** `'SAME'`, `'VALID'`, the same number on every side, or `[low, high]` per axis. */
export type ConvPadding = 'SAME' | 'VALID' | number | readonly (readonly [number, number])[]

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

function windowOf(op: string, window: Window, axes: number): readonly number[] {
  // Without types a window may be missing.
  const sizes = Array.isArray(window) ? (window as readonly number[]) : perAxis(window, axes)
  if (sizes?.length === axes) return sizes
  throw new ArgumentError({
    op,
    problem: sizes === undefined ? 'the window is missing' : `a window of ${sizes.length} axes`,
    rule: `the window is one number, or ${axes} of them`,
    hint: `give the size of the filters: conv${axes}d(inputs, outputs, 3)`,
  })
}

const layouts = [
  ['NWC', 'WIO', 'NWC'],
  ['NHWC', 'HWIO', 'NHWC'],
  ['NDHWC', 'DHWIO', 'NDHWC'],
] as const

const paddingOf = (padding: ConvPadding, axes: number): lax.Padding =>
  typeof padding === 'number'
    ? Array.from({ length: axes }, () => [padding, padding] as const)
    : padding

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
): Layer<LinearParams | WeightParams> {
  const op = `conv${axes}d(${inputs}, ${outputs}, …)`
  const sizes = windowOf(op, window, axes)
  const { stride = 1, padding = 'SAME', dilation = 1, groups = 1 } = options
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
      requireImage(op, x, axes, inputs)
      const convolve = (batch: NDArray): NDArray =>
        lax.convGeneralDilated(
          batch,
          params.weight,
          perAxis(stride, axes),
          paddingOf(padding, axes),
          {
            dimensionNumbers: layouts[axes - 1],
            rhsDilation: perAxis(dilation, axes),
            featureGroupCount: groups,
          },
        )
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
  const op = `convTranspose${axes}d(${inputs}, ${outputs}, …)`
  const sizes = windowOf(op, window, axes)
  const { stride = 1, padding = 'SAME', dilation = 1 } = options
  return {
    init: (key) => parameters(key, [...sizes, inputs, outputs], options),
    apply: ({ params }, x) => {
      requireImage(op, x, axes, inputs)
      const convolve = (batch: NDArray): NDArray =>
        lax.convTranspose(batch, params.weight, perAxis(stride, axes), paddingOf(padding, axes), {
          dimensionNumbers: layouts[axes - 1],
          rhsDilation: perAxis(dilation, axes),
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

/** Slides filters over volumes: `[..., depth, height, width, inputs]`. */
export const conv3d: Constructor<ConvOptions> = constructor(3, convolution)

/** The transposed convolution over one axis, which `stride` makes longer. */
export const convTranspose1d: Constructor<ConvTransposeLayerOptions> = constructor(
  1,
  transposedConvolution,
)

/**
 * The transposed ("fractionally strided") convolution of images, which `stride` makes larger. Zeiler
 * et al. 2010. The filters are not flipped: JAX's `conv_transpose`.
 */
export const convTranspose2d: Constructor<ConvTransposeLayerOptions> = constructor(
  2,
  transposedConvolution,
)

/** The transposed convolution of volumes. */
export const convTranspose3d: Constructor<ConvTransposeLayerOptions> = constructor(
  3,
  transposedConvolution,
)

export interface DepthwiseOptions extends ConvTransposeLayerOptions {
  /** How many filters each feature has; 1 unless given. */
  readonly multiplier?: number
}

/** Filters each feature of an image by itself: `[..., features]` to `[..., features · multiplier]`. */
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
  { multiplier = 1, ...options }: DepthwiseOptions = {},
): Layer<LinearParams | WeightParams> {
  return convolution(2, features, features * multiplier, window, { ...options, groups: features })
}
