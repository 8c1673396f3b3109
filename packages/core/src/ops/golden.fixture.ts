/** For tests: calls recorded from JAX, and how close a result has to come. */
import { expect } from 'vitest'
import type { NDArray } from '../array/ndarray'
import { readElements } from '../trace/interpreter'
import { type DType, floatInfo, isFloating } from '../types/dtype'
import * as np from './np'
import { isArray } from './promotion'

/** An array as the recording scripts write it: NaN, infinities and −0 by name. */
export interface RecordedArray {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly weak: boolean
  readonly data: readonly (number | boolean | string)[]
}
export type Recorded =
  null | number | boolean | string | readonly Recorded[] | { readonly $: RecordedArray }

export interface RecordedCall {
  readonly name: string
  readonly args: readonly Recorded[]
  readonly options: { readonly [name: string]: Recorded }
  readonly result: Recorded
}

const names: { readonly [name: string]: number } = {
  nan: NaN,
  inf: Infinity,
  '-inf': -Infinity,
  '-0': -0,
}
const numberOf = (v: number | boolean | string): number | boolean =>
  typeof v === 'string' ? names[v] : v

const isRecordedArray = (x: Recorded): x is { readonly $: RecordedArray } =>
  typeof x === 'object' && x !== null && '$' in x

/** An argument as JavaScript passes it. */
export function decode(x: Recorded): unknown {
  if (isRecordedArray(x)) {
    const { dtype, shape, data } = x.$
    return np.array(data.map(numberOf), { dtype, shape })
  }
  if (Array.isArray(x)) return x.map(decode)
  return typeof x === 'string' && Object.hasOwn(names, x) ? names[x] : x
}

export const camelCase = (name: string): string =>
  name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

/** Calls the function of this name with the recorded arguments. */
export function call(namespace: object, { name, args, options }: RecordedCall): unknown {
  const f: unknown = Reflect.get(namespace, camelCase(name))
  if (typeof f !== 'function') throw new Error(`no function ${camelCase(name)}`)
  const given = args.map(decode)
  const named = Object.entries(options).map(
    ([key, value]) => [camelCase(key), decode(value)] as const,
  )
  const result: unknown = Reflect.apply(
    f,
    undefined,
    named.length > 0 ? [...given, Object.fromEntries(named)] : given,
  )
  return result
}

/**
 * Relative to the larger of 1 and the value. The recorded results were computed in float32 by other
 * code in another order of operations: a few units in the last place for each step.
 */
export const recordedTolerance = (dtype: DType): number => 16 * floatInfo(dtype).eps

/** Compares a result with what was recorded: structure, shape, dtype, weakness and values. */
export function expectRecorded(actual: unknown, recorded: Recorded, tolerance?: number): void {
  if (Array.isArray(recorded)) {
    expect(Array.isArray(actual)).toBe(true)
    const list = actual as readonly unknown[]
    expect(list.length).toBe(recorded.length)
    recorded.forEach((r: Recorded, i) => expectRecorded(list[i], r, tolerance))
    return
  }
  if (!isRecordedArray(recorded)) {
    expect(isArray(actual) ? actual.item() : actual).toEqual(decode(recorded))
    return
  }
  if (!isArray(actual)) throw new Error(`expected an array, got ${String(actual)}`)
  const { dtype, shape, weak, data } = recorded.$
  expect(`${actual.dtype}[${actual.shape.join(',')}]${actual.aval.weakType ? '~' : ''}`).toBe(
    `${dtype}[${shape.join(',')}]${weak && dtype !== 'bool' ? '~' : ''}`,
  )
  const bound = tolerance ?? (isFloating(dtype) ? recordedTolerance(dtype) : 0)
  const values = valuesOf(actual)
  data.forEach((element, i) => {
    const expected = Number(numberOf(element))
    const value = values[i]
    const close =
      Object.is(value, expected) ||
      value === expected ||
      Math.abs(value - expected) <= bound * Math.max(1, Math.abs(expected))
    if (!close) throw new Error(`element ${i}: ${value} instead of ${expected}\n${String(actual)}`)
  })
}

/** The elements as numbers. */
export function valuesOf(x: NDArray): number[] {
  const values = readElements(x, 'valuesOf')
  return Array.from({ length: x.size }, (_, i) => Number(values[i]))
}
