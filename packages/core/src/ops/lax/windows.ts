/** Convolutions and sliding windows. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import type { Shape } from '../../types/aval'
import type { DType } from '../../types/dtype'
import { ArgumentError, ShapeError } from '../../types/errors'
import { dilated, namedPadding, range } from '../../types/shape'
import { checkOptions, given } from '../arguments'
import { type ArrayLike, asArray, broadcastTo, convert } from '../promotion'
import * as lax from './elementwise'

/** `'SAME'`, `'VALID'`, or `[low, high]` per axis. */
export type Padding = 'SAME' | 'SAME_LOWER' | 'VALID' | readonly (readonly [number, number])[]

type PaddingPairs = readonly (readonly [number, number])[]

function resolvePadding(
  op: string,
  padding: Padding,
  sizes: Shape,
  windows: Shape,
  strides: readonly number[],
): PaddingPairs {
  if (typeof padding !== 'string') {
    if (padding.length === sizes.length) return padding
    throw new ArgumentError({
      op: `${op}(…, { padding })`,
      problem: `${padding.length} pairs for ${sizes.length} axes`,
      rule: 'one [low, high] per windowed axis',
    })
  }
  if (padding !== 'SAME' && padding !== 'SAME_LOWER' && padding !== 'VALID') {
    throw new ArgumentError({
      op: `${op}(…, { padding })`,
      problem: `unknown padding '${String(padding)}'`,
      rule: "padding is 'SAME', 'SAME_LOWER', 'VALID' or a list of [low, high]",
    })
  }
  return namedPadding(padding, sizes, windows, strides).map(({ low, high }) => [low, high] as const)
}

// --- convolution ------------------------------------------------------------------------------------

/** Letters for the axes, as `['NHWC', 'HWIO', 'NHWC']`: N batch, C feature, O and I out and in. */
export type ConvLayout = readonly [lhs: string, rhs: string, out: string]

export interface ConvGeneralOptions {
  readonly lhsDilation?: readonly number[]
  readonly rhsDilation?: readonly number[]
  readonly dimensionNumbers?: ConvLayout | prim.ConvDimensionNumbers | null
  readonly featureGroupCount?: number
  readonly batchGroupCount?: number
  readonly preferredElementType?: DType
}

/** Positions of batch, feature and spatial axes from letters; spatial axes in the order of `rhs`. */
export function convDimensionNumbers([lhs, rhs, out]: ConvLayout): prim.ConvDimensionNumbers {
  const spatial = [...rhs].filter((letter) => letter !== 'O' && letter !== 'I')
  const spec = (text: string, first: string, second: string): number[] => {
    const letters = [first, second, ...spatial]
    const axes = letters.map((letter) => text.indexOf(letter))
    if (axes.includes(-1) || text.length !== letters.length || new Set(axes).size !== axes.length) {
      throw new ArgumentError({
        op: 'convGeneralDilated(…, { dimensionNumbers })',
        problem: `cannot read ['${lhs}', '${rhs}', '${out}']`,
        rule: 'N and C in lhs and out, O and I in rhs, and the same spatial letters in all three',
        hint: "for example ['NHWC', 'HWIO', 'NHWC']",
      })
    }
    return axes
  }
  return {
    lhsSpec: spec(lhs, 'N', 'C'),
    rhsSpec: spec(rhs, 'O', 'I'),
    outSpec: spec(out, 'N', 'C'),
  }
}

const isLayout = (numbers: ConvLayout | prim.ConvDimensionNumbers): numbers is ConvLayout =>
  Array.isArray(numbers)

/**
 * Slides filters over an input (a correlation: filters are not flipped).
 *
 * @param lhs the input, `NCHW` unless `dimensionNumbers` says otherwise
 * @param rhs the filters, `OIHW` unless `dimensionNumbers` says otherwise
 * @param windowStrides one per spatial axis
 * @param padding `'SAME'`, `'VALID'` or `[low, high]` per spatial axis
 */
