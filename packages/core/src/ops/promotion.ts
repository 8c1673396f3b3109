/**
 * From what users write to what primitives take: scalars become arrays, dtypes are promoted by
 * JAX's lattice, shapes are broadcast by NumPy's rule. Primitives themselves are strict.
 */
import type { NDArray } from '../array/ndarray'
import { broadcastInDim, convertElementType, fullLike, ne, selectN } from '../primitives'
import { makeScalar } from '../trace/interpreter'
import { Aval, type Shape, shapesEqual } from '../types/aval'
import {
  type DType,
  integerRange,
  isDType,
  isFloating,
  isInteger,
  promoteTypes,
  type WeakDType,
} from '../types/dtype'
import { ArgumentError, DTypeError, type OperandReport, ShapeError } from '../types/errors'

/** What an operation takes where it wants an array. JavaScript scalars are weakly typed, as in JAX. */
export type ArrayLike = NDArray | number | boolean

/** Whether a value is an array. By its fields, because the class stands above this layer. */
export const isArray = (x: unknown): x is NDArray =>
  typeof x === 'object' && x !== null && 'aval' in x && 'owner' in x

/** Operands for an error, named a, b, c, … as in the signature printed by `signature`. */
export const operandReports = (
  args: readonly (ArrayLike | Aval)[],
  note?: (index: number) => string | undefined,
): OperandReport[] =>
  args.map((arg, i) => ({
    name: operandName(i),
    aval: arg instanceof Aval ? arg : isArray(arg) ? arg.aval : scalarAval(arg),
    note: note?.(i),
  }))

const operandName = (i: number): string => (i < 26 ? String.fromCharCode(97 + i) : `x${i}`)

/** `matmul(a, b)`: the call as errors show it. */
export const signature = (op: string, operands: number): string =>
  `${op}(${Array.from({ length: operands }, (_, i) => operandName(i)).join(', ')})`

// --- scalars ---------------------------------------------------------------------------------------

/**
 * The type of a JavaScript scalar: integral numbers are JAX's `int`, all others its `float`. −0 and
 * integers beyond 32 bits are floats, because an int32 could not hold them.
 */
export const scalarAval = (value: number | boolean): Aval => {
  if (typeof value === 'boolean') return new Aval([], 'bool')
  return new Aval([], isInt32(value) ? 'int32' : 'float32', true)
}

const isInt32 = (value: number): boolean => (value | 0) === value && !Object.is(value, -0)

export function asArray(op: string, x: ArrayLike): NDArray {
  if (isArray(x)) return x
  if (typeof x === 'number' || typeof x === 'boolean') return makeScalar(x, scalarAval(x))
  return refuse(op, x)
}

/** A value that cannot be an operand: says what it is and what would do. */
export function refuse(op: string, x: unknown): never {
  const [what, hint] = ((): [string, string] => {
    if (Array.isArray(x)) return ['a JavaScript array', 'make it an array first: np.array([...])']
    if (ArrayBuffer.isView(x)) return ['a typed array', 'make it an array first: np.array(data)']
    if (x instanceof Promise) return ['a Promise', 'await it first']
    if (typeof x === 'bigint') return ['a bigint', 'convert it with Number(x)']
    if (typeof x === 'function') return ['a function', 'call it, or transform it instead']
    if (x === null) return ['null', 'use 0 or np.zerosLike where there is nothing']
    if (typeof x === 'object') return ['an object', 'map over its arrays with tree.map']
    return [
      x === undefined ? 'undefined' : `a ${typeof x}`,
      'pass an NDArray, a number or a boolean',
    ]
  })()
  throw new ArgumentError({
    op,
    problem: `takes arrays and scalars, but was given ${what}`,
    rule: 'an operand is an NDArray, a number or a boolean',
    hint,
  })
}

/** A scalar of the same dtype and weakness as `like`: a constant in a formula. */
export const constantLike = (like: { readonly aval: Aval }, value: number | boolean): NDArray =>
  makeScalar(value, new Aval([], like.aval.dtype, like.aval.weakType))

