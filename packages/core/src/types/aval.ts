/** Abstract values: what is known of an array while tracing. */
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Ord } from 'fp-ts/lib/Ord.js'
import type { Show } from 'fp-ts/lib/Show.js'
import { type DType, shortName, tangentDType } from './dtype'
import { orderedBy } from './order'

export type Shape = readonly number[]

export class Aval {
  constructor(
    readonly shape: Shape,
    readonly dtype: DType,
    /** True while only JavaScript scalars decided the dtype. */
    readonly weakType: boolean = false,
  ) {}

  get ndim(): number {
    return this.shape.length
  }

  get size(): number {
    return sizeOf(this.shape)
  }

  /** `f32[2,3]`, as jaxprs print it. */
  toString(): string {
    return `${shortName(this.dtype)}[${this.shape.join(',')}]`
  }
}

export const sizeOf = (shape: Shape): number => {
  let size = 1
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis]
  return size
}

/** A complete key: equal keys if and only if equal avals. */
export const avalKey = (aval: Aval): string =>
  `${shortName(aval.dtype)}[${aval.shape.join(',')}]${aval.weakType ? '~' : ''}`

export const shapesEqual = (a: Shape, b: Shape): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export const avalsEqual = (a: Aval, b: Aval): boolean =>
  a.dtype === b.dtype && a.weakType === b.weakType && shapesEqual(a.shape, b.shape)

export const avalEq: Eq<Aval> = { equals: avalsEqual }
export const avalOrd: Ord<Aval> = orderedBy(avalKey)
export const avalShow: Show<Aval> = { show: String }

/** Equal up to weakness: what a program can be called with. */
export const avalsMatch = (a: Aval, b: Aval): boolean =>
  a.dtype === b.dtype && shapesEqual(a.shape, b.shape)

/** The aval of a tangent or cotangent of this value. */
export const tangentAval = (aval: Aval): Aval =>
  new Aval(aval.shape, tangentDType(aval.dtype), aval.weakType)

export const withShape = (aval: Aval, shape: Shape): Aval =>
  new Aval(shape, aval.dtype, aval.weakType)

export const withDType = (aval: Aval, dtype: DType, weakType = false): Aval =>
  new Aval(aval.shape, dtype, weakType)
