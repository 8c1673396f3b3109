/** Types that let wrong functions fail to compile with a sentence in the message. */
import type { NDArray } from '@adjoint/core/internal'

type AsyncMessage =
  'a transformed function cannot be async: await outside and pass the results as arguments'

/** Nothing is known about a result of this type: it is judged when the function is called. */
type IsUnknown<R> = 0 extends 1 & R ? true : [R] extends [never] ? true : false

/** Intersected with a parameter's type: no function has it when the result is a Promise. */
export type RefuseAsync<R> =
  IsUnknown<R> extends true ? unknown : [R] extends [PromiseLike<unknown>] ? AsyncMessage : unknown

type IsScalar<R> = [R] extends [NDArray | number] ? true : false

/** Intersected with a parameter's type: no function has it when the result is not one scalar. */
export type RefuseNonScalar<R, O> =
  IsUnknown<R> extends true
    ? unknown
    : [R] extends [PromiseLike<unknown>]
      ? AsyncMessage
      : O extends { readonly hasAux: true }
        ? R extends readonly [infer Value, unknown]
          ? IsScalar<Value> extends true
            ? unknown
            : 'with { hasAux: true } the function returns [scalar, aux]'
          : 'with { hasAux: true } the function returns [scalar, aux]'
        : IsScalar<R> extends true
          ? unknown
          : 'grad needs a function that returns one scalar: return [scalar, aux] with { hasAux: true }, or use jacrev or vjp'

/** True if some leaf of the tree can never carry a derivative. */
type HasDiscreteLeaf<T> = T extends NDArray
  ? false
  : T extends boolean | string | bigint | symbol
    ? true
    : T extends number | null | undefined
      ? false
      : T extends (...args: never) => unknown
        ? false // a method of a registered class
        : T extends readonly (infer E)[]
          ? HasDiscreteLeaf<E>
          : T extends object
            ? true extends { [K in keyof T]: HasDiscreteLeaf<T[K]> }[keyof T]
              ? true
              : false
            : false

/** An argument that also takes arrays (`ArrayLike`) is judged when it is called. */
type IsDiscrete<T> = [T] extends [never]
  ? false
  : NDArray extends T
    ? false
    : true extends HasDiscreteLeaf<T>
      ? true
      : false

type Differentiated<A extends readonly unknown[], O> = O extends { readonly argnums: infer N }
  ? N extends number
    ? A[N]
    : N extends readonly number[]
      ? A[N[number]]
      : never
  : A[0]

/** Intersected with a parameter's type: no function has it when a differentiated leaf is discrete. */
export type RefuseDiscrete<A extends readonly unknown[], O> = O extends { readonly allowInt: true }
  ? unknown
  : IsDiscrete<Differentiated<A, O>> extends true
    ? 'grad cannot differentiate with respect to booleans, strings or integers: choose other argnums'
    : unknown

/** True if every leaf is an array, so that derivatives have the very same type. */
type OnlyArrays<T> = T extends NDArray | null | undefined | ((...args: never) => unknown)
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

/** The tree of derivatives with respect to a `T`: the same type, with arrays in place of numbers. */
export type GradientOf<T> = [OnlyArrays<T>] extends [true]
  ? T
  : [T] extends [NDArray | number | boolean]
    ? NDArray
    : T extends object
      ? { [K in keyof T]: GradientOf<T[K]> }
      : T

/** One tree of cotangents per argument. */
export type Cotangents<A extends readonly unknown[]> = { [K in keyof A]: GradientOf<A[K]> }

/** One tree of tangents per argument. */
export type Tangents<A extends readonly unknown[]> = {
  readonly [K in keyof A]: GradientOf<A[K]> | A[K]
}

/** A function from a cotangent of the result to one tree of cotangents per argument. */
export type Pullback<A extends readonly unknown[], R> = (cotangent: R) => Cotangents<A>

type Positions<N> = N extends number ? N : N extends readonly number[] ? N[number] : never

/** The arguments that are not at these positions. */
export type WithoutArguments<
  A extends readonly unknown[],
  N,
  Seen extends readonly unknown[] = [],
> = A extends readonly [infer First, ...infer Rest]
  ? Seen['length'] extends Positions<N>
    ? WithoutArguments<Rest, N, [...Seen, First]>
    : [First, ...WithoutArguments<Rest, N, [...Seen, First]>]
  : A extends readonly []
    ? []
    : A

/** The arguments at these positions. */
export type ArgumentsAt<A extends readonly unknown[], N> = N extends number
  ? [A[N]]
  : N extends readonly number[]
    ? { [K in keyof N]: N[K] extends number ? A[N[K]] : never }
    : []

/** `nondiffArgnums` of some options. */
export type NondiffOf<O> = O extends { readonly nondiffArgnums: infer N } ? N : readonly []

/** Cotangents where null may stand for zero. */
export type OrNull<T extends readonly unknown[]> = { readonly [K in keyof T]: T[K] | null }
