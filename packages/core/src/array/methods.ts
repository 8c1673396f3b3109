/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The methods of arrays. Each is the function of the same name with the array as its first operand,
 * so this file is a list.
 */
import * as np from '../ops/np'
import type { Axes } from '../ops/arguments'
import type { ArrayLike } from '../ops/promotion'
import type { DeviceData } from '../backends/backend'
import type { DType } from '../types/dtype'
import type { Shape } from '../types/aval'
import { ConcretizationError, DeletedArrayError, DeviceError, IndexingError } from '../types/errors'
import { describe, type Elements, readElements } from '../trace/interpreter'
import { deviceOf, dispose, readAsync, readSync } from './eager'
import { get, type Index, type IndexUpdate, updateAt } from './indexing'
import { NDArray } from './ndarray'
import { printArray } from './print'

/** Nested lists of numbers, or of booleans; a bare one for a scalar. */
export type Nested = number | boolean | Nested[]

export interface ArrayMethods {
  // --- arithmetic -----------------------------------------------------------------------------
  add(y: ArrayLike): NDArray
  sub(y: ArrayLike): NDArray
  subtract(y: ArrayLike): NDArray
  mul(y: ArrayLike): NDArray
  multiply(y: ArrayLike): NDArray
  div(y: ArrayLike): NDArray
  divide(y: ArrayLike): NDArray
  floorDivide(y: ArrayLike): NDArray
  mod(y: ArrayLike): NDArray
  remainder(y: ArrayLike): NDArray
  pow(y: ArrayLike): NDArray
  power(y: ArrayLike): NDArray
  neg(): NDArray
  negative(): NDArray
  abs(): NDArray
  sign(): NDArray
  square(): NDArray
  reciprocal(): NDArray
  maximum(y: ArrayLike): NDArray
  minimum(y: ArrayLike): NDArray
  clip(...args: Rest<typeof np.clip>): NDArray

  // --- functions ------------------------------------------------------------------------------
  exp(): NDArray
  exp2(): NDArray
  expm1(): NDArray
  log(): NDArray
  log2(): NDArray
  log10(): NDArray
  log1p(): NDArray
  sqrt(): NDArray
  cbrt(): NDArray
  sin(): NDArray
  cos(): NDArray
  tan(): NDArray
  arcsin(): NDArray
  arccos(): NDArray
  arctan(): NDArray
  sinh(): NDArray
  cosh(): NDArray
  tanh(): NDArray
  floor(): NDArray
  ceil(): NDArray
  round(decimals?: number): NDArray
  isnan(): NDArray
  isfinite(): NDArray
  isinf(): NDArray

  // --- comparisons and logic ------------------------------------------------------------------
  equal(y: ArrayLike): NDArray
  notEqual(y: ArrayLike): NDArray
  less(y: ArrayLike): NDArray
  lessEqual(y: ArrayLike): NDArray
  greater(y: ArrayLike): NDArray
  greaterEqual(y: ArrayLike): NDArray
  logicalAnd(y: ArrayLike): NDArray
  logicalOr(y: ArrayLike): NDArray
  logicalXor(y: ArrayLike): NDArray
  logicalNot(): NDArray
  bitwiseAnd(y: ArrayLike): NDArray
  bitwiseOr(y: ArrayLike): NDArray
  bitwiseXor(y: ArrayLike): NDArray
  bitwiseNot(): NDArray
  leftShift(y: ArrayLike): NDArray
  rightShift(y: ArrayLike): NDArray

  // --- reductions -----------------------------------------------------------------------------
  sum(...args: Rest<typeof np.sum>): NDArray
  prod(...args: Rest<typeof np.prod>): NDArray
  mean(...args: Rest<typeof np.mean>): NDArray
  var(...args: Rest<typeof np.var>): NDArray
  std(...args: Rest<typeof np.std>): NDArray
  max(...args: Rest<typeof np.max>): NDArray
  min(...args: Rest<typeof np.min>): NDArray
  ptp(...args: Rest<typeof np.ptp>): NDArray
  all(...args: Rest<typeof np.all>): NDArray
  any(...args: Rest<typeof np.any>): NDArray
  argmax(...args: Rest<typeof np.argmax>): NDArray
  argmin(...args: Rest<typeof np.argmin>): NDArray
  cumsum(...args: Rest<typeof np.cumsum>): NDArray
  cumprod(...args: Rest<typeof np.cumprod>): NDArray