export function convGeneralDilated(
  lhs: ArrayLike,
  rhs: ArrayLike,
  windowStrides: readonly number[],
  padding: Padding,
  options: ConvGeneralOptions = {},
): NDArray {
  given('convGeneralDilated', 'windowStrides', windowStrides)
  given('convGeneralDilated', 'padding', padding)
  checkOptions('convGeneralDilated', options, [
    'lhsDilation',
    'rhsDilation',
    'dimensionNumbers',
    'featureGroupCount',
    'batchGroupCount',
    'preferredElementType',
  ])
  const [x, filters] = [asArray('convGeneralDilated', lhs), asArray('convGeneralDilated', rhs)]
  const standard = range(x.ndim)
  const numbers = options.dimensionNumbers ?? {
    lhsSpec: standard,
    rhsSpec: standard,
    outSpec: standard,
  }
  const dimensionNumbers = isLayout(numbers) ? convDimensionNumbers(numbers) : numbers
  if (x.ndim !== filters.ndim || x.ndim < 2 || dimensionNumbers.lhsSpec.length !== x.ndim) {
    throw new ShapeError({
      op: 'convGeneralDilated(lhs, rhs)',
      problem: 'input, filters and dimension numbers differ in rank',
      operands: [
        { name: 'lhs', aval: x.aval },
        { name: 'rhs', aval: filters.aval },
      ],
      rule: 'a batch axis, a feature axis and the same number of spatial axes in both',
    })
  }
  const spatial = dimensionNumbers.lhsSpec.length - 2
  const ones = range(spatial).map(() => 1)
  const lhsDilation = options.lhsDilation ?? ones
  const rhsDilation = options.rhsDilation ?? ones
  const sizes = dimensionNumbers.lhsSpec
    .slice(2)
    .map((axis, i) => dilated(x.shape[axis], lhsDilation[i]))
  const windows = dimensionNumbers.rhsSpec
    .slice(2)
    .map((axis, i) => dilated(filters.shape[axis], rhsDilation[i]))
  return prim.convGeneralDilated(x, filters, {
    windowStrides,
    padding: resolvePadding('convGeneralDilated', padding, sizes, windows, windowStrides),
    lhsDilation,
    rhsDilation,
    dimensionNumbers,
    featureGroupCount: options.featureGroupCount,
    batchGroupCount: options.batchGroupCount,
    preferredElementType: options.preferredElementType,
  })
}

/** A convolution in the standard layout without dilation. */
export const conv = (
  lhs: ArrayLike,
  rhs: ArrayLike,
  windowStrides: readonly number[],
  padding: Padding,
  options: Pick<ConvGeneralOptions, 'preferredElementType'> = {},
): NDArray => convGeneralDilated(lhs, rhs, windowStrides, padding, options)

export const convWithGeneralPadding = (
  lhs: ArrayLike,
  rhs: ArrayLike,
  windowStrides: readonly number[],
  padding: Padding,
  lhsDilation?: readonly number[],
  rhsDilation?: readonly number[],
): NDArray => convGeneralDilated(lhs, rhs, windowStrides, padding, { lhsDilation, rhsDilation })

export interface ConvTransposeOptions {
  readonly rhsDilation?: readonly number[]
  readonly dimensionNumbers?: ConvLayout | prim.ConvDimensionNumbers | null
  /** Flip the filters and swap their features: the gradient of a convolution. */
  readonly transposeKernel?: boolean
  readonly preferredElementType?: DType
}

/** The transposed ("fractionally strided") convolution, `NHWC` with `HWIO` filters unless told. */
export function convTranspose(
  lhs: ArrayLike,
  rhs: ArrayLike,
  strides: readonly number[],
  padding: Padding,
  options: ConvTransposeOptions = {},
): NDArray {
  given('convTranspose', 'strides', strides)
  given('convTranspose', 'padding', padding)
  checkOptions('convTranspose', options, [
    'rhsDilation',
    'dimensionNumbers',
    'transposeKernel',
    'preferredElementType',
  ])
  const [x, filters] = [asArray('convTranspose', lhs), asArray('convTranspose', rhs)]
  const letters = 'HWD'.slice(0, x.ndim - 2)
  const layout =
    options.dimensionNumbers ?? ([`N${letters}C`, `${letters}IO`, `N${letters}C`] as const)
  const numbers = isLayout(layout) ? convDimensionNumbers(layout) : layout
  const spatialFilters = numbers.rhsSpec.slice(2)
  const dilation = options.rhsDilation ?? strides.map(() => 1)
  const reach = spatialFilters.map((axis, i) => dilated(filters.shape[axis], dilation[i]))
  const pads: PaddingPairs =
    typeof padding === 'string'
      ? reach.map((k, i) => transposePadding(k, strides[i], padding))
      : padding
  const [kernel, kernelNumbers] = options.transposeKernel
    ? [
        prim.rev(filters, { dimensions: spatialFilters }),
        { ...numbers, rhsSpec: [numbers.rhsSpec[1], numbers.rhsSpec[0], ...spatialFilters] },
      ]
    : [filters, numbers]
  return convGeneralDilated(
    x,
    kernel,
    strides.map(() => 1),
    pads,
    {
      lhsDilation: strides,
      rhsDilation: dilation,
      dimensionNumbers: kernelNumbers,
      preferredElementType: options.preferredElementType,
    },
  )
}

