/** Arrays from data, and arrays defined by a formula of their indices. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { type Elements, makeArray, makeScalar } from '../../trace/interpreter'
import { Aval, type Shape, shapesEqual, sizeOf } from '../../types/aval'
import { type DType, isFloating } from '../../types/dtype'
import { ArgumentError, DTypeError, ShapeError } from '../../types/errors'
import { canonicalAxis, canonicalShape, checkOptions, isOptions } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastShapes,
  broadcastTo,
  checkDType,
  convert,
  filledLike,
  full as filled,
  inexactTypeOf,
  isArray,
  operandReports,
  promoteDTypes,
  refuse,
  resultTypeOf,
  toBool,
} from '../promotion'

/** Typed arrays that can be taken in. */
export type NumericData =
  | Float64Array
  | Float32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array

/** What `np.array` takes: an array, a scalar, a typed array, or these nested in lists. */
export type NestedArray = ArrayLike | NumericData | readonly NestedArray[]

export interface DTypeOptions {
  readonly dtype?: DType
}

export interface ArrayOptions extends DTypeOptions {
  /** The shape of the result, if the data is flat. The sizes must multiply to its length. */
  readonly shape?: Shape
}

/** The dtype that options ask for. `more` lists what else the operation takes. */
export function ofDType<T extends DTypeOptions>(
  op: string,
  options: T | undefined,
  otherwise: DType,
  more: readonly (keyof T & string)[] = [],
): DType {
  if (options === undefined) return otherwise
  if (!isOptions(options)) {
    throw new ArgumentError({
      op,
      problem: `options are an object, not ${String(options)}`,
      rule: 'a shape is one list of sizes, and options are { dtype }',
      hint: `for example ${op}([2, 3], { dtype: 'int32' })`,
    })
  }
  checkOptions(op, options, ['dtype', ...more])
  return options.dtype === undefined ? otherwise : checkDType(op, options.dtype)
}

// --- from data --------------------------------------------------------------------------------------

const typedArrayDTypes: { readonly [tag: string]: DType } = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
  Int16Array: 'int16',
  Uint16Array: 'uint16',
  Int32Array: 'int32',
  Uint32Array: 'uint32',
}

/**
 * Makes an array from nested lists, a typed array, a scalar or another array.
 *
 * Without a dtype, booleans make a bool array, integers an int32 array and anything else float32;
 * a typed array keeps its own type. Elements may be arrays, which are stacked.
 *
 * @param data elements; lists must have equal lengths at each depth
 * @param options `dtype`, and `shape` to give flat data another shape
 * @throws ShapeError when lists are ragged or the number of elements does not fit `shape`
 * @example
 * np.array([[1, 2], [3, 4]], { dtype: 'float32' })
 * np.array(new Float32Array(6), { shape: [2, 3] })
 */
export function array(data: NestedArray, options: ArrayOptions = {}): NDArray {
  checkOptions('array', options, ['dtype', 'shape'])
  if (options.dtype !== undefined) checkDType('array', options.dtype)
  const result = fromNested(data, options.dtype)
  if (options.shape === undefined) return result
  const shape = canonicalShape('array', options.shape)
  if (sizeOf(shape) !== result.size) {
    throw new ShapeError({
      op: 'array(data, { shape })',
      problem: `the data has ${result.size} elements, the shape [${shape.join(',')}] needs ${sizeOf(shape)}`,
      operands: [{ name: 'data', aval: result.aval }],
      rule: 'the sizes multiply to the number of elements',
      hint: 'np.reshape takes one size of -1, which is computed',
    })
  }
  return shapesEqual(shape, result.shape) ? result : prim.reshape(result, { newSizes: shape })
}

/** `array`; an array of the asked dtype is returned as it is. */
export const asarray: (data: NestedArray, options?: ArrayOptions) => NDArray = array