  // --- products -------------------------------------------------------------------------------
  matmul(y: ArrayLike): NDArray
  dot(y: ArrayLike): NDArray

  // --- shape ----------------------------------------------------------------------------------
  /** The array with its axes reversed. */
  readonly T: NDArray
  /** The array with its last two axes swapped. */
  readonly mT: NDArray
  /** `x.reshape([2, 3])` or `x.reshape(2, 3)`; one size may be −1. */
  reshape(shape: number | Shape, ...more: number[]): NDArray
  /** `x.transpose()`, `x.transpose([1, 0])` or `x.transpose(1, 0)`. */
  transpose(axes?: number | readonly number[] | null, ...more: number[]): NDArray
  ravel(): NDArray
  flatten(): NDArray
  squeeze(axis?: Axes): NDArray
  expandDims(axis: number | readonly number[]): NDArray
  swapaxes(axis1: number, axis2: number): NDArray
  moveaxis(...args: Rest<typeof np.moveaxis>): NDArray
  broadcastTo(shape: number | Shape): NDArray
  flip(axis?: Axes): NDArray
  roll(...args: Rest<typeof np.roll>): NDArray
  repeat(...args: Rest<typeof np.repeat>): NDArray
  tile(...args: Rest<typeof np.tile>): NDArray
  diagonal(...args: Rest<typeof np.diagonal>): NDArray
  trace(...args: Rest<typeof np.trace>): NDArray
  astype(dtype: DType): NDArray
  copy(): NDArray

  // --- elements -------------------------------------------------------------------------------
  take(...args: Rest<typeof np.take>): NDArray
  searchsorted(...args: Rest<typeof np.searchsorted>): NDArray
  sort(...args: Rest<typeof np.sort>): NDArray
  argsort(...args: Rest<typeof np.argsort>): NDArray
  nonzero(...args: Rest<typeof np.nonzero>): NDArray[]
  /** NumPy's indexing: integers, `'1:4'`, `slice(a, b, step)`, `'...'`, `null`, integer arrays, masks. */
  get(...index: Index[]): NDArray
  /** The part that a functional update is about: `x.at(0, '1:3').set(v)`. */
  at(...index: Index[]): IndexUpdate

  // --- reading --------------------------------------------------------------------------------
  /** The elements in row-major order; 16-bit floats as their bits, booleans as 0 and 1. */
  data(): Promise<DeviceData>
  /** `data` without waiting; devices that cannot throw a DeviceError. */
  dataSync(): DeviceData
  /** The only element, as a number or boolean. */
  item(): number | boolean
  /** Nested lists of numbers or booleans. */
  toArray(): Nested
  /** The device the elements are on. */
  readonly device: string
  /** Ends the array early; never needed. */
  dispose(): void
  [Symbol.dispose](): void
  /** The rows: slices along the first axis. */
  [Symbol.iterator](): Iterator<NDArray>
  /** A concrete scalar as a JavaScript number; a tracer refuses. */
  [Symbol.toPrimitive](hint: string): number | string | boolean
  /** NumPy's text of the elements; what `String(x)` answers. */
  describeElements(): string
  toJSON(): Nested
}

/** The parameters after the first. */
type Rest<F> = F extends (x: never, ...rest: infer R) => unknown ? R : never

// --- forwarding -------------------------------------------------------------------------------------

type Forwarded = { readonly [name: string]: (x: NDArray, ...rest: never[]) => unknown }

