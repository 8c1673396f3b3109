/** Builds the cases of `scripts/golden/optax_cases.py` with this package. */
import { np, tree, type DType, type NDArray } from '@adjoint/core'
import { expect } from 'vitest'
import * as optim from './index'

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A call of a function by its name. */
export interface Call {
  readonly call: string
  readonly args: readonly Json[]
  readonly options?: Readonly<Record<string, Json>>
}

export const titleOf = ({ call, args, options }: Call): string =>
  `${call}(${[...args, ...(options ? [options] : [])].map((a) => JSON.stringify(a)).join(', ')})`

/** Cases as the script writes them: the type of a large file says less. */
export const casesOf = <Cases>(json: unknown): Cases => json as Cases

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCall = (value: Json): value is Json & Call => isObject(value) && 'call' in value

type AnyFunction = (...args: readonly unknown[]) => unknown

export function exported(name: string): AnyFunction {
  const value: unknown = new Map<string, unknown>(Object.entries(optim)).get(name)
  if (value === undefined) throw new Error(`there is no ${name}`)
  return typeof value === 'function' ? (value as AnyFunction) : () => value
}

/** The value of an expression. */
export function build(value: Json): unknown {
  if (isCall(value)) return perform(value)
  if (Array.isArray(value)) return (value as readonly Json[]).map(build)
  if (isObject(value)) {
    return 'array' in value
      ? np.array(value['array'] as never, { dtype: value['dtype'] as DType })
      : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, build(v)]))
  }
  return value
}

export function perform({ call, args, options }: Call): unknown {
  const rest = options === undefined ? [] : [build(options)]
  // The inner call is not made: its function and arguments are what is injected into.
  if (call === 'injectHyperparams') {
    const [inner] = args
    if (!isCall(inner)) throw new Error('injectHyperparams takes a call')
    const factory = optim.injectHyperparams(
      exported(inner.call) as (...a: unknown[]) => optim.GradientTransformation,
    )
    return factory(
      ...inner.args.map(build),
      ...(inner.options === undefined ? [] : [build(inner.options)]),
    )
  }
  return exported(call)(...args.map(build), ...rest)
}

const treeOf =
  (dtype: DType) =>
  (value: Json): unknown =>
    isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, treeOf(dtype)(v)]))
      : np.array(value as never, { dtype })

export const f32Tree = treeOf('float32')
export const f64Tree = treeOf('float64')

const flat = (value: unknown): number[] =>
  Array.isArray(value)
    ? value.flatMap(flat)
    : typeof value === 'object' && value !== null
      ? Object.keys(value)
          .sort()
          .flatMap((key) => flat((value as Record<string, unknown>)[key]))
      : [Number(value)]

/** Expects all elements of two trees to be equal, up to a part of the largest of the leaf's elements. */
export function expectClose(actual: unknown, expected: Json, tolerance: number, what = ''): void {
  const values = tree.leaves<NDArray>(actual).flatMap((leaf) => flat(leaf.toArray()))
  const wanted = flat(expected)
  expect(values.length, what).toBe(wanted.length)
  const size = Math.max(1e-3, ...wanted.filter(Number.isFinite).map(Math.abs))
  const worst = wanted.reduce(
    (most, w, i) => (w === values[i] ? most : Math.max(most, Math.abs(w - values[i]))),
    0,
  )
  expect(
    worst,
    `${what}: ${String(values.slice(0, 8))} for ${String(wanted.slice(0, 8))}`,
  ).toBeLessThanOrEqual(tolerance * size)
}