function fromNested(data: NestedArray, dtype: DType | undefined): NDArray {
  if (isArray(data)) return dtype === undefined ? data : castTo(data, dtype)
  if (typeof data === 'number' || typeof data === 'boolean') {
    return dtype === undefined ? asArray('array', data) : scalarOf('array', data, dtype)
  }
  if (ArrayBuffer.isView(data)) return fromTypedArray(data, dtype)
  if (!Array.isArray(data)) return refuse('array(data)', data)
  const list = data as readonly NestedArray[]
  if (containsArrays(list)) return stackNested(list, dtype)
  return fromNumbers(list, dtype)
}

const castTo = (x: NDArray, dtype: DType): NDArray =>
  dtype === 'bool' ? toBool(x) : convert(x, dtype)

/** A value of a dtype; a number is not rounded to float32 on its way to float64. */
const scalarOf = (op: string, x: ArrayLike, dtype: DType): NDArray =>
  typeof x === 'number' && dtype === 'float64'
    ? makeScalar(x, new Aval([], dtype))
    : castTo(asArray(op, x), dtype)

function fromTypedArray(data: ArrayBufferView, dtype: DType | undefined): NDArray {
  const tag = Object.prototype.toString.call(data).slice(8, -1)
  const own = typedArrayDTypes[tag]
  if (own === undefined) {
    throw new DTypeError({
      op: 'array(data)',
      problem: `cannot take a ${tag}`,
      rule: `typed arrays: ${Object.keys(typedArrayDTypes).join(', ')}`,
      hint: tag.startsWith('Big')
        ? 'there are no 64-bit integers: Int32Array.from(data, Number)'
        : 'wrap the buffer in one of these views',
    })
  }
  const values = data as NumericData
  // Truth values are made here, as 0 and 1; everything else by the device.
  const elements: Elements =
    dtype === 'bool' ? Uint8Array.from(values, (v) => Number(v !== 0)) : values
  return makeArray(elements, new Aval([values.length], dtype ?? own))
}

/** Lists may hold numbers and booleans only, or arrays somewhere: those are stacked instead. */
const containsArrays = (list: readonly NestedArray[]): boolean =>
  list.some((item) =>
    Array.isArray(item)
      ? containsArrays(item as readonly NestedArray[])
      : isArray(item) || ArrayBuffer.isView(item),
  )

function stackNested(list: readonly NestedArray[], dtype: DType | undefined): NDArray {
  const items = promoteDTypes(
    'array',
    list.map((item) => fromNested(item, dtype)),
  )
  const shape = items[0].shape
  const odd = items.findIndex((item) => !shapesEqual(item.shape, shape))
  if (odd >= 0) {
    throw new ShapeError({
      op: 'array(data)',
      problem: 'the elements have different shapes',
      operands: [
        { name: 'data[0]', aval: items[0].aval },
        { name: `data[${odd}]`, aval: items[odd].aval },
      ],
      rule: 'nested arrays have equal shapes',
    })
  }
  // `concatenate` needs a scalar's axis too.
  const slices = items.map((x) => prim.reshape(x, { newSizes: [1, ...shape] }))
  const whole = prim.concatenate(slices, { dimension: 0 })
  return convert(whole, whole.dtype)
}

function fromNumbers(list: readonly NestedArray[], dtype: DType | undefined): NDArray {
  const shape: number[] = []
  for (let level: unknown = list; Array.isArray(level); level = (level as unknown[])[0])
    shape.push(level.length)
  const values: (number | boolean)[] = []
  const kinds = new Set<DType>()
  const path: number[] = []
  const visit = (items: readonly unknown[], depth: number): void => {
    if (items.length !== shape[depth]) throw ragged(path, items.length, shape[depth])
    items.forEach((item, i) => {
      path[depth] = i
      path.length = depth + 1
      if (Array.isArray(item)) {
        if (depth + 1 >= shape.length) throw ragged(path, item.length, null)
        visit(item as readonly unknown[], depth + 1)
      } else if (typeof item === 'number' || typeof item === 'boolean') {
        if (depth + 1 !== shape.length) throw ragged(path, null, shape[depth + 1])
        values.push(item)
        kinds.add(kindOfScalar(item))
      } else {
        refuse('array(data)', item)
      }
    })
  }
  visit(list, 0)
  const inferred: DType =
    values.length === 0 || kinds.has('float32') ? 'float32' : kinds.has('int32') ? 'int32' : 'bool'
  return makeArray(values, new Aval(shape, dtype ?? inferred))
}

