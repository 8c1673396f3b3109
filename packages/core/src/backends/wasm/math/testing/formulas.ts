/** Every function of floats, those included that primitives name, for tests and measurements. */
import type { BinaryOp, UnaryOp } from '../../../../compiler/expr'
import { erf, erf32, erfc, erfInv } from '../error-function'
import {
  type BinaryFormula,
  type Formula,
  inDouble,
  inOwnFormat,
  nameBinary,
  nameUnary,
  type UnaryFormula,
} from '../formula'
import { digamma, lgamma } from '../gamma'
import { acosh, asinh, atanh } from '../hyperbolic'
import { atan2 } from '../inverse-trigonometric'
import { nextAfter } from '../next-after'

const named = {
  asinh: inDouble(asinh),
  acosh: inDouble(acosh),
  atanh: inDouble(atanh),
  erf: { f32: erf32, f64: erf },
  erfc: inDouble(erfc),
  erfInv: inOwnFormat(erfInv),
  lgamma: inDouble(lgamma),
  digamma: inDouble(digamma),
} satisfies { readonly [Op in UnaryOp]?: Formula<UnaryFormula> }

const named2 = {
  atan2: inDouble(atan2),
  nextafter: inOwnFormat(nextAfter),
} satisfies { readonly [Op in BinaryOp]?: Formula<BinaryFormula> }

const always = [
  'exp',
  'exp2',
  'expm1',
  'log',
  'log1p',
  'tanh',
  'logistic',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'cbrt',
] as const satisfies readonly UnaryOp[]

export type FloatFunction = (typeof always)[number] | keyof typeof named
export type FloatFunction2 = 'pow' | 'rem' | keyof typeof named2

export const floatFunctions: readonly FloatFunction[] = [
  ...always,
  ...(Object.keys(named) as (keyof typeof named)[]),
]
export const floatFunctions2: readonly FloatFunction2[] = ['pow', 'rem', 'atan2', 'nextafter']

/** What the primitives do when they are lowered. */
export function nameAllFormulas(): void {
  for (const op of Object.keys(named) as (keyof typeof named)[]) nameUnary(op, named[op])
  for (const op of Object.keys(named2) as (keyof typeof named2)[]) nameBinary(op, named2[op])
}
