/** Options that nobody reads are refused: a misspelt one would otherwise change nothing, in silence. */
import { describe, expect, it } from 'vitest'
import { ArgumentError, linalg, lax, np, random, special } from '../index'

const x = np.array([
  [1, 2],
  [3, 4.5],
])
const v = np.array([1, 2, 3.5])
const key = random.key(0)

type Options = { readonly [name: string]: unknown }
/** Calls with options of any kind, as JavaScript can make them. */
type Calls = { readonly [name: string]: (options: never) => unknown }

type Call = (x: unknown, options: unknown) => unknown

const calls: Calls = {
  ...Object.fromEntries(
    (
      [
        ...(['sum', 'prod', 'max', 'min', 'ptp', 'all', 'any', 'argmax', 'argmin'] as const),
        ...(['mean', 'var', 'std', 'median', 'average', 'cumsum', 'cumprod', 'sort'] as const),
        ...(['argsort', 'countNonzero', 'nansum', 'nanprod', 'nanmax', 'nanmin'] as const),
        ...(['nanmean', 'nanvar', 'nanstd', 'nancumsum', 'nanargmax', 'squeeze', 'flip'] as const),
        ...(['zerosLike', 'onesLike', 'diff', 'trapezoid', 'unique', 'nonzero'] as const),
        ...(['histogram', 'round', 'nanToNum', 'unstack', 'trace', 'rot90'] as const),
      ] as const
    ).map((name) => [name, (options: never) => (np[name] as Call)(x, options)]),
  ),
  array: (options) => np.array([1, 2], options),
  zeros: (options) => np.zeros([2], options),
  ones: (options) => np.ones([2], options),
  full: (options) => np.full([2], 1, options),
  eye: (options) => np.eye(2, options),
  arange: (options) => np.arange(3, options),
  linspace: (options) => np.linspace(0, 1, options),
  logspace: (options) => np.logspace(0, 1, options),
  geomspace: (options) => np.geomspace(1, 2, options),
  concatenate: (options) => np.concatenate([x, x], options),
  stack: (options) => np.stack([x, x], options),
  split: (options) => np.split(x, 2, options),
  repeat: (options) => np.repeat(x, 2, options),
  roll: (options) => np.roll(x, 1, options),
  pad: (options) => np.pad(x, 1, options),
  quantile: (options) => np.quantile(x, 0.5, options),
  take: (options) => np.take(x, 0, options),
  clip: (options) => np.clip(x, options),
  matmul: (options) => np.matmul(x, x, options),
  dot: (options) => np.dot(x, x, options),
  tensordot: (options) => np.tensordot(x, x, options),
  einsum: (options) => np.einsum('ij,jk', x, x, options),
  isclose: (options) => np.isclose(x, x, options),
  searchsorted: (options) => np.searchsorted(v, v, options),
  interp: (options) => np.interp(v, v, v, options),
  logsumexp: (options) => special.logsumexp(x, options),
  norm: (options) => linalg.norm(x, options),
  svd: (options) => linalg.svd(x, options),
  qr: (options) => linalg.qr(x, options),
  eigh: (options) => linalg.eigh(x, options),
  cholesky: (options) => linalg.cholesky(x, options),
  uniform: (options) => random.uniform(key, [2], options),
  normal: (options) => random.normal(key, [2], options),
  randint: (options) => random.randint(key, [2], 0, 5, options),
  categorical: (options) => random.categorical(key, v, options),
  permutation: (options) => random.permutation(key, v, options),
  choice: (options) => random.choice(key, v, [2], options),
  'lax cumsum': (options) => lax.cumsum(x, options),
  topK: (options) => lax.topK(v, 1, options),
  dotGeneral: (options) =>
    lax.dotGeneral(
      x,
      x,
      [
        [[1], [0]],
        [[], []],
      ],
      options,
    ),
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

describe('an option that does not exist', () => {
  it.each(Object.keys(calls))('%s refuses it and lists those that do', (name) => {
    const message = refusal(() => calls[name]({ axiss: 0 } satisfies Options as never))
    expect(message).toMatch(/there is no option 'axiss'[^]*the options are \{ .*\}/)
    expect(message.startsWith(name.replace('lax ', ''))).toBe(true)
  })

  it('is corrected where it is nearly right', () => {
    expect(refusal(() => calls.sum({ keepDims: true } as never))).toMatchInlineSnapshot(`
      "sum: there is no option 'keepDims'
        rule: the options are { axis, keepdims, where, initial, dtype }
        hint: did you mean 'keepdims'?"
    `)
  })

  it('and what is no object at all', () => {
    const sum = np.sum as (...args: readonly unknown[]) => unknown
    expect(refusal(() => sum(x, 1, true))).toMatchInlineSnapshot(`
      "sum: options are an object, not true
        rule: the options are { axis, keepdims, where, initial, dtype }
        hint: name the option: { key: value }"
    `)
  })
})

describe('an argument without a default', () => {
  const convolve = lax.convGeneralDilated as (...args: readonly unknown[]) => unknown
  it('is named where a call leaves it out', () => {
    const images = np.ones([1, 1, 4, 4])
    expect(refusal(() => convolve(images, images))).toMatchInlineSnapshot(`
      "convGeneralDilated: windowStrides is missing
        rule: windowStrides has no default and stands in the list of arguments, not in the options"
    `)
    expect(refusal(() => convolve(images, images, [1, 1]))).toMatch('padding is missing')
  })
})
