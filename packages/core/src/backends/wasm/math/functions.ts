/**
 * The elementary and special functions of floats, on vectors.
 *
 * A group of four elements is one vector of f32 lanes, or two vectors of f64 lanes. Values are
 * expressions (`Vec`) of a `VectorGraph`; nothing is written until an `Emission` pushes them.
 *
 *     const graph = new VectorGraph()
 *     const x = graph.local(source)
 *     const [y] = floatFunction(graph, wasmFeatures(), 'exp', 'f32', [x]) ?? []
 *     new Emission(f, [y]).push(y)
 *
 * Functions that are needed in speed have formulas of their own in f32; the others are computed in
 * f64 lanes and rounded once, which costs about four times as much and is right to half a unit.
 */
import type { BinaryOp, UnaryOp } from '../../../compiler/expr'
import type { WasmFeatures } from '../emit'
import { exp, exp2, expm1 } from './exponential'
import {
  type BinaryFormula,
  type Formula,
  inDouble,
  inOwnFormat,
  namedBinary,
  namedUnary,
  type UnaryFormula,
} from './formula'
import type { Vec, VectorGraph } from './graph'
import { cosh, logistic, sinh, tanh } from './hyperbolic'
import { acos, asin, atan } from './inverse-trigonometric'
import { FloatLanes } from './lanes'
import { log, log1p } from './logarithm'
import { cbrt, pow, pow32 } from './power'
import { remainder } from './remainder'
import { cos, sin, tan } from './trigonometric'
import { narrow, widen } from './widening'

/** What arrays have as methods is in every page. */
const unaryFormulas: { readonly [Op in UnaryOp]?: Formula<UnaryFormula> } = {
  exp: inOwnFormat(exp),
  exp2: inOwnFormat(exp2),
  expm1: inOwnFormat(expm1),
  log: inOwnFormat(log),
  log1p: inOwnFormat(log1p),
  tanh: inOwnFormat(tanh),
  logistic: inOwnFormat(logistic),
  sin: inOwnFormat(sin),
  cos: inOwnFormat(cos),
  tan: inDouble(tan),
  asin: inDouble(asin),
  acos: inDouble(acos),
  atan: inDouble(atan),
  sinh: inDouble(sinh),
  cosh: inDouble(cosh),
  cbrt: inDouble(cbrt),
}

const binaryFormulas: { readonly [Op in BinaryOp]?: Formula<BinaryFormula> } = {
  pow: { f32: (L, x, y, wide) => pow32(L, wide, x, y), f64: pow },
  // The product of a quotient of 29 bits and an f32 is exact in f64.
  rem: inDouble((D, x, y) => remainder(D, x, y, D.widened ? 29 : 0)),
}

/** One vector of f32 lanes or two of f64 lanes to as many; null for other operations. */
export function floatFunction(
  graph: VectorGraph,
  features: WasmFeatures,
  op: UnaryOp,
  type: 'f32' | 'f64',
  x: readonly Vec[],
): readonly Vec[] | null {
  const formula = unaryFormulas[op] ?? namedUnary(op)
  if (!formula) return null
  const own = formula[type]
  const lanes = new FloatLanes(graph, type, features)
  if (own) return x.map((vec) => own(lanes, vec))
  const wide = new FloatLanes(graph, 'f64', features, true)
  return x.map((vec) => {
    const [low, high] = widen(graph, vec)
    return narrow(graph, formula.f64(wide, low), formula.f64(wide, high))
  })
}

/** As `floatFunction`, of two operands. */
export function floatFunction2(
  graph: VectorGraph,
  features: WasmFeatures,
  op: BinaryOp,
  type: 'f32' | 'f64',
  x: readonly Vec[],
  y: readonly Vec[],
): readonly Vec[] | null {
  const formula = binaryFormulas[op] ?? namedBinary(op)
  if (!formula) return null
  const own = formula[type]
  const lanes = new FloatLanes(graph, type, features)
  const wide = new FloatLanes(graph, 'f64', features, type === 'f32')
  return x.map((a, part) => {
    const b = y[part]
    if (!b) throw new Error('operands of different widths')
    if (own) return own(lanes, a, b, wide)
    const [aLow, aHigh] = widen(graph, a)
    const [bLow, bHigh] = widen(graph, b)
    return narrow(graph, formula.f64(wide, aLow, bLow, wide), formula.f64(wide, aHigh, bHigh, wide))
  })
}
