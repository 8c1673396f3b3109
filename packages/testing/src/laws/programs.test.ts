/** The primitives that hold programs keep the laws that all primitives keep. */
import { setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  compiledBatchedGradientIsReference,
  compiledIsReference,
  derivativesAreDifferences,
  runs,
  vmapIsLoop,
} from './laws.fixture'
import { programCases } from './programs.fixture'

beforeAll(() => {
  checkPasses(true)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  setDevice('wasm')
})

describe.each(programCases().map((each) => [each.title, each] as const))(
  '%s',
  (_title, { primitive, samples, modes }) => {
    it('compiled = reference', () => {
      fc.assert(
        fc.property(samples, (sample) => compiledIsReference(primitive, sample)),
        runs,
      )
    })

    it('derivatives = finite differences, to second order', () => {
      fc.assert(
        fc.property(samples, (sample) => derivativesAreDifferences(primitive, sample, modes)),
        runs,
      )
    })

    it('vmap = a loop', () => {
      fc.assert(
        fc.property(samples, fc.nat(), fc.nat(), (sample, mask, place) =>
          vmapIsLoop(primitive, sample, mask, place),
        ),
        runs,
      )
    })

    it('the compiled derivative of a batch = the reference one', () => {
      fc.assert(
        fc.property(samples, (sample) =>
          compiledBatchedGradientIsReference(primitive, sample, modes),
        ),
        runs,
      )
    })
  },
)
