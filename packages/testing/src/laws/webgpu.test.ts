/**
 * The walk over the registry on the WebGPU device: every primitive at the edges of its domain, alone
 * and in a batch, its derivatives, and the primitives that hold programs.
 */
import { setDevice } from '@adjoint/core'
import { registeredPrimitives } from '@adjoint/core/internal'
import { primitiveSamples } from '@adjoint/core/samples'
import { describe, it } from 'vitest'
import { derivativeQuestions, runs, valueQuestion } from './laws.fixture'
import { programCases } from './programs.fixture'
import { edgesHold, hasGpu, lawsHold, useWebGpu } from './webgpu.fixture'

const sampled = registeredPrimitives().flatMap((primitive) => {
  const samples = primitiveSamples.get(primitive.name)
  return samples ? [[primitive.name, primitive, samples] as const] : []
})

/** Iterative or blocked, with kernels by the dozen: fewer programs say as much. */
const factorizations = new Set(['eigh', 'svd', 'pinv', 'lu', 'qr', 'cholesky', 'triangular_solve'])

const derivatives = Object.values(derivativeQuestions)
const derivativeNames = Object.keys(derivativeQuestions).join(', ')
/** `LAW_RUNS` in the environment makes it more or less. */
const factor = runs.numRuns / 8
const times = (n: number): number => Math.max(1, Math.round(n * factor))

describe.runIf(hasGpu)('on the GPU', () => {
  useWebGpu()

  describe.each(sampled)('%s', (name, primitive, { edges, smooth }) => {
    it('value and vmap = reference, also at the edges of the domain', async () => {
      await edgesHold(primitive, edges, times(factorizations.has(name) ? 2 : 8))
    })

    it(`${derivativeNames} = reference`, async () => {
      await lawsHold(primitive, smooth, derivatives, times(1))
    })
  })

  setDevice('reference')
  const cases = programCases()
  setDevice('wasm')
  describe.each(cases.map((each) => [each.title, each] as const))(
    '%s',
    (_title, { primitive, samples, modes }) => {
      it(`value, ${derivativeNames} = reference`, async () => {
        await lawsHold(primitive, samples, [valueQuestion, ...derivatives], times(1), modes)
      })
    },
  )
})
