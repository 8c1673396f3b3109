/** Options of transformations that nobody reads are refused, as those of functions are. */
import { ArgumentError, np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import * as transforms from './index'

type Call = (...args: readonly unknown[]) => unknown
const square = (x: NDArray): NDArray => np.sum(np.square(x))
const step = (carry: NDArray, x: NDArray): [NDArray, NDArray] => [carry.add(x), carry]
const x = np.array([1, 2.5])
const named = (name: keyof typeof transforms): Call => transforms[name] as Call

const calls: { readonly [name: string]: (options: unknown) => unknown } = {
  ...Object.fromEntries(
    (['grad', 'valueAndGrad', 'jacfwd', 'jacrev', 'hessian', 'vmap', 'checkNans'] as const).map(
      (name) => [name, (options: unknown) => (named(name)(square, options) as Call)(x)],
    ),
  ),
  ...Object.fromEntries(
    (['jit', 'pmap', 'checkpoint', 'customJvp', 'customVjp'] as const).map((name) => [
      name,
      (options: unknown) => named(name)(square, options),
    ]),
  ),
  scan: (options) => named('scan')(step, 0.5, x, options),
  associativeScan: (options) => named('associativeScan')(np.add, x, options),
}

const refusal = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(ArgumentError)
    return error instanceof Error ? error.message : ''
  }
  return 'no error'
}

describe('options of transformations', () => {
  it.each(Object.keys(calls))('%s refuses what it does not know', (name) => {
    expect(refusal(() => calls[name]({ argNumber: 1 }))).toMatch(
      /there is no option 'argNumber'[^]*the options are/,
    )
    expect(refusal(() => calls[name](1))).toMatch('options are an object, not 1')
  })

  it('says what was probably meant', () => {
    expect(refusal(() => calls.vmap({ in_axes: 0 }))).toMatchInlineSnapshot(`
      "vmap(square): there is no option 'in_axes'
        rule: the options are { inAxes, outAxes, axisName, axisSize }
        hint: did you mean 'inAxes'?"
    `)
    expect(refusal(() => calls.scan({ unroll: 0 }))).toMatchInlineSnapshot(`
      "scan(step): unroll is 0
        rule: unroll is a positive integer or a boolean"
    `)
  })
})
