import { devices, type DType, DTypeError, np, type NDArray } from '@adjoint/core'
import { customVjp, grad, jit, scan, whileLoop } from '@adjoint/transforms'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { arbitraryArray } from './arbitraries'
import { describeEquivalence } from './describe-equivalence'
import { equivalence, EquivalenceError } from './equivalence'
import { applied, named, rows, shortLowering, x } from './faults.fixture'

/** The test run has said so where there is no adapter: see scripts/webgpu. */
const hasGpu = process.env.ADJOINT_WEBGPU !== ''
// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

const dtypes: readonly DType[] = [
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'int8',
  'uint16',
  'int32',
  'uint32',
  'bool',
]

describe('equivalence', () => {
  it('compares the function, its derivatives and its batched gradient', async () => {
    const report = await equivalence('tanh', (y: NDArray) => np.tanh(y), [x], { devices: ['wasm'] })
    expect(report.comparisons.map(({ aspect }) => aspect)).toEqual([
      'eager value',
      'value',
      'jvp',
      'gradient',
      'vmapped gradient',
      'Hessian-vector product',
    ])
    expect(String(report)).toMatch(/^device +aspect +verdict/)
  })

  it.runIf(hasGpu)('compares all devices of the machine, where none are named', async () => {
    const { comparisons, notCompared } = await equivalence('tanh', (y: NDArray) => np.tanh(y), [x])
    expect([...new Set(comparisons.map(({ device }) => device))]).toEqual(['wasm', 'webgpu'])
    expect(notCompared).toEqual([])
    expect(devices().find(({ current }) => current)?.name).toBe('wasm')
  })

  it.runIf(hasGpu)('says which device lacks what a program computes with', async () => {
    const doubled = (y: NDArray): NDArray => np.add(y, y)
    const wide = x.astype('float64')
    const report = await equivalence('doubled', doubled, [wide])
    expect(report.notCompared).toMatchObject([{ device: 'webgpu', reason: /no float64/ }])
    expect(String(report)).toMatch(/\nwebgpu is not compared: .*no float64/)
    await expect(equivalence('doubled', doubled, [wide], { devices: ['webgpu'] })).rejects.toThrow(
      DTypeError,
    )
  })

  it('shows its table on a console, alone and in an error', async () => {
    const report = await equivalence('tanh', (y: NDArray) => np.tanh(y), [x])
    expect(inspect(report)).toBe(`tanh\n${report}`)
    const failing = equivalence('dropping', applied(shortLowering), [x], { gradients: false })
    const error: unknown = await failing.catch((cause: unknown) => cause)
    expect(inspect(error).match(/device +aspect/g)).toHaveLength(1)
  })

  it('takes trees, integers and functions with several results', async () => {
    const f = (
      params: { w: NDArray; b: NDArray },
      indices: NDArray,
    ): { y: NDArray; count: NDArray } => ({
      y: np.add(np.take(params.w, indices, 0), params.b),
      count: np.sum(indices),
    })
    const params = { w: rows, b: x }
    const report = await equivalence('lookup', f, [params, np.array([1, 0, 1])])
    expect(report.comparisons.every(({ agrees }) => agrees)).toBe(true)
  })

  it.each(dtypes)(
    'compares %s as numbers, whatever the memory of a device holds',
    async (dtype) => {
      const whole = np.array([0, 1, 1, 2, 5]).astype(dtype)
      const report = await equivalence('whole numbers', (y: NDArray) => np.add(y, y), [whole])
      expect(report.comparisons.map(({ difference }) => difference?.excess ?? 0)).toEqual(
        report.comparisons.map(() => 0),
      )
      const counted = (y: NDArray): NDArray => np.sum(np.equal(y, 1).astype('int32'))
      const { comparisons } = await equivalence('ones', counted, [whole])
      expect(comparisons.every(({ agrees }) => agrees)).toBe(true)
    },
  )

  it('leaves derivatives out where there are none', async () => {
    const argmax = (y: NDArray): NDArray => np.argmax(y)
    const report = await equivalence('argmax', argmax, [x], { devices: ['wasm'] })
    expect(report.comparisons.map(({ aspect }) => aspect)).toEqual(['eager value', 'value'])
  })

  it('compares in the modes that a function has', async () => {
    const root = (a: NDArray): NDArray =>
      whileLoop(
        (y: NDArray) => np.greater(np.abs(np.subtract(np.square(y), a)), 1e-3),
        (y: NDArray) => np.multiply(0.5, np.add(y, np.divide(a, y))),
        a,
      )
    const forward = await equivalence('root', root, [np.array(2.5)], { modes: ['forward'] })
    expect(forward.comparisons.map(({ aspect }) => aspect)).toContain('vmapped jvp')
    const squared = customVjp((y: NDArray) => np.square(y)).defvjp(
      (y) => [np.square(y), y],
      (y: NDArray, zBar: NDArray) => [np.multiply(zBar, np.multiply(2, y))],
    )
    const reverse = await equivalence('squared', squared, [x], { modes: ['reverse'] })
    expect(reverse.comparisons.map(({ aspect }) => aspect)).toContain('Hessian-vector product')
  })

  it('draws arguments, and makes those that show a fault as small as it can', async () => {
    const report = await equivalence(
      'scaled',
      (a: NDArray, b: number) => np.sum(np.tanh(np.multiply(a, b))),
      [arbitraryArray({ maxRank: 2 }), 0.5],
      { runs: 5 },
    )
    expect(report.counterexample).toBeNull()
    const wrong = equivalence(
      'dropping',
      applied(shortLowering),
      [arbitraryArray({ minRank: 1, maxRank: 1, minSize: 3, maxSize: 3 })],
      { gradients: false },
    )
    const { counterexample } = await wrong.then(
      () => {
        throw new Error('no EquivalenceError')
      },
      (error: unknown) => {
        if (error instanceof EquivalenceError) return error.report
        throw error
      },
    )
    // The last element is lost: one that is not zero shows it, and the others need not be.
    const [smallest] = counterexample as [NDArray]
    expect((smallest.toArray() as number[]).map(Math.abs)).toEqual([0, 0, 1 / 64])
  })

  it('uses the tolerance it is given', async () => {
    const tolerance = { relative: 0, absolute: 0 }
    await expect(
      equivalence('exp', (y: NDArray) => np.exp(np.multiply(y, 1.1)), [x], { tolerance }),
    ).rejects.toThrow(EquivalenceError)
  })
})

