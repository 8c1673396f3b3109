/**
 * Scalar expressions: what one element of a tensor is, as a function of the iteration index.
 *
 * An expression is an immutable DAG. Its leaves depend on the index only through affine functions,
 * so every view operation (transpose, broadcast, slice, reverse, window, most reshapes) is a
 * rewriting of leaves and moves no data. Data-dependent reads add a dynamic offset to a leaf.
 */
import type { DType } from '../types/dtype'

/** `offset + Σ strides[a] * index[a]`, one stride per iteration axis. */
export interface Affine {
  readonly offset: number
  readonly strides: readonly number[]
}

/** A linear run of elements: a program's input, output, constant or temporary. */
export interface Buffer {
  readonly id: number
  readonly dtype: DType
  /** In elements. */
  readonly size: number
}

export type UnaryOp =
  | 'neg' | 'sign' | 'floor' | 'ceil' | 'round' | 'roundEven' | 'trunc' | 'abs'
  | 'exp' | 'exp2' | 'log' | 'expm1' | 'log1p'
  | 'sin' | 'cos' | 'tan' | 'asin' | 'acos' | 'atan'
  | 'sinh' | 'cosh' | 'tanh' | 'asinh' | 'acosh' | 'atanh'
  | 'logistic' | 'sqrt' | 'rsqrt' | 'cbrt'
  | 'erf' | 'erfc' | 'erfInv' | 'lgamma' | 'digamma'
  | 'isFinite' | 'not' | 'popcount' | 'clz'

export type BinaryOp =
  | 'add' | 'sub' | 'mul' | 'div' | 'rem' | 'max' | 'min' | 'pow' | 'atan2' | 'nextafter'
  | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
  | 'and' | 'or' | 'xor' | 'shiftLeft' | 'shiftRightLogical' | 'shiftRightArithmetic'

export type Scalar = Const | Load | Index | Unary | Binary | Select | Convert | Bitcast | Accumulator

export interface Const {
  readonly kind: 'const'
  readonly dtype: DType
  readonly value: number | boolean
}

/** `source[at(index) + Σ offset.value * offset.stride]`; the address is in bounds by construction. */
export interface Load {
  readonly kind: 'load'
  readonly dtype: DType
  readonly source: Buffer
  readonly at: Affine
  readonly offsets: readonly DynamicOffset[]
}

/** A data-dependent part of an address, in elements: an int32 expression times a stride. */
export interface DynamicOffset {
  readonly value: Scalar
  readonly stride: number
}

/** The value of an affine function of the index, as an int32: iota and range tests are made of it. */
export interface Index {
  readonly kind: 'index'
  readonly dtype: 'int32'
  readonly at: Affine
}

export interface Unary {
  readonly kind: 'unary'
  readonly op: UnaryOp
  /** Of the result; the operand may differ (isFinite, comparisons). */
  readonly dtype: DType
  readonly x: Scalar
}

export interface Binary {
  readonly kind: 'binary'
  readonly op: BinaryOp
  readonly dtype: DType
  readonly x: Scalar
  readonly y: Scalar
}

export interface Select {
  readonly kind: 'select'
  readonly dtype: DType
  /** bool */
  readonly condition: Scalar
  readonly onTrue: Scalar
  readonly onFalse: Scalar
}

/** Numeric conversion with XLA's semantics (float → int saturates, NaN → 0, ints wrap). */
export interface Convert {
  readonly kind: 'convert'
  readonly dtype: DType
  readonly x: Scalar
}

/** The same bits read as another dtype of the same width. */
export interface Bitcast {
  readonly kind: 'bitcast'
  readonly dtype: DType
  readonly x: Scalar
}

/** In an epilogue: the finished value of the node's n-th accumulator at this output element. */
export interface Accumulator {
  readonly kind: 'accumulator'
  readonly dtype: DType
  readonly slot: number
}

export const constant = (dtype: DType, value: number | boolean): Const => ({ kind: 'const', dtype, value })
export const index = (at: Affine): Index => ({ kind: 'index', dtype: 'int32', at })
export const unary = (op: UnaryOp, dtype: DType, x: Scalar): Unary => ({ kind: 'unary', op, dtype, x })
export const binary = (op: BinaryOp, dtype: DType, x: Scalar, y: Scalar): Binary => ({
  kind: 'binary',
  op,
  dtype,
  x,
  y,
})
export const select = (condition: Scalar, onTrue: Scalar, onFalse: Scalar): Select => ({
  kind: 'select',
  dtype: onTrue.dtype,
  condition,
  onTrue,
  onFalse,
})
export const convert = (dtype: DType, x: Scalar): Scalar =>
  x.dtype === dtype ? x : { kind: 'convert', dtype, x }
export const bitcast = (dtype: DType, x: Scalar): Scalar =>
  x.dtype === dtype ? x : { kind: 'bitcast', dtype, x }
