/** Every primitive as a program of the suite, on a few of the calls that the laws try. */
import type { DeviceName, NDArray } from '@adjoint/core'
import { bind, fromHostArray, type Primitive, registeredPrimitives } from '@adjoint/core/internal'
import { type PrimitiveSample, primitiveSamples } from '@adjoint/core/samples'
import fc from 'fast-check'
import type { SuiteProgram } from './programs'

/** Whether a device has all dtypes of a call. */
const fits = ({ operands, params }: PrimitiveSample, device: DeviceName): boolean =>
  device !== 'webgpu' ||
  ![...operands.map(({ aval }) => aval.dtype), params['newDtype'], params['dtype']].includes(
    'float64',
  )

function caseOf(primitive: Primitive, sample: PrimitiveSample, index: number): SuiteProgram {
  const arrays = (): NDArray[] => sample.operands.map(fromHostArray)
  const varied = (): NDArray[] => arrays().filter((_, i) => sample.smooth[i])
  const f = (...xs: NDArray[]): readonly NDArray[] => {
    let next = 0
    const operands = arrays().map((x, i) => (sample.smooth[i] ? xs[next++] : x))
    return bind(primitive, operands, sample.params)
  }
  const types = sample.operands.map(({ aval }) => aval).join(', ')
  return { name: `${primitive.name} ${index + 1}: ${types}`, f, args: varied }
}

/**
 * The cases that a device can run.
 *
 * @param calls how many of each primitive
 */
export const primitiveCases = (device: DeviceName, calls: number): readonly SuiteProgram[] =>
  registeredPrimitives().flatMap((primitive) => {
    const samples = primitiveSamples.get(primitive.name)
    if (samples === undefined) return []
    return fc
      .sample(samples.smooth, { numRuns: 2 * calls, seed: 7 })
      .filter((sample) => fits(sample, device))
      .slice(0, calls)
      .map((sample, i) => caseOf(primitive, sample, i))
  })