/** The padding that makes the transpose of a 'SAME' or 'VALID' convolution. */
function transposePadding(
  window: number,
  stride: number,
  padding: string,
): readonly [number, number] {
  if (padding === 'SAME') {
    const total = window + stride - 2
    const low = stride > window - 1 ? window - 1 : Math.ceil(total / 2)
    return [low, total - low]
  }
  const total = window + stride - 2 + Math.max(window - stride, 0)
  return [window - 1, total - (window - 1)]
}

// --- windows ----------------------------------------------------------------------------------------

export interface ReduceWindowOptions {
  readonly baseDilation?: readonly number[]
  readonly windowDilation?: readonly number[]
}

const reducers = new Map<
  unknown,
  { name: string; reduce: typeof prim.reduceWindowSum; identity: (x: NDArray) => number }
>([
  [lax.add, { name: 'add', reduce: prim.reduceWindowSum, identity: () => 0 }],
  [lax.max, { name: 'max', reduce: prim.reduceWindowMax, identity: () => -Infinity }],
  [lax.min, { name: 'min', reduce: prim.reduceWindowMin, identity: () => Infinity }],
])

/**
 * Reduces every window of an array with `lax.add`, `lax.max` or `lax.min`, starting at `initValue`.
 *
 * @param windowDimensions the size of the window, one per axis
 */
export function reduceWindow(
  operand: ArrayLike,
  initValue: ArrayLike,
  computation: lax.Binary,
  windowDimensions: readonly number[],
  windowStrides: readonly number[],
  padding: Padding,
  options: ReduceWindowOptions = {},
): NDArray {
  const x = asArray('reduceWindow', operand)
  const reducer = reducers.get(computation)
  if (!reducer) {
    throw new ArgumentError({
      op: 'reduceWindow(operand, initValue, computation, …)',
      problem: 'this computation has no windowed form',
      operands: [{ name: 'operand', aval: x.aval }],
      rule: 'computation is lax.add, lax.max or lax.min',
    })
  }
  for (const [name, value] of Object.entries({ windowDimensions, windowStrides, padding })) {
    given('reduceWindow', name, value)
  }
  checkOptions('reduceWindow', options, ['baseDilation', 'windowDilation'])
  if (windowDimensions.length !== x.ndim || windowStrides.length !== x.ndim) {
    throw new ShapeError({
      op: 'reduceWindow(operand, …, windowDimensions, windowStrides)',
      problem: `windows of ${windowDimensions.length} axes over ${x.ndim}`,
      operands: [{ name: 'operand', aval: x.aval }],
      rule: 'one window size and one stride per axis',
    })
  }
  const ones = x.shape.map(() => 1)
  const baseDilation = options.baseDilation ?? ones
  const windowDilation = options.windowDilation ?? ones
  const reduced = reducer.reduce(x, {
    windowDimensions,
    windowStrides,
    padding: resolvePadding(
      'reduceWindow',
      padding,
      x.shape.map((n, i) => dilated(n, baseDilation[i])),
      windowDimensions.map((n, i) => dilated(n, windowDilation[i])),
      windowStrides,
    ),
    baseDilation,
    windowDilation,
  })
  // Windows start from the identity; another start is combined with afterwards.
  const init = asArray('reduceWindow', initValue)
  const literal = init.scalarLiteral
  if (literal !== null && Number(literal) === reducer.identity(x)) return reduced
  return computation(broadcastTo(convert(init, x.dtype, x.aval.weakType), reduced.shape), reduced)
}