const kindOfScalar = (value: number | boolean): DType => {
  if (typeof value === 'boolean') return 'bool'
  return (value | 0) === value && !Object.is(value, -0) ? 'int32' : 'float32'
}

const ragged = (
  path: readonly number[],
  length: number | null,
  expected: number | null,
): ShapeError =>
  new ShapeError({
    op: 'array(data)',
    problem: `the lists are ragged: ${
      length === null ? 'a scalar' : `a list of ${length}`
    } stands where ${expected === null ? 'scalars stand' : `a list of ${expected} is needed`}`,
    path: `data${path.map((i) => `[${i}]`).join('')}`,
    rule: 'lists at the same depth have the same length',
  })

// --- filled -----------------------------------------------------------------------------------------

/** An array of zeros, float32 unless a dtype is given. */
export const zeros = (shape: number | Shape, options?: DTypeOptions): NDArray =>
  filled(canonicalShape('zeros', shape), 0, ofDType('zeros', options, 'float32'))

/** An array of ones, float32 unless a dtype is given. */
export const ones = (shape: number | Shape, options?: DTypeOptions): NDArray =>
  filled(canonicalShape('ones', shape), 1, ofDType('ones', options, 'float32'))

/** `zeros`: there is no uninitialised memory to see. */
export const empty: typeof zeros = zeros

/** An array filled with `value`, which is broadcast to `shape`; its dtype is the value's own. */
export function full(shape: number | Shape, value: ArrayLike, options: DTypeOptions = {}): NDArray {
  const target = canonicalShape('full', shape)
  const { dtype } = checkOptions('full', options, ['dtype'])
  const typed =
    dtype === undefined
      ? asArray('full', value)
      : scalarOf('full', value, checkDType('full', dtype))
  return broadcastChecked('full', typed, target)
}

export interface LikeOptions extends DTypeOptions {
  readonly shape?: Shape
}

const convertLike = (x: NDArray, dtype: DType, weak: boolean): NDArray =>
  dtype === 'bool' ? toBool(x) : convert(x, dtype, weak)

const likeWith = (
  op: string,
  x: ArrayLike,
  value: ArrayLike,
  options: LikeOptions = {},
): NDArray => {
  const like = asArray(op, x)
  const dtype = ofDType(op, options, like.dtype, ['shape'])
  const weak = options.dtype === undefined && like.aval.weakType
  const shape = options.shape === undefined ? like.shape : canonicalShape(op, options.shape)
  const fill =
    dtype === 'float64' ? scalarOf(op, value, dtype) : convertLike(asArray(op, value), dtype, weak)
  return broadcastChecked(op, fill, shape)
}
/** Zeros of the shape and dtype of `x`. */
export const zerosLike = (x: ArrayLike, options?: LikeOptions): NDArray =>
  likeWith('zerosLike', x, 0, options)
/** Ones of the shape and dtype of `x`. */
export const onesLike = (x: ArrayLike, options?: LikeOptions): NDArray =>
  likeWith('onesLike', x, 1, options)
export const emptyLike: typeof zerosLike = zerosLike
/** An array of the shape and dtype of `x`, filled with `value`. */
export const fullLike = (x: ArrayLike, value: ArrayLike, options?: LikeOptions): NDArray =>
  likeWith('fullLike', x, value, options)

/** Broadcasts to a shape given by the user. */
export function broadcastChecked(op: string, x: NDArray, shape: Shape): NDArray {
  const offset = shape.length - x.ndim
  if (offset >= 0 && x.shape.every((n, axis) => n === 1 || n === shape[axis + offset])) {
    return broadcastTo(x, shape)
  }
  throw new ShapeError({
    op: `${op}(a, shape)`,
    problem: `cannot broadcast to [${shape.join(',')}]`,
    operands: operandReports([x]),
    rule: 'aligned at the last axis, each size is 1 or that of the new shape',
  })
}