describeEquivalence(
  'a recurrent network trained for one step',
  (w: NDArray, xs: NDArray): NDArray => {
    const loss = (v: NDArray): NDArray =>
      np.sum(
        scan(
          (h: NDArray, y: NDArray): [NDArray, NDArray] => [np.tanh(np.multiply(h, v).add(y)), h],
          y0(xs),
          xs,
        )[1],
      )
    return np.subtract(w, jit(grad(loss))(w))
  },
  () => [x, rows],
)
const y0 = (xs: NDArray): NDArray => np.zerosLike(xs.get(0))

describe('describeEquivalence', () => {
  it('registers one test per device with the runner it is given', async () => {
    const tests = new Map<string, () => Promise<void>>()
    const groups: string[] = []
    describeEquivalence('faulty', applied(shortLowering), [x], {
      devices: ['wasm', 'reference'],
      runner: {
        describe: (name, body) => {
          groups.push(name)
          body()
        },
        it: (name, body) => tests.set(name, body),
      },
    })
    expect(groups).toEqual(['faulty'])
    expect([...tests.keys()]).toEqual(['wasm = reference', 'reference = reference'])
    await expect(tests.get('wasm = reference')?.()).rejects.toThrow(EquivalenceError)
    await tests.get('reference = reference')?.()
  })

  it.runIf(hasGpu)('skips the test of a device that cannot run the program', async () => {
    const tests = new Map<string, (context?: unknown) => Promise<void>>()
    describeEquivalence('wide', applied(named('sin')), [x.astype('float64')], {
      runner: {
        describe: (_name, body) => {
          body()
        },
        it: (name, body) => tests.set(name, body),
      },
    })
    expect([...tests.keys()]).toEqual(['wasm = reference', 'webgpu = reference'])
    const skip = vi.fn()
    await tests.get('wasm = reference')?.({ skip })
    expect(skip).not.toHaveBeenCalled()
    await tests.get('webgpu = reference')?.({ skip })
    expect(skip).toHaveBeenCalledWith(expect.stringMatching(/^webgpu is not compared: .*float64/))
    // Runners without a context are told on the console.
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    await tests.get('webgpu = reference')?.()
    expect(warn).toHaveBeenCalledOnce()
    warn.mockRestore()
  })
})
