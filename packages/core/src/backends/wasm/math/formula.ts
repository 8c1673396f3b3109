/**
 * Formulas of functions of floats, and which of them there are.
 *
 * The code generator knows by itself the functions that every page has. The others are named by the
 * primitives that stand for them, so that a page has only those of its own: a lowering rule names the
 * formula before it makes the expression.
 */
import type { BinaryOp, UnaryOp } from '../../../compiler/expr'
import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

export type UnaryFormula = (L: FloatLanes, x: Vec) => Vec
/** `wide` are the f64 lanes that f32 is computed in where its own do not do. */
export type BinaryFormula = (L: FloatLanes, x: Vec, y: Vec, wide: FloatLanes) => Vec

/** A function in the lanes of either format; null for f32 that is computed in f64 lanes and rounded. */
export interface Formula<F> {
  readonly f32: F | null
  readonly f64: F
}

export const inOwnFormat = <F>(formula: F): Formula<F> => ({ f32: formula, f64: formula })
export const inDouble = <F>(formula: F): Formula<F> => ({ f32: null, f64: formula })

const unary = new Map<UnaryOp, Formula<UnaryFormula>>()
const binary = new Map<BinaryOp, Formula<BinaryFormula>>()

export function nameUnary(op: UnaryOp, formula: Formula<UnaryFormula>): void {
  unary.set(op, formula)
}

export function nameBinary(op: BinaryOp, formula: Formula<BinaryFormula>): void {
  binary.set(op, formula)
}

export const namedUnary = (op: UnaryOp): Formula<UnaryFormula> | undefined => unary.get(op)
export const namedBinary = (op: BinaryOp): Formula<BinaryFormula> | undefined => binary.get(op)

/** As in a page that has not lowered anything yet: for tests. */
export function forgetFormulas(): void {
  unary.clear()
  binary.clear()
}