const sameName = {
  add: np.add,
  sub: np.sub,
  subtract: np.subtract,
  mul: np.mul,
  multiply: np.multiply,
  div: np.div,
  divide: np.divide,
  floorDivide: np.floorDivide,
  mod: np.mod,
  remainder: np.remainder,
  pow: np.pow,
  power: np.power,
  neg: np.neg,
  negative: np.negative,
  abs: np.abs,
  sign: np.sign,
  square: np.square,
  reciprocal: np.reciprocal,
  maximum: np.maximum,
  minimum: np.minimum,
  clip: np.clip,
  exp: np.exp,
  exp2: np.exp2,
  expm1: np.expm1,
  log: np.log,
  log2: np.log2,
  log10: np.log10,
  log1p: np.log1p,
  sqrt: np.sqrt,
  cbrt: np.cbrt,
  sin: np.sin,
  cos: np.cos,
  tan: np.tan,
  arcsin: np.arcsin,
  arccos: np.arccos,
  arctan: np.arctan,
  sinh: np.sinh,
  cosh: np.cosh,
  tanh: np.tanh,
  floor: np.floor,
  ceil: np.ceil,
  round: np.round,
  isnan: np.isnan,
  isfinite: np.isfinite,
  isinf: np.isinf,
  equal: np.equal,
  notEqual: np.notEqual,
  less: np.less,
  lessEqual: np.lessEqual,
  greater: np.greater,
  greaterEqual: np.greaterEqual,
  logicalAnd: np.logicalAnd,
  logicalOr: np.logicalOr,
  logicalXor: np.logicalXor,
  logicalNot: np.logicalNot,
  bitwiseAnd: np.bitwiseAnd,
  bitwiseOr: np.bitwiseOr,
  bitwiseXor: np.bitwiseXor,
  bitwiseNot: np.bitwiseNot,
  leftShift: np.leftShift,
  rightShift: np.rightShift,
  sum: np.sum,
  prod: np.prod,
  mean: np.mean,
  var: np.var,
  std: np.std,
  max: np.max,
  min: np.min,
  ptp: np.ptp,
  all: np.all,
  any: np.any,
  argmax: np.argmax,
  argmin: np.argmin,
  cumsum: np.cumsum,
  cumprod: np.cumprod,
  matmul: np.matmul,
  dot: np.dot,
  ravel: np.ravel,
  squeeze: np.squeeze,
  expandDims: np.expandDims,
  swapaxes: np.swapaxes,
  moveaxis: np.moveaxis,
  broadcastTo: np.broadcastTo,
  flip: np.flip,
  roll: np.roll,
  repeat: np.repeat,
  tile: np.tile,
  diagonal: np.diagonal,
  trace: np.trace,
  astype: np.astype,
  copy: np.copy,
  take: np.take,
  searchsorted: np.searchsorted,
  sort: np.sort,
  argsort: np.argsort,
  nonzero: np.nonzero,
} satisfies Forwarded

const otherName = {
  flatten: np.ravel,
  data: (x) => readAsync(x),
  dataSync: (x) => readSync(x),
  dispose: (x) => dispose(x),
  item,
  toArray,
  toJSON: toArray,
  get: (x, ...index: Index[]) => get(x, index),
  at: (x, ...index: Index[]) => updateAt(x, index),
  reshape: (x, shape: number | Shape, ...more: number[]) =>
    np.reshape(x, typeof shape === 'number' ? [shape, ...more] : shape),
  transpose: (x, axes?: number | readonly number[] | null, ...more: number[]) =>
    np.transpose(x, typeof axes === 'number' ? [axes, ...more] : axes),
  describeElements,
} satisfies Forwarded

