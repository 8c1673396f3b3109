/** The samples of every primitive of core, by name. */
import { contractionSamples } from './contraction.samples'
import { elementwiseSamples } from './elementwise.samples'
import { factorizationSamples } from './factorization.samples'
import { indexingSamples } from './indexing.samples'
import type { PrimitiveSamples } from './samples'
import { structuralSamples } from './structural.samples'

export const primitiveSamples: ReadonlyMap<string, PrimitiveSamples> = new Map(
  [
    ...elementwiseSamples,
    ...structuralSamples,
    ...indexingSamples,
    ...contractionSamples,
    ...factorizationSamples,
  ].map((samples) => [samples.name, samples]),
)
export type { PrimitiveSample, PrimitiveSamples } from './samples'
