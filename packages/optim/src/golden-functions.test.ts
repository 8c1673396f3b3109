/** Optax's numbers for schedules and losses. `scripts/golden/optax_cases.py` makes them. */
import { np, type NDArray } from '@adjoint/core'
import { grad, jit, vmap } from '@adjoint/transforms'
import { describe, it } from 'vitest'
import lossesJson from '../test-data/losses.json'
import schedulesJson from '../test-data/schedules.json'
import {
  build,
  type Call,
  expectClose,
  exported,
  type Json,
  perform,
  casesOf,
  titleOf,
} from './golden.fixture'
import type * as optim from './index'

const schedules = casesOf<{
  readonly counts: readonly number[]
  readonly schedules: readonly (Call & { readonly values: readonly number[] })[]
}>(schedulesJson)

const losses = casesOf<{
  readonly losses: readonly {
    readonly call: string
    readonly operands: readonly Json[]
    readonly options: Readonly<Record<string, Json>>
    readonly value: Json
    /** Of the sum of the values, with respect to the first operand. */
    readonly gradient: Json
  }[]
}>(lossesJson)

describe('schedules, as Optax has them', () => {
  const counts = np.array(schedules.counts)
  it.each(schedules.schedules.map((c) => [titleOf(c), c] as const))('%s', (_, given) => {
    const schedule = perform(given) as optim.Schedule
    schedules.counts.forEach((count, i) => {
      expectClose(schedule(count), given.values[i], 2e-6, `at ${count}`)
    })
    expectClose(jit(vmap((c: NDArray) => schedule(c)))(counts), given.values, 2e-6)
  })
})

describe('losses, as Optax has them', () => {
  it.each(
    losses.losses.map(
      (c, i) => [`${c.call} ${JSON.stringify(c.options).slice(0, 60)} (${i})`, c] as const,
    ),
  )('%s', (_, given) => {
    const [x, ...others] = given.operands.map(build) as [NDArray, ...unknown[]]
    const options = Object.keys(given.options).length === 0 ? [] : [build(given.options)]
    const loss = (first: NDArray): NDArray =>
      exported(given.call)(first, ...others, ...options) as NDArray
    expectClose(loss(x), given.value, 2e-6, 'value')
    expectClose(jit(loss)(x), given.value, 2e-6, 'compiled value')
    expectClose(jit(grad((y: NDArray) => np.sum(loss(y))))(x), given.gradient, 5e-6, 'gradient')
  })
})
