/** Types that let wrong functions fail to compile with a sentence in the message. */
import type { NDArray } from '@adjoint/core/internal'

/** Intersected with a parameter's type: no value has it when the result is a Promise. */
export type RefuseAsync<R> = [R] extends [never]
  ? unknown
  : [R] extends [PromiseLike<unknown>]
    ? 'a transformed function cannot be async: await outside and pass the results as arguments'
    : unknown

/** What a differentiated function may return. */
export type Scalar = NDArray | number

/** Intersected with a parameter's type: no value has it when the result is not one scalar. */
export type RefuseNonScalar<R> = [R] extends [never]
  ? unknown
  : [R] extends [PromiseLike<unknown>]
    ? 'a transformed function cannot be async: await outside and pass the results as arguments'
    : [R] extends [Scalar]
      ? unknown
      : 'grad needs a function that returns one scalar: use jacrev or vjp for several results, or { hasAux: true }'

/** True if some leaf of the tree can never carry a derivative. */
type HasDiscreteLeaf<T> = T extends NDArray
  ? false
  : T extends boolean | string | bigint | symbol
    ? true
    : T extends number | null | undefined
      ? false
      : T extends (...args: never[]) => unknown
        ? true
        : T extends readonly (infer E)[]
          ? HasDiscreteLeaf<E>
          : T extends object
            ? true extends { [K in keyof T]: HasDiscreteLeaf<T[K]> }[keyof T]
              ? true
              : false
            : false

/** True if every leaf is an array, so that derivatives have the very same type. */
type OnlyArrays<T> = T extends NDArray | null | undefined
  ? true
  : T extends number | boolean | string | bigint
    ? false
    : T extends readonly (infer E)[]
      ? OnlyArrays<E>
      : T extends object
        ? false extends { [K in keyof T]: OnlyArrays<T[K]> }[keyof T]
          ? false
          : true
        : false

/** The tree of derivatives with respect to a `T`: the same type, with arrays for numbers. */
export type GradientOf<T> = [OnlyArrays<T>] extends [true]
  ? T
  : [T] extends [NDArray | number | boolean]
    ? NDArray
    : T extends NDArray | number
      ? NDArray
      : T extends object
        ? { [K in keyof T]: GradientOf<T[K]> }
        : T

export type { HasDiscreteLeaf }