export { full, fullLike as filledLike } from '../primitives'

// --- dtypes ----------------------------------------------------------------------------------------

export function checkDType(op: string, dtype: unknown): DType {
  if (isDType(dtype)) return dtype
  throw new DTypeError({
    op,
    problem: `unknown dtype ${typeof dtype === 'string' ? `'${dtype}'` : String(dtype)}`,
    rule: 'a dtype is one of dtypes.*, or its name',
    hint:
      dtype === 'int64' || dtype === 'uint64'
        ? `64-bit integers do not exist here; use '${dtype.replace('64', '32')}'`
        : dtype === 'float'
          ? "use 'float32' or 'float64'"
          : dtype === 'int'
            ? "use 'int32'"
            : "for example 'float32', 'int32' or 'bool'",
  })
}

/** Converts to a dtype; the identity where nothing would change. */
export function convert(x: NDArray, dtype: DType, weakType = false): NDArray {
  if (x.dtype === dtype && x.aval.weakType === weakType) return x
  const value = x.scalarLiteral
  if (value !== null && x.owner === null) {
    const exact = representable(value, dtype)
    if (exact !== undefined) return makeScalar(exact, new Aval([], dtype, weakType))
  }
  return convertElementType(x, { newDtype: dtype, weakType })
}

/** A scalar constant in another dtype, when the conversion needs no rounding. */
function representable(value: number | boolean, dtype: DType): number | boolean | undefined {
  if (dtype === 'bool') return typeof value === 'boolean' ? value : value !== 0
  const number = Number(value)
  if (dtype === 'float32' || dtype === 'float64') return number
  if (!isInteger(dtype) || !Number.isInteger(number)) return undefined
  const [min, max] = integerRange(dtype)
  return number >= min && number <= max && !Object.is(number, -0) ? number : undefined
}

/** The type an operation on these operands has. */
export function resultTypeOf(op: string, args: readonly ArrayLike[]): WeakDType {
  for (const arg of args) {
    if (!isArray(arg) && typeof arg !== 'number' && typeof arg !== 'boolean')
      refuse(signature(op, args.length), arg)
  }
  const types = args.map((arg): WeakDType => (isArray(arg) ? arg.aval : scalarAval(arg)))
  // An unsigned 32-bit constant is a float by `scalarAval`, except beside uint32 arrays.
  if (args.some((arg) => isUint32Constant(arg))) {
    const integral = promoteTypes(
      types.map((type, i) =>
        isUint32Constant(args[i]) ? { dtype: 'int32', weakType: true } : type,
      ),
    )
    if (integral?.dtype === 'uint32') return integral
  }
  const result = promoteTypes(types)
  if (result !== undefined) return result
  throw new DTypeError({
    op: signature(op, args.length),
    problem: 'these dtypes have no common type',
    operands: operandReports(args),
    rule: 'float0, the tangent type of integers, takes part in no arithmetic',
    hint: 'differentiate with respect to floating point arguments only',
  })
}

const isUint32Constant = (x: ArrayLike | undefined): boolean =>
  typeof x === 'number' && x > 0x7fffffff && x <= 0xffffffff && Number.isInteger(x)

/** The floating type for a computation on this type: integers and booleans become float32. */
export const inexactTypeOf = ({ dtype, weakType }: WeakDType): WeakDType =>
  isFloating(dtype)
    ? { dtype, weakType }
    : { dtype: 'float32', weakType: weakType && dtype !== 'bool' }

/** The type for arithmetic: booleans count as 0 and 1. */
export const numericTypeOf = (type: WeakDType): WeakDType =>
  type.dtype === 'bool' ? { dtype: 'int32', weakType: false } : type