/** Puts the methods on the prototype. Called once, by the package's index. */
export function installMethods(): void {
  const { prototype } = NDArray
  const functions: Forwarded = { ...sameName, ...otherName }
  for (const [name, f] of Object.entries(functions)) {
    define(prototype, name, function (this: NDArray, ...rest: never[]) {
      return f(this, ...rest)
    })
  }
  define(prototype, Symbol.iterator, function (this: NDArray) {
    return rows(this)
  })
  define(prototype, Symbol.toPrimitive, function (this: NDArray, hint: string) {
    return toPrimitive(this, hint)
  })
  define(prototype, Symbol.for('nodejs.util.inspect.custom'), function (this: NDArray) {
    return this.toString()
  })
  // Symbol.dispose is younger than Node 20.0: `using` there relies on the polyfilled symbol.
  const disposeSymbol: symbol = Symbol.dispose ?? Symbol.for('Symbol.dispose')
  define(prototype, disposeSymbol, function (this: NDArray) {
    dispose(this)
  })
  defineGetter(prototype, 'T', (x) => np.transpose(x))
  defineGetter(prototype, 'mT', (x) => np.matrixTranspose(x))
  defineGetter(prototype, 'device', (x) => deviceOf(x))
}

const define = (target: object, name: string | symbol, value: unknown): void => {
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
}
const defineGetter = (target: object, name: string, read: (x: NDArray) => unknown): void => {
  Object.defineProperty(target, name, {
    configurable: true,
    get(this: NDArray) {
      return read(this)
    },
  })
}

// --- reading ----------------------------------------------------------------------------------------

function item(x: NDArray): number | boolean {
  if (x.size !== 1) {
    throw new IndexingError({
      op: 'item()',
      problem: `the array has ${x.size} elements`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'item reads the only element of an array',
      hint: 'choose one with x.get(i).item(), or read all with x.toArray()',
    })
  }
  return scalarOf(x, readElements(x, 'item()')[0])
}

const scalarOf = (x: NDArray, value: number | boolean): number | boolean =>
  x.dtype === 'bool' ? Boolean(value) : Number(value)

function toArray(x: NDArray): Nested {
  const values = readElements(x, 'toArray()')
  let next = 0
  const level = (axis: number): Nested =>
    axis === x.ndim
      ? scalarOf(x, values[next++])
      : Array.from({ length: x.shape[axis] }, () => level(axis + 1))
  return level(0)
}

function describeElements(x: NDArray): string {
  const values = elementsNow(x)
  if (values === 'elsewhere') return `Array(${x.aval} on ${deviceOf(x)}: await x.data())`
  if (values === 'ended') return `Array(${x.aval}: disposed of, or donated)`
  return printArray({
    shape: x.shape,
    dtype: x.dtype,
    weakType: x.aval.weakType,
    at: (flat) => Number(values[flat]),
  })
}

/** The elements, or why they cannot be had now: printing must not fail. */
function elementsNow(x: NDArray): Elements | 'elsewhere' | 'ended' {
  try {
    return readElements(x, 'String(x)')
  } catch (error) {
    if (error instanceof DeviceError) return 'elsewhere'
    if (error instanceof DeletedArrayError) return 'ended'
    throw error
  }
}

function rows(x: NDArray): Iterator<NDArray> {
  if (x.ndim === 0) {
    throw new IndexingError({
      op: 'iteration',
      problem: 'a scalar has no rows',
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'the elements of an iteration are the slices along the first axis',
      hint: 'use the scalar itself, or x.reshape([1])',
    })
  }
  let i = 0
  return {
    next: () =>
      i < x.shape[0] ? { done: false, value: get(x, [i++]) } : { done: true, value: undefined },
  }
}

function toPrimitive(x: NDArray, hint: string): number | string | boolean {
  if (x.owner !== null) {
    if (hint === 'string') return x.toString()
    throw new ConcretizationError({
      op: 'conversion to a JavaScript number',
      problem: `a tracer of ${describe(x.owner)} has no value yet`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'while a function is being transformed its values are not known',
      hint: 'use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static',
    })
  }
  if (hint === 'string' || (hint === 'default' && x.size !== 1)) return x.toString()
  if (x.size !== 1) {
    throw new ConcretizationError({
      op: 'conversion to a JavaScript number',
      problem: `the array has ${x.size} elements`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: 'only an array of one element is a number',
      hint: 'use x.add(y), x.mul(y), np.less(x, y) …: JavaScript operators do not work on arrays',
    })
  }
  return item(x)
}