/** A copy: arrays are immutable, so it is the array itself. */
export const copy = (x: ArrayLike): NDArray => asArray('copy', x)

// --- ranges -----------------------------------------------------------------------------------------

export const iota = (dtype: DType, shape: Shape, dimension: number): NDArray =>
  prim.iota({ dtype, shape, dimension })

/**
 * Evenly spaced numbers from `start` (0 if left out) up to, not including, `stop`.
 * The size must be known, so the arguments are JavaScript numbers.
 */
export function arange(
  startOrStop: number,
  stopOrOptions?: number | DTypeOptions,
  stepOrOptions?: number | DTypeOptions,
  lastOptions?: DTypeOptions,
): NDArray {
  const numbers = [startOrStop, stopOrOptions, stepOrOptions].filter((v) => typeof v === 'number')
  const options = lastOptions ?? [stopOrOptions, stepOrOptions].find((v) => isOptions(v))
  for (const value of [startOrStop, ...numbers]) {
    if (Number.isFinite(value)) continue
    throw new ArgumentError({
      op: 'arange(start, stop, step)',
      problem: `needs finite JavaScript numbers, was given ${typeof value === 'number' ? value : isArray(value) ? 'an array' : typeof value}`,
      rule: 'the length of the result is static',
      hint: 'for a traced start use np.add(start, np.arange(n))',
    })
  }
  const [start, stop] = numbers.length === 1 ? [0, startOrStop] : numbers
  const step = numbers[2] ?? 1
  if (step === 0) {
    throw new ArgumentError({
      op: 'arange(start, stop, step)',
      problem: 'step is 0',
      rule: 'step is not 0',
    })
  }
  const inferred: DType = numbers.every((v) => kindOfScalar(v) === 'int32') ? 'int32' : 'float32'
  const dtype = ofDType('arange', isOptions<DTypeOptions>(options) ? options : undefined, inferred)
  const size = Math.max(0, Math.ceil((stop - start) / step))
  const working: DType = dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype
  let result = iota(working === 'bool' ? 'int32' : working, [size], 0)
  if (step !== 1) result = prim.mul(result, filledLike(result, step))
  if (start !== 0) result = prim.add(result, filledLike(result, start))
  return castTo(result, dtype)
}

export interface LinspaceOptions extends DTypeOptions {
  readonly num?: number
  /** Whether `stop` is the last sample. */
  readonly endpoint?: boolean
  /** The axis of the result along which samples stand, when the ends are arrays. */
  readonly axis?: number
}

const linspaceKeys = ['num', 'endpoint', 'axis'] as const

/**
 * `num` (50) evenly spaced samples from `start` to `stop`.
 * With `retstep: true` the result is `[samples, step]`.
 */
