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
import { erf, erf32, erfInv, erfc } from './error-function'
import { exp, exp2, expm1 } from './exponential'
import { digamma, lgamma } from './gamma'
import type { Vec, VectorGraph } from './graph'
import { acosh, asinh, atanh, cosh, logistic, sinh, tanh } from './hyperbolic'
import { acos, asin, atan, atan2 } from './inverse-trigonometric'
import { FloatLanes } from './lanes'
import { log, log1p } from './logarithm'
import { cbrt, pow, pow32 } from './power'
import { remainder } from './remainder'
import { cos, sin, tan } from './trigonometric'
import { narrow, widen } from './widening'

type Unary = (L: FloatLanes, x: Vec) => Vec
type Binary = (L: FloatLanes, x: Vec, y: Vec) => Vec

/** Formulas that hold in either format. */
const inOwnFormat = {
  exp,
  exp2,
  expm1,
  log,
  log1p,
  tanh,
  logistic,
  erfInv,
  sin,
  cos,
} as const satisfies Partial<Record<UnaryOp, Unary>>

/** Formulas for f64; an f32 is widened and its result rounded. */
const inDouble = {
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  cbrt,
  erf,
  erfc,
  lgamma,
  digamma,
} as const satisfies Partial<Record<UnaryOp, Unary>>

export type FloatFunction = keyof typeof inOwnFormat | keyof typeof inDouble
export type FloatFunction2 = 'pow' | 'rem' | 'atan2' | 'nextafter'

export const floatFunctions: readonly FloatFunction[] = [
  ...(Object.keys(inOwnFormat) as (keyof typeof inOwnFormat)[]),
  ...(Object.keys(inDouble) as (keyof typeof inDouble)[]),
]
export const floatFunctions2: readonly FloatFunction2[] = ['pow', 'rem', 'atan2', 'nextafter']

/** One vector of f32 lanes or two of f64 lanes to as many; null for other operations. */
export function floatFunction(
  graph: VectorGraph,
  features: WasmFeatures,
  op: UnaryOp,
  type: 'f32' | 'f64',
  x: readonly Vec[],
): readonly Vec[] | null {
  const lanes = new FloatLanes(graph, type, features)
  if (op === 'erf' && type === 'f32') return x.map((vec) => erf32(lanes, vec))
  const own: Unary | undefined = Object.hasOwn(inOwnFormat, op)
    ? inOwnFormat[op as keyof typeof inOwnFormat]
    : undefined
  if (own) return x.map((vec) => own(lanes, vec))
  const double: Unary | undefined = Object.hasOwn(inDouble, op)
    ? inDouble[op as keyof typeof inDouble]
    : undefined
  if (!double) return null
  if (type === 'f64') return x.map((vec) => double(lanes, vec))
  const wide = new FloatLanes(graph, 'f64', features, true)
  return x.map((vec) => {
    const [low, high] = widen(graph, vec)
    return narrow(graph, double(wide, low), double(wide, high))
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
  if (op === 'nextafter') return zip(x, y, nextAfter, new FloatLanes(graph, type, features))
  const double = binaryInDouble(op)
  if (!double) return null
  const wide = new FloatLanes(graph, 'f64', features, type === 'f32')
  if (type === 'f64') return zip(x, y, double, wide)
  if (op === 'pow') {
    const lanes = new FloatLanes(graph, type, features)
    return zip(x, y, (L, a, b) => pow32(L, wide, a, b), lanes)
  }
  const viaDouble: Binary = (_, a, b) => {
    const [aLow, aHigh] = widen(graph, a)
    const [bLow, bHigh] = widen(graph, b)
    return narrow(graph, double(wide, aLow, bLow), double(wide, aHigh, bHigh))
  }
  return zip(x, y, viaDouble, wide)
}

function binaryInDouble(op: BinaryOp): Binary | null {
  switch (op) {
    case 'pow':
      return pow
    case 'atan2':
      return atan2
    case 'rem':
      // The product of a quotient of 29 bits and an f32 is exact in f64.
      return (D, x, y) => remainder(D, x, y, D.widened ? 29 : 0)
    default:
      return null
  }
}

function zip(x: readonly Vec[], y: readonly Vec[], f: Binary, L: FloatLanes): readonly Vec[] {
  return x.map((a, part) => {
    const b = y[part]
    if (!b) throw new Error('operands of different widths')
    return f(L, a, b)
  })
}

/** The neighbour of x in the direction of y: one more or less in the bits of its magnitude. */
function nextAfter(L: FloatLanes, x: Vec, y: Vec): Vec {
  const zero = L.constant(0)
  // Away from zero where y is beyond x on x's side. −1 is all ones, so a mask is a step down.
  const negative = L.lt(x, zero)
  const outward = L.xor(L.lt(x, y), negative)
  const step = L.or(L.not(outward), L.integer(1))
  const stepped = L.addBits(x, step)
  const fromZero = L.withSignOf(L.integer(1), y)
  const moved = L.select(L.eq(x, zero), fromZero, stepped)
  const result = L.select(L.eq(x, y), y, moved)
  // x + y is a NaN where either is.
  return L.select(L.or(L.isNaN(x), L.isNaN(y)), L.add(x, y), result)
}