function convertAll(op: string, args: readonly ArrayLike[], type: WeakDType): NDArray[] {
  return args.map((arg) => {
    if (typeof arg === 'number' || typeof arg === 'boolean') {
      const value = representable(arg, type.dtype)
      if (value !== undefined) return makeScalar(value, new Aval([], type.dtype, type.weakType))
    }
    return convert(asArray(op, arg), type.dtype, type.weakType)
  })
}

/** A truth value for every element: nonzero (and NaN) is true. */
export const toBool = (x: NDArray): NDArray => (x.dtype === 'bool' ? x : ne(x, fullLike(x, 0)))

/** `onTrue` where `which` is true, for equal shapes and dtypes. */
export const choose = (which: NDArray, onTrue: NDArray, onFalse: NDArray): NDArray =>
  selectN(which, onFalse, onTrue)

// --- shapes ----------------------------------------------------------------------------------------

/** NumPy's rule: aligned at the last axis, equal sizes or 1. */
export function broadcastShapes(op: string, operands: readonly (ArrayLike | Aval)[]): Shape {
  const shapes = operands.map((o) => (isArray(o) || o instanceof Aval ? shapeOf(o) : []))
  const ndim = Math.max(0, ...shapes.map((s) => s.length))
  const result: number[] = []
  for (let fromEnd = ndim; fromEnd >= 1; fromEnd--) {
    let size = 1
    for (const shape of shapes) {
      const n = shape[shape.length - fromEnd] ?? 1
      if (n === 1 || n === size) continue
      if (size !== 1) throw cannotBroadcast(op, operands, shapes, fromEnd)
      size = n
    }
    result.push(size)
  }
  return result
}

const shapeOf = (x: NDArray | Aval): Shape => x.shape

function cannotBroadcast(
  op: string,
  operands: readonly (ArrayLike | Aval)[],
  shapes: readonly Shape[],
  fromEnd: number,
): ShapeError {
  return new ShapeError({
    op: signature(op, operands.length),
    problem: 'shapes cannot be broadcast together',
    operands: operandReports(operands, (i) => {
      const axis = shapes[i].length - fromEnd
      return axis >= 0 ? `axis ${axis} is ${shapes[i][axis]}` : undefined
    }),
    rule: 'aligned at the last axis, sizes are equal or one of them is 1',
    hint: 'add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align',
  })
}

/** Broadcasts to a shape that is known to fit; the identity where nothing would change. */
export function broadcastTo(x: NDArray, shape: Shape): NDArray {
  if (shapesEqual(x.shape, shape)) return x
  const offset = shape.length - x.ndim
  return broadcastInDim(x, { shape, broadcastDimensions: x.shape.map((_, axis) => axis + offset) })
}

export function broadcastAll(op: string, arrays: NDArray[]): NDArray[] {
  const [first] = arrays
  if (arrays.every((x) => shapesEqual(x.shape, first.shape))) return arrays
  const shape = broadcastShapes(op, arrays)
  return arrays.map((x) => broadcastTo(x, shape))
}

// --- both ------------------------------------------------------------------------------------------

/** Equal dtypes, shapes as they were. */
export const promoteDTypes = (op: string, args: readonly ArrayLike[]): NDArray[] =>
  convertAll(op, args, resultTypeOf(op, args))

export const promoteDTypesInexact = (op: string, args: readonly ArrayLike[]): NDArray[] =>
  convertAll(op, args, inexactTypeOf(resultTypeOf(op, args)))

/** Equal dtypes and equal shapes. */
export const promote = (op: string, args: readonly ArrayLike[]): NDArray[] =>
  broadcastAll(op, promoteDTypes(op, args))

/** `promote`, to a floating dtype. */
export const promoteInexact = (op: string, args: readonly ArrayLike[]): NDArray[] =>
  broadcastAll(op, promoteDTypesInexact(op, args))

/** `promote`, with booleans as integers. */
export const promoteNumeric = (op: string, args: readonly ArrayLike[]): NDArray[] =>
  broadcastAll(op, convertAll(op, args, numericTypeOf(resultTypeOf(op, args))))
