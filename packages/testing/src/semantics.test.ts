/** Values and gradients where conventions decide are JAX's, on every device, eagerly and compiled. */
import { readFileSync } from 'node:fs'
import { type DType, type NDArray, np, setDevice, tree } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { grad, jit, vmap } from '@adjoint/transforms'
import { afterAll, describe, expect, it } from 'vitest'
import { numbersOf } from './compare'
import { programs } from './semantics.fixture'

interface RecordedArray {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: readonly (number | string)[]
}
interface Case {
  readonly name: string
  readonly args: readonly RecordedArray[]
  readonly value: readonly RecordedArray[]
  readonly gradients?: readonly RecordedArray[]
  readonly second?: readonly RecordedArray[]
}

const { cases } = JSON.parse(
  readFileSync(new URL('../test-data/semantics.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] }

const named: { readonly [name: string]: number } = {
  nan: NaN,
  inf: Infinity,
  '-inf': -Infinity,
  '-0': -0,
}
const numberOf = (v: number | string): number => (typeof v === 'string' ? (named[v] ?? NaN) : v)
const decode = ({ dtype, shape, data }: RecordedArray): NDArray =>
  np.array(data.map(numberOf), { dtype, shape })

/** float32 arithmetic of a few dozen operations, in another order than JAX's. */
const TOLERANCE = 1e-5

function differences(
  bound: number,
  what: string,
  actual: readonly NDArray[],
  recorded: readonly RecordedArray[],
): string[] {
  if (actual.length !== recorded.length)
    return [`${what}: ${actual.length} results, not ${recorded.length}`]
  return actual.flatMap((x, i) => {
    const { dtype, shape, data } = recorded[i] ?? { dtype: 'bool', shape: [], data: [] }
    const type = `${x.dtype}[${x.shape.join()}]`
    if (type !== `${dtype}[${shape.join()}]`)
      return [`${what}: ${type}, not ${dtype}[${shape.join()}]`]
    const values = Array.from(numbersOf(x))
    const expected = data.map(numberOf)
    const scale = Math.max(1, ...expected.filter(Number.isFinite).map(Math.abs))
    const far = values.some((value, k) => {
      const wanted = expected[k] ?? NaN
      // The reference holds doubles: what is finite there may be beyond float32.
      const v = Math.fround(value)
      if (Object.is(v, wanted)) return false
      if (wanted === 0 && v === 0) return what === 'value'
      return !(Math.abs(v - wanted) <= bound * Math.max(Math.abs(wanted), scale * 0.1))
    })
    return far
      ? [`${what}: ${values.map((v) => Math.fround(v)).join(' ')} | ${expected.join(' ')}`]
      : []
  })
}

const isFloat = (x: NDArray): boolean => x.dtype.startsWith('float') || x.dtype === 'bfloat16'

/** A scalar that tells all elements apart: weights 1, 1.5, 2, … */
const weighted = (outputs: readonly NDArray[]): NDArray =>
  outputs.filter(isFloat).reduce<NDArray>(
    (total, y) => {
      const weights = np.arange(y.size, { dtype: 'float32' }).div(2).add(1).reshape(y.shape)
      return total.add(np.sum(y.astype('float32').mul(weights)))
    },
    np.array(0, { dtype: 'float32' }),
  )

type Flat = (...args: NDArray[]) => readonly NDArray[]

/** The program, its gradient, and the gradient of the weighted gradient, as functions of lists. */
function derived(f: (...args: NDArray[]) => unknown, args: readonly NDArray[]) {
  const argnums = args.flatMap((x, i) => (isFloat(x) ? [i] : []))
  const value: Flat = (...xs) => tree.leaves<NDArray>(f(...xs))
  const gradientOf =
    (of: Flat): Flat =>
    (...xs) =>
      grad((...ys: NDArray[]) => weighted(of(...ys)), { argnums })(...xs)
  const gradients = gradientOf(value)
  return { value, gradients, second: gradientOf(gradients) }
}

const modes: { readonly [mode: string]: (f: Flat) => Flat } = {
  eagerly: (f) => f,
  'under jit': (f) => jit(f),
  'under jit of vmap': (f) => {
    const batched = jit(vmap(f))
    return (...xs) => batched(...xs.map((x) => np.stack([x, x]))).map((y) => y.get(1))
  },
}

checkPasses(true)
afterAll(() => {
  setDevice('wasm')
})

/** What an argument list says, for the names of tests. */
const shown = (args: readonly RecordedArray[]): string =>
  args
    .map(({ shape, data }) => (shape.length > 1 ? `[${shape.join('×')}]` : data.join(' ')))
    .join('; ')

describe('there is a program for every record, and a record for every program', () => {
  it('by name', () => {
    expect([...new Set(cases.map((c) => c.name))].sort()).toEqual(Object.keys(programs).sort())
  })
})

for (const [device, mode] of [
  ['wasm', 'eagerly'],
  ['wasm', 'under jit'],
  ['wasm', 'under jit of vmap'],
  ['reference', 'eagerly'],
] as const) {
  describe(`JAX's values and gradients on ${device}, ${mode}`, () => {
    for (const record of cases) {
      it(`${record.name}(${shown(record.args)})`, () => {
        setDevice(device)
        const f = programs[record.name]
        const run = modes[mode]
        if (f === undefined || run === undefined) throw new Error(`no program ${record.name}`)
        const args = record.args.map(decode)
        // The reference rounds nothing to 16 bits.
        const is16Bit = /^(half|bfloat)/.test(record.name)
        const bound = device === 'reference' && is16Bit ? 1e-2 : TOLERANCE
        const { value, gradients, second } = derived(f, args)
        const found = [...differences(bound, 'value', run(value)(...args), record.value)]
        if (record.gradients)
          found.push(...differences(bound, 'gradient', run(gradients)(...args), record.gradients))
        if (record.second)
          found.push(...differences(bound, 'second', run(second)(...args), record.second))
        expect(found).toEqual([])
      })
    }
  })
}
