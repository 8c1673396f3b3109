/** Every primitive of core keeps the laws: a walk over the registry. */
import { setDevice } from '@adjoint/core'
import { checkPasses, type Primitive, registeredPrimitives } from '@adjoint/core/internal'
import { primitiveSamples } from '@adjoint/core/samples'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  compiledBatchedGradientIsReference,
  compiledIsReference,
  derivativesAreDifferences,
  runs,
  vmapIsLoop,
} from './laws.fixture'
import { onlyInside, programPrimitives } from './programs.fixture'

const primitives = registeredPrimitives().filter((p) => primitiveSamples.has(p.name))
const samplesOf = (primitive: Primitive) => {
  const samples = primitiveSamples.get(primitive.name)
  if (!samples) throw new Error(`${primitive.name} has no samples`)
  return samples
}

beforeAll(() => {
  checkPasses(true)
  setDevice('reference')
})
afterAll(() => {
  checkPasses(false)
  setDevice('wasm')
})

it('every primitive has samples, here or among those that hold programs', () => {
  const known = new Set([...primitiveSamples.keys(), ...programPrimitives, ...onlyInside])
  const missing = registeredPrimitives()
    .map((p) => p.name)
    .filter((name) => !known.has(name))
  expect(missing).toEqual([])
})

describe.each(primitives.map((p) => [p.name, p] as const))('%s', (_name, primitive) => {
  it('compiled = reference, also at the edges of the domain', () => {
    fc.assert(
      fc.property(samplesOf(primitive).edges, (sample) => compiledIsReference(primitive, sample)),
      runs,
    )
  })

  it('derivatives = finite differences, to second order', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, (sample) =>
        derivativesAreDifferences(primitive, sample),
      ),
      runs,
    )
  })

  it('vmap = a loop', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, fc.nat(), fc.nat(), (sample, mask, place) =>
        vmapIsLoop(primitive, sample, mask, place),
      ),
      runs,
    )
  })

  it('the compiled gradient of a batch = the reference one', () => {
    fc.assert(
      fc.property(samplesOf(primitive).smooth, (sample) =>
        compiledBatchedGradientIsReference(primitive, sample),
      ),
      runs,
    )
  })
})