export function linspace(
  start: ArrayLike,
  stop: ArrayLike,
  numOrOptions: number | (LinspaceOptions & { readonly retstep: true }),
  options: LinspaceOptions & { readonly retstep: true },
): [samples: NDArray, step: NDArray]
export function linspace(
  start: ArrayLike,
  stop: ArrayLike,
  options: LinspaceOptions & { readonly retstep: true },
): [samples: NDArray, step: NDArray]
export function linspace(
  start: ArrayLike,
  stop: ArrayLike,
  numOrOptions?: number | (LinspaceOptions & { readonly retstep?: false }),
  options?: LinspaceOptions & { readonly retstep?: false },
): NDArray
export function linspace(
  start: ArrayLike,
  stop: ArrayLike,
  numOrOptions: number | (LinspaceOptions & { readonly retstep?: boolean }) = {},
  lastOptions: LinspaceOptions & { readonly retstep?: boolean } = {},
): NDArray | [NDArray, NDArray] {
  const given =
    typeof numOrOptions === 'number' ? { ...lastOptions, num: numOrOptions } : numOrOptions
  const { num = 50, endpoint = true, axis = 0, retstep = false } = given
  if (!Number.isInteger(num) || num < 0) {
    throw new ArgumentError({
      op: 'linspace(start, stop, { num })',
      problem: `num is ${num}`,
      rule: 'the number of samples is a nonnegative integer',
    })
  }
  const common = resultTypeOf('linspace', [start, stop])
  const dtype = ofDType('linspace', given, inexactTypeOf(common).dtype, [
    ...linspaceKeys,
    'retstep',
  ])
  const working = inexactTypeOf({ dtype, weakType: false }).dtype
  const ends = [start, stop].map((x) => convert(asArray('linspace', x), working))
  const bounds = broadcastShapes('linspace', ends)
  const [first, last] = ends.map((x) => broadcastTo(x, bounds))
  const along = canonicalAxis('linspace', axis, first, bounds.length + 1)
  const scalar = (value: number): NDArray => makeScalar(value, new Aval([], working))
  const spread = (x: NDArray): NDArray =>
    prim.reshape(x, { newSizes: [...bounds.slice(0, along), 1, ...bounds.slice(along)] })
  const steps = endpoint ? num - 1 : num
  let samples: NDArray
  let step: NDArray
  if (num > 1) {
    const span = prim.sub(last, first)
    step = prim.div(span, broadcastTo(scalar(steps), bounds))
    const shape = bounds.slice()
    const withSteps = [...shape.slice(0, along), steps, ...shape.slice(along)]
    const position = prim.div(
      iota(working, withSteps, along),
      broadcastTo(scalar(steps), withSteps),
    )
    // Exact at both ends, and monotone, as start + i·step would not be.
    samples = prim.add(
      prim.mul(broadcastTo(spread(first), withSteps), prim.sub(filledLike(position, 1), position)),
      prim.mul(broadcastTo(spread(last), withSteps), position),
    )
    if (endpoint) samples = prim.concatenate([samples, spread(last)], { dimension: along })
  } else {
    step = num === 1 && !endpoint ? prim.sub(last, first) : scalar(NaN)
    const empty = [...bounds.slice(0, along), 0, ...bounds.slice(along)]
    samples = num === 1 ? spread(first) : filled(empty, 0, working)
  }
  if (!isFloating(dtype)) samples = prim.floor(samples)
  const result = castTo(samples, dtype)
  return retstep ? [result, step] : result
}

/** `num` (50) samples evenly spaced on a logarithmic scale, from `base**start` to `base**stop`. */
export function logspace(
  start: ArrayLike,
  stop: ArrayLike,
  numOrOptions: number | (LinspaceOptions & { readonly base?: number }) = {},
  lastOptions: LinspaceOptions & { readonly base?: number } = {},
): NDArray {
  const given =
    typeof numOrOptions === 'number' ? { ...lastOptions, num: numOrOptions } : numOrOptions
  const {
    base = 10,
    dtype,
    ...linear
  } = checkOptions('logspace', given, [...linspaceKeys, 'dtype', 'base'])
  const exponents = linspace(start, stop, linear)
  const samples = prim.pow(filledLike(exponents, base), exponents)
  return castTo(samples, dtype === undefined ? exponents.dtype : checkDType('logspace', dtype))
}

/** `num` (50) samples in geometric progression from `start` to `stop`, both of the same sign. */
export function geomspace(
  start: number,
  stop: number,
  numOrOptions: number | LinspaceOptions = {},
  lastOptions: LinspaceOptions = {},
): NDArray {
  const given =
    typeof numOrOptions === 'number' ? { ...lastOptions, num: numOrOptions } : numOrOptions
  if (!(start * stop > 0)) {
    throw new ArgumentError({
      op: 'geomspace(start, stop)',
      problem: `the ends ${start} and ${stop} do not have the same sign`,
      rule: 'a geometric progression stays on one side of zero',
    })
  }
  const dtype = ofDType('geomspace', given, 'float32', linspaceKeys)
  const exponents = linspace(Math.log(Math.abs(start)), Math.log(Math.abs(stop)), {
    ...given,
    dtype: inexactTypeOf({ dtype, weakType: false }).dtype,
  })
  const samples = prim.exp(exponents)
  return castTo(start < 0 ? prim.neg(samples) : samples, dtype)
}
