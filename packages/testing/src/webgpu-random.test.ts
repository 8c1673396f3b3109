/** Random programs under random stacks of transformations compute on the GPU what the stack means. */
import { np, type NDArray, setDevice } from '@adjoint/core'
import { readToReference, withDevice } from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, it, vi } from 'vitest'
import type { ArbitraryProgram } from './arbitrary-program'
import { arbitraryTransformations, type Endomorphism } from './arbitrary-transformations'
import {
  doublesOf,
  expectClose,
  float32Allowance,
  nearby,
  onDevice,
  programs,
  runs,
} from './random-programs.fixture'

// A software driver takes its time to compile.
vi.setConfig({ testTimeout: 120_000 })

/** A program as a function from one array to another of its shape, of size about 1. */
const endomorphismOf =
  ({ f }: ArbitraryProgram): Endomorphism =>
  (x) => {
    const y = f(x)
    const fitting = y.shape.join() === x.shape.join() ? y : np.mean(y)
    return np.sin(np.add(np.multiply(x, 0.5), fitting))
  }

/** The test run has said so where there is no adapter: see scripts/webgpu. */
describe.runIf(process.env['ADJOINT_WEBGPU'] !== '')('random programs on the GPU', () => {
  beforeAll(async () => {
    await setDevice('webgpu')
    setDevice('reference')
  })
  afterAll(() => setDevice('wasm'))

  const compiled = (f: Endomorphism, x: NDArray): Promise<NDArray> =>
    readToReference(withDevice('webgpu', () => jit(f)(onDevice(x))))

  it('mean what they mean on the reference device', async () => {
    await fc.assert(
      fc.asyncProperty(programs(1, 2), async ({ program, xs: [x] }) => {
        const f = endomorphismOf(program)
        const expected = doublesOf(f(x))
        const allowance = float32Allowance(expected, doublesOf(f(nearby(x))))
        if (allowance !== null) expectClose('on the GPU', await compiled(f, x), expected, allowance)
      }),
      runs(12),
    )
  })

  it('under random stacks of transformations mean what the stack means', async () => {
    await fc.assert(
      fc.asyncProperty(
        programs(1, 1),
        arbitraryTransformations(),
        async ({ program, xs: [x] }, stack) => {
          const f = endomorphismOf(program)
          const meaning = stack.meaning(f)
          const [expected, besides] = [doublesOf(meaning(x)), doublesOf(meaning(nearby(x)))]
          const allowance = float32Allowance(expected, besides)
          if (allowance === null) return
          const result = await compiled(stack.transform(f), x)
          expectClose('on the GPU', result, expected, allowance)
        },
      ),
      runs(12),
    )
  })
})
