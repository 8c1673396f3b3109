/**
 * The walk over the registry on the WebGPU device, which answers later: all programs of a law are
 * started before any is read, so that their kernels are compiled side by side.
 */
import { type NDArray, setDevice } from '@adjoint/core'
import { type Primitive, readToReference, withDevice } from '@adjoint/core/internal'
import type { PrimitiveSample } from '@adjoint/core/samples'
import { jit } from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, beforeAll, vi } from 'vitest'
import { batchQuestion, bothModes, type Mode, type Question, valueQuestion } from './laws.fixture'

/** What is asked about one call; null where there is nothing to ask. */
export type Law = (
  primitive: Primitive,
  sample: PrimitiveSample,
  modes: readonly Mode[],
) => Question | null

/** The test run has said so where there is no adapter: see scripts/webgpu. */
export const hasGpu = process.env['ADJOINT_WEBGPU'] !== ''

/** Opens the device for the tests of a file; expected results come from the reference. */
export function useWebGpu(): void {
  // A software driver takes its time to compile.
  vi.setConfig({ testTimeout: 120_000 })
  beforeAll(async () => {
    await setDevice('webgpu')
    setDevice('reference')
  })
  afterAll(() => setDevice('wasm'))
}

/**
 * Whether the device has all dtypes of a call.
 */
const fits = ({ operands, params }: PrimitiveSample): boolean =>
  ![...operands.map(({ aval }) => aval.dtype), params['newDtype'], params['dtype']].includes(
    'float64',
  )

const started = ({ program, inputs }: Question): readonly NDArray[] =>
  withDevice('webgpu', () => jit((...xs: NDArray[]) => program(...xs))(...inputs))

/** Starts a program, and answers how to wait for its results and check them. */
function asked(question: Question): () => Promise<void> {
  const results = started(question).map(readToReference)
  return async () => question.check(await Promise.all(results))
}

/** Answers are awaited when all have been asked for. */
async function allHold(questions: readonly (Question | null)[]): Promise<void> {
  const answers = questions.flatMap((question) => (question === null ? [] : [asked(question)]))
  for (const answer of answers) await answer()
}

/** The same calls one by one, so that the smallest one on which a law fails is found. */
async function smallest(
  samples: fc.Arbitrary<PrimitiveSample>,
  count: number,
  law: (sample: PrimitiveSample) => Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(samples, async (sample) => {
      if (fits(sample)) await law(sample)
    }),
    drawingOf(4 * count),
  )
}

const drawingOf = (numRuns: number) => ({ numRuns, seed: 4, unbiased: true })

/** Up to `count` calls that the device has the dtypes for; fewer where there are hardly any. */
const fitting = (samples: fc.Arbitrary<PrimitiveSample>, count: number): PrimitiveSample[] =>
  fc
    .sample(samples, drawingOf(4 * count))
    .filter(fits)
    .slice(0, count)

/**
 * Holds laws on some calls at random, the same ones every time. Where one fails, the smallest call on
 * which it does is looked for.
 */
export async function lawsHold(
  primitive: Primitive,
  samples: fc.Arbitrary<PrimitiveSample>,
  laws: readonly Law[],
  numRuns: number,
  modes: readonly Mode[] = bothModes,
): Promise<void> {
  const questions = (sample: PrimitiveSample) => laws.map((law) => law(primitive, sample, modes))
  try {
    await allHold(fitting(samples, numRuns).flatMap(questions))
  } catch (error) {
    await smallest(samples, numRuns, (sample) => allHold(questions(sample)))
    throw error
  }
}

/** Calls that can be one batch: the same parameters, and operands of the same types. */
const signature = ({ operands, params }: PrimitiveSample): string =>
  `${operands.map(({ aval }) => aval).join()} ${JSON.stringify(params)}`

/** How many calls are drawn to make batches of. */
const DRAWN = 100

/**
 * Every primitive at the edges of its domain. Compiling a kernel is what takes time, so calls of one
 * signature are one program, a batch: the largest batches of those that many calls make, each dtype's
 * first. Some calls run as they are as well.
 *
 * @param programs how many programs are compiled
 */
export async function edgesHold(
  primitive: Primitive,
  samples: fc.Arbitrary<PrimitiveSample>,
  programs: number,
): Promise<void> {
  const drawn = fitting(samples, DRAWN)
  const batches = new Map<string, PrimitiveSample[]>()
  for (const sample of drawn.filter(({ operands }) => operands.length > 0)) {
    const key = signature(sample)
    batches.set(key, [...(batches.get(key) ?? []), sample])
  }
  const alone = drawn.slice(0, Math.max(1, programs >> 2))
  const questions = () => [
    ...alone.map((sample) => valueQuestion(primitive, sample)),
    ...diverse([...batches.values()])
      .slice(0, programs - alone.length)
      .map((batch) => batchQuestion(primitive, batch)),
  ]
  try {
    await allHold(questions())
  } catch (error) {
    await smallest(samples, DRAWN, (sample) =>
      allHold([
        valueQuestion(primitive, sample),
        sample.operands.length > 0 ? batchQuestion(primitive, [sample, sample]) : null,
      ]),
    )
    throw error
  }
}

/** The largest batches, those first that have a type of operand that none before them had. */
function diverse(
  batches: readonly (readonly PrimitiveSample[])[],
): readonly (readonly PrimitiveSample[])[] {
  const elements = (batch: readonly PrimitiveSample[]): number =>
    batch.length * batch[0].operands.reduce((n, { aval }) => n + aval.size, 0)
  const sorted = batches.toSorted((a, b) => elements(b) - elements(a))
  const types = new Set<string>()
  const isNew = (batch: readonly PrimitiveSample[]): boolean => {
    const type = batch[0].operands.map(({ aval }) => aval.dtype).join()
    return !types.has(type) && types.add(type).size > 0
  }
  const first = sorted.filter(isNew)
  return [...first, ...sorted.filter((batch) => !first.includes(batch))]
}
