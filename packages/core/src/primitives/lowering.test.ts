/** Law: the compiled program of a primitive computes what the primitive means. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWasmBackend } from '../backends/wasm'
import { Jaxpr, Var } from '../jaxpr/ir'
import { type DType, floatInfo, isFloating } from '../types/dtype'
import { elementBits, elementData } from '../types/element'
import { bitsToBfloat16, bitsToFloat16, roundToDType } from '../types/float-formats'
import { type Primitive, registeredPrimitives } from '../trace/primitive'
import { primitiveSamples } from './all.samples'
import './evaluating.fixture'
import './index'
import type { PrimitiveSample } from './samples'
import type { HostArray } from './strided'

const runs = { numRuns: Number(process.env.LAW_RUNS ?? 8) }
const backend = createWasmBackend()

function jaxprOf(primitive: Primitive, { operands, params }: PrimitiveSample): Jaxpr {
  const inputs = operands.map((o) => new Var(o.aval))
  const avals = primitive.abstractEval(
    inputs.map((v) => v.aval),
    params,
  )
  const outputs = avals.map((aval) => new Var(aval))
  return new Jaxpr(inputs, [{ primitive, inputs, outputs, params }], outputs)
}

function toStorage({ aval, data }: HostArray) {
  const elements = elementData(aval.dtype, aval.size)
  for (let i = 0; i < elements.length; i++) elements[i] = elementBits(data[i], aval.dtype)
  return backend.fromHost(aval, elements)
}

const decode = (dtype: DType): ((element: number) => number) =>
  dtype === 'float16' ? bitsToFloat16 : dtype === 'bfloat16' ? bitsToBfloat16 : (element) => element

/** Half an ulp per operation of a short chain of them; the accuracy of each function is tested with it. */
const tolerance = (dtype: DType): number => (isFloating(dtype) ? 32 * floatInfo(dtype).eps : 0)

function expectSame({ aval, data }: HostArray, actual: readonly number[], scale: number): void {
  const { dtype } = aval
  // Subnormal results may be flushed to zero.
  const negligible = isFloating(dtype) ? floatInfo(dtype).smallestNormal : 0
  data.forEach((exact, i) => {
    const expected = roundToDType(exact, dtype)
    if (actual[i] === expected || (Number.isNaN(actual[i]) && Number.isNaN(expected))) return
    const error = Math.abs(actual[i] - expected)
    if (error <= negligible) return
    if (!(error <= tolerance(dtype) * Math.max(scale, Math.abs(expected)))) {
      expect.fail(`${aval} element ${i}: ${actual[i]} and not ${expected}`)
    }
  })
}

describe.each(registeredPrimitives().map((p): [string, Primitive] => [p.name, p]))(
  '%s',
  (name, primitive) => {
    const samples = primitiveSamples.get(name)
    it.each(['smooth', 'edges'] as const)('compiles to what it means: %s operands', (kind) => {
      if (samples === undefined) return expect.fail(`no samples for ${name}`)
      fc.assert(
        fc.property(samples[kind], (sample) => {
          const jaxpr = jaxprOf(primitive, sample)
          const expected = primitive.evaluate(sample.operands, sample.params, jaxpr.outAvals)
          const program = backend.compile(jaxpr, {
            donated: sample.operands.map(() => false),
            name,
          })
          const results = program.run(sample.operands.map(toStorage))
          // Sums of ordinary operands may cancel: their error is relative to the operands.
          const scale = kind === 'smooth' ? 4 : 1
          expected.forEach((y, n) => {
            const actual = Array.from(backend.read(results[n]), decode(y.aval.dtype))
            expect(actual.length).toBe(y.data.length)
            expectSame(y, actual, scale)
          })
        }),
        runs,
      )
    })
  },
)
